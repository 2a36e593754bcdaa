//! Lets go of files past their time, of uploads that nobody completes, and of bytes that no row refers to; counts what there is.

use std::sync::Arc;
use std::time::Duration;

use modelyard_store::files::{self, expiry, uploads};
use modelyard_store::{Bucket, buckets};
use modelyard_types::{BucketId, Result, Timestamp};

use crate::Inner;

/// Rows a step takes at the most.
const STEP: i64 = 500;
/// How long an upload in parts may take.
pub(crate) const UPLOAD_TIME: Duration = Duration::from_secs(7 * 24 * 3600);
/// How old bytes are before they are missed by a row: rows follow within seconds.
const STRAY_AGE: Duration = Duration::from_secs(3600);

/// Lets go of what is past its time.
pub(super) async fn step(control: Arc<Inner>) -> Result<()> {
    expire(&control, Timestamp::now()).await
}

/// Lets go of what is past its time at `now`.
pub(super) async fn expire(control: &Inner, now: Timestamp) -> Result<()> {
    let store = &control.store;
    for bucket in all_buckets(control).await? {
        let (Some(ttl), Some(container)) = (bucket.ttl, bucket.container()) else { continue };
        let than = now.minus(Duration::from_secs(ttl.unsigned_abs()));
        let mut gone = 1;
        while gone > 0 {
            let mut tx = store.begin().await?;
            gone = expiry::delete_older(&mut tx, container, than, STEP).await?;
            tx.commit().await?;
        }
    }
    let mut gone = 1;
    while gone > 0 {
        let mut tx = store.begin().await?;
        gone = expiry::delete_over(&mut tx, now, STEP).await?;
        tx.commit().await?;
    }
    let mut gone = 1;
    while gone > 0 {
        let mut tx = store.begin().await?;
        gone = expiry::forget_tickets(&mut tx, now, STEP).await?;
        tx.commit().await?;
    }
    give_up_uploads(control, now.minus(UPLOAD_TIME)).await?;
    control.nudges.cleaning.notify_one();
    Ok(())
}

/// Gives up uploads that were begun before a time.
async fn give_up_uploads(control: &Inner, before: Timestamp) -> Result<()> {
    loop {
        let old = uploads::begun_before(&control.store, before, STEP).await?;
        if old.is_empty() {
            return Ok(());
        }
        for upload in old {
            let mut tx = control.store.begin().await?;
            uploads::abandon(&mut tx, upload.id).await?;
            tx.commit().await?;
            tracing::info!(upload = %upload.id, "gave up an upload that nobody completed");
        }
    }
}

/// Counts the bytes of all buckets.
pub(super) async fn measure(control: Arc<Inner>) -> Result<()> {
    for bucket in all_buckets(&control).await? {
        let Some(container) = bucket.container() else { continue };
        let size = expiry::size(&control.store, container).await?;
        let mut tx = control.store.begin().await?;
        buckets::measured(&mut tx, bucket.id, size, Timestamp::now()).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// The buckets of all projects.
pub(super) async fn all_buckets(control: &Inner) -> Result<Vec<Bucket>> {
    let mut all: Vec<Bucket> = Vec::new();
    loop {
        let after = all.last().map_or(BucketId(uuid::Uuid::nil()), |last| last.id);
        let more = buckets::all_after(&control.store, after, STEP).await?;
        if more.is_empty() {
            return Ok(all);
        }
        all.extend(more);
    }
}

/// Removes the bytes on a shelf that no row refers to: bytes come first, and a server may die before the row is written.
pub(super) async fn clear_strays(control: &Inner, shelf: u8) -> Result<()> {
    clear_older_strays(control, shelf, STRAY_AGE).await
}

/// As [`clear_strays`], of some age.
pub(super) async fn clear_older_strays(control: &Inner, shelf: u8, age: Duration) -> Result<()> {
    remove_strays(control, control.objects.kept(shelf, age).await?).await
}

/// Removes those bytes that no row refers to.
pub(super) async fn remove_strays(control: &Inner, keys: Vec<String>) -> Result<()> {
    for key in keys {
        if !files::is_kept(&control.store, &key).await? {
            tracing::info!(object = key, "removed the bytes of a file that never came to be");
            control.objects.delete(&key).await?;
        }
    }
    Ok(())
}
