//! The rules of the platform, and the loops that bring about what is wanted. No HTTP, no SQL of its own.
//!
//! A [`Control`] is a server's share of the platform: its catalogue, the lanes and processes it runs, and the loops. What
//! counts is in the store; nothing here but caches, connections and work under way would be missed after a crash.

pub mod access;
mod audit;
mod blobs;
mod buckets;
pub mod catalogue;
mod deployments;
mod environments;
pub mod files;
mod instance_type_groups;
mod instances;
mod lanes;
pub mod log_sink;
pub mod logs_query;
mod loops;
mod network;
mod organizations;
mod projects;
mod requests;
mod revisions;
mod running;
pub mod secrets;
pub mod settings;
#[cfg(test)]
mod testing;
mod variables;
mod versions;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use modelyard_objects::{Cache, Objects};
use modelyard_store::{LogStore, Store, Tx};
use modelyard_types::{Error, OrganizationId, ProjectId, Result};
use tokio::sync::Notify;

pub use blobs::NewBlob;
use buckets::Providers;
pub use buckets::{Entry, Listed, Storage};
use catalogue::Catalogue;
pub use environments::{Usage, expired};
use files::Files;
pub use instances::{InstanceScope, InstanceView};
use instances::{Journal, Why};
use lanes::Lanes;
use log_sink::LogSink;
use requests::feeding::Urgent;
use requests::{Acceptor, Arriving, Live, Recorder, Room, Storing};
pub use requests::{
    Among, Answer, BatchAnswer, BatchRequest, Data, DirectRequest, Ended, Permit, RequestFilter, RequestView, Streamed,
    Updating,
};
use running::Fleet;
pub use settings::Settings;
pub use variables::{Level, VariableScope};

/// How long a server that stops waits for its last writes.
const LAST_WRITES: Duration = Duration::from_secs(30);

/// How long a write tries to see its own change in the catalogue.
const SHOWN_WITHIN: Duration = Duration::from_secs(10);

/// A server's share of the platform. Cheap to clone.
#[derive(Clone)]
pub struct Control(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) settings: Settings,
    pub(crate) store: Store,
    pub(crate) logs: LogStore,
    pub(crate) objects: Objects,
    pub(crate) files: Files,
    pub(crate) providers: Providers,
    pub(crate) catalogue: Catalogue,
    pub(crate) lanes: Arc<Lanes>,
    pub(crate) live: Live,
    pub(crate) arriving: Arriving,
    pub(crate) recorder: Recorder,
    pub(crate) room: Room,
    pub(crate) urgent: Urgent,
    pub(crate) storing: Storing,
    /// Whose turn it is with a list of a large offset.
    pub(crate) deep_lists: tokio::sync::Mutex<()>,
    pub(crate) acceptor: Acceptor,
    draining: AtomicBool,
    pub(crate) log_sink: LogSink,
    pub(crate) journal: Arc<Journal>,
    pub(crate) fleet: Fleet,
    pub(crate) nudges: Nudges,
    /// When the last heartbeat was written, in microseconds since 1970; 0 before the first.
    pub(crate) beaten_at: AtomicI64,
    loops: loops::Running,
    /// The recorder, the journal and the writer of log lines: they end last.
    writers: loops::Running,
}

/// Wakes loops before their time.
#[derive(Default)]
pub(crate) struct Nudges {
    pub(crate) scaling: Arc<Notify>,
    pub(crate) feeding: Notify,
    pub(crate) giving_up: Notify,
    pub(crate) builds: Notify,
    pub(crate) environment_builds: Notify,
    pub(crate) environment_changes: Notify,
    /// Wakes those that wait for a build: it may have been called off.
    pub(crate) called_off: Notify,
    pub(crate) cleaning: Arc<Notify>,
}

