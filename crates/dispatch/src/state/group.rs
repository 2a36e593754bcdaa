//! Putting requests that wait together into one call, and what becomes of them when it ends.

use std::time::Instant;

use bytes::Bytes;
use modelyard_types::RequestId;

use super::place::{Group, Jobs};
use super::{Held, State, Whereabouts};
use crate::effects::Effects;
use crate::group::{Grouping, MAX_BYTES};
use crate::job::Outcome;
use crate::port::Command;
use crate::seat::SeatId;

/// What a lane that groups knows of its queue; nothing in a lane that does not.
#[derive(Default)]
pub(super) struct Gathering {
    /// How many of the jobs that wait cannot be in a group.
    alone: usize,
    /// How many bytes of input the others have.
    bytes: usize,
    /// The time for which a wake-up was asked.
    wake_at: Option<Instant>,
}

impl Gathering {
    /// A job waits.
    pub(super) fn add(&mut self, held: &Held) {
        self.alone += usize::from(!held.groups);
        self.bytes += if held.groups { held.job.call.body.len() } else { 0 };
    }

    /// A job does not wait any more.
    fn take(&mut self, held: &Held) {
        self.alone -= usize::from(!held.groups);
        self.bytes -= if held.groups { held.job.call.body.len() } else { 0 };
    }
}

/// How a process answered a call.
pub(crate) enum Answer {
    /// For all jobs of it alike.
    Whole(Outcome),
    /// A result for each member of a group, in their order.
    Each(Vec<Bytes>),
}

impl State {
    /// Groups from now on as the settings say.
    pub(super) fn regroup(&mut self) {
        self.gathering = Gathering::default();
        if self.settings.grouping.is_some() {
            for held in self.queue.ids().filter_map(|id| self.jobs.get(&id)) {
                self.gathering.add(held);
            }
        }
    }

    /// Puts a job into its place in the queue.
    pub(super) fn enqueue(&mut self, id: RequestId) {
        let Some(held) = self.jobs.get_mut(&id) else { return };
        held.whereabouts = Whereabouts::Queue;
        self.queue.insert(held.rank);
        if self.settings.grouping.is_some() {
            self.gathering.add(held);
        }
    }

    /// Takes note that a job left the queue.
    pub(super) fn dequeued(&mut self, id: RequestId) {
        if self.settings.grouping.is_some()
            && let Some(held) = self.jobs.get(&id)
        {
            self.gathering.take(held);
        }
    }

    /// Hands what is next to a seat with room; false when nothing is, or when it is held back for others to join.
    pub(super) fn hand_next(&mut self, seat: SeatId, now: Instant, effects: &mut Effects) -> bool {
        if let Some(grouping) = self.settings.grouping {
            return self.hand_group(grouping, seat, now, effects);
        }
        let Some(id) = self.queue.pop() else { return false };
        self.hand_over(seat, id, now, effects);
        true
    }

    /// A seat that works gets only a group that is complete: until it is free, others may join.
    fn hand_group(&mut self, grouping: Grouping, seat: SeatId, now: Instant, effects: &mut Effects) -> bool {
        let (count, complete) = self.gathered(grouping.size);
        if count == 0 {
            return false;
        }
        if !complete {
            if self.seats.get(&seat).is_none_or(|place| !place.frames.is_empty()) {
                return false;
            }
            if let Some(due) = self.oldest().map(|since| since + grouping.wait).filter(|due| *due > now) {
                self.wake(due, effects);
                return false;
            }
        }
        self.hand_over_together(seat, count, grouping.rerun, now, effects);
        true
    }

    /// How many jobs would go in one call now, and whether no other could join them. They are the first of the queue, so none
    /// goes before its turn.
    fn gathered(&self, size: usize) -> (usize, bool) {
        if self.gathering.alone == 0 && self.gathering.bytes <= MAX_BYTES && self.queue.len() < size {
            return (self.queue.len(), false);
        }
        let (mut count, mut bytes) = (0, 0);
        for held in self.queue.ids().filter_map(|id| self.jobs.get(&id)) {
            bytes += held.job.call.body.len();
            if count > 0 && (!held.groups || bytes > MAX_BYTES) {
                return (count, true);
            }
            count += 1;
            if count == size || !held.groups {
                return (count, true);
            }
        }
        (count, bytes > MAX_BYTES)
    }

