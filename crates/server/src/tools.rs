//! Gets the tools that environments are built with, behind the back of a start that should be quick.

use std::sync::Arc;
use std::time::Duration;

use modelyard_runner::environments::{self, BuildUser, Builder, Limits, SystemPackages};
use modelyard_runner::interpreters::Interpreter;
use modelyard_runner::local::LocalRunner;
use modelyard_runner::uv::{self, Host, Index, IndexSettings};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::data_folder::DataFolder;
use crate::settings::Settings;

/// Who builds environments, or why nobody can; nothing while that is being found out.
pub(crate) type Found = watch::Receiver<Option<Result<Arc<Builder>, String>>>;

/// The next try to get uv follows a failed one after this time.
const AGAIN: Duration = Duration::from_secs(60);

/// Begins to look for uv, and fetches it when there is none. A failure is tried again and again.
pub(crate) fn prepare(
    settings: &Settings,
    folder: &DataFolder,
    interpreters: &[Interpreter],
    runner: &LocalRunner,
    behind: &mut JoinSet<()>,
) -> Found {
    let (tell, found) = watch::channel(None);
    let tools = folder.tools();
    let index = index(settings, interpreters);
    let pythons: Vec<_> = interpreters.iter().map(|python| python.path.clone()).collect();
    let root = folder.environments();
    let r_repository = settings.r_repository.clone().unwrap_or_default();
    let time_limit = settings.build_time_limit.0;
    let (size, memory) = (settings.build_size_limit.0, settings.build_memory.0);
    let limits = Limits { size, memory, cgroups: runner.cgroups().clone() };
    let cache_size = settings.build_cache_size.0;
    let system = SystemPackages {
        enabled: settings.build_apt,
        missing: runner.walls().missing_for_system_packages(),
        launcher: runner.launcher().to_path_buf(),
    };
    if let Some(missing) = system.missing.as_ref().filter(|_| system.enabled) {
        tracing::warn!("system packages cannot be installed, as build_apt asks for: {missing}");
    }
    behind.spawn(async move {
        loop {
            let builder = match uv::locate_or_fetch(&tools, &index, &pythons).await {
                Ok(uv) => {
                    let (root, index, r_repository) = (root.clone(), index.clone(), r_repository.clone());
                    let (user, limits, system) = (BuildUser::default(), limits.clone(), system.clone());
                    let settings = environments::Settings {
                        root,
                        uv,
                        index,
                        r_repository,
                        user,
                        time_limit,
                        limits,
                        cache_size,
                        system,
                    };
                    open(settings).await
                }
                Err(e) => Err(e.to_string()),
            };
            let done = builder.is_ok();
            if let Err(reason) = &builder {
                tracing::warn!("environments cannot be built for now: {reason}");
            }
            tell.send_replace(Some(builder));
            if done {
                // Whoever waits for the builder may come later than this.
                return tell.closed().await;
            }
            tokio::select! {
                () = tell.closed() => return,
                () = tokio::time::sleep(AGAIN) => {}
            }
        }
    });
    found
}

async fn open(settings: environments::Settings) -> Result<Arc<Builder>, String> {
    let opened = tokio::task::spawn_blocking(|| Builder::open(settings)).await;
    let opened = opened.map_err(std::io::Error::other).and_then(|opened| opened);
    opened.map(Arc::new).map_err(|e| format!("the folder of environments cannot be opened: {e}"))
}

fn index(settings: &Settings, interpreters: &[Interpreter]) -> Index {
    let own = IndexSettings {
        index_url: settings.index_url.clone(),
        extra_index_urls: settings.extra_index_urls.clone(),
        find_links: settings.find_links.clone(),
        no_index: settings.no_index,
        allowed: settings.allowed_indexes.clone(),
    };
    let prefixes = interpreters.iter().map(|python| python.base_prefix.clone()).collect();
    Index::resolve(&own, &Host::current(prefixes))
}
