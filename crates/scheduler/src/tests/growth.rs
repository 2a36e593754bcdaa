//! Growing and shrinking of one version, second by second.

use super::world::{World, assert_table, seconds, version};
use crate::{Strategy, VersionLoad};

#[test]
fn nothing_is_started_for_nothing() {
    let mut world = World::new(8, [version('a')]);
    assert_table(&world.watch(1000), "0 a  0 []");
}

#[test]
fn the_minimum_is_started_at_once_and_stays() {
    let mut world = World::new(8, [VersionLoad { minimum: 2, ..version('a') }]);
    assert_table(
        &world.watch(1000),
        r"
            0 a  0 [**]
            2 a  0 [..]
        ",
    );
}

#[test]
fn one_request_starts_one_instance_which_goes_when_it_was_idle_for_long() {
    let mut world = World::new(8, [version('a')]);
    world.arrive(0, 1);
    assert_table(
        &world.watch(400),
        r"
              0 a  1 [*]
              2 a  0 [1]
              3 a  0 [.]
            303 a  0 [x] : idle
            304 a  0 []
        ",
    );
}

#[test]
fn a_burst_on_a_cold_version_starts_one_and_doubles_what_is_ready() {
    let mut world = World::new(8, [version('a')]);
    world.arrive(0, 20);
    assert_table(
        &world.watch(20),
        r"
            0 a 20 [*]
            2 a 19 [1*]
            3 a 18 [1*]
            4 a 16 [11**]
            5 a 14 [11***]
            6 a 10 [1111*]
            7 a  5 [11111]
            8 a  0 [11111]
            9 a  0 [.....]
        ",
    );
}

#[test]
fn what_waits_long_for_slow_starts_gets_more_of_them() {
    let mut world = World::new(8, [version('a')]);
    world.boot = seconds(60);
    world.arrive(0, 20);
    assert_table(
        &world.watch(30),
        r"
             0 a 20 [*]
             5 a 20 [**]
            10 a 20 [****]
            15 a 20 [*****]
        ",
    );
}

#[test]
fn no_more_is_started_than_what_waits_needs() {
    let mut world = World::new(8, [VersionLoad { processes: 4, minimum: 2, ..version('a') }]);
    world.watch(5);
    world.run = seconds(30);
    world.arrive(0, 11);
    assert_table(
        &world.watch(6),
        r"
            5 a  3 [44*]
            7 a  0 [443]
        ",
    );
}

#[test]
fn idle_instances_go_the_longest_idle_first_down_to_the_minimum() {
    let mut world = World::new(8, [VersionLoad { minimum: 1, ..version('a') }]);
    world.watch(5);
    world.run = seconds(20);
    world.arrive(0, 4);
    world.watch(30);
    world.run = seconds(1);
    let kept = world.versions[0].instances[0].id;
    for _ in 0..200 {
        world.arrive(0, 1);
        world.watch(2);
    }
    assert_eq!(world.versions[0].instances.iter().map(|i| i.id).collect::<Vec<_>>(), [kept]);
}

#[test]
fn a_moderate_version_waits_ten_seconds_before_it_grows_by_one() {
    let mut world =
        World::new(8, [VersionLoad { minimum: 1, processes: 4, strategy: Strategy::Moderate, ..version('a') }]);
    world.watch(12);
    world.run = seconds(100);
    world.arrive(0, 12);
    assert_table(
        &world.watch(40),
        r"
            12 a  8 [4]
            22 a  8 [4*]
            24 a  4 [44]
            32 a  4 [44*]
            34 a  0 [444]
        ",
    );
}

#[test]
fn a_moderate_version_with_nothing_starts_one_at_once() {
    let mut world = World::new(8, [VersionLoad { strategy: Strategy::Moderate, ..version('a') }]);
    world.arrive(0, 1);
    assert_table(
        &world.watch(4),
        r"
            0 a  1 [*]
            2 a  0 [1]
            3 a  0 [.]
        ",
    );
}

#[test]
fn a_lower_maximum_stops_the_idle_and_lets_the_busy_finish() {
    let mut world = World::new(8, [VersionLoad { minimum: 3, ..version('a') }]);
    world.watch(5);
    world.run = seconds(5);
    world.arrive(0, 2);
    world.versions[0].minimum = 0;
    world.versions[0].maximum = 1;
    assert_table(
        &world.watch(8),
        r"
             5 a  0 [x1x] : above-maximum above-maximum
             6 a  0 [x1]
            10 a  0 [.]
        ",
    );
}

#[test]
fn a_version_that_may_not_run_loses_all() {
    let mut world = World::new(8, [VersionLoad { minimum: 3, ..version('a') }]);
    world.watch(1);
    world.versions[0].available = false;
    world.arrive(0, 1);
    assert_table(
        &world.watch(5),
        r"
            1 a  1 [xxx] : unavailable unavailable unavailable
            2 a  1 []
        ",
    );
}