    /// Asks to be woken at a time, unless that will happen before it anyway.
    fn wake(&mut self, at: Instant, effects: &mut Effects) {
        if self.gathering.wake_at.is_none_or(|asked| at < asked) {
            self.gathering.wake_at = Some(at);
            effects.wake_at = Some(at);
        }
    }

    /// Hands over what has been held back long enough. A wake-up that was asked for and is out of date does nothing.
    pub(crate) fn woken(&mut self, now: Instant, effects: &mut Effects) {
        if self.gathering.wake_at.is_some_and(|at| at <= now) {
            self.gathering.wake_at = None;
            self.fill(now, effects);
        }
    }

    /// Takes so many jobs out of the queue and hands them to a seat in one call; one alone is called as it is.
    fn hand_over_together(&mut self, seat: SeatId, count: usize, rerun: bool, now: Instant, effects: &mut Effects) {
        let ids: Vec<RequestId> = std::iter::from_fn(|| self.queue.pop()).take(count).collect();
        ids.iter().for_each(|id| self.dequeued(*id));
        if let [only] = ids[..] {
            return self.hand_over(seat, only, now, effects);
        }
        let Some(place) = self.seats.get_mut(&seat) else { return };
        let (was_idle, ticket) = (place.frames.is_empty(), place.next_ticket());
        let (mut members, mut calls) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for id in ids {
            let Some(held) = self.jobs.get_mut(&id) else { continue };
            held.whereabouts = Whereabouts::Seat(seat, ticket);
            members.push(Some(id));
            calls.push(held.job.call.clone());
        }
        place.add(Jobs::Group(Group { members, rerun }), now);
        place.port.push(Command::HandOverAll(ticket, calls));
        effects.ports.push(place.port.clone());
        if was_idle {
            self.not_idle(seat);
        }
    }

    /// Ends a job that is in a group with others that go on; false if there are none.
    pub(super) fn leave_group(
        &mut self,
        seat: SeatId,
        ticket: u64,
        id: RequestId,
        outcome: Outcome,
        effects: &mut Effects,
    ) -> bool {
        let Some(frame) = self.seats.get_mut(&seat).and_then(|place| place.frame(ticket)) else { return false };
        let Jobs::Group(group) = &mut frame.jobs else { return false };
        if !group.leave(id) {
            return false;
        }
        self.finish(id, outcome, effects);
        true
    }

    /// Gives the members of a group that ended their results, or, when it failed, another try each. Says whether any wait now.
    pub(super) fn end_group(&mut self, group: Group, answer: Answer, cancelled: bool, effects: &mut Effects) -> bool {
        let outcome = match answer {
            Answer::Each(results) => {
                for (member, result) in group.members.into_iter().zip(results) {
                    if let Some(id) = member {
                        self.finish(id, Outcome::Result(result), effects);
                    }
                }
                return false;
            }
            Answer::Whole(outcome) => outcome,
        };
        let failed = matches!(outcome, Outcome::Failed { .. });
        let again = group.rerun && failed && !cancelled && self.closed.is_none();
        for id in group.members.into_iter().flatten() {
            if again {
                self.go_alone(id);
                self.put_back(id, effects);
            } else {
                self.finish(id, outcome.clone(), effects);
            }
        }
        again
    }

    /// Keeps a job that is not in the queue out of groups from now on.
    pub(super) fn go_alone(&mut self, id: RequestId) {
        if let Some(held) = self.jobs.get_mut(&id) {
            held.groups = false;
        }
    }

    /// How many calls what waits would make.
    pub(super) fn calls_waiting(&self) -> usize {
        let size = self.settings.grouping.map_or(1, |grouping| grouping.size.max(1));
        self.gathering.alone + (self.queue.len() - self.gathering.alone).div_ceil(size)
    }
}
