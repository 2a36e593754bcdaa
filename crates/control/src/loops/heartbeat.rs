//! Shows that this server lives, learns what others changed, and ends what dead servers left open.

use std::sync::Arc;
use std::time::Duration;

use modelyard_store::{Life, Store, requests, servers};
use modelyard_types::{Result, Timestamp};

use crate::Inner;

/// How long a server may be silent before it counts as dead.
const DEAD_AFTER: Duration = Duration::from_secs(15);
/// What callers read of requests whose server died.
const REASON: &str = "The server stopped while the request was running";

pub(super) async fn step(control: Arc<Inner>) -> Result<()> {
    control.catalogue.refresh().await?;
    let now = Timestamp::now();
    let mut tx = control.store.begin().await?;
    servers::beat(&mut tx, control.settings.life, now).await?;
    requests::end_orphans(&mut tx, control.settings.life, now.minus(DEAD_AFTER), now, REASON).await?;
    Ok(tx.commit().await?)
}

/// At the start: what an earlier life of this server left open ends now.
pub(crate) async fn take_over(store: &Store, life: Life) -> Result<()> {
    let now = Timestamp::now();
    let dead_since = now.minus(DEAD_AFTER);
    let mut tx = store.begin().await?;
    let ended = requests::end_orphans(&mut tx, life, dead_since, now, REASON).await?;
    let revisions = modelyard_store::revisions::requeue(&mut tx, life, dead_since).await?;
    let builds = modelyard_store::environments::builds::requeue(&mut tx, life, dead_since).await?;
    tx.commit().await?;
    if ended + revisions + builds > 0 {
        tracing::info!(requests = ended, revisions, builds, "took over what an earlier life of this server left open");
    }
    Ok(())
}
