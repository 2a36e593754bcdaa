//! A running server: all parts put together, and taken apart again in the right order.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use modelyard_control::Control;
use modelyard_control::secrets::Keyring;
use modelyard_objects::Objects;
use modelyard_objects::remote::{self, Remote};
use modelyard_runner::interpreters::r::Choice;
use modelyard_runner::interpreters::{self, Interpreter};
use modelyard_runner::local::{Guest, LocalRunner, LocalSettings};
use modelyard_runner::package;
use modelyard_runner::walls::{Reach, Walls};
use modelyard_store::{Life, LogStore, Store, servers};
use modelyard_types::walls::{WallDetail, WallsDetail};
use modelyard_types::{ServerId, Timestamp};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use crate::data_folder::DataFolder;
use crate::first_start::Installed;
use crate::http::{self, Front};
use crate::settings::{RequestMemory, Settings, Size};
use crate::{Result, StartError, files_store, first_start, host, metrics, tools, worker_files};

/// How many connections from instances may wait to be taken.
const GUESTS: usize = 16;

/// After the last request was ended, clients have this long to take their answers.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A running server. It has to be stopped: dropping it leaves instances behind until the process ends.
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// Whether this start made the installation.
    pub first_start: bool,
    front: Front,
    control: Control,
    runner: LocalRunner,
    store: Store,
    /// What the start left to be done behind its back.
    behind: JoinSet<()>,
    folder: DataFolder,
    grace: Duration,
}

/// Starts a server: when this returns, requests are answered.
pub async fn start(settings: Settings) -> Result<Running> {
    host::raise_open_files();
    metrics::start();
    let folder = DataFolder::open(&settings.data)?;
    let place = match &settings.database_url {
        Some(url) => url.0.clone(),
        None => {
            folder.require_local()?;
            folder.database().display().to_string()
        }
    };
    // An address that is taken is told before anything is made.
    let listener = http::bind(&settings.listen.0).await?;
    let server = folder.server_id()?;
    let (guests, from_instances) = mpsc::channel(GUESTS);
    let worker = worker_files::lay_out(&folder.worker())
        .map_err(|e| StartError(format!("The worker package cannot be laid out: {e}.")))?;
    let (files, store, runner, mut interpreters, r) = tokio::join!(
        files_store::open(&settings),
        open_store(&place),
        open_runner(&settings, &folder, &worker, server, &listener, guests),
        look(&folder),
        look_for_r(&settings, &folder)
    );
    let (files, store, runner) = (files?, store?, runner?);
    let mut behind = JoinSet::new();
    worker_files::compile_behind(&worker, &interpreters, &mut behind);
    let builder = tools::prepare(&settings, &folder, &interpreters, &runner, &mut behind);
    let without_r = r.map(|r| interpreters.push(r)).err();
    let Installed { first: first_start, keys } = match install(&folder, &store, files.as_ref()).await {
        Ok(installed) => installed,
        Err(refused) => {
            runner.shut_down().await;
            return Err(refused);
        }
    };
    let told = modelyard_control::Settings {
        keys: Keyring::new(keys.iter()),
        api_url: api_url(&listener)?,
        life: begin_life(&store, server).await?,
        walls: shown(&runner, &settings),
        reach: runner.reach().clone(),
        runner: Arc::new(runner.clone()),
        builder,
        worker,
        interpreters,
        without_r,
        package_limits: package_limits(&settings),
        packages: folder.packages(),
        environments: folder.environments(),
        memory_mb: instance_memory(&settings) >> 20,
        hard_cpu_limit: settings.hard_cpu_limit,
        request_memory: request_memory(&settings),
        builds_at_once: settings.builds_at_once as usize,
        init_limit: settings.init_time_limit.0,
        begin_limit: settings.begin_time_limit.0,
        drain_limit: settings.shutdown_grace.0,
        stop_grace: settings.stop_grace.0,
        environment_file_retention: settings.environment_file_retention.0,
        file_size_limit: settings.file_size_limit.0,
        bucket_reach: remote::Reach::allowing(settings.bucket_networks.0.clone()),
        google_storage_url: settings.google_storage_url.clone().map(|url| url.0),
        file_cache: folder.file_cache(),
        file_cache_size: settings.file_cache_size.0,
        log_retention: settings.log_retention.0,
    };
    let control = take_up_work(told, &settings, &folder, &store, files).await?;
    first_start::note_key(&store, &keys).await?;
    let router = modelyard_api::router(modelyard_api::App::new(control.clone(), api_settings(&settings)));
    let front = Front::open(listener, from_instances, router, limits(&settings))?;
    let (address, grace) = (front.address, settings.shutdown_grace.0);
    behind.spawn(host::give_back_memory());
    Ok(Running { address, first_start, front, control, runner, store, behind, folder, grace })
}

