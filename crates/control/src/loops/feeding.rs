//! Keeps the lanes fed with batch requests, and looks after those that this server has claimed.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use modelyard_store::leftovers::{self, Leftover};
use modelyard_store::{requests, versions};
use modelyard_types::{RequestId, Result, Timestamp, VersionId};

use super::heartbeat;
use crate::Inner;

/// How often to look without a nudge: others may have accepted requests.
const PAUSE: Duration = Duration::from_secs(1);
/// Nudges closer together than this share one look.
const BREATH: Duration = Duration::from_millis(2);
/// How often what waits is counted anew, at the most.
const RECOUNT: Duration = Duration::from_secs(1);
/// How often to look for claimed requests that nobody runs.
const LOST: Duration = Duration::from_secs(10);
/// What is told of one that cannot be run.
const LOST_REASON: &str = "The server lost track of the request";

/// Claims for every version whose lane has room, for ever.
pub(super) async fn run(control: Arc<Inner>) {
    let mut counted: Option<Instant> = None;
    let mut rest = RECOUNT;
    loop {
        if counted.is_none_or(|at| at.elapsed() >= rest) {
            let began = Instant::now();
            if let Err(cause) = count(&control).await {
                tracing::error!(%cause, "waiting requests could not be counted; it is tried again");
            }
            // A long queue takes long to count: that must not become all that the database does.
            rest = RECOUNT.max(began.elapsed() * 20);
            counted = Some(Instant::now());
        }
        match step(&control).await {
            Ok(true) => {}
            Ok(false) => drop(tokio::time::timeout(PAUSE, control.nudges.feeding.notified()).await),
            Err(cause) => {
                tracing::error!(%cause, "waiting requests could not be claimed; it is tried again");
                tokio::time::sleep(PAUSE).await;
            }
        }
        tokio::time::sleep(BREATH).await;
    }
}

/// Tells each lane how many batch requests wait outside, and has those cleared away whose version is gone.
pub(super) async fn count(control: &Inner) -> Result<()> {
    let lanes: Vec<_> = control.lanes.all().into_iter().map(|(id, lane)| (id, lane.outside_mark(), lane)).collect();
    let mut waiting = HashMap::new();
    for (version, count, urgent) in requests::waiting(&control.store).await? {
        waiting.insert(version, count);
        if urgent > 0 {
            control.urgent.add(version);
        }
    }
    for (version, mark, lane) in lanes {
        lane.set_outside(waiting.get(&version).copied().unwrap_or(0), mark);
    }
    let unknown = |version: &VersionId| control.catalogue.version(*version).is_none();
    clear_gone(control, &waiting.into_keys().filter(unknown).collect::<Vec<_>>()).await
}

/// Notes what waits for versions that are gone: rows may have been accepted on one server while the version was deleted on
/// another. The catalogue may not know the newest ones yet.
async fn clear_gone(control: &Inner, unknown: &[VersionId]) -> Result<()> {
    if unknown.is_empty() {
        return Ok(());
    }
    let mut tx = control.store.begin().await?;
    let there = versions::existing(&mut tx, unknown).await?;
    let gone: Vec<_> = unknown.iter().filter(|id| !there.contains(id)).collect();
    for version in &gone {
        leftovers::note(&mut tx, Leftover::Version(**version)).await?;
    }
    tx.commit().await?;
    if !gone.is_empty() {
        control.nudges.cleaning.notify_one();
    }
    Ok(())
}

/// Claims once for each version that has requests outside; says whether there was more than a lane had room for.
async fn step(control: &Arc<Inner>) -> Result<bool> {
    if control.is_draining() {
        return Ok(false);
    }
    let mut more = false;
    for (version, lane) in control.lanes.all() {
        if lane.load().outside == 0 {
            continue;
        }
        if let Some(place) = control.catalogue.version(version) {
            more |= control.feed(&place).await?;
        }
    }
    Ok(more)
}

/// Calls off what somebody cancelled through another server.
pub(super) async fn cancelled_elsewhere(control: Arc<Inner>) -> Result<()> {
    let mut unknown = Vec::new();
    for id in requests::to_cancel(&control.store, control.settings.life).await? {
        match control.live.get(id) {
            Some(live) => drop(live.cancel()),
            None if control.arriving.call_off(id) => {}
            None => unknown.push(id),
        }
    }
    if unknown.is_empty() {
        return Ok(());
    }
    // It was handed back when it had been called off, so its row could not go back to the queue; or its end is on its way.
    control.recorder.catch_up().await?;
    control.end_called_off(&unknown).await
}

/// Ends what is here and not in the rows of this life: it was deleted through another server. And settles what this life has
/// in its rows and nobody here knows of: that should never be; yet no request waits for ever.
pub(super) async fn look_for_lost(control: Arc<Inner>) {
    let mut suspects = HashSet::new();
    loop {
        tokio::time::sleep(LOST).await;
        if let Err(cause) = heartbeat::let_go(&control).await {
            tracing::error!(%cause, "requests that others deleted could not be looked for; it is tried again");
        }
        match lost(&control, &suspects).await {
            Ok(now) => suspects = now,
            Err(cause) => tracing::error!(%cause, "lost requests could not be looked for; it is tried again"),
        }
    }
}

/// Gives the requests of this life that are not here, once what had ended by now is written. Those that were suspects before
/// go back to the queue, or end, as if their server were gone.
pub(super) async fn lost(control: &Inner, suspects: &HashSet<RequestId>) -> Result<HashSet<RequestId>> {
    let unknown = |ids: Vec<RequestId>| {
        ids.into_iter().filter(|id| control.live.get(*id).is_none() && !control.arriving.holds(*id)).collect()
    };
    let life = control.settings.life;
    let before: HashSet<RequestId> = unknown(requests::claimed_by(&control.store, life).await?);
    if before.is_empty() {
        return Ok(before);
    }
    control.recorder.catch_up().await?;
    let still: HashSet<RequestId> = unknown(requests::claimed_by(&control.store, life).await?);
    let found = before.intersection(&still).copied();
    let (sure, found): (HashSet<_>, HashSet<_>) = found.partition(|id| suspects.contains(id));
    if !sure.is_empty() {
        tracing::error!(requests = ?sure, "these requests are this server's and are not here; they are settled");
        let mut tx = control.store.begin().await?;
        let ended = requests::end_lost(&mut tx, life, sure, Timestamp::now(), LOST_REASON).await?;
        for object in ended.objects {
            leftovers::note(&mut tx, Leftover::Object(object)).await?;
        }
        tx.commit().await?;
        control.nudges.feeding.notify_one();
    }
    Ok(found)
}
