//! The recorder: writes requests down in groups, off their callers' path.
//!
//! It is bounded by permits: a request takes one before it starts and gives it back when its record is committed, so
//! there is always room for a record, and when the database is slow new requests wait. Records are never dropped.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use modelyard_objects::Objects;
use modelyard_store::{Request, RequestData, Store, requests};
use modelyard_types::{RequestId, Result};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};

/// How many requests may run or wait to be written.
const ROOM: usize = 65_536;
/// How many records one transaction takes.
const GROUP: usize = 1_000;
/// How long a record may wait for company.
const LINGER: Duration = Duration::from_millis(10);
/// Data and results above this are objects, not rows.
const MAX_INLINE: usize = 64 << 10;

/// Something to write down.
pub(crate) enum Record {
    /// The request as it stands; replaces an earlier record of it.
    Put(Box<(Request, RequestData)>, Option<OwnedSemaphorePermit>),
    /// The request leaves no trace: its retention is none, but an earlier record of it was written.
    Forget(RequestId, Option<OwnedSemaphorePermit>),
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
            room: Arc::new(Semaphore::new(ROOM)),
            waiting: Mutex::default(),
            nudge: Notify::new(),
            hurry: Notify::new(),
            taken: AtomicU64::new(0),
            written: watch::Sender::new(0),
        }
    }

    /// Room for one record; waits when there is none.
    pub(crate) async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        match self.room.clone().try_acquire_owned() {
            Ok(permit) => Some(permit),
            // The semaphore is never closed.
            Err(_) => self.room.clone().acquire_owned().await.ok(),
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

    /// Waits until everything taken so far is written.
    pub(crate) async fn barrier(&self) {
        let target = self.taken.load(Ordering::Acquire);
        let mut written = self.written.subscribe();
        if *written.borrow() >= target {
            return;
        }
        self.hurry.notify_one();
        // The sender lives as long as the recorder.
        let _ = written.wait_for(|done| *done >= target).await;
    }

    /// Writes for ever; the one task that does.
    pub(crate) async fn run(&self, store: &Store, objects: &Objects) {
        loop {
            self.nudge.notified().await;
            loop {
                let group = self.next_group();
                if group.is_empty() {
                    break;
                }
                let count = group.len() as u64;
                write_group(store, objects, group).await;
                self.written.send_modify(|done| *done += count);
                if self.is_quiet() {
                    // Company may come; whoever waits for the end of it says so.
                    let _ = tokio::time::timeout(LINGER, self.hurry.notified()).await;
                }
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

async fn write_group(store: &Store, objects: &Objects, group: Vec<Record>) {
    let mut rows = Vec::with_capacity(group.len());
    let mut forgotten = Vec::new();
    let mut permits = Vec::with_capacity(group.len());
    for record in group {
        match record {
            Record::Put(row, permit) => {
                let (request, mut data) = *row;
                spill(objects, &mut data.request_data, &mut data.request_key).await;
                spill(objects, &mut data.result, &mut data.result_key).await;
                rows.push((request, data));
                permits.extend(permit);
            }
            Record::Forget(id, permit) => {
                forgotten.push(id);
                permits.extend(permit);
            }
        }
    }
    let mut pause = Duration::from_millis(50);
    while let Err(cause) = commit(store, &rows, &forgotten).await {
        tracing::error!(%cause, rows = rows.len(), "requests could not be written; trying again");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(5));
    }
    drop(permits);
}

async fn commit(store: &Store, rows: &[(Request, RequestData)], forgotten: &[RequestId]) -> Result<()> {
    let mut tx = store.begin().await?;
    requests::record_many(&mut tx, rows).await?;
    for id in forgotten {
        requests::delete(&mut tx, *id).await?;
    }
    Ok(tx.commit().await?)
}

/// Moves large data from the row to an object.
async fn spill(objects: &Objects, data: &mut Option<Bytes>, key: &mut Option<String>) {
    let Some(bytes) = data.take_if(|bytes| bytes.len() > MAX_INLINE) else {
        return;
    };
    let mut pause = Duration::from_millis(50);
    loop {
        match objects.put(bytes.clone()).await {
            Ok(stored) => {
                *key = Some(stored);
                return;
            }
            Err(cause) => tracing::error!(%cause, "request data could not be stored; trying again"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(5));
    }
}
