//! Grouping: each rule of it by one example.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;

use super::fake::{Way, Yard, answer, interrupted, own, raised};
use crate::{Cancel, Class, Grouping, LaneSettings, Outcome, Refusal};

/// Settings of a lane that groups.
fn groups(size: usize, wait: u64) -> LaneSettings {
    let grouping = Grouping { size, wait: Duration::from_millis(wait), rerun: true };
    LaneSettings { grouping: Some(grouping), ..LaneSettings::default() }
}

/// A lane with one seat, and one group in work there.
fn with_group(size: usize) -> (Yard, Vec<usize>) {
    let mut yard = Yard::new(groups(size, 5));
    yard.seat();
    let group = (0..size).map(|_| yard.direct()).collect();
    yard.start(0);
    (yard, group)
}

#[test]
fn a_full_group_goes_at_once_and_each_gets_its_own_result() {
    let mut yard = Yard::new(groups(3, 5));
    let seat = yard.seat();
    let (a, b) = (yard.direct(), yard.direct());
    assert!(yard.buffer(seat).is_empty(), "it may grow");
    let c = yard.direct();
    assert_eq!(yard.calls(seat), [[a, b, c]]);
    yard.start(seat);
    assert!(yard.end(seat, own(&[a, b, c])));
    for name in [a, b, c] {
        assert_eq!(yard.outcomes(name), [own(&[name])]);
        assert_eq!(yard.heard[name].lock().unwrap().started, 1);
    }
    assert_eq!(yard.nudges.load(Ordering::SeqCst), 0, "a seat is there");
}

#[test]
fn a_group_that_is_not_full_goes_when_the_oldest_has_waited_long_enough() {
    let mut yard = Yard::new(groups(3, 5));
    let seat = yard.seat();
    let a = yard.direct();
    yard.turn(4);
    let b = yard.direct();
    assert!(yard.buffer(seat).is_empty());
    yard.turn(1);
    assert_eq!(yard.calls(seat), [[a, b]]);
    yard.run(seat);
    let c = yard.direct();
    yard.turn(4);
    assert!(yard.buffer(seat).is_empty(), "an old wake-up changes nothing");
    yard.turn(1);
    assert_eq!(yard.calls(seat), [[c]]);
}

#[test]
fn a_sweep_does_what_a_lost_wake_up_should_have_done() {
    let mut yard = Yard::new(groups(3, 5));
    let seat = yard.seat();
    let a = yard.direct();
    yard.lose_wakes();
    yard.turn(5);
    yard.lane.sweep();
    assert_eq!(yard.calls(seat), [[a]]);
}

#[test]
fn what_waits_for_a_busy_process_goes_together_as_soon_as_it_is_free() {
    let mut yard = Yard::new(groups(3, 0));
    let seat = yard.seat();
    let jobs: Vec<usize> = (0..6).map(|_| yard.direct()).collect();
    assert_eq!(yard.calls(seat), [[jobs[0]]], "without a wait it goes alone");
    assert_eq!(yard.lane.load().waiting_calls, 2);
    yard.run(seat);
    assert_eq!(yard.calls(seat), [&jobs[1..4]]);
    yard.run(seat);
    assert_eq!(yard.calls(seat), [&jobs[4..6]]);
}

#[test]
fn a_quick_version_gets_one_whole_group_ahead_and_none_that_may_grow() {
    let mut yard = Yard::quick(16, 1);
    yard.lane.set(groups(2, 0));
    let jobs: Vec<usize> = (0..6).map(|_| yard.direct()).collect();
    assert_eq!(yard.calls(0), [&jobs[..1], &jobs[1..3]]);
    yard.run(0);
    assert_eq!(yard.calls(0), [&jobs[1..3], &jobs[3..5]]);
    yard.run(0);
    assert_eq!(yard.calls(0), [&jobs[3..5]], "the last may not be alone for long");
    yard.run(0);
    assert_eq!(yard.calls(0), [&jobs[5..]]);
}

#[test]
fn lists_text_and_large_bodies_are_called_alone_in_their_turn() {
    let mut yard = Yard::new(groups(8, 0));
    let (a, b) = (yard.direct(), yard.direct());
    let text = yard.submit_as(Class::Direct, 1, Way::Text).unwrap();
    let (c, d) = (yard.direct(), yard.direct());
    let alone = yard.submit_as(Class::Direct, 1, Way::Alone).unwrap();
    let seat = yard.seat();
    for call in [vec![a, b], vec![text], vec![c, d], vec![alone]] {
        assert_eq!(yard.calls(seat), [call]);
        yard.run(seat);
    }
}

