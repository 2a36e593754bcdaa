//! Clears away what deleted objects left behind and what is past its time, in small steps.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use modelyard_objects::AWAY;
use modelyard_store::files::expiry;
use modelyard_store::leftovers::{self, Leftover};
use modelyard_store::{Tx, idempotency, instances, outbox, requests};
use modelyard_types::{RequestId, Result, Timestamp};

use super::files;
use crate::Inner;
use crate::running::folder_of_package;

/// How often to look without a nudge.
const PAUSE: Duration = Duration::from_secs(30);
/// How long keys and messages are kept.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Rows a step takes at the most.
const STEP: i64 = 1_000;
/// Instances a step takes at the most: each has up to a few hundred events.
const STEP_OF_INSTANCES: i64 = 50;
/// How old an object is before it is missed by a row: rows follow their objects within seconds.
const STRAY_AGE: Duration = Duration::from_secs(3600);
/// How long instances that ended are kept, for their events.
const HISTORY: Duration = Duration::from_secs(7 * 24 * 3600);

/// Clears away leftovers for ever.
pub(super) async fn run(control: Arc<Inner>) {
    // Somewhere, so that servers that are started often look everywhere in the end.
    let mut shelf: u8 = rand::random();
    let mut looked: Option<Instant> = None;
    loop {
        if let Err(cause) = clear(&control).await {
            tracing::error!(%cause, "leftovers could not be cleared away; it is tried again");
        }
        if looked.is_none_or(|at| at.elapsed() >= PAUSE) {
            if let Err(cause) = clear_strays(&control, shelf, STRAY_AGE).await {
                tracing::error!(%cause, "request data without a request could not be looked for; it is tried again");
            }
            if let Err(cause) = files::clear_strays(&control, shelf).await {
                tracing::error!(%cause, "bytes without a file could not be looked for; it is tried again");
            }
            (shelf, looked) = (shelf.wrapping_add(1), Some(Instant::now()));
        }
        // Woken or not, the step is the same.
        let _ = tokio::time::timeout(PAUSE, control.nudges.cleaning.notified()).await;
    }
}

/// Removes the data of requests that have no row: large data is stored first, and a server may die before the row is
/// written. One shelf of 256 at a time, so that a look is cheap however much is stored.
pub(super) async fn clear_strays(control: &Inner, shelf: u8, age: Duration) -> Result<()> {
    let mut owned = control.objects.owned(shelf, age).await?;
    if owned.is_empty() {
        return Ok(());
    }
    // Some may still have data to store: their rows come after.
    owned.retain(|it| control.live.get(RequestId(it.owner)).is_none());
    // The database may have been away for long: what waits for it to be written comes first.
    control.recorder.catch_up().await?;
    let owners: HashSet<RequestId> = owned.iter().map(|it| RequestId(it.owner)).collect();
    let existing = requests::existing(&control.store, &owners.into_iter().collect::<Vec<_>>()).await?;
    for stray in owned.iter().filter(|it| !existing.contains(&RequestId(it.owner))) {
        tracing::info!(request = %stray.owner, "removed the data of a request that never came to be");
        control.objects.remove(stray).await?;
    }
    Ok(())
}

async fn clear(control: &Inner) -> Result<()> {
    loop {
        let found = leftovers::next(&control.store, AWAY, 100).await?;
        if found.is_empty() {
            return clear_packages(control).await;
        }
        let mut stuck = false;
        for leftover in found {
            match clear_one(control, &leftover).await {
                Ok(done) => stuck |= !done,
                Err(cause) => {
                    tracing::error!(%cause, ?leftover, "a leftover could not be cleared away; it is tried again");
                    stuck = true;
                }
            }
        }
        if stuck {
            return clear_packages(control).await;
        }
    }
}

/// False when something is still in use: it is looked at again.
async fn clear_one(control: &Inner, leftover: &Leftover) -> Result<bool> {
    // What ended is deleted below; what lives is waited for.
    control.journal.catch_up().await?;
    if !leftovers::is_at_rest(&control.store, leftover).await? {
        return Ok(false);
    }
    loop {
        let done = match leftover {
            Leftover::Version(id) => {
                let mut tx = control.store.begin().await?;
                let instances = instances::delete_of_version(&mut tx, *id, STEP_OF_INSTANCES).await?;
                let deleted = requests::delete_of_version(&mut tx, *id, STEP).await?;
                finish(control, tx, deleted).await? && instances == 0
            }
            Leftover::Project(id) => {
                let mut tx = control.store.begin().await?;
                let audit = modelyard_store::audit::delete_of_project(&mut tx, *id, STEP).await?;
                let instances = instances::delete_of_project(&mut tx, *id, STEP_OF_INSTANCES).await?;
                let deleted = requests::delete_of_project(&mut tx, *id, STEP).await?;
                let done = finish(control, tx, deleted).await?;
                let mut tx = control.store.begin().await?;
                let keys = idempotency::delete_of_project(&mut tx, *id, STEP).await?;
                tx.commit().await?;
                done && audit == 0
                    && instances == 0
                    && keys == 0
                    && control.logs.delete_of_project(*id, STEP).await? == 0
            }
            Leftover::Container(id) => {
                let mut tx = control.store.begin().await?;
                let done = expiry::delete_container(&mut tx, *id, STEP).await?;
                tx.commit().await?;
                done
            }
            Leftover::Object(key) => {
                if !leftovers::is_object_used(&control.store, key).await? {
                    control.objects.delete(key).await?;
                }
                true
            }
        };
        if done {
            let mut tx = control.store.begin().await?;
            leftovers::remove(&mut tx, leftover).await?;
            tx.commit().await?;
            return Ok(true);
        }
    }
}