impl Running {
    /// The data folder, as an absolute path.
    pub fn data(&self) -> &Path {
        self.folder.path()
    }

    /// The file that the first start wrote the administrator's token to.
    pub fn admin_token(&self) -> PathBuf {
        self.folder.admin_token()
    }

    /// The walls around user code.
    pub fn walls(&self) -> &Walls {
        self.runner.walls()
    }

    /// How far user code reaches into the network.
    pub fn reach(&self) -> &Reach {
        self.runner.reach()
    }

    /// The rules, for those who look behind the scenes.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// Stops: refuses what is asked from now on, lets running requests finish within the grace time, ends all instances, and
    /// writes down what is known.
    pub async fn stop(mut self) {
        let until = Instant::now() + self.grace;
        self.control.begin_to_stop();
        self.front.wind_down();
        let _ = timeout_at(until, self.front.quiet()).await;
        tracing::debug!("connections have ended, or their time has");
        self.control.shut_down(until.saturating_duration_since(Instant::now())).await;
        tracing::debug!("what is known is written down");
        let _ = timeout(LAST_WORDS, self.front.quiet()).await;
        self.runner.shut_down().await;
        self.behind.shutdown().await;
        tracing::debug!("instances have ended");
        self.front.close().await;
        self.control.logs().close().await;
        self.store.close().await;
    }
}

/// Makes sure that the installation is there, and that its store of files is its own.
async fn install(folder: &DataFolder, store: &Store, files: Option<&Remote>) -> Result<Installed> {
    let installed = first_start::ensure(folder, store).await?;
    if let Some(files) = files {
        files_store::claim(files, store).await?;
    }
    Ok(installed)
}

/// The address of the API for those who run on this host: one that takes all addresses takes the host's own.
fn api_url(listener: &TcpListener) -> Result<String> {
    let mut address = listener.local_addr().map_err(|e| StartError(format!("The listener has no address: {e}.")))?;
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
    }
    Ok(format!("http://{address}/v2.1"))
}

async fn open_store(place: &str) -> Result<Store> {
    Store::open(place).await.map_err(|e| StartError(format!("The database cannot be opened: {e}.")))
}

async fn open_runner(
    settings: &Settings,
    folder: &DataFolder,
    worker: &Path,
    server: ServerId,
    listener: &TcpListener,
    guests: mpsc::Sender<Guest>,
) -> Result<LocalRunner> {
    let failed = |e: std::io::Error| StartError(format!("Instances cannot be run: {e}."));
    let mut local = LocalSettings::new(folder.instances(), worker.to_owned(), server.to_string());
    local.required_level = settings.walls_level.0;
    local.unsafe_run = settings.unsafe_run;
    local.egress = settings.instance_egress.map(|egress| egress.0);
    local.network = settings.instance_network.map(|block| block.0);
    local.platform = Some(from_inside(listener.local_addr().map_err(failed)?));
    local.guests = Some(guests);
    let opened = tokio::task::spawn_blocking(|| LocalRunner::open(local)).await;
    opened.map_err(std::io::Error::other).and_then(|opened| opened).map_err(failed)
}

/// The walls, as the API tells of them.
fn shown(runner: &LocalRunner, settings: &Settings) -> WallsDetail {
    let walls = runner.walls();
    let enough = walls.level > 0 && (walls.level >= settings.walls_level.0 || settings.unsafe_run);
    let required_level = settings.walls_level.0;
    let detail = |wall: &modelyard_runner::walls::Wall| WallDetail {
        name: wall.name.to_owned(),
        offered: wall.offered,
        used: wall.used,
        detail: wall.detail.clone(),
    };
    WallsDetail {
        level: walls.level,
        required_level,
        runs_user_code: enough && runner.reach().of(None).is_ok(),
        walls: walls.list.iter().map(detail).collect(),
    }
}

