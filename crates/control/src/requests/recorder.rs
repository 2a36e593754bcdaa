//! The recorder: writes requests down in groups, off their callers' path. It writes rows and nothing else: large data is
//! [stored](super::storing) before.
//!
//! It is bounded by the [permits](super::room) of the requests: a record holds that of its request until it is committed,
//! so when the database is slow new requests wait. Records are never dropped, but for one that the database refuses for
//! what is in it: it would hold up all others for ever.

mod group;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use modelyard_store::requests::{Ending, Release, Start};
use modelyard_store::{Request, RequestData, Store};
use modelyard_types::requests::RequestStatus;
use modelyard_types::{Error, ProjectId, RequestId, Result};
use tokio::sync::{Notify, watch};

use super::room::Permit;
use crate::loops::caught;

/// How long readers wait for what is on its way to the database.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many records one transaction takes.
const GROUP: usize = 1_000;
/// How long a record may wait for company.
const LINGER: Duration = Duration::from_millis(10);

/// Data, results and updates above this are objects, not rows.
pub(super) const MAX_INLINE: usize = 64 << 10;

pub(super) type Row = (Request, RequestData);

/// What becomes of the key of a request that leaves no trace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyEnd {
    pub(crate) project: ProjectId,
    pub(crate) key_hash: [u8; 32],
    /// Its end, the only trace of it; nothing when it did not begin: then the key goes too, and is free for a repeat.
    pub(crate) status: Option<RequestStatus>,
}

/// Something to write down.
pub(crate) enum Record {
    /// The direct request as it stands; replaces an earlier record of it.
    Put(Box<Row>, Permit),
    /// The request leaves no trace, though an earlier record of it was written.
    Forget(RequestId, Option<KeyEnd>, Permit),
    /// Work on a batch request has begun.
    Start(Start),
    /// A batch request was called off and has not ended: whatever happens to this server, it does not run again.
    CallOff(RequestId),
    /// A batch request ended.
    End(Box<Ending>, Permit),
    /// A batch request goes back to the queue.
    Release(Release, Permit),
}

impl Record {
    /// Its data, each with the key of the object that it becomes when it is large: that has to be done before the record is
    /// handed over.
    pub(super) fn data(&mut self) -> Vec<(&mut Option<Bytes>, &mut Option<String>)> {
        match self {
            Record::Put(row, _) => {
                let data = &mut row.1;
                vec![
                    (&mut data.request_data, &mut data.request_key),
                    (&mut data.result, &mut data.result_key),
                    (&mut data.updates, &mut data.updates_key),
                ]
            }
            Record::End(ending, _) => {
                vec![(&mut ending.result, &mut ending.result_key), (&mut ending.updates, &mut ending.updates_key)]
            }
            Record::Forget(..) | Record::Start(_) | Record::CallOff(_) | Record::Release(..) => Vec::new(),
        }
    }

    /// Whether some of its data has to become an object.
    pub(super) fn is_large(&self) -> bool {
        let data = match self {
            Record::Put(row, _) => [&row.1.request_data, &row.1.result, &row.1.updates],
            Record::End(ending, _) => [&None, &ending.result, &ending.updates],
            Record::Forget(..) | Record::Start(_) | Record::CallOff(_) | Record::Release(..) => return false,
        };
        data.into_iter().flatten().any(|data| data.len() > MAX_INLINE)
    }

    /// The permit, once the record is not needed.
    pub(super) fn into_permit(self) -> Permit {
        match self {
            Record::Put(_, permit)
            | Record::Forget(.., permit)
            | Record::End(_, permit)
            | Record::Release(_, permit) => permit,
            Record::Start(_) | Record::CallOff(_) => Permit::default(),
        }
    }
}

/// Takes records from anybody; one task writes them.
pub(crate) struct Recorder {
    waiting: Mutex<Vec<Record>>,
    nudge: Notify,
    hurry: Notify,
    taken: AtomicU64,
    written: watch::Sender<u64>,
}

impl Recorder {
    pub(crate) fn new() -> Self {
        Self {
            waiting: Mutex::default(),
            nudge: Notify::new(),
            hurry: Notify::new(),
            taken: AtomicU64::new(0),
            written: watch::Sender::new(0),
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

    /// Whether somebody waits for what is on its way.
    #[cfg(test)]
    pub(crate) fn is_awaited(&self) -> bool {
        self.written.receiver_count() > 0
    }

    /// Writes for ever; the one task that does. `tidy` is woken when objects are left to be removed.
    pub(crate) async fn run(&self, store: &Store, tidy: &Notify) {
        loop {
            let records = self.next_group();
            if records.is_empty() {
                self.nudge.notified().await;
                continue;
            }
            let count = records.len() as u64;
            let written = caught(async { Ok(group::write(store, records).await) });
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

#[cfg(test)]
mod tests;
