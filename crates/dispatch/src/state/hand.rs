//! Who gets the next call: an idle seat; else, for a quick version, the seat that holds the least.

use std::time::Instant;

use modelyard_types::RequestId;

use super::place::Jobs;
use super::{Place, State, Whereabouts};
use crate::effects::Effects;
use crate::port::{Command, Port};
use crate::seat::SeatId;

impl State {
    /// Takes a seat in and gives it work.
    pub(crate) fn seat_ready(&mut self, seat: SeatId, port: Port, now: Instant, effects: &mut Effects) {
        let place = Place::new(port, now);
        if self.seats.contains_key(&seat) {
            return effects.ports.push(place.port);
        }
        self.seats.insert(seat, place);
        self.feed(seat, now, effects);
    }

    /// The seat that should get the next call: of the idle ones the one that was busy last, so that the others may be stopped.
    pub(super) fn roomiest(&self, now: Instant) -> Option<SeatId> {
        if let Some(idle) = self.idle.last() {
            return Some(*idle);
        }
        if self.settings.read_ahead == 0 || !self.pace.is_quick() {
            return None;
        }
        let roomy = self.seats.iter().filter(|(_, place)| self.has_room(place, now));
        roomy.min_by_key(|(_, place)| place.frames.len()).map(|(id, _)| *id)
    }

    /// Whether a seat may get a call now. Behind a call that has itself run too long none is handed ahead.
    pub(super) fn has_room(&self, place: &Place, now: Instant) -> bool {
        if !place.is_open() {
            return false;
        }
        place.frames.is_empty()
            || (self.idle.is_empty()
                && self.pace.is_quick()
                && place.frames.len() <= self.settings.calls_ahead()
                && now.saturating_duration_since(place.since) <= self.settings.quick)
    }

    /// Gives a seat that got room, and is not booked as idle, what it may have; books it as idle if there is nothing.
    pub(super) fn feed(&mut self, seat: SeatId, now: Instant, effects: &mut Effects) {
        while self.seats.get(&seat).is_some_and(|place| self.has_room(place, now)) {
            if !self.hand_next(seat, now, effects) {
                break;
            }
        }
        if self.seats.get(&seat).is_some_and(|place| place.is_open() && place.frames.is_empty()) {
            self.idle.push(seat);
        }
    }

    /// Hands out what waits while any seat has room.
    pub(super) fn fill(&mut self, now: Instant, effects: &mut Effects) {
        while !self.queue.is_empty()
            && let Some(seat) = self.roomiest(now)
            && self.hand_next(seat, now, effects)
        {}
    }

    /// Puts a call into the hands of a seat.
    pub(super) fn hand_over(&mut self, seat: SeatId, id: RequestId, now: Instant, effects: &mut Effects) {
        let (Some(place), Some(held)) = (self.seats.get_mut(&seat), self.jobs.get_mut(&id)) else {
            return;
        };
        let was_idle = place.frames.is_empty();
        let ticket = place.add(Jobs::One(id), now);
        held.whereabouts = Whereabouts::Seat(seat, ticket);
        place.port.push(Command::HandOver(ticket, held.job.call.clone()));
        effects.ports.push(place.port.clone());
        if was_idle {
            self.not_idle(seat);
        }
    }

    /// Strikes a seat off the idle ones; mostly it is the last.
    pub(super) fn not_idle(&mut self, seat: SeatId) {
        if let Some(at) = self.idle.iter().rposition(|idle| *idle == seat) {
            self.idle.remove(at);
        }
    }

    /// Tells a seat something, once the lane is unlocked.
    pub(crate) fn tell(&self, seat: SeatId, command: Command, effects: &mut Effects) {
        if let Some(place) = self.seats.get(&seat) {
            place.port.push(command);
            effects.ports.push(place.port.clone());
        }
    }
}
