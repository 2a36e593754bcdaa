//! What ends jobs and seats from outside: cancel, timeout, retirement, refusal.

use std::time::Instant;

use modelyard_types::RequestId;

use super::place::Jobs;
use super::{State, Whereabouts};
use crate::effects::Effects;
use crate::job::{Cancel, Class, Outcome};
use crate::port::Command;
use crate::seat::SeatId;

impl State {
    /// Cancels a job: at once if it has not started; else its process is asked, and ended when asked again.
    pub(crate) fn cancel(&mut self, id: RequestId, now: Instant, effects: &mut Effects) -> Cancel {
        if !self.jobs.contains_key(&id) {
            return Cancel::Unknown;
        }
        let Some((seat, ticket)) = self.unless_waiting(id, Outcome::Cancelled, effects) else {
            return Cancel::Done;
        };
        if self.leave_group(seat, ticket, id, Outcome::Cancelled, effects) {
            return Cancel::Done;
        }
        let Some(frame) = self.seats.get_mut(&seat).and_then(|place| place.frame(ticket)) else {
            return Cancel::Unknown;
        };
        if frame.started.is_some() && frame.cancelled.is_none() {
            frame.cancelled = Some(now);
            self.tell(seat, Command::Cancel(ticket), effects);
            return Cancel::Asked;
        }
        self.withdraw(seat, ticket, id, Outcome::Cancelled, now, effects);
        Cancel::Done
    }

    /// Ends a job whose time is over; a process that works on it is ended.
    pub(crate) fn expire(&mut self, id: RequestId, now: Instant, effects: &mut Effects) {
        if let Some((seat, ticket)) = self.unless_waiting(id, Outcome::TimedOut, effects)
            && !self.leave_group(seat, ticket, id, Outcome::TimedOut, effects)
        {
            self.withdraw(seat, ticket, id, Outcome::TimedOut, now, effects);
        }
    }

    /// Ends a job that waits; says where it is if it does not.
    fn unless_waiting(&mut self, id: RequestId, outcome: Outcome, effects: &mut Effects) -> Option<(SeatId, u64)> {
        let held = self.jobs.get(&id)?;
        match held.whereabouts {
            Whereabouts::Seat(seat, ticket) => Some((seat, ticket)),
            Whereabouts::Queue => {
                let rank = held.rank;
                self.queue.remove(&rank);
                self.dequeued(id);
                self.finish(id, outcome, effects);
                None
            }
        }
    }

    /// Ends a job that is the only one of its call. A call that has not started is taken back; its ticket stays with the process
    /// until the process answers. For one that runs the process is ended.
    fn withdraw(
        &mut self,
        seat: SeatId,
        ticket: u64,
        id: RequestId,
        outcome: Outcome,
        now: Instant,
        effects: &mut Effects,
    ) {
        let Some(frame) = self.seats.get_mut(&seat).and_then(|place| place.frame(ticket)) else { return };
        frame.jobs = Jobs::Nobody;
        let (runs, was_cancelled) = (frame.started.is_some(), frame.cancelled.is_some());
        frame.cancelled = Some(now);
        if runs {
            let why = match outcome {
                Outcome::TimedOut if !was_cancelled => {
                    "The process was ended, because the time of its request was over"
                }
                _ => "The process was ended, because its request was cancelled and went on",
            };
            self.kill(seat, why, now, effects);
        } else {
            self.tell(seat, Command::Cancel(ticket), effects);
        }
        self.finish(id, if was_cancelled { Outcome::Cancelled } else { outcome }, effects);
    }

    /// Ends a process. Calls it has not started go back when it is gone, because only then is it known which those are.
    pub(super) fn kill(&mut self, seat: SeatId, why: &str, now: Instant, effects: &mut Effects) {
        let Some(place) = self.seats.get_mut(&seat) else { return };
        if place.killed.is_none() {
            place.killed = Some(now);
            self.not_idle(seat);
            self.tell(seat, Command::Kill(why.to_owned()), effects);
        }
    }

    /// Gives a seat no more calls and asks those back that have not started.
    pub(crate) fn retire(&mut self, seat: SeatId, effects: &mut Effects) {
        let Some(place) = self.seats.get_mut(&seat) else { return };
        place.retiring = true;
        self.not_idle(seat);
        // Nothing may be waiting but what was held back for this seat.
        effects.nudge |= !self.queue.is_empty();
        self.recall(seat, effects);
        self.release_if_drained(seat, effects);
    }

    /// Asks a process for the calls it has not started.
    pub(super) fn recall(&mut self, seat: SeatId, effects: &mut Effects) {
        let Some(place) = self.seats.get_mut(&seat) else { return };
        let mut asked = false;
        for frame in &mut place.frames {
            if frame.started.is_none() && !frame.jobs.is_nobody() && !frame.recalled {
                frame.recalled = true;
                asked = true;
                place.port.push(Command::Recall(frame.ticket));
            }
        }
        if asked {
            effects.ports.push(place.port.clone());
        }
    }

    /// Ends all that waits for a seat.
    pub(crate) fn refuse_waiting(&mut self, reason: &str, effects: &mut Effects) -> usize {
        let mut refused = 0;
        while let Some(id) = self.queue.pop() {
            self.dequeued(id);
            self.finish(id, Outcome::Refused(reason.to_owned()), effects);
            refused += 1;
        }
        refused
    }

    /// Ends the direct jobs that wait for a seat, and hands back the batch ones.
    pub(crate) fn turn_away(&mut self, reason: &str, effects: &mut Effects) -> usize {
        let mut refused = 0;
        while let Some(id) = self.queue.pop() {
            self.dequeued(id);
            let direct = self.jobs.get(&id).is_some_and(|held| held.rank.class == Class::Direct);
            refused += usize::from(direct);
            let outcome = if direct { Outcome::Refused(reason.to_owned()) } else { Outcome::HandedBack };
            self.finish(id, outcome, effects);
        }
        refused
    }

    /// Hands back the batch jobs that wait for a seat; processes are asked for those they have not started, which follow.
    pub(crate) fn hand_back(&mut self, effects: &mut Effects) {
        self.hands_back = true;
        while let Some(id) = self.queue.pop_batch() {
            self.dequeued(id);
            self.finish(id, Outcome::HandedBack, effects);
        }
        for seat in self.seats.keys().copied().collect::<Vec<_>>() {
            self.recall(seat, effects);
        }
    }

    /// Takes no more jobs and ends all that waits; what runs goes on.
    pub(crate) fn close(&mut self, reason: &str, effects: &mut Effects) -> usize {
        self.closed = Some(reason.to_owned());
        self.refuse_waiting(reason, effects)
    }

    /// Ends every job, because the lane itself goes.
    pub(crate) fn abandon(&mut self, effects: &mut Effects) {
        for (_, held) in self.jobs.drain() {
            effects.finished.push((held.job, Outcome::Refused("The server is stopping".to_owned())));
        }
    }

    /// Allows the process of a running call more updates.
    pub(crate) fn credit(&self, id: RequestId, updates: u32, effects: &mut Effects) {
        if let Some(Whereabouts::Seat(seat, ticket)) = self.jobs.get(&id).map(|held| held.whereabouts) {
            self.tell(seat, Command::Credit(ticket, updates), effects);
        }
    }
}
