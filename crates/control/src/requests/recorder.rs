//! The recorder: writes requests down in groups, off their callers' path.
//!
//! It is bounded by permits: a request takes one before it starts and gives it back when its record is committed, so
//! there is always room for a record, and when the database is slow new requests wait. Records are never dropped, but
//! for one that the database refuses for what is in it: it would hold up all others for ever.

mod group;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use modelyard_objects::Objects;
use modelyard_store::requests::{Ending, Release, Start};
use modelyard_store::{Request, RequestData, Store};
use modelyard_types::requests::RequestStatus;
use modelyard_types::{Error, ProjectId, RequestId, Result};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};

pub(super) use group::{MAX_INLINE, spill};

use crate::loops::caught;

/// What all requests that run or wait to be written may weigh, in KiB: a request weighs its body and [`BASE_WEIGHT`].
const ROOM: u32 = 1 << 20;
/// What a request weighs beside its body, in KiB; it bounds their number.
const BASE_WEIGHT: u32 = 16;
/// How long readers wait for what is on its way to the database.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many records one transaction takes.
const GROUP: usize = 1_000;
/// How long a record may wait for company.
const LINGER: Duration = Duration::from_millis(10);

pub(super) type Row = (Request, RequestData);
/// Room for a request, given back when nothing of it is left to write.
pub(crate) type Permit = OwnedSemaphorePermit;

/// The only trace of a request that keeps nothing: its end stands with the key it was made with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyEnd {
    pub(crate) project: ProjectId,
    pub(crate) key_hash: [u8; 32],
    pub(crate) status: RequestStatus,
}

/// Something to write down.
pub(crate) enum Record {
    /// The direct request as it stands; replaces an earlier record of it.
    Put(Box<Row>, Option<Permit>),
    /// The request leaves no trace, though an earlier record of it was written.
    Forget(RequestId, Option<KeyEnd>, Option<Permit>),
    /// Work on a batch request has begun.
    Start(Start),
    /// A batch request ended.
    End(Box<Ending>, Option<Permit>),
    /// A batch request goes back to the queue.
    Release(Release, Option<Permit>),
}

/// Takes records from anybody; one task writes them.
pub(crate) struct Recorder {
    room: Arc<Semaphore>,
    waiting: Mutex<Vec<Record>>,
    nudge: Notify,
    hurry: Notify,
    taken: AtomicU64,
    written: watch::Sender<u64>,
}

impl Recorder {
    pub(crate) fn new() -> Self {
        Self {
            room: Arc::new(Semaphore::new(ROOM as usize)),
            waiting: Mutex::default(),
            nudge: Notify::new(),
            hurry: Notify::new(),
            taken: AtomicU64::new(0),
            written: watch::Sender::new(0),
        }
    }

    /// Room for a request with a body of that many bytes, and its record; waits as long as `patience` lasts.
    pub(crate) async fn permit(&self, body: usize, patience: Duration) -> Result<Permit> {
        let weight = weight(body);
        if let Ok(permit) = self.room.clone().try_acquire_many_owned(weight) {
            return Ok(permit);
        }
        let full = || Error::Unavailable("Too many requests are in work or wait to be written down".into());
        match tokio::time::timeout(patience, self.room.clone().acquire_many_owned(weight)).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(full()),
        }
    }

    /// Room for a batch request, if more than half of all is free: the rest is for callers who wait.
    pub(crate) fn spare_permit(&self, body: usize) -> Option<Permit> {
        if self.room.available_permits() <= (ROOM / 2) as usize {
            return None;
        }
        self.room.clone().try_acquire_many_owned(weight(body)).ok()
    }

    /// Room for so many KiB more, if there is any.
    pub(crate) fn more_room(&self, kib: u32) -> Option<Permit> {
        self.room.clone().try_acquire_many_owned(kib).ok()
    }

    /// A permit for what came out, too, when it is large. That is in memory already, so it takes what room there is; new
    /// requests wait for theirs until it is written.
    pub(crate) fn heavier(&self, permit: Option<Permit>, more: usize) -> Option<Permit> {
        if more <= MAX_INLINE {
            return permit;
        }
        let there = u32::try_from(self.room.available_permits()).unwrap_or(ROOM);
        match (permit, self.more_room(weight(more).min(there))) {
            (Some(mut permit), Some(more)) => {
                permit.merge(more);
                Some(permit)
            }
            (permit, more) => permit.or(more),
        }
    }

    /// Takes a record; it will be written, however often the database has to be asked.
    pub(crate) fn push(&self, record: Record) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push(record);
        self.taken.fetch_add(1, Ordering::Release);
        let count = waiting.len();
        drop(waiting);
        if count == 1 {
            self.nudge.notify_one();
        } else if count == GROUP {
            self.hurry.notify_one();
        }
    }

    /// Waits until everything taken so far is written, as long as `patience` lasts.
    pub(crate) async fn barrier(&self, patience: Duration) -> Result<()> {
        let target = self.taken.load(Ordering::Acquire);
        let mut written = self.written.subscribe();
        if *written.borrow() >= target {
            return Ok(());
        }
        self.hurry.notify_one();
        match tokio::time::timeout(patience, written.wait_for(|done| *done >= target)).await {
            Ok(_) => Ok(()),
            Err(_) => Err(Error::Unavailable("The database is slow; try again soon".into())),
        }
    }

    /// [`barrier`](Self::barrier) with the patience of somebody who reads.
    pub(crate) async fn catch_up(&self) -> Result<()> {
        self.barrier(PATIENCE).await
    }

    /// Writes for ever; the one task that does. `tidy` is woken when objects are left to be removed.
    pub(crate) async fn run(&self, store: &Store, objects: &Objects, tidy: &Notify) {
        loop {
            let records = self.next_group();
            if records.is_empty() {
                self.nudge.notified().await;
                continue;
            }
            let count = records.len() as u64;
            let written = caught(async { Ok(group::write(store, objects, records).await) });
            match written.await {
                Ok(true) => tidy.notify_one(),
                Ok(false) => {}
                Err(cause) => tracing::error!(%cause, count, "requests are not written down"),
            }
            // Also then, or all who wait for these would wait for ever.
            self.written.send_modify(|done| *done += count);
            if self.is_quiet() {
                // Company may come; whoever waits for the end of it says so.
                let _ = tokio::time::timeout(LINGER, self.hurry.notified()).await;
            }
        }
    }

    fn is_quiet(&self) -> bool {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).len() < GROUP
    }

    fn next_group(&self) -> Vec<Record> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() <= GROUP {
            return std::mem::take(&mut waiting);
        }
        let rest = waiting.split_off(GROUP);
        std::mem::replace(&mut waiting, rest)
    }
}

fn weight(body: usize) -> u32 {
    u32::try_from(body >> 10).unwrap_or(ROOM).saturating_add(BASE_WEIGHT).min(ROOM)
}

#[cfg(test)]
mod tests;
