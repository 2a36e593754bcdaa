//! Versions whose instances do not start.

use super::world::{World, assert_table, seconds, version};
use crate::{VersionLoad, delay_after};

#[test]
fn after_three_attempts_what_waits_is_refused_and_later_requests_try_again() {
    let mut world = World::new(8, [version('a')]);
    world.fails = true;
    world.arrive(0, 9);
    assert_table(
        &world.watch(60),
        r"
             0 a  9 [*]
             2 a  9 []
             3 a  9 [*]
             5 a  9 []
            10 a  9 [*]
            12 a  0 [] : give-up-a
            13 a  0 []
        ",
    );
    assert_eq!(world.refused, 9);
    world.arrive(0, 1);
    assert_table(
        &world.watch(60),
        r"
            60 a  1 [*]
            62 a  0 [] : give-up-a
            63 a  0 []
        ",
    );
    assert_eq!(world.refused, 10);
}

#[test]
fn a_request_that_comes_during_the_pause_waits_for_the_next_attempt() {
    let mut world = World::new(8, [version('a')]);
    world.fails = true;
    world.arrive(0, 1);
    world.watch(20);
    world.arrive(0, 1);
    world.fails = false;
    assert_table(
        &world.watch(40),
        r"
            20 a  1 []
            42 a  1 [*]
            44 a  0 [1]
            45 a  0 [.]
        ",
    );
    assert_eq!((world.refused, world.done), (1, 1));
}

#[test]
fn a_minimum_that_does_not_start_is_not_tried_for_ever() {
    let mut world = World::new(8, [VersionLoad { minimum: 2, ..version('a') }]);
    world.fails = true;
    assert_table(
        &world.watch(1000),
        r"
             0 a  0 [**]
             2 a  0 []
             3 a  0 [*]
             5 a  0 []
            10 a  0 [*]
            12 a  0 []
        ",
    );
    world.fails = false;
    world.arrive(0, 1);
    assert_table(
        &world.watch(10),
        r"
            1000 a  1 [*]
            1002 a  0 [1*]
            1003 a  0 [.*]
            1004 a  0 [..]
        ",
    );
}

#[test]
fn trouble_of_one_is_not_trouble_of_others() {
    let mut world = World::new(8, [version('a'), version('b')]);
    world.arrive(1, 1);
    world.watch(5);
    world.fails = true;
    world.arrive(0, 1);
    world.arrive(1, 1);
    assert_table(
        &world.watch(14),
        r"
             5 a  1 [*]  b  0 [1]
             6 a  1 [*]  b  0 [.]
             7 a  1 []  b  0 [.]
             8 a  1 [*]  b  0 [.]
            10 a  1 []  b  0 [.]
            15 a  1 [*]  b  0 [.]
            17 a  0 []  b  0 [.] : give-up-a
            18 a  0 []  b  0 [.]
        ",
    );
}

#[test]
fn a_day_of_requests_to_a_broken_version_starts_one_a_minute_at_most() {
    let mut world = World::new(8, [VersionLoad { minimum: 1, ..version('a') }]);
    world.fails = true;
    let mut came = 0;
    for second in 0..24 * 3600 {
        if second % 7 == 0 {
            came += 1;
            world.arrive(0, 1);
        }
        world.step();
        world.turn(seconds(1));
    }
    assert!(world.starts <= 24 * 60 + 3, "{} starts in a day", world.starts);
    assert!(world.starts > 24 * 50, "it is tried again for each request, after the pause: {}", world.starts);
    assert!(world.refused + 60 > came, "{} of {came} requests were told", world.refused);
}

#[test]
fn the_pause_between_attempts_grows_up_to_a_minute() {
    let pauses: Vec<u64> = (0..6).map(|failures| delay_after(failures).as_secs()).collect();
    assert_eq!(pauses, [0, 1, 5, 30, 60, 60]);
}