#[test]
fn what_cannot_be_joined_does_not_wait() {
    let mut yard = Yard::new(groups(8, 1_000));
    let (one, two) = (yard.seat(), yard.seat());
    let a = yard.direct();
    let text = yard.submit_as(Class::Direct, 1, Way::Text).unwrap();
    assert_eq!((yard.calls(two), yard.calls(one)), (vec![vec![a]], vec![vec![text]]));
}

#[test]
fn members_stand_by_class_then_priority_then_age() {
    let mut yard = Yard::new(groups(4, 5));
    let submitted = [(Class::Batch, 0), (Class::Direct, 1), (Class::Direct, 0), (Class::Direct, 1), (Class::Batch, 0)];
    for (class, priority) in submitted {
        yard.submit(class, priority).unwrap();
    }
    let seat = yard.seat();
    assert_eq!(yard.calls(seat), [[2, 1, 3, 0]]);
}

#[test]
fn the_members_of_a_group_that_failed_run_one_by_one() {
    for failure in [raised(), own(&[1, 2]), Outcome::Result(Bytes::from_static(b"{}"))] {
        let (mut yard, group) = with_group(3);
        let later = yard.direct();
        yard.end(0, failure);
        assert_eq!(yard.calls(0), [&group[..1]]);
        yard.start(0);
        yard.end(0, own(&group[..1]));
        yard.start(0);
        yard.end(0, raised());
        yard.start(0);
        yard.end(0, own(&group[2..]));
        let outcomes: Vec<_> = group.iter().map(|name| yard.outcomes(*name)).collect();
        assert_eq!(outcomes, [[own(&group[..1])], [raised()], [own(&group[2..])]]);
        assert!(group.iter().all(|name| yard.heard[*name].lock().unwrap().started == 1), "told once");
        assert!(yard.calls(0).is_empty(), "others may still join {later}");
    }
}

#[test]
fn without_a_rerun_all_fail_with_the_group() {
    let mut settings = groups(2, 5);
    settings.grouping = settings.grouping.map(|grouping| Grouping { rerun: false, ..grouping });
    let mut yard = Yard::new(settings);
    yard.seat();
    let group = [yard.direct(), yard.direct()];
    yard.start(0);
    yard.end(0, raised());
    assert_eq!(group.map(|name| yard.outcomes(name)), [[raised()], [raised()]]);
}

#[test]
fn a_member_that_ends_early_leaves_the_others_alone_and_its_result_is_dropped() {
    let (yard, group) = with_group(3);
    assert_eq!(yard.lane.cancel(yard.ids[group[0]]), Cancel::Done);
    yard.lane.expire(yard.ids[group[2]]);
    assert!(yard.told(0, |told| told.killed.is_none() && told.cancels.is_empty()));
    yard.end(0, own(&group));
    let outcomes: Vec<_> = group.iter().map(|name| yard.outcomes(*name)).collect();
    assert_eq!(outcomes, [[Outcome::Cancelled], [own(&group[1..2])], [Outcome::TimedOut]]);
}

#[test]
fn the_last_member_takes_the_process_with_it() {
    let (yard, group) = with_group(2);
    yard.lane.expire(yard.ids[group[0]]);
    yard.lane.expire(yard.ids[group[1]]);
    assert!(yard.told(0, |told| told.killed.is_some()));

    let (yard, group) = with_group(2);
    yard.lane.expire(yard.ids[group[0]]);
    assert_eq!(yard.lane.cancel(yard.ids[group[1]]), Cancel::Asked);
    assert_eq!(yard.told(0, |told| told.cancels.len()), 1);
    yard.end(0, interrupted());
    assert_eq!(yard.outcomes(group[1]), [Outcome::Cancelled]);
    assert!(yard.calls(0).is_empty(), "a cancelled one is not run again");
}

#[test]
fn a_group_that_has_not_started_is_taken_back_with_its_last_member() {
    let mut yard = Yard::new(groups(2, 5));
    let seat = yard.seat();
    let (a, b) = (yard.direct(), yard.direct());
    assert_eq!(yard.lane.cancel(yard.ids[a]), Cancel::Done);
    assert!(yard.told(seat, |told| told.cancels.is_empty()));
    assert_eq!(yard.lane.cancel(yard.ids[b]), Cancel::Done);
    let ticket = yard.ticket(seat, 0);
    assert_eq!(yard.told(seat, |told| told.cancels.clone()), [ticket]);
    assert!(yard.drop_call(seat, ticket));
    assert_eq!((yard.outcomes(a), yard.outcomes(b)), (vec![Outcome::Cancelled], vec![Outcome::Cancelled]));
}