/// Where instances find the server: where it listens, or by its loopback address when that is everywhere.
fn from_inside(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
    }
    address
}

/// The Pythons of this host, the best of each minor version.
async fn look(folder: &DataFolder) -> Vec<Interpreter> {
    // Without the folder the answers are not kept, and the next start asks again.
    let _ = std::fs::create_dir_all(folder.tools());
    let mut found = interpreters::find_cached(&folder.tools().join("interpreters.json")).await;
    let mut seen = std::collections::HashSet::new();
    found.retain(|python| seen.insert(python.minor.clone()));
    found
}

/// The R of this host.
async fn look_for_r(settings: &Settings, folder: &DataFolder) -> interpreters::r::Found {
    let _ = std::fs::create_dir_all(folder.tools());
    let choice = match &settings.rscript {
        None => Choice::OnPath,
        Some(path) if path.as_os_str() == "none" => Choice::None,
        Some(path) => Choice::At(path.clone()),
    };
    let found = interpreters::r::find(&choice, &folder.tools().join("r.json")).await;
    match &found {
        Ok(r) => tracing::info!(version = r.version, path = %r.path.display(), "R code can be run"),
        Err(reason) if settings.rscript.is_some() => tracing::warn!("R code cannot be run: {reason}"),
        Err(reason) => tracing::debug!("R code cannot be run: {reason}"),
    }
    found
}

async fn begin_life(store: &Store, server: ServerId) -> Result<Life> {
    let failed = |e| StartError(format!("The start cannot be noted in the database: {e}."));
    let mut tx = store.begin().await.map_err(failed)?;
    let life = servers::start(&mut tx, server, Timestamp::now()).await.map_err(failed)?;
    tx.commit().await.map_err(failed)?;
    Ok(life)
}

async fn take_up_work(
    told: modelyard_control::Settings,
    settings: &Settings,
    folder: &DataFolder,
    store: &Store,
    files: Option<Remote>,
) -> Result<Control> {
    let failed = |e: &dyn std::fmt::Display| StartError(format!("The server cannot take up its work: {e}."));
    let logs = match &settings.database_url {
        Some(url) => LogStore::open(&url.0).await,
        None => LogStore::open(&folder.logs().display().to_string()).await,
    };
    let logs = logs.map_err(|e| failed(&e))?;
    let mut objects = Objects::local(&folder.objects()).map_err(|e| failed(&e))?;
    if let Some(files) = files {
        objects = objects.with_files_in(files);
    }
    Control::start(told, store.clone(), logs, objects).await.map_err(|e| failed(&e))
}

fn package_limits(settings: &Settings) -> package::Limits {
    package::Limits {
        zip_bytes: settings.package_size_limit.0,
        unpacked_bytes: settings.package_unpacked_limit.0,
        ..package::Limits::default()
    }
}

fn instance_memory(settings: &Settings) -> u64 {
    settings.instance_memory.map_or_else(|| host::memory() / 5 * 4, |Size(bytes)| bytes)
}

/// A tenth of what there is, unless the operator says otherwise.
fn request_memory(settings: &Settings) -> u64 {
    let usual = || (host::memory() / 10).clamp(RequestMemory::LEAST, 1 << 30);
    settings.request_memory.map_or_else(usual, |RequestMemory(bytes)| bytes)
}

fn api_settings(settings: &Settings) -> modelyard_api::Settings {
    modelyard_api::Settings {
        max_package: settings.package_size_limit.0,
        public_url: settings.public_url.clone().map(|url| url.0),
        render_metrics: Box::new(metrics::render),
    }
}

fn limits(settings: &Settings) -> http::Limits {
    http::Limits {
        connections: settings.connection_limit as usize,
        header_read: settings.header_read_timeout.0,
        body_read: settings.body_read_timeout.0,
    }
}