impl Inner {
    /// Whether this server stops: it claims nothing any more.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Waits until all requests are written down, once all have ended.
    async fn record_all(&self) {
        while !self.live.is_empty() || self.recorder.barrier(LAST_WRITES).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Control {
    /// Takes up the work of a server: ends what an earlier life left open, reads the catalogue, starts the loops.
    pub async fn start(settings: Settings, store: Store, logs: LogStore, objects: Objects) -> Result<Self> {
        let control = Self::prepare(settings, store, logs, objects).await?;
        loops::start(&control);
        Ok(control)
    }

    /// Everything but the loops.
    async fn prepare(settings: Settings, store: Store, logs: LogStore, objects: Objects) -> Result<Self> {
        std::fs::create_dir_all(&settings.packages)
            .map_err(|cause| Error::internal("making the folder of packages", cause))?;
        variables::take_up_keys(&store, &settings.keys).await?;
        buckets::take_up_keys(&store, &settings.keys).await?;
        buckets::ensure_defaults(&store).await?;
        environments::reconcile_base(&store, &settings.interpreters).await?;
        loops::take_over(&store, settings.life).await?;
        let nudges = Nudges::default();
        let lanes = Arc::new(Lanes::new(nudges.scaling.clone(), settings.begin_limit));
        let catalogue = Catalogue::open(store.clone(), lanes.clone()).await?;
        let room = Room::new(settings.request_memory);
        let cache = Cache::open(&settings.file_cache, settings.file_cache_size).map(Arc::new);
        let cache = cache.map_err(|cause| Error::internal("opening the copies of files", cause))?;
        let providers = Providers::new(&settings, cache.clone());
        let (signer, limit, cleaning) = (settings.keys.signer(), settings.file_size_limit, nudges.cleaning.clone());
        let files = Files::new(store.clone(), objects.clone(), signer, limit, cache, cleaning);
        Ok(Self(Arc::new(Inner {
            settings,
            store,
            logs,
            objects,
            files,
            providers,
            catalogue,
            lanes,
            live: Live::default(),
            arriving: Arriving::default(),
            recorder: Recorder::new(),
            room,
            urgent: Urgent::default(),
            storing: Storing::default(),
            deep_lists: tokio::sync::Mutex::default(),
            acceptor: Acceptor::default(),
            draining: AtomicBool::new(false),
            log_sink: LogSink::default(),
            journal: Arc::default(),
            fleet: Fleet::default(),
            nudges,
            beaten_at: AtomicI64::new(0),
            loops: loops::Running::default(),
            writers: loops::Running::default(),
        })))
    }

    /// From now on nothing new is taken, and batch requests that have not begun go back to the queue.
    pub fn begin_to_stop(&self) {
        self.0.draining.store(true, Ordering::Release);
        for (_, lane) in self.0.lanes.all() {
            lane.hand_back();
        }
    }

    /// Whether this server stops.
    pub fn is_stopping(&self) -> bool {
        self.0.is_draining()
    }

    /// Ends the work of this server: waits for running requests as long as `grace` lasts, stops all instances, and
    /// writes down what is known. Nothing new may be asked of it afterwards.
    pub async fn shut_down(&self, grace: Duration) {
        let patience = tokio::time::Instant::now() + grace;
        self.begin_to_stop();
        while !self.0.live.is_empty() && tokio::time::Instant::now() < patience {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for request in self.0.live.filter(|_| true) {
            request.interrupt("The server is stopping");
        }
        self.0.loops.end().await;
        self.stop_instances().await;
        if tokio::time::timeout(LAST_WRITES, self.0.record_all()).await.is_err() {
            tracing::error!("the disk or the database takes nothing: requests that ended last are not written down");
        }
        self.0.log_sink.barrier().await;
        if self.0.journal.catch_up().await.is_err() {
            tracing::error!("the database does not answer: what happened to instances last is not written down");
        }
        self.0.writers.end().await;
    }

    /// Stops what runs, while log lines can still be written.
    async fn stop_instances(&self) {
        for instance in self.0.fleet.all() {
            if self.0.fleet.stopping(instance.id).is_some() {
                instance.history().stopping(&Why::ServerStops);
            }
        }
        let runner = &self.0.settings.runner;
        let stops = runner.list().await.into_iter().map(|(instance, epoch)| runner.stop(instance, epoch));
        // Who takes longer is killed with the runner.
        let _ = tokio::time::timeout(self.0.settings.stop_grace * 2, futures_util::future::join_all(stops)).await;
    }

    /// The walls around the user code that this server runs.
    pub fn walls(&self) -> &modelyard_types::walls::WallsDetail {
        &self.0.settings.walls
    }

    /// The database.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// The log lines of all projects.
    pub fn logs(&self) -> &LogStore {
        &self.0.logs
    }

    /// Where log lines go.
    pub fn log_sink(&self) -> &LogSink {
        &self.0.log_sink
    }

    /// Stored packages and data.
    pub fn objects(&self) -> &Objects {
        &self.0.objects
    }

    /// The store of files.
    pub fn files(&self) -> &Files {
        &self.0.files
    }

    /// What the hot path reads.
    pub fn catalogue(&self) -> &Catalogue {
        &self.0.catalogue
    }

    /// What this server was told at its start.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Commits a change and waits until the catalogue shows it.
    pub(crate) async fn commit(&self, mut tx: Tx, project: Option<ProjectId>) -> Result<()> {
        let number = modelyard_store::catalogue::touch(&mut tx, project).await?;
        tx.commit().await?;
        let give_up = tokio::time::Instant::now() + SHOWN_WITHIN;
        while let Err(cause) = self.catalogue().reach(number).await {
            tracing::error!(%cause, "a change is committed and cannot be read back; trying again");
            if tokio::time::Instant::now() >= give_up {
                let told =
                    "The change was made, but the server has lost touch with its database and cannot show it yet";
                return Err(Error::Unavailable(told.into()));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(())
    }

    /// Waits until the catalogue holds what the database holds now. Whoever read from the database that something is
    /// available must not be told by the catalogue that it is not.
    pub async fn catch_up(&self) -> Result<()> {
        let number = modelyard_store::catalogue::number(self.store()).await?;
        self.catalogue().reach(number).await
    }

    /// Commits a change of an organization: it shows in all its projects.
    pub(crate) async fn commit_organization(&self, mut tx: Tx, id: OrganizationId) -> Result<()> {
        for project in modelyard_store::projects::list(&mut tx, Some(id)).await? {
            modelyard_store::catalogue::touch(&mut tx, Some(project.id)).await?;
        }
        self.commit(tx, None).await
    }

    pub(crate) fn nudge_scaling(&self) {
        self.0.nudges.scaling.notify_one();
    }

    pub(crate) fn nudge_builds(&self) {
        self.0.nudges.builds.notify_one();
        self.0.nudges.environment_builds.notify_one();
    }

    /// Lets running builds look whether they still are wanted.
    pub(crate) fn nudge_called_off(&self) {
        self.0.nudges.called_off.notify_waiters();
    }

    pub(crate) fn nudge_cleaning(&self) {
        self.0.nudges.cleaning.notify_one();
    }
}
