//! What nobody else would notice: processes that do not answer, and calls stuck behind one that takes long.

use std::time::Instant;

use super::{Place, State};
use crate::effects::Effects;
use crate::seat::SeatId;

impl State {
    /// Gives up on processes that are silent, and asks back what a long call holds up while another seat is idle.
    pub(crate) fn sweep(&mut self, now: Instant, effects: &mut Effects) {
        // Whoever is to wake the lane may have failed to.
        self.woken(now, effects);
        let seats: Vec<SeatId> = self.seats.keys().copied().collect();
        for seat in seats {
            let Some(place) = self.seats.get(&seat) else { continue };
            if place.killed.is_some_and(|at| self.is_overdue(at, now)) {
                tracing::warn!(%seat, "a process did not end when it was killed; its lane goes on without it");
                self.seat_gone(seat, "The process did not end when it was killed", now, effects);
            } else if self.ignores_cancel(place, now) {
                tracing::warn!(%seat, "a process did not answer for a call that was taken back, and is killed");
                self.kill(seat, now, effects);
            } else if self.holds_up(place, now) {
                self.recall(seat, effects);
            }
        }
    }

    /// Whether the process had its chance to drop a call that nobody waits for, and is still at it.
    fn ignores_cancel(&self, place: &Place, now: Instant) -> bool {
        let Some(head) = place.frames.front() else { return false };
        let since = head.cancelled.map(|at| at.max(place.since));
        head.jobs.is_nobody() && place.killed.is_none() && since.is_some_and(|at| self.is_overdue(at, now))
    }

    fn holds_up(&self, place: &Place, now: Instant) -> bool {
        let runs_long = now.saturating_duration_since(place.since) > self.settings.quick;
        !self.idle.is_empty() && place.frames.len() > 1 && runs_long
    }

    fn is_overdue(&self, since: Instant, now: Instant) -> bool {
        now.saturating_duration_since(since) > self.settings.grace
    }
}
