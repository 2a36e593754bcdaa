//! Keeps the lanes fed with batch requests, and looks after those that this server has claimed.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use modelyard_store::requests::{self, Release};
use modelyard_types::{RequestId, Result, VersionId};

use crate::Inner;

/// How often to look without a nudge: others may have accepted requests.
const PAUSE: Duration = Duration::from_secs(1);
/// Nudges closer together than this share one look.
const BREATH: Duration = Duration::from_millis(2);
/// How often what waits is counted anew, at the most.
const RECOUNT: Duration = Duration::from_secs(1);
/// How often to look for claimed requests that nobody runs.
const LOST: Duration = Duration::from_secs(10);

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

/// Tells each lane how many batch requests wait outside.
pub(super) async fn count(control: &Inner) -> Result<()> {
    let lanes: Vec<_> = control.lanes.all().into_iter().map(|(id, lane)| (id, lane.outside_mark(), lane)).collect();
    let waiting: HashMap<VersionId, i64> = requests::waiting(&control.store).await?.into_iter().collect();
    for (version, mark, lane) in lanes {
        lane.set_outside(waiting.get(&version).copied().unwrap_or(0), mark);
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
            Some(live) => live.cancel(),
            None if control.arriving.holds(id) => {}
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

/// Puts back what this life has claimed and nobody here knows of. That should never be; yet no request waits for ever.
pub(super) async fn look_for_lost(control: Arc<Inner>) {
    let mut suspects = HashSet::new();
    loop {
        tokio::time::sleep(LOST).await;
        match lost(&control, &suspects).await {
            Ok(now) => suspects = now,
            Err(cause) => tracing::error!(%cause, "lost requests could not be looked for; it is tried again"),
        }
    }
}

/// Gives the claimed requests that are not here, once what had ended by now is written; puts back those that were
/// suspects before.
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
    let mut found: HashSet<RequestId> = before.intersection(&still).copied().collect();
    let sure: Vec<RequestId> = found.intersection(suspects).copied().collect();
    let mut releases = Vec::new();
    for (request, _) in requests::get_many(&control.store, &sure).await? {
        tracing::error!(request = %request.id, "a request was claimed and is not here; it is put back");
        let (id, epoch, retries) = (request.id, request.epoch, request.retries);
        releases.push(Release { id, life, epoch, retries });
        found.remove(&id);
    }
    if !releases.is_empty() {
        let mut tx = control.store.begin().await?;
        requests::release_many(&mut tx, &releases).await?;
        tx.commit().await?;
    }
    Ok(found)
}
