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

async fn clear(control: &Inner, unused: &mut HashMap<String, Instant>) -> Result<()> {
    // Without its tools this server has built nothing.
    let Some(Ok(builder)) = control.settings.builder.borrow().clone() else { return Ok(()) };
    let used: HashSet<_> = builds::keys_in_use(&control.store).await?.into_iter().collect();
    clear_away(&builder, &used, unused, REST).await
}

/// Empties caches that have become too large, and removes what nothing has used for this `rest`.
async fn clear_away(
    builder: &Arc<Builder>,
    used: &HashSet<String>,
    unused: &mut HashMap<String, Instant>,
    rest: Duration,
) -> Result<()> {
    trim_caches(builder).await;
    let known = builder.usage().map_err(|cause| Error::internal("looking at built environments", cause))?;
    let is_old = |last_used: std::time::SystemTime| last_used.elapsed().is_ok_and(|age| age > rest);
    let now = Instant::now();
    let known = known.into_iter().filter(|it| !used.contains(&it.key) && is_old(it.last_used));
    let old: HashSet<String> = known.map(|it| it.key).collect();
    unused.retain(|key, _| old.contains(key));
    for key in old {
        let since = *unused.entry(key.clone()).or_insert(now);
        if now.duration_since(since) < rest {
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

async fn trim_caches(builder: &Arc<Builder>) {
    let its = builder.clone();
    match tokio::task::spawn_blocking(move || its.trim_caches()).await.unwrap_or_else(|e| Err(e.into())) {
        Ok(0) => {}
        Ok(caches) => tracing::info!(caches, "emptied caches of packages, which were larger than build_cache_size"),
        Err(cause) => tracing::error!(%cause, "caches of packages could not be emptied; it is tried again"),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::path::Path;

    use modelyard_runner::cgroup::Cgroups;
    use modelyard_runner::environments::{BuildUser, Limits, Settings, SystemPackages};
    use modelyard_runner::uv::{Host, Index, IndexSettings, Uv};

    use super::*;

    fn builder(root: &Path) -> Arc<Builder> {
        let builder = Builder::open(Settings {
            root: root.to_path_buf(),
            uv: Uv { path: "/nowhere/uv".into(), version: "1".into() },
            index: Index::resolve(&IndexSettings::default(), &Host::default()),
            r_repository: String::new(),
            user: BuildUser::default(),
            time_limit: REST,
            limits: Limits { size: 0, memory: 0, cgroups: Cgroups::default() },
            cache_size: 10,
            system: SystemPackages { enabled: false, missing: None, launcher: "/nowhere".into() },
        });
        Arc::new(builder.unwrap())
    }

    #[tokio::test]
    async fn what_is_unused_goes_after_its_rest_and_large_caches_at_once() {
        let root = tempfile::tempdir().unwrap();
        let builder = builder(root.path());
        let environments = root.path().join("shared/environments");
        let keys = ["a", "b"].map(|letter| letter.repeat(64));
        for key in &keys {
            std::fs::create_dir(environments.join(key)).unwrap();
            let record = r#"{"python":"3.11.7","base_prefix":"/usr","size":1}"#;
            std::fs::write(environments.join(format!("{key}.json")), record).unwrap();
        }
        let wheel = root.path().join("shared/cache/wheel");
        std::fs::write(&wheel, [0; 11]).unwrap();
        let (used, mut unused) = (HashSet::from([keys[0].clone()]), HashMap::new());

        clear_away(&builder, &used, &mut unused, REST).await.unwrap();
        assert!(environments.join(&keys[1]).exists(), "it was used a moment ago");
        assert!(!wheel.exists());

        clear_away(&builder, &used, &mut unused, Duration::ZERO).await.unwrap();
        assert!(environments.join(&keys[0]).exists() && !environments.join(&keys[1]).exists());
        assert!(!environments.join(format!("{}.json", keys[1])).exists());
    }
}
