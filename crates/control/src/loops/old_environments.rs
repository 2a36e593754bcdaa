//! Removes built environments that nothing runs in any more, and caches of packages that have become too large.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use modelyard_runner::environments::Builder;
use modelyard_store::environments::builds;
use modelyard_types::{Error, Result};

use crate::Inner;

/// How often to look.
const PAUSE: Duration = Duration::from_secs(600);
/// For how long nothing must have referred to an environment, nor asked for it: instances of a version that was deleted are
/// gone by then, and a build that found it has said so.
const REST: Duration = Duration::from_secs(3600);

pub(super) async fn run(control: Arc<Inner>) {
    // Since when each has been without a reference, as far as this server has seen.
    let mut unused = HashMap::new();
    loop {
        tokio::time::sleep(PAUSE).await;
        if let Err(cause) = clear(&control, &mut unused).await {
            tracing::error!(%cause, "old environments could not be cleared away; it is tried again");
        }
    }
}

async fn trim_caches(builder: &Arc<Builder>) {
    let its = builder.clone();
    match tokio::task::spawn_blocking(move || its.trim_caches()).await.unwrap_or_else(|e| Err(e.into())) {
        Ok(0) => {}
        Ok(caches) => tracing::info!(caches, "emptied caches of packages, which were larger than build_cache_size"),
        Err(cause) => tracing::error!(%cause, "caches of packages could not be emptied; it is tried again"),
    }
}

async fn clear(control: &Inner, unused: &mut HashMap<String, Instant>) -> Result<()> {
    // Without its tools this server has built nothing.
    let Some(Ok(builder)) = control.settings.builder.borrow().clone() else { return Ok(()) };
    trim_caches(&builder).await;
    let used: HashSet<_> = builds::keys_in_use(&control.store).await?.into_iter().collect();
    let known = builder.usage().map_err(|cause| Error::internal("looking at built environments", cause))?;
    let is_old = |last_used: std::time::SystemTime| last_used.elapsed().is_ok_and(|age| age > REST);
    let now = Instant::now();
    let known = known.into_iter().filter(|it| !used.contains(&it.key) && is_old(it.last_used));
    let old: HashSet<String> = known.map(|it| it.key).collect();
    unused.retain(|key, _| old.contains(key));
    let its = builder.clone();
    let removed = tokio::task::spawn_blocking(move || its.remove_unused_systems()).await;
    let removed = removed.map_err(|cause| Error::internal("removing old system packages", cause))?;
    removed.map_err(|cause| Error::internal("removing old system packages", cause))?;
    for key in old {
        let since = *unused.entry(key.clone()).or_insert(now);
        if now.duration_since(since) < REST {
            continue;
        }
        let (its, name) = (builder.clone(), key.clone());
        let removed = tokio::task::spawn_blocking(move || its.remove(&name)).await;
        let failed =
            |cause: &dyn std::fmt::Display| tracing::error!(%cause, key, "an environment could not be removed");
        match removed {
            Ok(Ok(_)) => tracing::info!(key, "removed an environment that nothing uses"),
            Ok(Err(cause)) => failed(&cause),
            Err(cause) => failed(&cause),
        }
    }
    Ok(())
}
