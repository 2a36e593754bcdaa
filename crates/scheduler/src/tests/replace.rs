//! A new revision takes over: new instances first, old ones once new ones are ready.

use super::world::{GIB, World, assert_table, seconds, takes, version};
use crate::VersionLoad;

#[test]
fn a_warm_version_stays_warm() {
    let mut world = World::new(8, [version('a')]);
    world.arrive(0, 1);
    world.watch(10);
    world.versions[0].generation = 2;
    assert_table(
        &world.watch(5),
        r"
            10 a  0 [~.*]
            12 a  0 [~x.] : outdated
            13 a  0 [.]
        ",
    );
}

#[test]
fn as_many_take_over_as_work() {
    let mut world = World::new(8, [VersionLoad { minimum: 1, ..version('a') }]);
    world.run = seconds(10);
    world.arrive(0, 3);
    world.watch(7);
    world.versions[0].generation = 2;
    assert_table(
        &world.watch(20),
        r"
             7 a  0 [~1~1~1***]
             9 a  0 [~x~x~x...] : outdated outdated outdated
            10 a  0 [~x~x~x...]
            12 a  0 [~x~x...]
            14 a  0 [~x...]
            16 a  0 [...]
        ",
    );
}

#[test]
fn a_version_idle_for_long_is_only_stopped() {
    let mut world = World::new(8, [version('a')]);
    world.arrive(0, 1);
    world.watch(100);
    world.turn(seconds(300));
    world.versions[0].generation = 2;
    assert_table(
        &world.watch(5),
        r"
            400 a  0 [~x] : outdated
            401 a  0 []
        ",
    );
}

#[test]
fn the_old_one_serves_on_when_the_new_one_does_not_start() {
    let mut world = World::new(8, [VersionLoad { minimum: 1, ..version('a') }]);
    world.watch(5);
    world.versions[0].generation = 2;
    world.fails = true;
    world.watch(60);
    world.arrive(0, 3);
    assert_table(
        &world.watch(4),
        r"
            65 a  2 [~1*]
            66 a  1 [~1*]
            67 a  0 [~1]
            68 a  0 [~.]
        ",
    );
    assert_eq!(world.refused, 0);
}

#[test]
fn without_room_beside_it_the_old_one_goes_first() {
    let mut world = World::new(1, [VersionLoad { minimum: 1, ..version('a') }]);
    world.watch(5);
    world.versions[0].generation = 2;
    assert_table(
        &world.watch(6),
        r"
            5 a  0 [~x] : outdated
            6 a  0 [*]
            8 a  0 [.]
        ",
    );
}

#[test]
fn the_old_one_stays_when_even_its_room_is_too_small() {
    let mut world = World::new(1, [VersionLoad { minimum: 1, ..version('a') }]);
    world.watch(5);
    world.versions[0].generation = 2;
    world.versions[0].choices = vec![takes(2 * GIB)];
    assert_table(
        &world.watch(6),
        r"
            5 a  0 [~.] : no-room-for-a
        ",
    );
}

#[test]
fn fewer_instances_are_better_than_some_that_stay_old() {
    let mut world = World::new(3, [VersionLoad { minimum: 2, ..version('a') }]);
    world.watch(5);
    world.versions[0].generation = 2;
    world.versions[0].choices = vec![takes(2 * GIB)];
    assert_table(
        &world.watch(8),
        r"
            5 a  0 [~x~.] : outdated
            6 a  0 [~.*] : no-room-for-a
            8 a  0 [~x.] : outdated
            9 a  0 [.] : no-room-for-a
        ",
    );
}

#[test]
fn a_revision_that_is_overtaken_while_it_starts_is_dropped() {
    let mut world = World::new(8, [VersionLoad { minimum: 1, ..version('a') }]);
    world.watch(5);
    world.versions[0].generation = 2;
    world.boot = seconds(4);
    world.watch(1);
    world.versions[0].generation = 3;
    assert_table(
        &world.watch(8),
        r"
             6 a  0 [~.~x*] : outdated
             7 a  0 [~.*]
            10 a  0 [~x.] : outdated
            11 a  0 [.]
        ",
    );
}