#[test]
fn a_crash_charges_all_members_and_a_group_behind_goes_back_member_by_member() {
    let mut yard = Yard::quick(16, 1);
    yard.lane.set(groups(2, 5));
    let jobs: Vec<usize> = (0..4).map(|_| yard.direct()).collect();
    assert_eq!(yard.calls(0), [&jobs[..2], &jobs[2..]]);
    yard.start(0);
    yard.lane.seat_gone(yard.seats[0].0, "killed");
    assert!(jobs[..2].iter().all(|name| yard.outcomes(*name) == [Outcome::Crashed("killed".into())]));
    yard.lane.cancel(yard.ids[jobs[2]]);
    let next = yard.seat();
    yard.turn(5);
    assert_eq!(yard.calls(next), [&jobs[3..]]);
}

#[test]
fn who_was_next_when_a_process_ended_goes_alone_from_then_on() {
    let mut yard = Yard::new(groups(2, 5));
    let first = yard.seat();
    let (a, b) = (yard.direct(), yard.direct());
    yard.lane.seat_gone(yard.seats[first].0, "gone");
    let next = yard.seat();
    assert_eq!(yard.calls(next), [[a]]);
    yard.run(next);
    assert_eq!(yard.calls(next), [[b]]);
}

#[test]
fn a_small_queue_holds_a_group_for_an_idle_seat_and_no_more_for_a_busy_one() {
    let mut yard = Yard::new(LaneSettings { max_queue: 1, ..groups(3, 5) });
    let seat = yard.seat();
    let group: Vec<usize> = (0..3).map(|_| yard.direct()).collect();
    assert_eq!(yard.calls(seat), [group]);
    yard.direct();
    assert_eq!(yard.submit(Class::Direct, 1), Err(Refusal::Full { size: 1 }));
}

#[test]
fn what_was_held_back_for_a_seat_that_goes_asks_for_another() {
    let mut yard = Yard::new(groups(3, 5));
    let seat = yard.seat();
    let job = yard.direct();
    drop(yard.lane.retire(yard.seats[seat].0));
    assert_eq!(yard.nudges.load(Ordering::SeqCst), 1);
    yard.turn(9);
    let next = yard.seat();
    assert_eq!(yard.calls(next), [[job]]);
}

#[test]
fn grouping_may_be_turned_on_and_off_while_jobs_wait() {
    let mut yard = Yard::new(LaneSettings::default());
    let jobs: Vec<usize> = (0..3).map(|_| yard.direct()).collect();
    yard.lane.set(groups(2, 1_000));
    let seat = yard.seat();
    assert_eq!(yard.calls(seat), [&jobs[..2]]);
    yard.run(seat);
    assert!(yard.calls(seat).is_empty());
    yard.lane.set(LaneSettings::default());
    assert_eq!(yard.calls(seat), [&jobs[2..]]);
}

#[test]
fn a_closed_lane_runs_no_member_again() {
    let (yard, group) = with_group(2);
    yard.lane.close("The version was deleted");
    yard.end(0, raised());
    assert!(group.iter().all(|name| yard.outcomes(*name) == [raised()]));
}

#[test]
fn updates_of_a_group_are_dropped_and_allowed_again() {
    let (yard, group) = with_group(2);
    assert!(yard.lane.update(yard.seats[0].0, yard.ticket(0, 0), Bytes::from_static(b"half")));
    assert!(group.iter().all(|name| yard.heard[*name].lock().unwrap().updates.is_empty()));
    assert_eq!(yard.told(0, |told| told.credit), 1);
}

#[test]
fn a_group_whose_member_is_asked_back_goes_where_there_is_room() {
    let mut yard = Yard::quick(16, 1);
    yard.lane.set(groups(2, 5));
    let jobs: Vec<usize> = (0..4).map(|_| yard.direct()).collect();
    yard.start(0);
    let idle = yard.seat();
    yard.turn(50);
    yard.lane.sweep();
    assert!(yard.drop_call(0, yard.ticket(0, 1)));
    assert_eq!(yard.calls(idle), [&jobs[2..]]);
    yard.end(0, answer());
}
