//! Whole days of an office, hour by hour: what came, how long it waited, what was started and stopped, and what is there.

use std::fmt::Write;
use std::time::Duration;

use super::days::Dice;
use super::world::{World, assert_table, seconds, version};
use crate::{Action, StopReason, Strategy, VersionLoad};

/// Requests a minute in each hour of a working day: two peaks with a lunch between them, and a few late in the evening.
const OFFICE: [u32; 24] = [0, 0, 0, 0, 0, 0, 1, 6, 60, 150, 180, 120, 30, 90, 180, 150, 90, 30, 6, 3, 1, 0, 0, 0];

/// What happened within an hour.
#[derive(Default)]
struct Hour {
    came: usize,
    starts: usize,
    stops: Vec<StopReason>,
    most: usize,
}

impl Hour {
    /// Counts what was planned, and what there is afterwards.
    fn count(&mut self, actions: &[Action], world: &World) {
        for action in actions {
            match action {
                Action::Start { .. } => self.starts += 1,
                Action::Stop { reason, .. } => self.stops.push(*reason),
                Action::CannotPlace { .. } | Action::Waits { .. } | Action::GiveUp { .. } => {}
            }
        }
        let instances = world.versions.iter().map(|version| version.instances.len()).sum();
        self.most = self.most.max(instances);
    }

    fn stops(&self) -> String {
        let count = |reason| self.stops.iter().filter(|it| **it == reason).count();
        format!("{} idle, {} make-room", count(StopReason::Idle), count(StopReason::MakeRoom))
    }
}

/// Lives through one day second by second. Each version has its requests a minute by the hour. A row an hour, but for those in
/// which nothing happened: hour, requests, longest wait, starts, stops, most instances at a time, and what is there at its end.
fn day(world: &mut World, arrivals: &[[u32; 24]]) -> String {
    let (mut dice, mut table) = (Dice(11), String::new());
    for hour in 0..24 {
        let mut told = Hour::default();
        world.longest_wait = Duration::ZERO;
        for _ in 0..3600 {
            for (place, rates) in arrivals.iter().enumerate() {
                let requests = dice.arrivals(f64::from(rates[hour]) / 60.0);
                told.came += requests;
                world.arrive(place, requests);
            }
            let actions = world.step();
            told.count(&actions, world);
            world.turn(seconds(1));
        }
        if told.came + told.starts + told.stops.len() > 0 {
            let (wait, stops) = (world.longest_wait.as_secs(), told.stops());
            let Hour { came, starts, most, .. } = told;
            let _ = writeln!(table, "{hour:>2} {came:>5} {wait:>3}s +{starts} -({stops}) {most} {}", world.show());
        }
    }
    table
}

/// Of a whole day: all requests are done, and nothing waits.
fn assert_done(world: &World, table: &str) {
    let came: usize = table.lines().filter_map(|row| row.split_whitespace().nth(1)?.parse::<usize>().ok()).sum();
    assert_eq!((world.done, world.refused), (came, 0));
}

fn office(settings: VersionLoad) -> World {
    let mut world = World::new(16, [settings]);
    world.run = seconds(2);
    world
}

#[test]
fn a_day_under_default() {
    let mut world = office(VersionLoad { minimum: 1, maximum: 8, ..version('a') });
    let table = day(&mut world, &[OFFICE]);
    assert_done(&world, &table);
    assert_table(
        &table,
        "
         0     0   0s +1 -(0 idle, 0 make-room) 1 a  0 [.]
         6    54   2s +1 -(1 idle, 0 make-room) 2 a  0 [.]
         7   361   1s +3 -(2 idle, 0 make-room) 3 a  0 [..]
         8  3576   1s +11 -(6 idle, 0 make-room) 8 a  0 [1......]
         9  9001   2s +1 -(0 idle, 0 make-room) 8 a  0 [111..111]
        10 10851   4s +0 -(0 idle, 0 make-room) 8 a  0 [1.111111]
        11  7028   2s +0 -(0 idle, 0 make-room) 8 a  0 [111..111]
        12  1835   1s +7 -(11 idle, 0 make-room) 8 a  0 [..1.]
        13  5279   2s +6 -(3 idle, 0 make-room) 8 a  0 [1.1....]
        14 10798   3s +1 -(0 idle, 0 make-room) 8 a  0 [1...1111]
        15  9010   2s +0 -(0 idle, 0 make-room) 8 a  0 [1.1.1...]
        16  5469   2s +1 -(1 idle, 0 make-room) 8 a  0 [..11....]
        17  1859   1s +7 -(10 idle, 0 make-room) 8 a  0 [.....]
        18   361   2s +4 -(7 idle, 0 make-room) 5 a  0 [..]
        19   177   1s +5 -(6 idle, 0 make-room) 2 a  0 [.]
        20    60   1s +1 -(1 idle, 0 make-room) 2 a  0 [.]
        ",
    );
}

