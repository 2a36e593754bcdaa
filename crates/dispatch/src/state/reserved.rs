//! Places of direct jobs whose rows are written before they come in.

use std::time::Instant;

use super::State;
use crate::job::{Class, Job, Refusal};
use crate::settings::LaneSettings;

impl State {
    /// Keeps a place for a direct job, or says why there is none.
    pub(crate) fn reserve_direct(&mut self, now: Instant) -> Result<(), Refusal> {
        if let Some(reason) = &self.closed {
            return Err(Refusal::Closed(reason.clone()));
        }
        let LaneSettings { max_queue, max_direct, .. } = self.settings;
        // As many as seats have room for need no place in the queue.
        let free = self.calls_free(now);
        if self.direct() >= max_direct.saturating_add(free) {
            return Err(Refusal::Full { size: max_direct });
        }
        if self.waiting() >= max_queue.saturating_add(free) {
            return Err(Refusal::Full { size: max_queue });
        }
        self.reserved += 1;
        Ok(())
    }

    /// One of the places kept is not needed any more.
    pub(crate) fn release_direct(&mut self) {
        self.reserved = self.reserved.saturating_sub(1);
    }

    /// Whether a job may come in.
    pub(super) fn admit(&self, job: &Job, has_room: bool) -> Result<(), Refusal> {
        if let Some(reason) = &self.closed {
            return Err(Refusal::Closed(reason.clone()));
        }
        if self.jobs.contains_key(&job.id) {
            return Err(Refusal::Duplicate);
        }
        // A batch request was accepted when its row was written.
        if has_room || job.class == Class::Batch {
            return Ok(());
        }
        let LaneSettings { max_queue, max_direct, .. } = self.settings;
        if self.direct() >= max_direct {
            return Err(Refusal::Full { size: max_direct });
        }
        if self.waiting() >= max_queue {
            return Err(Refusal::Full { size: max_queue });
        }
        Ok(())
    }

    /// The direct jobs that wait, and those a place is kept for.
    pub(super) fn direct(&self) -> usize {
        self.queue.direct() + self.reserved
    }

    /// How many jobs could go to seats now.
    fn calls_free(&self, now: Instant) -> usize {
        if let Some(grouping) = &self.settings.grouping {
            return self.idle.len() * grouping.size;
        }
        if !self.queue.is_empty() {
            return 0;
        }
        let each = if self.idle.is_empty() { 1 + self.settings.calls_ahead() } else { 1 };
        let roomy = self.seats.values().filter(|place| self.has_room(place, now));
        roomy.map(|place| each.saturating_sub(place.frames.len())).sum()
    }
}
