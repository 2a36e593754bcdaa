//! Each rule of the lane by one example.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;

use super::fake::{Way, Yard, answer, interrupted};
use crate::{Cancel, Class, LaneSettings, Outcome, Refusal, SeatId};

#[test]
fn a_job_goes_to_an_idle_seat_at_once() {
    let mut yard = Yard::new(LaneSettings::default());
    let seat = yard.seat();
    let job = yard.direct();
    assert_eq!(yard.buffer(seat), [job]);
    yard.run(seat);
    assert_eq!(yard.outcomes(job), [answer()]);
    assert_eq!(yard.heard[job].lock().unwrap().started, 1);
    assert_eq!(yard.nudges.load(Ordering::SeqCst), 0);
}

#[test]
fn jobs_wait_by_class_then_priority_then_age() {
    let mut yard = Yard::new(LaneSettings::default());
    let submitted = [(Class::Batch, 1), (Class::Batch, 0), (Class::Direct, 1), (Class::Direct, 0), (Class::Direct, 1)];
    for (class, priority) in submitted {
        yard.submit(class, priority).unwrap();
    }
    assert_eq!(yard.nudges.load(Ordering::SeqCst), 5);
    let seat = yard.seat();
    for _ in submitted {
        yard.run(seat);
    }
    let order: Vec<usize> = yard.told(seat, |told| told.history.iter().flat_map(|(names, _)| names.clone()).collect());
    assert_eq!(order, [3, 2, 4, 1, 0]);
}

#[test]
fn a_full_queue_says_its_size() {
    let mut yard = Yard::new(LaneSettings { max_queue: 2, ..LaneSettings::default() });
    yard.direct();
    yard.direct();
    let refusal = yard.submit(Class::Direct, 0).unwrap_err();
    assert_eq!(refusal, Refusal::Full { size: 2 });
    assert_eq!(refusal.to_string(), "The queue is full: at most 2 may wait");
    assert_eq!(yard.outcomes(2), []);
}

#[test]
fn a_full_queue_does_not_matter_to_an_idle_seat() {
    let mut yard = Yard::new(LaneSettings { max_queue: 0, ..LaneSettings::default() });
    yard.seat();
    yard.direct();
    assert_eq!(yard.submit(Class::Direct, 1), Err(Refusal::Full { size: 0 }));
}

#[test]
fn nothing_is_handed_ahead_before_the_version_is_known_to_be_quick() {
    let mut yard = Yard::new(LaneSettings::default());
    let seat = yard.seat();
    for _ in 0..10 {
        yard.direct();
    }
    for done in 0..7 {
        assert_eq!(yard.buffer(seat), [done]);
        yard.run(seat);
    }
    yard.run(seat);
    assert_eq!(yard.buffer(seat), [8, 9]);
}

#[test]
fn nothing_is_handed_ahead_for_a_slow_version() {
    let mut yard = Yard::new(LaneSettings::default());
    let seat = yard.seat();
    for _ in 0..20 {
        yard.direct();
    }
    for _ in 0..19 {
        yard.start(seat);
        yard.turn(6);
        yard.end(seat, answer());
        assert_eq!(yard.buffer(seat).len(), 1);
    }
}

#[test]
fn read_ahead_spreads_over_the_seats_and_ends_at_its_bound() {
    let mut yard = Yard::quick(2, 3);
    let jobs: Vec<usize> = (0..12).map(|_| yard.direct()).collect();
    let held: Vec<usize> = (0..3).map(|seat| yard.buffer(seat).len()).collect();
    assert_eq!(held, [3, 3, 3]);
    let firsts: Vec<usize> = (0..3).map(|seat| yard.buffer(seat)[0]).collect();
    assert!(firsts.iter().all(|first| jobs[..3].contains(first)), "each seat got one before any got two");
    assert_eq!(yard.lane.load().waiting_direct, 3);
    assert_eq!((yard.lane.load().running, yard.lane.load().ahead), (3, 6));
}