/// Commits a step that deleted requests, and removes their objects; says whether there was nothing left.
async fn finish(control: &Inner, mut tx: Tx, deleted: requests::Deleted) -> Result<bool> {
    for key in &deleted.objects {
        leftovers::note(&mut tx, Leftover::Object(key.clone())).await?;
    }
    tx.commit().await?;
    for key in deleted.objects {
        control.objects.delete(&key).await?;
        let mut tx = control.store.begin().await?;
        leftovers::remove(&mut tx, &Leftover::Object(key)).await?;
        tx.commit().await?;
    }
    Ok(deleted.count == 0)
}

/// Removes the unpacked code of revisions that no version serves any more and no instance runs.
async fn clear_packages(control: &Inner) -> Result<()> {
    let folder = control.settings.packages.clone();
    // Those in work are read before the catalogue is: what stops to be in work is in the catalogue by then.
    let in_work = modelyard_store::revisions::list_open(&control.store).await?;
    control.catalogue.refresh().await?;
    let projects = control.catalogue.projects();
    let mut wanted: HashSet<_> = projects
        .iter()
        .flat_map(|project| project.version_ids().filter_map(|id| project.version(id)?.1.active_revision))
        .map(|revision| folder_of_package(&folder, revision))
        .collect();
    wanted.extend(in_work.iter().map(|revision| folder_of_package(&folder, revision.id)));
    // Where `package::extract` has what it did not finish yet.
    wanted.extend(in_work.iter().map(|revision| folder_of_package(&folder, revision.id).with_extension("unpacking")));
    wanted.extend(control.fleet.look(|fleet| {
        let instances = fleet.values().flat_map(|of_version| &of_version.instances);
        instances.map(|instance| folder_of_package(&folder, instance.revision)).collect::<Vec<_>>()
    }));
    let cleared = tokio::task::spawn_blocking(move || -> std::io::Result<()> {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            // A folder that is gone was the draft of one that now has its name.
            let Ok(about) = path.metadata() else { continue };
            // A folder that came after `wanted` was read is young; it is looked at next time.
            let age = about.modified()?.elapsed().unwrap_or_default();
            if !wanted.contains(&path) && age > PAUSE {
                std::fs::remove_dir_all(&path)?;
            }
        }
        Ok(())
    });
    match cleared.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(cause)) => Err(modelyard_types::Error::internal("removing unpacked code", cause)),
        Err(cause) => Err(modelyard_types::Error::internal("removing unpacked code", cause)),
    }
}

/// Deletes requests, instances and log lines past their time.
pub(super) async fn expired(control: Arc<Inner>) -> Result<()> {
    loop {
        let mut tx = control.store.begin().await?;
        let deleted = requests::delete_expired(&mut tx, Timestamp::now(), STEP).await?;
        if finish(&control, tx, deleted).await? {
            break;
        }
    }
    forget_keys(&control).await?;
    loop {
        let mut tx = control.store.begin().await?;
        let before = Timestamp::now().minus(HISTORY);
        let deleted = instances::delete_ended(&mut tx, before, STEP_OF_INSTANCES).await?;
        tx.commit().await?;
        if deleted == 0 {
            break;
        }
    }
    let until = Timestamp::now().minus(control.settings.log_retention).0 * 1_000;
    while control.logs.delete_before(until, STEP).await? > 0 {}
    Ok(())
}

/// Deletes keys past their day, and messages that nobody fetched within one.
async fn forget_keys(control: &Inner) -> Result<()> {
    let until = Timestamp::now().minus(DAY);
    loop {
        let mut tx = control.store.begin().await?;
        let keys = idempotency::delete_before(&mut tx, until, STEP).await?;
        let messages = outbox::delete_before(&mut tx, until, STEP).await?;
        tx.commit().await?;
        if keys + messages == 0 {
            return Ok(());
        }
    }
}
