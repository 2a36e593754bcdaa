//! Everything a lane knows, behind its lock. Steps change it and gather their effects; nothing here calls out.
//!
//! Two things hold after every step: while a job waits no open seat has room for it, unless it is held back for a group that is not
//! complete, for as long as it may be, with a wake-up asked for; and a job is either in the queue or in exactly one frame of one
//! seat, where it is once. A job ends by leaving `jobs`, so it ends once.

mod ends;
mod group;
mod hand;
mod place;
mod reports;
mod reserved;
mod sweep;

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use modelyard_types::RequestId;
use tokio::sync::oneshot;

use crate::effects::Effects;
use crate::job::{Class, Job, Outcome, Refusal};
use crate::load::{LaneLoad, SeatLoad};
use crate::pace::Pace;
use crate::queue::{Queue, Rank};
use crate::seat::SeatId;
use crate::settings::LaneSettings;
use group::Gathering;
use place::Place;

pub(crate) use group::Answer;
pub(crate) use reports::{Finished, Listener};

/// The inside of a lane.
pub(crate) struct State {
    settings: LaneSettings,
    jobs: HashMap<RequestId, Held>,
    queue: Queue,
    seats: BTreeMap<SeatId, Place>,
    /// The open seats that hold no call; the last was busy last.
    idle: Vec<SeatId>,
    pace: Pace,
    closed: Option<String>,
    /// Whether batch jobs that come back from a seat go on to where they came from.
    hands_back: bool,
    /// Batch requests that were accepted and are not in the lane: their rows wait for a claim.
    outside: i64,
    /// Direct jobs that a place is kept for while their rows are written.
    reserved: usize,
    /// Counts the changes of `outside`.
    changes: u64,
    gathering: Gathering,
}

/// A job in the lane.
struct Held {
    job: Job,
    rank: Rank,
    since: Instant,
    whereabouts: Whereabouts,
    /// How often a process ended with this call first in its buffer, not started.
    lost: u8,
    /// Whether it may be put together with others.
    groups: bool,
    /// Whether its waiter knows that it started.
    told: bool,
}

/// Where a job is.
#[derive(Clone, Copy)]
enum Whereabouts {
    Queue,
    Seat(SeatId, u64),
}

impl State {
    /// An empty lane.
    pub(crate) fn new(settings: LaneSettings) -> Self {
        Self {
            settings,
            jobs: HashMap::new(),
            queue: Queue::default(),
            seats: BTreeMap::new(),
            idle: Vec::new(),
            pace: Pace::default(),
            closed: None,
            hands_back: false,
            outside: 0,
            reserved: 0,
            changes: 0,
            gathering: Gathering::default(),
        }
    }

    /// Behaves differently from now on.
    pub(crate) fn set(&mut self, settings: LaneSettings, now: Instant, effects: &mut Effects) {
        let regroup = self.settings.grouping != settings.grouping;
        self.settings = settings;
        if regroup {
            self.regroup();
        }
        self.fill(now, effects);
    }

    /// Takes a job: to a seat with room, else into the queue. One that `groups` may be put together with others there; one that
    /// `has_place` comes to the place that was kept for it.
    pub(crate) fn submit(
        &mut self,
        job: Job,
        groups: bool,
        has_place: bool,
        now: Instant,
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        if has_place {
            self.release_direct();
        }
        let grouping = self.settings.grouping.is_some();
        let seat = match grouping {
            // What is held back for an idle seat is less than a group, and fills no queue.
            true => self.idle.last().copied(),
            false if self.queue.is_empty() => self.roomiest(now),
            false => None,
        };
        if let Err(refusal) = self.admit(&job, has_place || seat.is_some()) {
            effects.refused = Some(job);
            return Err(refusal);
        }
        let id = job.id;
        if self.hands_back && job.class == Class::Batch {
            effects.finished.push((job, Outcome::HandedBack));
            return Ok(());
        }
        let rank = Rank { class: job.class, priority: job.priority, id };
        let groups = groups && job.call.is_single();
        let held = Held { job, rank, since: now, whereabouts: Whereabouts::Queue, lost: 0, groups, told: false };
        if grouping {
            self.gathering.add(&held);
        }
        self.jobs.insert(id, held);
        if let Some(seat) = seat.filter(|_| !grouping) {
            self.hand_over(seat, id, now, effects);
            return Ok(());
        }
        self.queue.insert(rank);
        if grouping {
            self.fill(now, effects);
        }
        effects.nudge = !self.queue.is_empty() && self.idle.is_empty();
        Ok(())
    }

