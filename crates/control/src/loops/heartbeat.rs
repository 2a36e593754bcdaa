//! Shows that this server lives, learns what others changed, and ends what dead servers left open.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use modelyard_store::leftovers::{self, Leftover};
use modelyard_store::requests::Reason;
use modelyard_store::{Life, Store, instances, requests, servers};
use modelyard_types::{Error, RequestId, Result, Timestamp};
use tokio::time::timeout;

use crate::Inner;
use crate::instances::Why;

/// How long a server may be silent before it counts as dead.
const DEAD_AFTER: Duration = Duration::from_secs(15);
/// How long one heartbeat may take: a database that hangs must not hang those after it.
const PATIENCE: Duration = Duration::from_secs(30);
/// Requests that are settled in one transaction.
const STEP: i64 = 1_000;
/// What callers read of requests whose server died.
const REASON: Reason<'_> = Reason {
    begun: "The server stopped while the request was running",
    waited: "The server stopped before the request had begun",
};

/// Looks for what others changed. Apart from the heartbeat: reading goes on when nothing can be written.
pub(super) async fn look_for_changes(control: Arc<Inner>) -> Result<()> {
    control.catalogue.refresh().await
}

/// What callers read in the events of instances whose server died.
const SERVER_GONE: &str = "Instance ended: its server stopped";

pub(super) async fn step(control: Arc<Inner>) -> Result<()> {
    let (store, life) = (&control.store, control.settings.life);
    match timeout(PATIENCE, beat(store, life)).await {
        Ok(beaten) => beaten?,
        Err(late) => return Err(Error::internal("telling the database that this server lives", late)),
    }
    let now = Timestamp::now();
    let before = Timestamp(control.beaten_at.load(Ordering::Relaxed));
    if before.0 > 0 && now.since(before) > DEAD_AFTER {
        return_from_silence(&control).await?;
    }
    control.beaten_at.store(now.0, Ordering::Relaxed);
    stop_as_asked(&control).await
}

/// Others took a server that was silent for long for dead: its instances are shown again, and it lets go of the requests
/// that are no longer its own.
pub(super) async fn return_from_silence(control: &Inner) -> Result<()> {
    control.fleet.all().iter().for_each(|instance| instance.history().repeat());
    let_go(control).await
}

/// Ends the batch requests here that are not this life's in their rows: others have them, or deleted them.
pub(super) async fn let_go(control: &Inner) -> Result<()> {
    // One that was deleted here has no row either, and is giving way.
    let here = control.live.filter(|request| request.is_batch() && !request.is_deleted());
    let own: HashSet<RequestId> =
        requests::claimed_by(&control.store, control.settings.life).await?.into_iter().collect();
    here.iter().filter(|request| !own.contains(&request.id)).for_each(|request| request.lose_claim());
    Ok(())
}

/// Stops the instances of this server that were asked to stop on another.
async fn stop_as_asked(control: &Arc<Inner>) -> Result<()> {
    for wanted in instances::stops_wanted(&control.store, control.settings.life).await? {
        let by = wanted.stop_wanted_by.unwrap_or_default();
        control.begin_to_stop(wanted.id, Why::Asked(by));
    }
    Ok(())
}

async fn beat(store: &Store, life: Life) -> Result<()> {
    let now = Timestamp::now();
    let mut tx = store.begin().await?;
    let lives = servers::beat(&mut tx, life, now).await?;
    tx.commit().await?;
    if !lives {
        tracing::error!("another process has started as this server: one of the two must be stopped");
        return Ok(());
    }
    take_over(store, life).await
}

/// What an earlier life of this server, or a server that fell silent, left open: requests and instances end, builds go back.
pub(crate) async fn take_over(store: &Store, life: Life) -> Result<()> {
    let now = Timestamp::now();
    let dead_since = now.minus(DEAD_AFTER);
    let ended = take_over_requests(store, life, dead_since, now).await?;
    let mut tx = store.begin().await?;
    let instances = instances::end_orphans(&mut tx, life, dead_since, now, SERVER_GONE).await?;
    let revisions = modelyard_store::revisions::requeue(&mut tx, life, dead_since).await?;
    let builds = modelyard_store::environments::builds::requeue(&mut tx, life, dead_since).await?;
    tx.commit().await?;
    if ended > 0 || instances + revisions + builds > 0 {
        tracing::info!(
            requests = ended,
            instances,
            revisions,
            builds,
            "took over what a server that is gone left open"
        );
    }
    Ok(())
}

/// Ends the open requests of lives that are over, or puts them back, in steps.
pub(super) async fn take_over_requests(
    store: &Store,
    life: Life,
    dead_since: Timestamp,
    now: Timestamp,
) -> Result<usize> {
    let mut settled = 0;
    loop {
        let mut tx = store.begin().await?;
        let (count, ended) = requests::end_orphans(&mut tx, life, dead_since, now, REASON, STEP).await?;
        for object in ended.objects {
            leftovers::note(&mut tx, Leftover::Object(object)).await?;
        }
        fail::fail_point!("orphans-before-commit");
        tx.commit().await?;
        fail::fail_point!("orphans-after-commit");
        settled += count;
        if (count as i64) < STEP {
            return Ok(settled);
        }
    }
}
