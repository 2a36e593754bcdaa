//! The journal: writes instances and what happened to them down in groups, off everybody's path.
//!
//! Nobody who starts, runs or stops an instance waits for it. Rows are kept once for each instance, as it stands last; events
//! are bounded. A server that is killed may lose what its journal took in the last moment.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use modelyard_store::{Instance, InstanceEvent, Store, instances};
use modelyard_types::{Error, InstanceId, Result};
use tokio::sync::{Notify, watch};

use crate::loops::caught;

/// The most events that may wait.
const MAX_WAITING: usize = 50_000;
/// How long readers wait for what is on its way to the database.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long an event waits for company: a start has about ten within a moment.
const LINGER: Duration = Duration::from_millis(200);

#[derive(Default)]
struct Waiting {
    rows: HashMap<InstanceId, Instance>,
    events: Vec<InstanceEvent>,
    taken: u64,
    dropped: u64,
}

/// Takes what is to be written from anybody; one task writes it.
#[derive(Default)]
pub(crate) struct Journal {
    waiting: Mutex<Waiting>,
    nudge: Notify,
    hurry: Notify,
    written: watch::Sender<u64>,
}

impl Journal {
    /// Takes an instance as it stands now, and what happened to it. Never waits; events for which there is no room are
    /// counted and dropped.
    pub(crate) fn push(&self, row: Instance, event: Option<InstanceEvent>) {
        let mut waiting = self.lock();
        waiting.rows.insert(row.id, row);
        match event {
            Some(_) if waiting.events.len() >= MAX_WAITING => waiting.dropped += 1,
            event => waiting.events.extend(event),
        }
        waiting.taken += 1;
        drop(waiting);
        self.nudge.notify_one();
    }

    /// Waits until everything taken so far is written, for readers that want to see it.
    pub(crate) async fn catch_up(&self) -> Result<()> {
        let target = self.lock().taken;
        let mut written = self.written.subscribe();
        if *written.borrow() >= target {
            return Ok(());
        }
        self.hurry.notify_one();
        match tokio::time::timeout(PATIENCE, written.wait_for(|done| *done >= target)).await {
            Ok(_) => Ok(()),
            Err(_) => Err(Error::Unavailable("The database is slow; try again soon".into())),
        }
    }

    /// Writes for ever; the one task that does.
    pub(crate) async fn run(&self, store: &Store) {
        loop {
            let group = self.take();
            if !group.rows.is_empty() {
                write(store, &group).await;
            }
            self.written.send_replace(group.taken);
            self.nudge.notified().await;
            let _ = tokio::time::timeout(LINGER, self.hurry.notified()).await;
        }
    }

    /// What waits; the count of all that was taken stays.
    fn take(&self) -> Waiting {
        let mut waiting = self.lock();
        let taken = waiting.taken;
        std::mem::replace(&mut *waiting, Waiting { taken, ..Waiting::default() })
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes until it is written.
async fn write(store: &Store, group: &Waiting) {
    if group.dropped > 0 {
        tracing::warn!(dropped = group.dropped, "events of instances were dropped: the database is slow");
    }
    let rows: Vec<_> = group.rows.values().cloned().collect();
    let mut pause = Duration::from_millis(50);
    // A panic counts as a failure: those who wait for this group must not wait in vain.
    while let Err(cause) = caught(commit(store, &rows, &group.events)).await {
        if !matches!(cause, Error::Internal(_)) {
            tracing::error!(%cause, "the database refuses what happened to instances; it is not written down");
            return;
        }
        tracing::error!(%cause, "what happened to instances could not be written; trying again");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(5));
    }
}

async fn commit(store: &Store, rows: &[Instance], events: &[InstanceEvent]) -> Result<()> {
    let mut tx = store.begin().await?;
    instances::record(&mut tx, rows, events).await?;
    Ok(tx.commit().await?)
}
