//! What the sweep does about processes that do not answer, each by one example.

use std::time::Duration;

use super::fake::{Yard, answer};
use crate::{LaneSettings, Outcome};

#[test]
fn a_kill_that_is_never_answered_does_not_hold_calls_for_ever() {
    let mut yard = Yard::quick(2, 1);
    let (late, behind) = (yard.direct(), yard.direct());
    yard.start(0);
    yard.lane.expire(yard.ids[late]);
    yard.turn(4_000);
    yard.lane.sweep();
    let other = yard.seat();
    assert!(yard.buffer(other).is_empty());
    yard.turn(2_000);
    yard.lane.sweep();
    assert_eq!(yard.buffer(other), [behind]);
    assert_eq!(yard.outcomes(late), [Outcome::TimedOut]);
}

#[test]
fn a_process_that_keeps_a_call_it_should_drop_is_killed() {
    let mut yard = Yard::new(LaneSettings::default());
    let seat = yard.seat();
    let job = yard.direct();
    yard.lane.cancel(yard.ids[job]);
    yard.turn(4_000);
    yard.lane.sweep();
    assert!(yard.told(seat, |told| told.killed.is_none()));
    yard.turn(2_000);
    yard.lane.sweep();
    assert!(yard.told(seat, |told| told.killed.is_some()));
    assert!(!yard.lane.load().seats[0].open);
}

#[test]
fn a_process_that_does_not_begin_is_killed_and_others_run_what_it_had() {
    let mut yard = Yard::quick(2, 1);
    let (first, second) = (yard.direct(), yard.direct());
    let mut retired = yard.lane.retire(yard.seats[0].0);
    let other = yard.seat();
    yard.turn(30_000);
    yard.lane.sweep();
    assert_eq!(yard.told(0, |told| told.killed.clone()), None, "threads of user code may keep it for a while");
    yard.turn(1);
    yard.lane.sweep();
    let why = yard.told(0, |told| told.killed.clone()).unwrap();
    assert_eq!(why, "The process was ended, because it did not begin with a request for 30 s");
    assert!(yard.buffer(other).is_empty(), "it may begin at the last moment");
    assert!(!retired.is_done());
    yard.lane.seat_gone(yard.seats[0].0, &why);
    assert!(retired.is_done());
    for job in [first, second] {
        assert_eq!(yard.outcomes(job), []);
        yard.run(other);
        assert_eq!(yard.outcomes(job), [answer()]);
        assert_eq!(yard.heard[job].lock().unwrap().started, 1);
    }
}

#[test]
fn only_the_time_without_a_call_in_work_counts_against_a_process_that_does_not_begin() {
    let mut yard = Yard::quick(2, 1);
    let (_first, second, _third) = (yard.direct(), yard.direct(), yard.direct());
    yard.start(0);
    yard.turn(3_600_000);
    yard.lane.sweep();
    yard.end(0, answer());
    yard.turn(29_000);
    yard.lane.sweep();
    yard.start(0);
    yard.turn(29_000);
    yard.lane.sweep();
    yard.end(0, answer());
    assert_eq!(yard.outcomes(second), [answer()]);
    yard.turn(29_000);
    yard.lane.sweep();
    assert_eq!(yard.told(0, |told| told.killed.clone()), None);
    yard.turn(2_000);
    yard.lane.sweep();
    assert!(yard.told(0, |told| told.killed.is_some()));
}

#[test]
fn a_call_that_no_process_begins_with_ends_with_the_reason() {
    let mut yard = Yard::new(LaneSettings { begin_limit: Duration::from_secs(7), ..LaneSettings::default() });
    let job = yard.direct();
    for round in 0..3 {
        assert_eq!(yard.outcomes(job), [], "round {round}");
        let seat = yard.seat();
        yard.turn(8_000);
        yard.lane.sweep();
        let why = yard.told(seat, |told| told.killed.clone()).unwrap();
        yard.lane.seat_gone(yard.seats[seat].0, &why);
    }
    let told = "3 processes ended before they could start the request: \
                The process was ended, because it did not begin with a request for 7 s";
    assert_eq!(yard.outcomes(job), [Outcome::Crashed(told.into())]);
}

#[test]
fn calls_stuck_behind_a_long_one_move_to_an_idle_seat() {
    let mut yard = Yard::quick(2, 1);
    let (_long, stuck) = (yard.direct(), yard.direct());
    yard.start(0);
    let idle = yard.seat();
    yard.lane.sweep();
    assert_eq!(yard.told(0, |told| told.recalls.len()), 0, "it has not run long yet");
    yard.turn(50);
    yard.lane.sweep();
    let ticket = yard.ticket(0, 1);
    assert_eq!(yard.told(0, |told| told.recalls.clone()), [ticket]);
    assert!(yard.drop_call(0, ticket));
    assert_eq!(yard.buffer(idle), [stuck]);
}