    /// Makes room for so many batch requests whose rows are about to be written, or says why there is none.
    pub(crate) fn reserve(&mut self, count: usize) -> Result<(), Refusal> {
        if let Some(reason) = &self.closed {
            return Err(Refusal::Closed(reason.clone()));
        }
        let LaneSettings { max_queue, max_batch, .. } = self.settings;
        let batch = self.waiting() - self.direct();
        let most = max_queue.min(max_batch);
        if count > most {
            return Err(Refusal::Never { size: most });
        }
        if batch + count > max_batch {
            return Err(Refusal::Full { size: max_batch });
        }
        if self.waiting() + count > max_queue {
            return Err(Refusal::Full { size: max_queue });
        }
        self.go_out(count);
        Ok(())
    }

    /// So many fewer batch requests wait outside: they came in, or are not to run.
    pub(crate) fn come_in(&mut self, count: usize) {
        self.changes += 1;
        self.outside -= i64::try_from(count).unwrap_or(i64::MAX);
    }

    /// So many batch requests that were here wait outside again.
    pub(crate) fn go_out(&mut self, count: usize) {
        self.changes += 1;
        self.outside += i64::try_from(count).unwrap_or(i64::MAX);
    }

    /// Whether batch requests wait outside, and fewer than `low` here.
    pub(crate) fn is_hungry(&self, low: usize) -> bool {
        self.outside > 0 && self.queue.len() - self.queue.direct() < low
    }

    /// A mark of the present count of those outside.
    pub(crate) fn outside_mark(&self) -> u64 {
        self.changes
    }

    /// How many batch requests wait outside, counted anew, if nothing changed since the mark.
    pub(crate) fn set_outside(&mut self, count: i64, mark: u64) {
        if self.changes == mark {
            self.outside = count;
        }
    }

    /// All that waits, here or outside, or has a place kept.
    fn waiting(&self) -> usize {
        self.queue.len() + self.reserved + usize::try_from(self.outside).unwrap_or(0)
    }

    /// Ends a job.
    fn finish(&mut self, id: RequestId, outcome: Outcome, effects: &mut Effects) {
        if let Some(held) = self.jobs.remove(&id) {
            effects.finished.push((held.job, outcome));
        }
    }

    /// Puts a job that was handed over and did not start back where it stood in the queue.
    fn put_back(&mut self, id: RequestId, effects: &mut Effects) {
        if let Some(reason) = self.closed.clone() {
            return self.finish(id, Outcome::Refused(reason), effects);
        }
        if let Some(held) = self.jobs.get(&id) {
            if self.hands_back && held.rank.class == Class::Batch {
                return self.finish(id, Outcome::HandedBack, effects);
            }
            self.enqueue(id);
        }
    }

    /// Has somebody told when the seat holds no call any more and takes none; a seat that is gone is drained.
    pub(crate) fn tell_when_drained(&mut self, seat: SeatId, done: oneshot::Sender<()>) {
        if let Some(place) = self.seats.get_mut(&seat) {
            place.drained.push(done);
        }
    }

    /// Since when the oldest job that waits has been here.
    fn oldest(&self) -> Option<Instant> {
        self.queue.heads().filter_map(|id| self.jobs.get(&id)).map(|held| held.since).min()
    }

    /// The lane at this moment.
    pub(crate) fn load(&self, now: Instant) -> LaneLoad {
        let live: Vec<usize> = self.seats.values().map(Place::live).collect();
        LaneLoad {
            waiting_direct: self.queue.direct(),
            waiting_batch: self.queue.len() - self.queue.direct(),
            waiting_urgent: self.queue.urgent(),
            outside: u64::try_from(self.outside).unwrap_or(0),
            is_quick: self.pace.is_quick(),
            waiting_calls: self.calls_waiting(),
            oldest_wait: self.oldest().map(|since| now.saturating_duration_since(since)),
            running: live.iter().filter(|calls| **calls > 0).count(),
            ahead: live.iter().map(|calls| calls.saturating_sub(1)).sum(),
            seats: self.seats.iter().map(|(id, place)| place.load(*id, now)).collect(),
        }
    }
}

impl Place {
    fn load(&self, id: SeatId, now: Instant) -> SeatLoad {
        let idle = self.frames.is_empty();
        SeatLoad {
            id,
            calls: self.live(),
            idle_for: idle.then(|| now.saturating_duration_since(self.since)),
            open: self.is_open(),
        }
    }
}
