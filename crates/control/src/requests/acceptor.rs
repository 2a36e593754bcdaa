//! The acceptor: writes new rows of requests, those of many callers in one commit, before their callers are answered.
//!
//! What it has taken goes on when its caller goes away: the rows are written, and run.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use modelyard_dispatch::{Class, Lane};
use modelyard_store::{Request, idempotency, requests, versions};
use modelyard_types::{Error, Kind, RequestId, Result, Timestamp, VersionId};
use tokio::sync::{Notify, oneshot};

use super::feeding::{HUNGRY, LiveParts};
use super::recorder::Row;
use super::request::LiveRequest;
use super::room::Permit;
use crate::Inner;
use crate::loops::caught;

/// Rows of one commit at the most.
const GROUP: usize = 5_000;
/// Rows that may wait for their commit: one more call is refused.
const MOST_WAITING: usize = 100_000;
/// How long a key finds the requests it made.
pub(super) const KEY_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// Room in a version's queue, given back unless the rows come to be.
pub(crate) struct Reserved {
    lane: Arc<Lane>,
    class: Class,
    count: usize,
}

impl Reserved {
    /// Room for batch requests.
    pub(super) fn new(lane: &Arc<Lane>, count: usize) -> Result<Self> {
        lane.reserve(count).map_err(super::refused)?;
        Ok(Self { lane: lane.clone(), class: Class::Batch, count })
    }

    /// A place for a direct request.
    pub(super) fn direct(lane: &Arc<Lane>) -> Result<Self> {
        lane.reserve_direct().map_err(super::refused)?;
        Ok(Self { lane: lane.clone(), class: Class::Direct, count: 1 })
    }

    /// The rows are there, and wait.
    pub(super) fn keep(mut self) {
        self.count = 0;
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        match self.class {
            _ if self.count == 0 => {}
            Class::Batch => self.lane.come_in(self.count),
            Class::Direct => self.lane.release_direct(),
        }
    }
}

/// Rows to write, all or none.
pub(super) struct Wish {
    pub(super) rows: Vec<Row>,
    /// What runs the rows.
    pub(super) run: Run,
    pub(super) reserved: Reserved,
    pub(super) key: Option<idempotency::Key>,
    /// Held until the rows are written, also when the caller has left.
    pub(super) permit: Permit,
}

impl Wish {
    /// The version of its rows, which is the same for all.
    fn version(&self) -> Option<VersionId> {
        self.rows.first().map(|(request, _)| request.version_id)
    }
}

/// How rows run once they are there, whether or not somebody still waits for it.
pub(super) enum Run {
    /// Batch requests wait in the queue of their version.
    Queued(LiveParts),
    /// A direct request goes to its lane.
    Direct(Arc<LiveRequest>),
}

/// What a transaction did for a wish.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Done {
    Written,
    /// Nothing: its key is taken.
    KeyTaken,
    /// Nothing: its version was deleted meanwhile.
    VersionGone,
}

impl Run {
    /// What runs rows that wait in a queue.
    fn queued(&self) -> Option<&LiveParts> {
        match self {
            Run::Queued(parts) => Some(parts),
            Run::Direct(_) => None,
        }
    }
}

/// What became of it.
pub(super) enum Accepted {
    /// The rows are written.
    New(Vec<Request>),
    /// The key is taken; nothing was written.
    KeyTaken,
}

struct Waiting {
    wish: Wish,
    done: oneshot::Sender<Result<Accepted>>,
}

/// Takes wishes from anybody; one task writes them.
#[derive(Default)]
pub(crate) struct Acceptor {
    waiting: Mutex<Vec<Waiting>>,
    nudge: Notify,
}

impl Acceptor {
    /// Writes rows; durable when this returns.
    pub(super) async fn accept(&self, wish: Wish) -> Result<Accepted> {
        let (done, accepted) = oneshot::channel();
        {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let rows: usize = waiting.iter().map(|one| one.wish.rows.len()).sum();
            if rows > MOST_WAITING {
                let message = "Too many requests wait to be written down".to_owned();
                return Err(Error::Busy { message, retry_after: 1 });
            }
            waiting.push(Waiting { wish, done });
        }
        self.nudge.notify_one();
        accepted.await.map_err(|_| Error::Unavailable("The server is stopping".into()))?
    }

    /// How many wishes wait.
    #[cfg(test)]
    pub(super) fn waits(&self) -> usize {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Writes for ever; the one task that does.
    pub(crate) async fn run(&self, control: &Arc<Inner>) {
        loop {
            let group = self.next_group();
            if group.is_empty() {
                self.nudge.notified().await;
                continue;
            }
            write(control, group).await;
        }
    }

    fn next_group(&self) -> Vec<Waiting> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut rows = 0;
        let fits = |one: &&Waiting| {
            rows += one.wish.rows.len();
            rows <= GROUP
        };
        let count = waiting.iter().take_while(fits).count();
        let count = count.max(1).min(waiting.len());
        waiting.drain(..count).collect()
    }
}

