//! Versions whose instances may be of several kinds: which one is tried when.

use super::world::{GIB, World, assert_table, seconds, takes, version};
use crate::{Action, Choice, VersionLoad};

/// A version whose instances take 4 GiB, or 1 GiB after the first choice has been tried for ten seconds.
fn choosy(letter: char) -> VersionLoad {
    VersionLoad { choices: vec![takes(4 * GIB), takes(GIB)], ..version(letter) }
}

/// A version that holds 2 GiB for good.
fn keeper() -> VersionLoad {
    VersionLoad { choices: vec![takes(2 * GIB)], minimum: 1, ..version('k') }
}

#[test]
fn the_first_choice_is_taken_while_there_is_room_for_it() {
    let mut world = World::new(5, [choosy('a')]);
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
fn the_next_choice_is_tried_when_the_first_found_no_room_for_its_time() {
    let mut world = World::new(5, [choosy('a'), keeper()]);
    world.watch(5);
    world.arrive(0, 1);
    assert_table(
        &world.watch(15),
        r"
             5 a  1 []  k  0 [.] : no-room-for-a
            15 a  1 [*']  k  0 [.]
            17 a  0 [1']  k  0 [.]
            18 a  0 [.']  k  0 [.]
        ",
    );
}

#[test]
fn who_waits_is_told_when_the_next_choice_is_tried() {
    let mut world = World::new(5, [choosy('a'), keeper()]);
    world.watch(5);
    world.arrive(0, 1);
    let version = world.versions[0].version;
    assert_eq!(
        world.plan(),
        [
            Action::CannotPlace {
                version,
                why:
                    "An instance needs 4096 MiB of memory, and of the host's 5120 MiB only 3072 MiB are free; when it \
                      has waited for 10 s, the next instance type of its group is tried"
                        .into()
            },
            Action::Waits { version }
        ]
    );
}

#[test]
fn the_first_choice_is_taken_when_it_gets_room_after_all() {
    let mut world = World::new(5, [choosy('a'), keeper()]);
    world.watch(5);
    world.arrive(0, 1);
    world.watch(8);
    world.versions[1].maximum = 0;
    assert_table(
        &world.watch(5),
        r"
            13 a  1 []  k  0 [x] : above-maximum
            14 a  1 [*]  k  0 []
            16 a  0 [1]  k  0 []
            17 a  0 [.]  k  0 []
        ",
    );
}

#[test]
fn each_choice_has_its_own_time_and_the_last_is_tried_for_good() {
    let patient = |memory, patience| Choice { patience: seconds(patience), ..takes(memory) };
    let choices = vec![patient(4 * GIB, 3), patient(3 * GIB, 6), patient(2 * GIB, 9)];
    let mut world = World::new(5, [VersionLoad { choices, ..version('a') }, keeper()]);
    world.versions[1].choices[0].memory = 4 * GIB;
    world.watch(5);
    world.arrive(0, 1);
    let mut needs = vec![];
    for second in 0..30 {
        let told = world.step().into_iter().find_map(|action| match action {
            Action::CannotPlace { why, .. } => Some(why),
            _ => None,
        });
        needs.push((second, told.unwrap()[18..26].to_owned()));
        world.turn(seconds(1));
    }
    needs.dedup_by(|later, earlier| later.1 == earlier.1);
    let expected = [(0, "4096 MiB"), (3, "3072 MiB"), (9, "2048 MiB")];
    assert_eq!(needs, expected.map(|(second, need)| (second, need.to_owned())));
}

#[test]
fn a_choice_without_patience_is_passed_over_at_once() {
    let choices = vec![Choice { patience: seconds(0), ..takes(4 * GIB) }, takes(GIB)];
    let mut world = World::new(5, [VersionLoad { choices, ..version('a') }, keeper()]);
    world.watch(5);
    world.arrive(0, 1);
    assert_table(
        &world.watch(2),
        r"
            5 a  1 [*']  k  0 [.]
            7 a  0 [1']  k  0 [.]
        ",
    );
}

#[test]
fn what_is_larger_than_the_host_is_passed_over_at_once() {
    let choices = vec![takes(8 * GIB), takes(GIB)];
    let mut world = World::new(5, [VersionLoad { choices, ..version('a') }]);
    world.arrive(0, 1);
    assert_table(
        &world.watch(2),
        r"
            0 a  1 [*']
            2 a  0 [1']
        ",
    );
    let none = VersionLoad { choices: vec![takes(8 * GIB), takes(9 * GIB)], minimum: 1, ..version('a') };
    assert_table(&World::new(5, [none]).watch(60), "0 a  0 [] : no-room-for-a");
}

#[test]
fn idle_instances_of_others_make_room_for_the_first_choice() {
    let mut world = World::new(5, [choosy('a'), version('b'), version('c')]);
    world.arrive(1, 1);
    world.arrive(2, 1);
    world.watch(5);
    world.arrive(0, 1);
    assert_table(
        &world.watch(4),
        r"
            5 a  1 []  b  0 [x]  c  0 [.] : make-room
            6 a  1 [*]  b  0 []  c  0 [.]
            8 a  0 [1]  b  0 []  c  0 [.]
            9 a  0 [.]  b  0 []  c  0 [.]
        ",
    );
}

#[test]
fn growth_and_minimums_take_the_next_choice_as_well() {
    let mut world = World::new(7, [VersionLoad { minimum: 3, ..choosy('a') }]);
    assert_table(
        &world.watch(15),
        r"
             0 a  0 [*] : no-room-for-a
             2 a  0 [.] : no-room-for-a
            10 a  0 [.*'*']
            12 a  0 [..'.']
        ",
    );
    world.versions[0].minimum = 1;
    world.run = seconds(100);
    world.arrive(0, 4);
    let seen = world.watch(40);
    assert!(seen.ends_with("[11'1'1']"), "{seen}");
}

#[test]
fn when_all_have_their_places_the_time_begins_anew() {
    let mut world = World::new(5, [choosy('a'), keeper()]);
    world.watch(5);
    world.arrive(0, 1);
    world.watch(20);
    assert_eq!(world.versions[0].waits_since, None);
    world.versions[0].generation += 1;
    world.versions[0].choices = vec![takes(5 * GIB), takes(GIB)];
    world.versions[0].instances.clear();
    world.arrive(0, 1);
    assert_table(
        &world.watch(12),
        r"
            25 a  1 []  k  0 [.] : no-room-for-a
            35 a  1 [*']  k  0 [.]
            37 a  0 [1']  k  0 [.]
        ",
    );
}
