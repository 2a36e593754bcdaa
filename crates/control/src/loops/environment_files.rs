//! Lets go of files of environments past their time: all but the one in use and the last.

use std::sync::Arc;

use modelyard_store::environments::{revisions, tags};
use modelyard_store::leftovers::{self, Leftover};
use modelyard_types::{EnvironmentRevisionId, Result, Timestamp};

use crate::Inner;

/// Revisions a step takes at the most.
const STEP: i64 = 100;

pub(super) async fn step(control: Arc<Inner>) -> Result<()> {
    let before = Timestamp::now().minus(control.settings.environment_file_retention);
    loop {
        let found = revisions::expirable(&control.store, before, STEP).await?;
        let mut expired = 0;
        for id in found {
            expired += usize::from(expire(&control, id).await?);
        }
        if expired == 0 {
            return Ok(());
        }
        control.nudges.cleaning.notify_one();
    }
}

/// False when the revision is wanted after all.
async fn expire(control: &Inner, id: EnvironmentRevisionId) -> Result<bool> {
    let Some(seen) = revisions::get(&control.store, id).await? else { return Ok(false) };
    let mut tx = control.store.begin().await?;
    // Whoever puts a revision to use holds the tag.
    let Some(tag) = tags::lock(&mut tx, seen.tag_id).await? else { return Ok(false) };
    let Some(mut revision) = revisions::lock(&mut tx, id).await? else { return Ok(false) };
    if [tag.active_revision_id, tag.latest_revision_id].contains(&Some(id)) {
        return Ok(false);
    }
    let Some(key) = revision.package_key.take() else { return Ok(false) };
    revision.expired = true;
    revisions::update(&mut tx, &revision).await?;
    leftovers::note(&mut tx, Leftover::Object(key)).await?;
    tx.commit().await?;
    tracing::info!(revision = %id, "the file of an environment's revision is past its time");
    Ok(true)
}
