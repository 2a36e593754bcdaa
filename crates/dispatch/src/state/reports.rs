//! What processes report: started, update, finished, gone. Anything may be late or forged; only what fits the books counts.

use std::mem;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::group::Answer;
use super::place::Jobs;
use super::{Place, State};
use crate::effects::Effects;
use crate::job::{Call, FailureKind, Outcome, Waiter};
use crate::seat::SeatId;

/// How many processes may end with a call first in their buffer, not started, before the call is held to be the cause.
const LOSSES: u8 = 3;

/// Whether an answer counted.
pub(crate) enum Finished {
    /// It did.
    Yes,
    /// There was no such call to answer.
    No,
    /// It is the list of results of a group of so many, and has to come again taken apart.
    Unsplit(Bytes, usize),
}

/// Who gets the updates of a call.
pub(crate) enum Listener {
    /// Nobody any more.
    Nobody,
    /// Who waits for it.
    One(Arc<dyn Waiter>),
    /// Nobody ever: an update does not say which member of a group it is for.
    Group,
}

impl State {
    /// The first call of a seat is in work. False if that cannot be.
    pub(crate) fn started(&mut self, seat: SeatId, ticket: u64, now: Instant, effects: &mut Effects) -> bool {
        let Some(head) = self.seats.get_mut(&seat).and_then(|place| place.frames.front_mut()) else {
            return false;
        };
        if head.ticket != ticket || head.started.is_some() {
            return false;
        }
        head.started = Some(now);
        // What may run again keeps its call.
        let keep = matches!(&head.jobs, Jobs::Group(group) if group.rerun);
        for id in head.jobs.live() {
            let Some(held) = self.jobs.get_mut(&id) else { continue };
            let call = if keep { Call::default() } else { mem::take(&mut held.job.call) };
            if !mem::replace(&mut held.told, true) {
                effects.started.push((held.job.waiter.clone(), call));
            }
        }
        true
    }

    /// Who gets an update of a running call; an error if there is no such call.
    pub(crate) fn updated(&self, seat: SeatId, ticket: u64) -> Result<Listener, ()> {
        let head = self.seats.get(&seat).and_then(|place| place.frames.front()).ok_or(())?;
        if head.ticket != ticket || head.started.is_none() {
            return Err(());
        }
        Ok(match &head.jobs {
            Jobs::Nobody => Listener::Nobody,
            Jobs::One(id) => self.jobs.get(id).map_or(Listener::Nobody, |held| Listener::One(held.job.waiter.clone())),
            Jobs::Group(_) => Listener::Group,
        })
    }

    /// A call of a seat ended. False if it cannot be: only the first call can end, unless it was taken back or recalled.
    pub(crate) fn finished(
        &mut self,
        seat: SeatId,
        ticket: u64,
        answer: Answer,
        now: Instant,
        effects: &mut Effects,
    ) -> Finished {
        let Some(place) = self.seats.get_mut(&seat) else { return Finished::No };
        let Some(position) = place.position(ticket) else { return Finished::No };
        let frame = &place.frames[position];
        let (started, cancelled) = (frame.started, frame.cancelled.is_some());
        let interrupted = matches!(answer, Answer::Whole(Outcome::Failed { kind: FailureKind::Cancelled, .. }));
        let comes_back = interrupted && frame.recalled && started.is_none();
        if position > 0 && !comes_back && !frame.jobs.is_nobody() {
            return Finished::No;
        }
        let answer = match (&frame.jobs, answer) {
            (Jobs::Group(group), Answer::Whole(Outcome::Result(list))) => {
                return Finished::Unsplit(list, group.members.len());
            }
            // Lists are never packed.
            (Jobs::Group(group), Answer::Whole(Outcome::Packed(_))) => {
                return Finished::Unsplit(Bytes::new(), group.members.len());
            }
            (_, Answer::Whole(_)) if interrupted && cancelled => Answer::Whole(Outcome::Cancelled),
            (_, answer) => answer,
        };
        let jobs = place.remove(position, now);
        let waits_again = match jobs {
            jobs if comes_back => {
                jobs.live().for_each(|id| self.put_back(id, effects));
                !jobs.is_nobody()
            }
            Jobs::Group(group) => self.end_group(group, answer, cancelled, effects),
            Jobs::One(id) => {
                if let Answer::Whole(outcome) = answer {
                    self.finish(id, outcome, effects);
                }
                false
            }
            Jobs::Nobody => false,
        };
        self.count(started, now, effects);
        self.feed(seat, now, effects);
        if waits_again {
            self.fill(now, effects);
            effects.nudge |= !self.queue.is_empty();
        }
        self.release_if_drained(seat, effects);
        Finished::Yes
    }

    /// Counts a run time; a version that turns out quick gets calls handed ahead.
    fn count(&mut self, started: Option<Instant>, now: Instant, effects: &mut Effects) {
        let Some(started) = started else { return };
        let was_quick = self.pace.is_quick();
        self.pace.note(now.saturating_duration_since(started), self.settings.quick);
        if !was_quick && self.pace.is_quick() {
            self.fill(now, effects);
        }
    }

    /// A process ended. The call it worked on fails; those it had not started go back.
    pub(crate) fn seat_gone(&mut self, seat: SeatId, why: &str, now: Instant, effects: &mut Effects) -> bool {
        let known = self.lose(seat, why, effects);
        if known {
            self.fill_after_loss(now, effects);
        }
        known
    }

    /// Forgets a seat and settles its calls; false if it was not known. The lane has to be filled afterwards.
    pub(super) fn lose(&mut self, seat: SeatId, why: &str, effects: &mut Effects) -> bool {
        let Some(place) = self.seats.remove(&seat) else { return false };
        self.not_idle(seat);
        self.settle(place, why, effects);
        true
    }

    /// Hands out what came back.
    pub(super) fn fill_after_loss(&mut self, now: Instant, effects: &mut Effects) {
        self.fill(now, effects);
        effects.nudge |= !self.queue.is_empty();
    }

    /// Settles the calls of a seat that is no more.
    fn settle(&mut self, place: Place, why: &str, effects: &mut Effects) {
        for (position, frame) in place.frames.into_iter().enumerate() {
            for id in frame.jobs.live() {
                match frame.started {
                    Some(_) if frame.cancelled.is_some() => self.finish(id, Outcome::Cancelled, effects),
                    Some(_) => self.finish(id, Outcome::Crashed(why.to_owned()), effects),
                    None if position == 0 && self.is_deadly(id) => {
                        let why = format!("{LOSSES} processes ended before they could start the request: {why}");
                        self.finish(id, Outcome::Crashed(why), effects);
                    }
                    None => self.put_back(id, effects),
                }
            }
        }
        effects.drained.extend(place.drained);
        effects.ports.push(place.port);
    }

    /// Counts that a process ended with this call next in its buffer. Once is chance; a call whose mere bytes end processes
    /// would otherwise go round for ever. From now on it goes alone, so that it takes no others with it.
    fn is_deadly(&mut self, id: modelyard_types::RequestId) -> bool {
        self.go_alone(id);
        self.jobs.get_mut(&id).is_some_and(|held| {
            held.lost += 1;
            held.lost >= LOSSES
        })
    }

    /// Takes a retiring seat that holds nothing any more out of the lane, which tells who waits for it.
    pub(super) fn release_if_drained(&mut self, seat: SeatId, effects: &mut Effects) {
        let done = |place: &Place| place.retiring && place.killed.is_none() && place.frames.is_empty();
        if self.seats.get(&seat).is_some_and(done)
            && let Some(place) = self.seats.remove(&seat)
        {
            self.settle(place, "", effects);
        }
    }
}
