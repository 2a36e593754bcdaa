//! The recorder: writes requests down in groups, off their callers' path.
//!
//! It is bounded by permits: a request takes one before it starts and gives it back when its record is committed, so
//! there is always room for a record, and when the database is slow new requests wait. Records are never dropped, but
//! for one that the database refuses for what is in it: it would hold up all others for ever.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use modelyard_objects::Objects;
use modelyard_store::{Request, RequestData, Store, requests};
use modelyard_types::{Error, RequestId, Result};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};

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
/// Data and results above this are objects, not rows.
pub(super) const MAX_INLINE: usize = 64 << 10;

type Row = (Request, RequestData);

/// Something to write down.
pub(crate) enum Record {
    /// The request as it stands; replaces an earlier record of it.
    Put(Box<Row>, Option<OwnedSemaphorePermit>),
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
            room: Arc::new(Semaphore::new(ROOM as usize)),
            waiting: Mutex::default(),
            nudge: Notify::new(),
            hurry: Notify::new(),
            taken: AtomicU64::new(0),
            written: watch::Sender::new(0),
        }
    }

    /// Room for a request with a body of that many bytes, and its record; waits as long as `patience` lasts.
    pub(crate) async fn permit(&self, body: usize, patience: Duration) -> Result<OwnedSemaphorePermit> {
        let weight = u32::try_from(body >> 10).unwrap_or(ROOM).saturating_add(BASE_WEIGHT).min(ROOM);
        if let Ok(permit) = self.room.clone().try_acquire_many_owned(weight) {
            return Ok(permit);
        }
        let full = || Error::Unavailable("Too many requests are in work or wait to be written down".into());
        match tokio::time::timeout(patience, self.room.clone().acquire_many_owned(weight)).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(full()),
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

    /// Writes for ever; the one task that does.
    pub(crate) async fn run(&self, store: &Store, objects: &Objects) {
        loop {
            let group = self.next_group();
            if group.is_empty() {
                self.nudge.notified().await;
                continue;
            }
            let count = group.len() as u64;
            let written = caught(async {
                write_group(store, objects, group).await;
                Ok(())
            });
            if let Err(cause) = written.await {
                tracing::error!(%cause, count, "requests are not written down");
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
    write_rows(store, &rows, &forgotten).await;
    drop(permits);
}

/// Writes until it is written. When the database refuses the group for what is in it, each row goes by itself.
async fn write_rows(store: &Store, rows: &[Row], forgotten: &[RequestId]) {
    let mut pause = Duration::from_millis(50);
    // A panic counts as a failure: the group must not be lost, nor those who wait for it.
    while let Err(cause) = caught(commit(store, rows, forgotten)).await {
        if !matches!(cause, Error::Internal(_)) {
            tracing::error!(%cause, rows = rows.len(), "the database refuses some requests");
            if let [(request, _)] = rows {
                tracing::error!(request = %request.id, "this request is not written down");
                return Box::pin(write_rows(store, &[], forgotten)).await;
            }
            for row in rows {
                Box::pin(write_rows(store, std::slice::from_ref(row), &[])).await;
            }
            return Box::pin(write_rows(store, &[], forgotten)).await;
        }
        tracing::error!(%cause, rows = rows.len(), "requests could not be written; trying again");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(5));
    }
}

async fn commit(store: &Store, rows: &[Row], forgotten: &[RequestId]) -> Result<()> {
    if rows.is_empty() && forgotten.is_empty() {
        return Ok(());
    }
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

#[cfg(test)]
mod tests;
