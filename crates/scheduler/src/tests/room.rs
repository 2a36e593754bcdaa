//! Versions that share a host: who gets room, and who makes it.

use super::world::{GIB, World, assert_table, seconds, takes, version};
use crate::{Action, Capacity, Choice, VersionLoad};

#[test]
fn the_longest_idle_instance_of_another_version_makes_room() {
    let mut world = World::new(2, [version('a'), version('b'), version('c')]);
    world.arrive(0, 1);
    world.watch(10);
    world.arrive(1, 1);
    world.watch(10);
    world.arrive(2, 1);
    assert_table(
        &world.watch(5),
        r"
            20 a  0 [x]  b  0 [.]  c  1 [] : make-room
            21 a  0 []  b  0 [.]  c  1 [*]
            23 a  0 []  b  0 [.]  c  0 [1]
            24 a  0 []  b  0 [.]  c  0 [.]
        ",
    );
}

#[test]
fn nobody_goes_below_the_minimum_for_another() {
    let mut world = World::new(1, [VersionLoad { minimum: 1, ..version('a') }, version('b')]);
    world.watch(5);
    world.arrive(1, 1);
    assert_table(
        &world.watch(5),
        r"
            5 a  0 [.]  b  1 [] : no-room-for-b
        ",
    );
    assert_eq!(
        world.plan(),
        [Action::CannotPlace {
            version: world.versions[1].version,
            why: "An instance needs 1024 MiB of memory, and of the host's 1024 MiB only 0 MiB are free".into()
        }]
    );
}

#[test]
fn nobody_who_works_makes_room() {
    let mut world = World::new(1, [version('a'), version('b')]);
    world.run = seconds(10);
    world.arrive(0, 1);
    world.watch(3);
    world.arrive(1, 1);
    assert_table(
        &world.watch(15),
        r"
             3 a  0 [1]  b  1 [] : no-room-for-b
            12 a  0 [x]  b  1 [] : make-room
            13 a  0 []  b  1 [*]
            15 a  0 []  b  0 [1]
        ",
    );
}

#[test]
fn no_one_is_stopped_when_it_would_not_be_enough() {
    let big = VersionLoad { choices: vec![takes(4 * GIB)], ..version('b') };
    let mut world = World::new(3, [version('a'), big]);
    world.arrive(0, 1);
    world.watch(10);
    world.arrive(1, 1);
    assert_table(
        &world.watch(5),
        r"
            10 a  0 [.]  b  1 [] : no-room-for-b
        ",
    );
}

#[test]
fn room_that_is_made_for_one_is_not_taken_by_another() {
    let big = VersionLoad { choices: vec![takes(3 * GIB)], ..version('b') };
    let mut world = World::new(4, [VersionLoad { minimum: 1, maximum: 20, ..version('a') }, big]);
    world.arrive(0, 12);
    world.watch(30);
    world.arrive(1, 1);
    world.watch(0);
    world.arrive(0, 9);
    assert_table(
        &world.watch(15),
        r"
            30 a  8 [x1xx]  b  1 []
            31 a  7 [1]  b  1 [*]
            32 a  6 [1]  b  1 [*]
            33 a  5 [1]  b  0 [1]
            34 a  4 [1]  b  0 [.]
            35 a  3 [1]  b  0 [.]
            36 a  2 [1]  b  0 [.]
            37 a  1 [1]  b  0 [.]
            38 a  0 [1]  b  0 [.]
            39 a  0 [.]  b  0 [.]
        ",
    );
}

#[test]
fn growth_takes_no_room_of_those_who_were_busy_just_now() {
    let mut world = World::new(3, [VersionLoad { minimum: 1, ..version('a') }, version('b')]);
    world.arrive(1, 1);
    world.watch(5);
    world.run = seconds(6);
    world.arrive(0, 6);
    assert_table(
        &world.watch(15),
        r"
             5 a  5 [1*]  b  0 [.]
             7 a  4 [11]  b  0 [.]
            11 a  3 [11]  b  0 [.]
            13 a  2 [11]  b  0 [x] : make-room
            14 a  2 [11*]  b  0 []
            16 a  1 [111]  b  0 []
            17 a  0 [111]  b  0 []
            19 a  0 [1.1]  b  0 []
        ",
    );
}

#[test]
fn growth_comes_after_those_who_have_nothing() {
    let mut world = World::new(3, [VersionLoad { minimum: 1, ..version('a') }, version('b'), version('c')]);
    world.watch(5);
    world.run = seconds(10);
    world.arrive(0, 20);
    world.arrive(1, 1);
    world.arrive(2, 1);
    assert_table(
        &world.watch(3),
        r"
            5 a 19 [1]  b  1 [*]  c  1 [*]
            7 a 19 [1]  b  0 [1]  c  0 [1]
        ",
    );
}

#[test]
fn a_busy_host_starts_only_so_many_at_a_time() {
    let all = ('a'..='f').map(|letter| VersionLoad { minimum: 1, ..version(letter) });
    let mut world = World::new(20, all);
    world.host.cpus = 1;
    world.boot = seconds(3);
    assert_table(
        &world.watch(10),
        r"
            0 a  0 [*]  b  0 [*]  c  0 [*]  d  0 [*]  e  0 []  f  0 []
            3 a  0 [.]  b  0 [.]  c  0 [.]  d  0 [.]  e  0 [*]  f  0 [*]
            6 a  0 [.]  b  0 [.]  c  0 [.]  d  0 [.]  e  0 [.]  f  0 [.]
        ",
    );
}

#[test]
fn instances_that_hang_while_starting_hold_nobody_back_for_long() {
    let all = ('a'..='f').map(|letter| VersionLoad { minimum: 1, ..version(letter) });
    let mut world = World::new(20, all);
    world.host.cpus = 1;
    world.boot = seconds(900);
    assert_table(
        &world.watch(12),
        r"
             0 a  0 [*]  b  0 [*]  c  0 [*]  d  0 [*]  e  0 []  f  0 []
            10 a  0 [*]  b  0 [*]  c  0 [*]  d  0 [*]  e  0 [*]  f  0 [*]
        ",
    );
}

#[test]
fn accelerators_are_room_too() {
    let with_one = |letter| VersionLoad { choices: vec![Choice { accelerators: 1, ..takes(GIB) }], ..version(letter) };
    let mut world = World::new(9, [with_one('a'), version('b'), with_one('c')]);
    world.host = Capacity { accelerators: 1, ..world.host };
    world.arrive(1, 1);
    world.watch(5);
    world.arrive(0, 1);
    world.watch(5);
    world.arrive(2, 1);
    assert_table(
        &world.watch(5),
        r"
            10 a  0 [x]  b  0 [.]  c  1 [] : make-room
            11 a  0 []  b  0 [.]  c  1 [*]
            13 a  0 []  b  0 [.]  c  0 [1]
            14 a  0 []  b  0 [.]  c  0 [.]
        ",
    );
}

#[test]
fn a_host_that_shrank_starts_nothing_until_there_is_room_again() {
    let mut world = World::new(4, [VersionLoad { minimum: 3, ..version('a') }, version('b')]);
    world.watch(5);
    world.host.memory = 2 * GIB;
    world.arrive(1, 1);
    world.versions[0].minimum = 0;
    assert_table(
        &world.watch(6),
        r"
            5 a  0 [xx.]  b  1 [] : make-room make-room
            6 a  0 [.]  b  1 [*]
            8 a  0 [.]  b  0 [1]
            9 a  0 [.]  b  0 [.]
        ",
    );
}