/// Writes a group; when the database refuses it for what is in it, each wish goes by itself.
async fn write(control: &Arc<Inner>, group: Vec<Waiting>) {
    let (mut wishes, dones): (Vec<Wish>, Vec<_>) = group.into_iter().map(|one| (one.wish, one.done)).unzip();
    let claimed = claim_at_once(control, &mut wishes);
    control.arriving.add(claimed.iter().copied());
    let written = caught(commit(control, &wishes)).await;
    let refusal = match written {
        Ok(done) => {
            after(control, wishes, dones, &done);
            return claimed.into_iter().for_each(|id| control.arriving.remove(id));
        }
        Err(refusal) => refusal,
    };
    claimed.into_iter().for_each(|id| control.arriving.remove(id));
    if matches!(refusal, Error::Internal(_)) || wishes.len() == 1 {
        tracing::error!(cause = %refusal, wishes = wishes.len(), "new requests could not be written");
        for done in dones {
            let _ = done.send(Err(Error::Internal(format!("new requests could not be written: {refusal}"))));
        }
        return;
    }
    for (wish, done) in wishes.into_iter().zip(dones) {
        Box::pin(write(control, vec![Waiting { wish, done }])).await;
    }
}

/// Marks rows as claimed by this server where its lane has room, so that they need not be claimed later: of versions
/// that have nothing else waiting outside, and rows that hold all their data. Gives those.
fn claim_at_once(control: &Inner, wishes: &mut [Wish]) -> Vec<RequestId> {
    let mut claimed = Vec::new();
    let mut coming: HashMap<VersionId, usize> = HashMap::new();
    for wish in wishes.iter() {
        if let Some(parts) = wish.run.queued() {
            *coming.entry(parts.version.id).or_default() += wish.rows.len();
        }
    }
    for wish in wishes {
        let Some(parts) = wish.run.queued() else { continue };
        let load = parts.version.lane.load();
        let coming = coming.get(&parts.version.id).copied().unwrap_or(0);
        let alone = load.outside <= coming as u64 && coming + load.waiting_batch <= HUNGRY;
        let whole = wish.rows.iter().all(|(_, data)| data.request_key.is_none());
        if !alone || !whole || control.is_draining() {
            continue;
        }
        let life = control.settings.life;
        for (request, _) in &mut wish.rows {
            (request.server_id, request.life, request.epoch) = (life.server, life.number, 1);
            claimed.push(request.id);
        }
    }
    claimed
}

/// Writes all wishes in one transaction; says what became of each.
async fn commit(control: &Inner, wishes: &[Wish]) -> Result<Vec<Done>> {
    let mut tx = control.store.begin().await?;
    let mut done = Vec::with_capacity(wishes.len());
    let valid_since = Timestamp::now().minus(KEY_LIFE);
    // Rows of a version that was deleted since they were checked would be nobody's.
    let asked: HashSet<VersionId> = wishes.iter().filter_map(Wish::version).collect();
    let there = versions::existing(&mut tx, &asked.into_iter().collect::<Vec<_>>()).await?;
    for wish in wishes {
        done.push(match &wish.key {
            _ if wish.version().is_some_and(|version| !there.contains(&version)) => Done::VersionGone,
            Some(key) if !idempotency::insert(&mut tx, key, valid_since).await? => Done::KeyTaken,
            _ => Done::Written,
        });
    }
    let written = wishes.iter().zip(&done).filter(|(_, done)| **done == Done::Written);
    let rows: Vec<&Row> = written.flat_map(|(wish, _)| &wish.rows).collect();
    requests::insert_many(&mut tx, &rows).await?;
    fail::fail_point!("acceptor-before-commit");
    tx.commit().await?;
    fail::fail_point!("acceptor-after-commit");
    Ok(done)
}

/// Answers the callers, and runs what was claimed at once.
fn after(control: &Arc<Inner>, wishes: Vec<Wish>, dones: Vec<oneshot::Sender<Result<Accepted>>>, came: &[Done]) {
    for ((wish, done), came) in wishes.into_iter().zip(dones).zip(came) {
        let refused = match came {
            Done::Written => None,
            Done::KeyTaken => Some(Ok(Accepted::KeyTaken)),
            Done::VersionGone => Some(Err(Error::NotFound(Kind::DeploymentVersion))),
        };
        if let Some(refused) = refused {
            let _ = done.send(refused);
            continue;
        }
        let made = wish.rows.iter().map(|(request, _)| request.clone()).collect();
        // What runs at once takes room of its own.
        drop(wish.permit);
        match wish.run {
            Run::Queued(parts) => {
                wish.reserved.keep();
                run(control, &parts, wish.rows);
            }
            Run::Direct(live) => control.run_written(&live, wish.reserved),
        }
        let _ = done.send(Ok(Accepted::New(made)));
    }
}

/// Brings rows that were claimed at once into their lane; the others wait for the feeder.
fn run(control: &Arc<Inner>, parts: &LiveParts, rows: Vec<Row>) {
    let Some((first, _)) = rows.first() else { return };
    if first.life == 0 {
        if first.priority == 0 {
            control.urgent.add(parts.version.id);
        }
        return control.nudges.feeding.notify_one();
    }
    for row in rows {
        control.bring_in(parts, row);
    }
}