#[test]
fn the_same_day_under_moderate() {
    let mut world = office(VersionLoad { minimum: 1, maximum: 8, strategy: Strategy::Moderate, ..version('a') });
    let table = day(&mut world, &[OFFICE]);
    assert_done(&world, &table);
    assert_table(
        &table,
        "
         0     0   0s +1 -(0 idle, 0 make-room) 1 a  0 [.]
         6    54   2s +0 -(0 idle, 0 make-room) 1 a  0 [.]
         7   361   4s +0 -(0 idle, 0 make-room) 1 a  0 [.]
         8  3576   5s +3 -(0 idle, 0 make-room) 4 a  0 [1...]
         9  9001   5s +3 -(0 idle, 0 make-room) 7 a  0 [111111.]
        10 10851   5s +1 -(0 idle, 0 make-room) 8 a  0 [1.111111]
        11  7028   2s +0 -(0 idle, 0 make-room) 8 a  0 [111..111]
        12  1835   1s +0 -(4 idle, 0 make-room) 8 a  0 [..1.]
        13  5279   6s +1 -(0 idle, 0 make-room) 5 a  0 [1.1..]
        14 10798   5s +3 -(0 idle, 0 make-room) 8 a  0 [1...1111]
        15  9010   2s +0 -(0 idle, 0 make-room) 8 a  0 [1.1.1...]
        16  5469   2s +0 -(1 idle, 0 make-room) 8 a  0 [..11...]
        17  1859   1s +0 -(3 idle, 0 make-room) 7 a  0 [....]
        18   361   2s +0 -(2 idle, 0 make-room) 4 a  0 [..]
        19   177   2s +0 -(1 idle, 0 make-room) 2 a  0 [.]
        20    60   1s +0 -(0 idle, 0 make-room) 1 a  0 [.]
        ",
    );
}

#[test]
fn the_same_day_with_four_processes_an_instance_and_nothing_at_night() {
    let mut world = office(VersionLoad { processes: 4, ..version('a') });
    let table = day(&mut world, &[OFFICE]);
    assert_done(&world, &table);
    assert_table(
        &table,
        "
         6    54   2s +1 -(0 idle, 0 make-room) 1 a  0 [.]
         7   361   0s +0 -(0 idle, 0 make-room) 1 a  0 [.]
         8  3576   1s +1 -(0 idle, 0 make-room) 2 a  0 [1.]
         9  9001   1s +2 -(1 idle, 0 make-room) 4 a  0 [132]
        10 10851   1s +5 -(4 idle, 0 make-room) 4 a  0 [34..]
        11  7028   1s +2 -(3 idle, 0 make-room) 4 a  0 [231]
        12  1835   1s +6 -(8 idle, 0 make-room) 3 a  0 [1]
        13  5279   2s +5 -(4 idle, 0 make-room) 3 a  0 [2.]
        14 10798   1s +4 -(2 idle, 0 make-room) 4 a  0 [13..]
        15  9010   1s +2 -(2 idle, 0 make-room) 4 a  0 [21..]
        16  5469   1s +4 -(5 idle, 0 make-room) 4 a  0 [2..]
        17  1859   1s +3 -(4 idle, 0 make-room) 3 a  0 [..]
        18   361   0s +0 -(1 idle, 0 make-room) 2 a  0 [.]
        19   177   0s +0 -(0 idle, 0 make-room) 1 a  0 [.]
        20    60   0s +0 -(0 idle, 0 make-room) 1 a  0 [.]
        21     0   0s +0 -(1 idle, 0 make-room) 1 a  0 []
        ",
    );
}

#[test]
fn the_same_day_with_a_maximum_that_is_too_low() {
    let mut world = office(VersionLoad { minimum: 1, maximum: 4, ..version('a') });
    let table = day(&mut world, &[OFFICE]);
    assert_done(&world, &table);
    assert_table(
        &table,
        "
         0     0   0s +1 -(0 idle, 0 make-room) 1 a  0 [.]
         6    54   2s +1 -(1 idle, 0 make-room) 2 a  0 [.]
         7   361   1s +3 -(2 idle, 0 make-room) 3 a  0 [..]
         8  3576   3s +2 -(0 idle, 0 make-room) 4 a  0 [1...]
         9  9001 719s +0 -(0 idle, 0 make-room) 4 a 1798 [1111]
        10 10851 1806s +0 -(0 idle, 0 make-room) 4 a 5449 [1111]
        11  7028 2744s +0 -(0 idle, 0 make-room) 4 a 5277 [1111]
        12  1835 2741s +0 -(0 idle, 0 make-room) 4 a  0 [..1.]
        13  5279   8s +0 -(0 idle, 0 make-room) 4 a  0 [1.1.]
        14 10798 1208s +0 -(0 idle, 0 make-room) 4 a 3596 [1111]
        15  9010 2155s +0 -(0 idle, 0 make-room) 4 a 5406 [1111]
        16  5469 2706s +0 -(0 idle, 0 make-room) 4 a 3675 [1111]
        17  1859 2418s +0 -(0 idle, 0 make-room) 4 a  0 [....]
        18   361   2s +4 -(6 idle, 0 make-room) 4 a  0 [..]
        19   177   1s +5 -(6 idle, 0 make-room) 2 a  0 [.]
        20    60   1s +1 -(1 idle, 0 make-room) 2 a  0 [.]
        ",
    );
}

