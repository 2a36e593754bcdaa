//! What processes report: started, update, finished, gone. Anything may be late or forged; only what fits the books counts.

use std::mem;
use std::sync::Arc;
use std::time::Instant;

use super::{Place, State};
use crate::effects::Effects;
use crate::job::{FailureKind, Outcome, Waiter};
use crate::seat::SeatId;

/// How many processes may end with a call first in their buffer, not started, before the call is held to be the cause.
const LOSSES: u8 = 3;

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
        if let Some(held) = head.job.and_then(|id| self.jobs.get_mut(&id)) {
            effects.started = Some((held.job.waiter.clone(), mem::take(&mut held.job.call)));
        }
        true
    }

    /// Who gets an update of a running call: an error if there is no such call, nobody if it was taken back.
    pub(crate) fn updated(&self, seat: SeatId, ticket: u64) -> Result<Option<Arc<dyn Waiter>>, ()> {
        let head = self.seats.get(&seat).and_then(|place| place.frames.front()).ok_or(())?;
        if head.ticket != ticket || head.started.is_none() {
            return Err(());
        }
        Ok(head.job.and_then(|id| self.jobs.get(&id)).map(|held| held.job.waiter.clone()))
    }

    /// A call of a seat ended. False if it cannot be: only the first call can end, unless it was taken back or recalled.
    pub(crate) fn finished(
        &mut self,
        seat: SeatId,
        ticket: u64,
        outcome: Outcome,
        now: Instant,
        effects: &mut Effects,
    ) -> bool {
        let Some(place) = self.seats.get_mut(&seat) else { return false };
        let Some(position) = place.position(ticket) else { return false };
        let frame = &place.frames[position];
        let (started, cancelled) = (frame.started, frame.cancelled.is_some());
        let interrupted = matches!(outcome, Outcome::Failed { kind: FailureKind::Cancelled, .. });
        let comes_back = interrupted && frame.recalled && started.is_none();
        match frame.job {
            None => place.remove(position, now),
            Some(id) if comes_back => {
                place.remove(position, now);
                self.put_back(id, effects);
            }
            Some(id) if position == 0 => {
                place.remove(position, now);
                let outcome = if interrupted && cancelled { Outcome::Cancelled } else { outcome };
                self.finish(id, outcome, effects);
            }
            Some(_) => return false,
        }
        self.count(started, now, effects);
        self.feed(seat, now, effects);
        if comes_back {
            self.fill(now, effects);
            effects.nudge |= !self.queue.is_empty();
        }
        self.release_if_drained(seat, effects);
        true
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
        let Some(place) = self.seats.remove(&seat) else { return false };
        self.not_idle(seat);
        self.settle(place, why, effects);
        self.fill(now, effects);
        effects.nudge |= !self.queue.is_empty();
        true
    }

    /// Settles the calls of a seat that is no more.
    fn settle(&mut self, place: Place, why: &str, effects: &mut Effects) {
        for (position, frame) in place.frames.into_iter().enumerate() {
            let Some(id) = frame.job else { continue };
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
        effects.drained.extend(place.drained);
        effects.ports.push(place.port);
    }

    /// Counts that a process ended with this call next in its buffer. Once is chance; a call whose mere bytes end processes
    /// would otherwise go round for ever.
    fn is_deadly(&mut self, id: modelyard_types::RequestId) -> bool {
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
