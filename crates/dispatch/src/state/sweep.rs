//! What nobody else would notice: processes that do not answer, and calls stuck behind one that takes long.

use std::time::Instant;

use super::{Place, State};
use crate::effects::Effects;
use crate::seat::SeatId;

impl State {
    /// Gives up on processes that are silent, and asks back what a long call holds up while another seat is idle.
    pub(crate) fn sweep(&mut self, now: Instant, effects: &mut Effects) {
        let known = self.seats.len();
        let seats: Vec<SeatId> = self.seats.keys().copied().collect();
        for seat in seats {
            let Some(place) = self.seats.get(&seat) else { continue };
            if place.killed.is_some_and(|at| self.is_overdue(at, now)) {
                tracing::warn!(%seat, "a process did not end when it was killed; its lane goes on without it");
                self.lose(seat, "The process did not end when it was killed", effects);
            } else if self.ignores_cancel(place, now) {
                tracing::warn!(%seat, "a process did not answer for a call that was taken back, and is killed");
                let why = "The process was ended, because it did not let go of a request that was called off";
                self.kill(seat, why, now, effects);
            } else if self.is_stuck(place, now) {
                tracing::warn!(%seat, "a process does not begin with a call, and is killed");
                let limit = self.settings.begin_limit.as_secs_f64();
                let why = format!("The process was ended, because it did not begin with a request for {limit} s");
                self.kill(seat, &why, now, effects);
            } else if self.holds_up(place, now) {
                self.recall(seat, effects);
            }
        }
        // Only now, when all that came back stands in its place.
        if self.seats.len() < known {
            self.fill_after_loss(now, effects);
        }
        // Whoever is to wake the lane may have failed to.
        self.woken(now, effects);
    }

    /// Whether the process had its chance to drop a call that nobody waits for, and is still at it.
    fn ignores_cancel(&self, place: &Place, now: Instant) -> bool {
        let Some(head) = place.frames.front() else { return false };
        let since = head.cancelled.map(|at| at.max(place.since));
        head.jobs.is_nobody() && place.killed.is_none() && since.is_some_and(|at| self.is_overdue(at, now))
    }

    /// Whether the process has had a call next for too long and has not begun with it: it is stopped, or its code keeps it from
    /// going on. While another call is in work that one's own limits count, and the next one's time begins when it ends.
    fn is_stuck(&self, place: &Place, now: Instant) -> bool {
        let Some(head) = place.frames.front() else { return false };
        let waits_for = now.saturating_duration_since(place.since);
        head.started.is_none() && place.killed.is_none() && waits_for > self.settings.begin_limit
    }

    fn holds_up(&self, place: &Place, now: Instant) -> bool {
        let runs_long = now.saturating_duration_since(place.since) > self.settings.quick;
        !self.idle.is_empty() && place.frames.len() > 1 && runs_long
    }

    fn is_overdue(&self, since: Instant, now: Instant) -> bool {
        now.saturating_duration_since(since) > self.settings.grace
    }
}