#[test]
fn nothing_is_handed_ahead_behind_a_call_that_runs_long() {
    let mut yard = Yard::quick(2, 1);
    yard.direct();
    yard.start(0);
    yard.turn(6);
    yard.direct();
    assert_eq!(yard.buffer(0).len(), 1);
}

#[test]
fn a_crash_charges_only_the_call_that_started_and_the_rest_keeps_its_place() {
    let mut yard = Yard::quick(2, 1);
    let (first, second, third, fourth) = (yard.direct(), yard.direct(), yard.direct(), yard.direct());
    yard.start(0);
    assert!(yard.lane.seat_gone(yard.seats[0].0, "The process ran out of memory"));
    assert_eq!(yard.outcomes(first), [Outcome::Crashed("The process ran out of memory".into())]);
    let next = yard.seat();
    assert_eq!(yard.buffer(next), [second, third, fourth]);
    assert!(!yard.lane.seat_gone(yard.seats[0].0, "again"));
}

#[test]
fn a_call_that_ends_three_processes_before_it_starts_has_crashed() {
    let mut yard = Yard::new(LaneSettings::default());
    let job = yard.direct();
    for round in 0..3 {
        assert_eq!(yard.outcomes(job), []);
        let seat = yard.seat();
        assert_eq!(yard.buffer(seat), [job], "round {round}");
        yard.lane.seat_gone(yard.seats[seat].0, "gone");
    }
    assert!(matches!(&yard.outcomes(job)[..], [Outcome::Crashed(why)] if why.ends_with("start the request: gone")));
}

#[test]
fn what_ended_processes_report_late_counts_for_nothing() {
    let mut yard = Yard::new(LaneSettings::default());
    let seat = yard.seat();
    let job = yard.direct();
    let (old, ticket) = (yard.seats[seat].0, yard.ticket(seat, 0));
    yard.start(seat);
    yard.lane.seat_gone(old, "gone");
    assert!(!yard.lane.finished(old, ticket, answer()));
    assert!(!yard.lane.started(old, ticket));
    assert!(!yard.lane.update(old, ticket, Bytes::new()));
    assert!(!yard.lane.finished(SeatId::new(), 1, answer()));
    assert_eq!(yard.outcomes(job).len(), 1);
}

#[test]
fn a_process_is_believed_only_for_the_call_in_turn() {
    let mut yard = Yard::quick(2, 1);
    let (first, second) = (yard.direct(), yard.direct());
    let (seat, one, two) = (yard.seats[0].0, yard.ticket(0, 0), yard.ticket(0, 1));
    assert!(!yard.lane.started(seat, two));
    assert!(!yard.lane.finished(seat, two, answer()));
    assert!(!yard.lane.update(seat, one, Bytes::new()), "nothing comes before started");
    assert!(yard.start(0));
    assert!(!yard.lane.started(seat, one), "it starts once");
    assert!(!yard.lane.finished(seat, 999, answer()));
    assert_eq!((yard.outcomes(first).len(), yard.outcomes(second).len()), (0, 0));
}

#[test]
fn updates_reach_the_caller_and_credit_reaches_the_process() {
    let mut yard = Yard::new(LaneSettings::default());
    let seat = yard.seat();
    let job = yard.direct();
    yard.start(seat);
    assert!(yard.lane.update(yard.seats[seat].0, yard.ticket(seat, 0), Bytes::from_static(b"half")));
    yard.lane.credit(yard.ids[job], 3);
    assert_eq!(yard.heard[job].lock().unwrap().updates, [Bytes::from_static(b"half")]);
    assert_eq!(yard.told(seat, |told| told.credit), 3);
}

#[test]
fn waiting_and_handed_over_jobs_are_cancelled_at_once() {
    let mut yard = Yard::new(LaneSettings::default());
    let seat = yard.seat();
    let (handed, waiting) = (yard.direct(), yard.direct());
    assert_eq!(yard.lane.cancel(yard.ids[waiting]), Cancel::Done);
    assert_eq!(yard.lane.cancel(yard.ids[handed]), Cancel::Done);
    assert_eq!(yard.outcomes(waiting), [Outcome::Cancelled]);
    assert_eq!(yard.outcomes(handed), [Outcome::Cancelled]);
    assert_eq!(yard.lane.cancel(yard.ids[handed]), Cancel::Unknown, "it has ended");
    let ticket = yard.ticket(seat, 0);
    assert_eq!(yard.told(seat, |told| told.cancels.clone()), [ticket]);
    let next = yard.direct();
    assert_eq!(yard.buffer(seat), [handed], "the seat is taken until the process answers");
    assert!(yard.drop_call(seat, ticket));
    assert_eq!(yard.buffer(seat), [next]);
}

