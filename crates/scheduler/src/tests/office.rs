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
                Action::CannotPlace { .. } | Action::GiveUp { .. } => {}
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
    assert_table(&table, "");
}

#[test]
fn the_same_day_under_moderate() {
    let mut world = office(VersionLoad { minimum: 1, maximum: 8, strategy: Strategy::Moderate, ..version('a') });
    let table = day(&mut world, &[OFFICE]);
    assert_done(&world, &table);
    assert_table(&table, "");
}

#[test]
fn the_same_day_with_four_processes_an_instance_and_nothing_at_night() {
    let mut world = office(VersionLoad { processes: 4, ..version('a') });
    let table = day(&mut world, &[OFFICE]);
    assert_done(&world, &table);
    assert_table(&table, "");
}

#[test]
fn the_same_day_with_a_maximum_that_is_too_low() {
    let mut world = office(VersionLoad { minimum: 1, maximum: 4, ..version('a') });
    let table = day(&mut world, &[OFFICE]);
    assert_done(&world, &table);
    assert_table(&table, "");
}

#[test]
fn a_short_idle_time_starts_more_often_and_keeps_less() {
    let mut world = office(VersionLoad { maximum: 8, idle_time: seconds(10), ..version('a') });
    let table = day(&mut world, &[OFFICE]);
    assert_done(&world, &table);
    assert_table(&table, "");
}

#[test]
fn two_versions_take_turns_on_a_small_host() {
    let mut world = World::new(4, [version('a'), VersionLoad { minimum: 1, ..version('b') }]);
    world.run = seconds(2);
    let mut evening = OFFICE;
    evening.rotate_right(6);
    let table = day(&mut world, &[OFFICE, evening]);
    assert_done(&world, &table);
    assert_table(&table, "");
}

#[test]
fn the_second_day_is_like_the_first() {
    let mut world = office(VersionLoad { minimum: 1, maximum: 8, ..version('a') });
    let first = day(&mut world, &[OFFICE]);
    let second = day(&mut world, &[OFFICE]);
    assert_table(&second, &first);
}
