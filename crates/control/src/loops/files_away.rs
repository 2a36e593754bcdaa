//! Removes from the installation's object store what nobody needs. A loop of its own: a store that does not answer holds nothing else up.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use modelyard_objects::AWAY;
use modelyard_store::leftovers::{self, Leftover};
use modelyard_types::{Result, Timestamp};

use super::files::remove_strays;
use crate::Inner;

/// How long those who read a file of the store may take: on a disk a file that is removed is there until it is closed.
const READING: Duration = Duration::from_secs(24 * 3600);
/// How old an object is before it is missed by a row. Stores may count from when it was begun, and a large one takes its time.
const STRAY_AGE: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long to rest between looks.
const PAUSE: Duration = Duration::from_secs(30);
/// Objects of a step.
const STEP: i64 = 500;
/// How many are removed at once.
const AT_ONCE: usize = 8;

/// Removes for ever. What fails is tried again in the next look.
pub(super) async fn run(control: Arc<Inner>) {
    if !control.objects.has_files_away() {
        return;
    }
    let mut shelf: u8 = rand::random();
    loop {
        if let Err(cause) = clear(&control, Timestamp::now().minus(READING)).await {
            tracing::warn!(%cause, "files that were deleted could not be removed from the object store; it is tried again");
        }
        if let Err(cause) = clear_strays(&control, shelf, STRAY_AGE).await {
            tracing::warn!(%cause, "the object store could not be searched for bytes without a file; it is tried again");
        }
        shelf = shelf.wrapping_add(1);
        tokio::time::sleep(PAUSE).await;
    }
}

/// Removes what was replaced or deleted before a time. What the store does not let go of keeps nothing else there.
pub(super) async fn clear(control: &Inner, before: Timestamp) -> Result<()> {
    loop {
        let keys = leftovers::next_away(&control.store, AWAY, before, STEP).await?;
        if keys.is_empty() {
            return Ok(());
        }
        let clearing = stream::iter(keys).map(|key| clear_one(control, key)).buffer_unordered(AT_ONCE);
        let done: Vec<Result<()>> = clearing.collect().await;
        done.into_iter().collect::<Result<()>>()?;
    }
}

async fn clear_one(control: &Inner, key: String) -> Result<()> {
    if !leftovers::is_object_used(&control.store, &key).await? {
        control.objects.delete(&key).await?;
    }
    let mut tx = control.store.begin().await?;
    leftovers::remove(&mut tx, &Leftover::Object(key)).await?;
    Ok(tx.commit().await?)
}

/// Removes what is on a shelf of the store and no row refers to.
pub(super) async fn clear_strays(control: &Inner, shelf: u8, age: Duration) -> Result<()> {
    remove_strays(control, control.objects.kept_away(shelf, age).await?).await
}