#[test]
fn a_result_of_a_call_that_was_taken_back_is_dropped() {
    let mut yard = Yard::new(LaneSettings::default());
    let seat = yard.seat();
    let job = yard.direct();
    yard.lane.expire(yard.ids[job]);
    assert!(yard.start(seat), "it crossed with the cancel");
    assert!(yard.lane.update(yard.seats[seat].0, yard.ticket(seat, 0), Bytes::new()));
    assert!(yard.end(seat, answer()));
    assert_eq!(yard.outcomes(job), [Outcome::TimedOut]);
    assert_eq!(yard.heard[job].lock().unwrap().started, 0);
}

#[test]
fn a_running_job_is_interrupted_and_answers() {
    let mut yard = Yard::new(LaneSettings::default());
    let seat = yard.seat();
    let job = yard.direct();
    yard.start(seat);
    assert_eq!(yard.lane.cancel(yard.ids[job]), Cancel::Asked);
    assert_eq!(yard.outcomes(job), []);
    yard.end(seat, interrupted());
    assert_eq!(yard.outcomes(job), [Outcome::Cancelled]);
    assert!(yard.told(seat, |told| told.killed.is_none()));
}

#[test]
fn a_second_cancel_or_a_timeout_ends_the_process() {
    for by_timeout in [false, true] {
        let mut yard = Yard::new(LaneSettings::default());
        let seat = yard.seat();
        let job = yard.direct();
        yard.start(seat);
        yard.lane.cancel(yard.ids[job]);
        if by_timeout {
            yard.lane.expire(yard.ids[job]);
        } else {
            assert_eq!(yard.lane.cancel(yard.ids[job]), Cancel::Done);
        }
        assert!(yard.told(seat, |told| told.killed.is_some()));
        yard.lane.seat_gone(yard.seats[seat].0, "killed");
        assert_eq!(yard.outcomes(job), [Outcome::Cancelled]);
    }
}

#[test]
fn a_timeout_ends_the_process_and_spares_the_calls_behind() {
    let mut yard = Yard::quick(2, 1);
    let (late, behind) = (yard.direct(), yard.direct());
    yard.start(0);
    yard.lane.expire(yard.ids[late]);
    yard.lane.expire(yard.ids[late]);
    assert!(yard.told(0, |told| told.killed.is_some()));
    assert_eq!(yard.outcomes(late), [Outcome::TimedOut]);
    let other = yard.seat();
    assert!(yard.buffer(other).is_empty(), "the process may have begun with it");
    yard.lane.seat_gone(yard.seats[0].0, "killed");
    assert_eq!(yard.buffer(other), [behind]);
}

#[test]
fn a_recalled_call_that_starts_all_the_same_runs_to_its_end() {
    let mut yard = Yard::quick(2, 1);
    let (first, second) = (yard.direct(), yard.direct());
    yard.start(0);
    let retired = yard.lane.retire(yard.seats[0].0);
    yard.end(0, answer());
    yard.run(0);
    assert_eq!((yard.outcomes(first), yard.outcomes(second)), (vec![answer()], vec![answer()]));
    drop(retired);
}

#[tokio::test]
async fn a_retired_seat_gets_nothing_gives_back_and_tells_when_it_is_drained() {
    let mut yard = Yard::quick(2, 1);
    let (first, second) = (yard.direct(), yard.direct());
    yard.start(0);
    let mut retired = yard.lane.retire(yard.seats[0].0);
    let third = yard.direct();
    assert_eq!(yard.buffer(0), [first, second]);
    yard.drop_call(0, yard.ticket(0, 1));
    assert!(!retired.is_done());
    yard.end(0, answer());
    retired.wait().await;
    assert!(yard.lane.load().seats.is_empty());
    let next = yard.seat();
    assert_eq!(yard.buffer(next), [second, third]);
    yard.lane.retire(SeatId::new()).wait().await;
}