#[test]
fn a_short_idle_time_starts_more_often_and_keeps_less() {
    let mut world = office(VersionLoad { maximum: 8, idle_time: seconds(10), ..version('a') });
    let table = day(&mut world, &[OFFICE]);
    assert_done(&world, &table);
    assert_table(
        &table,
        "
         6    54   4s +46 -(46 idle, 0 make-room) 2 a  0 []
         7   361   4s +147 -(147 idle, 0 make-room) 4 a  0 []
         8  3576   2s +306 -(301 idle, 0 make-room) 8 a  0 [1....]
         9  9001   2s +198 -(195 idle, 0 make-room) 8 a  0 [111..111]
        10 10851   4s +77 -(77 idle, 0 make-room) 8 a  0 [1.111111]
        11  7028   3s +291 -(291 idle, 0 make-room) 8 a  0 [1111.11*]
        12  1835   4s +237 -(242 idle, 0 make-room) 8 a  0 [..1]
        13  5279   2s +323 -(323 idle, 0 make-room) 8 a  0 [1.1]
        14 10798   3s +67 -(62 idle, 0 make-room) 8 a  0 [1...1111]
        15  9010   2s +173 -(173 idle, 0 make-room) 8 a  0 [1.11....]
        16  5469   3s +335 -(337 idle, 0 make-room) 8 a  0 [..11..]
        17  1859   4s +238 -(242 idle, 0 make-room) 8 a  0 [..]
        18   361   4s +154 -(156 idle, 0 make-room) 4 a  0 []
        19   177   4s +115 -(115 idle, 0 make-room) 2 a  0 []
        20    60   3s +47 -(47 idle, 0 make-room) 2 a  0 []
        ",
    );
}

#[test]
fn two_versions_take_turns_on_a_small_host() {
    let mut world = World::new(4, [version('a'), VersionLoad { minimum: 1, ..version('b') }]);
    world.run = seconds(2);
    // A quarter of the office each, the second six hours later.
    let morning = OFFICE.map(|rate| rate / 4);
    let mut evening = morning;
    evening.rotate_right(6);
    let table = day(&mut world, &[morning, evening]);
    assert_done(&world, &table);
    assert_table(
        &table,
        "
         0    56   1s +2 -(1 idle, 0 make-room) 2 a  0 []  b  0 [.]
         7    54   2s +1 -(0 idle, 0 make-room) 2 a  0 [.]  b  0 [.]
         8   907   2s +3 -(1 idle, 0 make-room) 4 a  0 [...]  b  0 [.]
         9  2191   3s +0 -(0 idle, 0 make-room) 4 a  0 [...]  b  0 [.]
        10  2658   4s +0 -(0 idle, 0 make-room) 4 a  0 [...]  b  0 [.]
        11  1786   2s +0 -(0 idle, 0 make-room) 4 a  0 [...]  b  0 [.]
        12   409   2s +5 -(6 idle, 0 make-room) 4 a  0 [..]  b  0 [.]
        13  1428   2s +2 -(0 idle, 1 make-room) 4 a  0 [...]  b  0 [.]
        14  3554   9s +51 -(0 idle, 51 make-room) 4 a  0 [..]  b  0 [1.]
        15  4536  23s +42 -(0 idle, 42 make-room) 4 a  0 [11]  b  0 [..]
        16  4009  12s +66 -(0 idle, 66 make-room) 4 a  0 [1]  b  0 [.11]
        17  2258   5s +57 -(0 idle, 58 make-room) 4 a  0 [.]  b  0 [.1]
        18   461   1s +2 -(2 idle, 0 make-room) 4 a  0 [.]  b  0 [..]
        19  1330   2s +4 -(2 idle, 1 make-room) 4 a  0 []  b  0 [....]
        20  2723   3s +0 -(0 idle, 0 make-room) 4 a  0 []  b  0 [..1.]
        21  2242   2s +0 -(0 idle, 0 make-room) 4 a  0 []  b  0 [....]
        22  1317   2s +2 -(2 idle, 0 make-room) 4 a  0 []  b  0 [....]
        23   406   2s +2 -(4 idle, 0 make-room) 4 a  0 []  b  0 [..]
        ",
    );
}

#[test]
fn the_second_day_is_like_the_first() {
    let mut world = office(VersionLoad { minimum: 1, maximum: 8, ..version('a') });
    let first = day(&mut world, &[OFFICE]);
    let second = day(&mut world, &[OFFICE]);
    // But for the first start.
    let rest = first.split_once('\n').unwrap().1;
    assert_table(&second, rest);
}
