//! Walks through the files of buckets at providers: deletes those past their time, and counts the bytes of the others.
//!
//! A step takes a few pages of a bucket; the next goes on where it ended. What a walk knows is lost with the server, and the next one
//! begins anew. Two servers that walk at once do the same twice.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use modelyard_objects::remote::{Entry, Remote, RemoteError};
use modelyard_store::{Bucket, buckets};
use modelyard_types::{BucketId, Error, Result, Timestamp};

use super::caught;
use super::files::all_buckets;
use crate::Inner;
use crate::catalogue::BucketSnapshot;

/// How often a step is taken.
const PAUSE: Duration = Duration::from_secs(60);
/// How often a bucket is walked through whose files expire.
const OFTEN: Duration = Duration::from_secs(3600);
/// How often another one is.
const SELDOM: Duration = Duration::from_secs(24 * 3600);
/// Pages of a bucket that a step takes at the most.
const PAGES: usize = 20;
/// Files of a page.
const PAGE: usize = 1000;
/// Pages of a walk: with more the bucket is not measured.
const MOST: usize = 10_000;
/// How many files are deleted at once.
const AT_ONCE: usize = 8;

/// The walks of this server, by their buckets.
#[derive(Default)]
pub(super) struct Walks(HashMap<BucketId, Walk>);

/// A walk through a bucket, under way or ended.
struct Walk {
    /// When the bucket was as it is to the walk.
    bucket: Timestamp,
    /// Where it goes on; nowhere when it is to begin.
    after: Option<String>,
    pages: usize,
    size: u64,
    /// When the next one begins.
    due: Timestamp,
    /// Whether it was told that the provider fails.
    told: bool,
}

/// Takes steps for ever.
pub(super) async fn run(control: Arc<Inner>) {
    let mut walks = Walks::default();
    loop {
        if let Err(cause) = caught(step(&control, &mut walks, Timestamp::now())).await {
            tracing::error!(%cause, "files at providers: a step failed; it is tried again");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Takes a step in all buckets at providers, as if it were that time.
pub(super) async fn step(control: &Inner, walks: &mut Walks, now: Timestamp) -> Result<()> {
    let mut all = all_buckets(control).await?;
    all.retain(|bucket| bucket.provider.is_external());
    walks.0.retain(|id, _| all.iter().any(|bucket| bucket.id == *id));
    for bucket in all {
        let walk = walks.0.entry(bucket.id).or_insert_with(|| Walk::of(&bucket));
        if walk.bucket != bucket.updated_at {
            *walk = Walk::of(&bucket);
        }
        if walk.due > now {
            continue;
        }
        match go_on(control, &bucket, walk, now).await {
            Ok(()) => walk.told = false,
            Err(cause) => {
                if !std::mem::replace(&mut walk.told, true) {
                    let (bucket, project) = (&bucket.name, bucket.project_id);
                    tracing::warn!(%bucket, %project, %cause, "the files of a bucket cannot be looked through; it is tried every hour");
                }
                walk.begin_at(now.plus(OFTEN));
            }
        }
    }
    Ok(())
}

impl Walk {
    fn of(bucket: &Bucket) -> Self {
        let due = bucket.measured_at.map_or(Timestamp(0), |at| at.plus(pause(bucket)));
        Self { bucket: bucket.updated_at, after: None, pages: 0, size: 0, due, told: false }
    }

    fn begin_at(&mut self, due: Timestamp) {
        (self.after, self.pages, self.size, self.due) = (None, 0, 0, due);
    }
}

/// How long after a walk the next one begins.
fn pause(bucket: &Bucket) -> Duration {
    if bucket.ttl.is_some() { OFTEN } else { SELDOM }
}

/// Takes some pages of a bucket.
async fn go_on(control: &Inner, bucket: &Bucket, walk: &mut Walk, now: Timestamp) -> Result<()> {
    let seen = BucketSnapshot { id: bucket.id, provider: bucket.provider, updated_at: bucket.updated_at };
    let remote = control.provided(seen).await?.remote().clone();
    let oldest = bucket.ttl.map(|ttl| now.minus(Duration::from_secs(ttl.unsigned_abs())));
    for _ in 0..PAGES {
        let page = remote.list("", None, PAGE, walk.after.as_deref()).await.map_err(failed)?;
        let is_over = |entry: &Entry| oldest.is_some_and(|oldest| entry.created < oldest.0);
        let (over, kept): (Vec<_>, Vec<_>) = page.entries.into_iter().partition(is_over);
        delete(&remote, over, oldest).await.map_err(failed)?;
        walk.size += kept.iter().map(|entry| entry.size).sum::<u64>();
        walk.pages += 1;
        walk.after = page.next;
        if walk.after.is_none() || walk.pages >= MOST {
            if walk.after.is_none() {
                measured(control, bucket, walk.size, now).await?;
            }
            walk.begin_at(now.plus(pause(bucket)));
            return Ok(());
        }
    }
    Ok(())
}

/// Deletes files that are still as old as they were listed.
async fn delete(remote: &Remote, over: Vec<Entry>, oldest: Option<Timestamp>) -> Result<(), RemoteError> {
    let deleting = over.into_iter().map(|entry| async move {
        let now = remote.get(&entry.name).await?;
        if now.zip(oldest).is_some_and(|(now, oldest)| now.created < oldest.0) {
            remote.delete(&entry.name).await?;
        }
        Ok::<_, RemoteError>(())
    });
    stream::iter(deleting).buffer_unordered(AT_ONCE).try_collect().await
}

async fn measured(control: &Inner, bucket: &Bucket, size: u64, now: Timestamp) -> Result<()> {
    let mut tx = control.store.begin().await?;
    buckets::measured(&mut tx, bucket.id, i64::try_from(size).unwrap_or(i64::MAX), now).await?;
    tx.commit().await?;
    Ok(())
}

fn failed(cause: RemoteError) -> Error {
    Error::Unavailable(cause.to_string())
}