#[test]
fn what_waits_is_refused_and_what_runs_goes_on() {
    let mut yard = Yard::new(LaneSettings::default());
    let seat = yard.seat();
    let (running, waiting) = (yard.direct(), yard.direct());
    assert_eq!(yard.lane.refuse_waiting("No instance can start"), 1);
    assert_eq!(yard.outcomes(waiting), [Outcome::Refused("No instance can start".into())]);
    yard.run(seat);
    assert_eq!(yard.outcomes(running), [answer()]);
}

#[test]
fn a_closed_lane_takes_nothing_and_keeps_nothing_that_comes_back() {
    let mut yard = Yard::quick(2, 1);
    let (running, behind) = (yard.direct(), yard.direct());
    yard.start(0);
    yard.lane.close("The version was deleted");
    assert_eq!(yard.submit(Class::Direct, 1), Err(Refusal::Closed("The version was deleted".into())));
    yard.lane.seat_gone(yard.seats[0].0, "gone");
    assert_eq!(yard.outcomes(running), [Outcome::Crashed("gone".into())]);
    assert_eq!(yard.outcomes(behind), [Outcome::Refused("The version was deleted".into())]);
}

#[test]
fn the_load_tells_what_waits_and_how_long_seats_are_idle() {
    let mut yard = Yard::new(LaneSettings::default());
    yard.seat();
    yard.turn(100);
    let load = yard.lane.load();
    assert_eq!(load.seats[0].idle_for, Some(Duration::from_millis(100)));
    yard.direct();
    yard.submit(Class::Batch, 1).unwrap();
    yard.turn(5);
    yard.submit(Class::Batch, 0).unwrap();
    yard.direct();
    yard.turn(5);
    let load = yard.lane.load();
    assert_eq!((load.waiting_direct, load.waiting_batch, load.running), (1, 2, 1));
    assert_eq!(load.oldest_wait, Some(Duration::from_millis(10)));
    assert_eq!((load.seats[0].idle_for, load.seats[0].calls), (None, 1));
}

#[test]
fn a_lane_that_is_dropped_tells_everybody() {
    let mut yard = Yard::new(LaneSettings::default());
    yard.seat();
    yard.direct();
    yard.direct();
    let heard = std::mem::take(&mut yard.heard);
    drop(yard);
    assert!(heard.iter().all(|heard| heard.lock().unwrap().outcomes.len() == 1));
}

#[test]
fn a_hundred_thousand_jobs_wait_and_expire() {
    let mut yard = Yard::new(LaneSettings::default());
    for name in 0..100_000 {
        yard.submit(Class::Batch, (name % 2) as u8).unwrap();
    }
    for name in (0..100_000).rev().step_by(2) {
        yard.lane.expire(yard.ids[name]);
    }
    assert_eq!(yard.lane.load().waiting_batch, 50_000);
    assert_eq!(yard.lane.refuse_waiting("enough"), 50_000);
    assert!((0..100_000).all(|name| yard.outcomes(name).len() == 1));
}

#[test]
fn room_for_batch_requests_is_counted_in_the_lane_and_outside() {
    let mut yard = Yard::new(LaneSettings { max_queue: 10, max_direct: 3, max_batch: 8, ..LaneSettings::default() });
    let full = |size| Err(Refusal::Full { size });
    assert_eq!(yard.lane.reserve(9), Err(Refusal::Never { size: 8 }));
    assert_eq!(yard.lane.reserve(6), Ok(()));
    assert_eq!(yard.lane.reserve(3), full(8));
    assert_eq!(yard.lane.load().outside, 6);
    for _ in 0..2 {
        yard.lane.come_in(1);
        yard.submit(Class::Batch, 1).unwrap();
    }
    assert_eq!((yard.lane.load().outside, yard.lane.load().waiting_batch), (4, 2));
    for _ in 0..3 {
        yard.submit(Class::Direct, 1).unwrap();
    }
    assert_eq!(yard.submit(Class::Direct, 1), Err(Refusal::Full { size: 3 }));
    assert_eq!(yard.lane.reserve(2), full(10));
    assert_eq!(yard.lane.reserve(1), Ok(()));
    let before = yard.lane.outside_mark();
    yard.lane.come_in(5);
    yard.lane.set_outside(7, before);
    assert_eq!(yard.lane.load().outside, 0);
    yard.lane.set_outside(1, yard.lane.outside_mark());
    assert_eq!(yard.lane.reserve(4), Ok(()));
    yard.lane.close("gone");
    assert_eq!(yard.lane.reserve(1), Err(Refusal::Closed("gone".into())));
}

#[test]
fn a_place_kept_for_a_direct_job_is_nobody_elses() {
    let mut yard = Yard::new(LaneSettings { max_queue: 4, max_direct: 2, max_batch: 4, ..LaneSettings::default() });
    yard.seat();
    // One goes to the seat, two wait.
    for _ in 0..3 {
        assert_eq!(yard.lane.reserve_direct(), Ok(()));
    }
    assert_eq!(yard.lane.reserve_direct(), Err(Refusal::Full { size: 2 }));
    yard.direct();
    assert_eq!(yard.submit(Class::Direct, 1), Err(Refusal::Full { size: 2 }));
    assert_eq!(yard.lane.reserve(2), Err(Refusal::Full { size: 4 }));
    // The seat is taken, and the one that had it in sight still comes in.
    for _ in 0..3 {
        yard.submit_as(Class::Direct, 1, Way::Reserved).unwrap();
    }
    assert_eq!(yard.lane.load().waiting_direct, 3);
    assert_eq!(yard.lane.reserve_direct(), Err(Refusal::Full { size: 2 }));
    yard.lane.refuse_waiting("enough");
    yard.lane.reserve_direct().unwrap();
    yard.lane.reserve_direct().unwrap();
    yard.lane.release_direct();
    yard.direct();
    assert_eq!(yard.submit(Class::Direct, 1), Err(Refusal::Full { size: 2 }));
    yard.lane.close("gone");
    let gone = Refusal::Closed("gone".into());
    assert_eq!(yard.submit_as(Class::Direct, 1, Way::Reserved), Err(gone.clone()));
    assert_eq!(yard.lane.reserve_direct(), Err(gone));
}

#[test]
fn who_is_turned_away_is_direct_and_batch_requests_go_back_to_their_rows() {
    let mut yard = Yard::new(LaneSettings::default());
    let (direct, batch) = (yard.direct(), yard.submit(Class::Batch, 1).unwrap());
    assert_eq!(yard.lane.turn_away("suspended"), 1);
    assert_eq!(yard.outcomes(direct), [Outcome::Refused("suspended".into())]);
    assert_eq!(yard.outcomes(batch), [Outcome::HandedBack]);
}

#[test]
fn handing_back_takes_what_has_not_started_from_processes_too() {
    let mut yard = Yard::quick(4, 1);
    let (direct, running) = (yard.direct(), yard.submit(Class::Batch, 1).unwrap());
    yard.run(0);
    yard.start(0);
    let (ahead, waiting) = (yard.submit(Class::Batch, 1).unwrap(), yard.direct());
    assert_eq!(yard.outcomes(direct).len(), 1);
    yard.lane.hand_back();
    assert_eq!(yard.outcomes(ahead), []);
    for ticket in yard.told(0, |told| told.recalls.clone()) {
        assert!(yard.drop_call(0, ticket));
    }
    assert_eq!(yard.outcomes(ahead), [Outcome::HandedBack]);
    assert_eq!((yard.outcomes(running), yard.outcomes(waiting)), (vec![], vec![]));
    // One that was claimed before, and comes only now.
    let late = yard.submit(Class::Batch, 1).unwrap();
    assert_eq!(yard.outcomes(late), [Outcome::HandedBack]);
    yard.end(0, answer());
    assert_eq!(yard.outcomes(running), [answer()]);
}
