//! A control in a folder of its own for tests: no loops, interpreters that are not there, instances that do not start.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use modelyard_objects::remote::Remote;
use modelyard_objects::{Objects, Staged};
use modelyard_runner::interpreters::Interpreter;
use modelyard_runner::process::Listener;
use modelyard_runner::runner::{InstanceSpec, Runner, StartError};
use modelyard_runner::walls::Reach;
use modelyard_store::{Environment, EnvironmentBuild, LogStore, Revision, Store, Version, servers};
use modelyard_types::{DeploymentId, InstanceId, ProjectId, ServerId, Timestamp, TokenId, UserId};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;

use crate::access::Actor;
use crate::catalogue::Place;
use crate::{Control, Settings};

/// Starts nothing.
struct NoRunner;

#[async_trait]
impl Runner for NoRunner {
    async fn start(&self, _: Arc<InstanceSpec>, _: Arc<dyn Listener>) -> Result<(), StartError> {
        Err(StartError::Refused("Nothing starts here".into()))
    }

    async fn stop(&self, _: InstanceId, _: u64) {}

    async fn list(&self) -> Vec<(InstanceId, u64)> {
        Vec::new()
    }
}

/// A control with an organization and a project.
pub(crate) struct World {
    pub(crate) control: Control,
    pub(crate) by: Actor,
    pub(crate) project: ProjectId,
    folder: TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let store = Store::open(folder.path().join("store.db").to_str().unwrap()).await.unwrap();
        Self::on(store, folder).await
    }

    /// From here on nothing can be stored.
    pub(crate) fn break_objects(&self) {
        let shelves = self.folder.path().join("objects/objects");
        std::fs::remove_dir_all(&shelves).unwrap();
        std::fs::write(shelves, "not a folder").unwrap();
    }

    /// Lets objects be neither stored nor read until the answer is called.
    pub(crate) fn break_objects_for_a_while(&self) -> impl FnOnce() + use<> {
        let shelves = self.folder.path().join("objects/objects");
        let aside = self.folder.path().join("aside");
        std::fs::rename(&shelves, &aside).unwrap();
        // A link to itself: what goes through it fails, and is not missing.
        std::os::unix::fs::symlink(&shelves, &shelves).unwrap();
        move || {
            std::fs::remove_file(&shelves).unwrap();
            std::fs::rename(&aside, &shelves).unwrap();
        }
    }

    /// A world whose rows are in a store, and all else in a folder.
    pub(crate) async fn on(store: Store, folder: TempDir) -> Self {
        let objects = Objects::local(&folder.path().join("objects")).unwrap();
        Self::with(store, objects, folder).await
    }

    /// A world whose files are in an object store.
    pub(crate) async fn with_files_in(files: Remote) -> Self {
        let folder = TempDir::new().unwrap();
        let store = Store::open(folder.path().join("store.db").to_str().unwrap()).await.unwrap();
        let objects = Objects::local(&folder.path().join("objects")).unwrap().with_files_in(files);
        Self::with(store, objects, folder).await
    }

    async fn with(store: Store, objects: Objects, folder: TempDir) -> Self {
        let control = live(&folder, ServerId::new(), store, objects).await;
        let by = Actor { user: UserId::new(), email: "ada@example.org".into(), is_admin: true, token: TokenId::new() };
        control.create_organization(&by, of(json!({"name": "org", "subscription": "free"}))).await.unwrap();
        let project = of(json!({"name": "demo", "organization_name": "org"}));
        let project = control.create_project(&by, project).await.unwrap().id;
        Self { control, by, project, folder }
    }

    /// A new life of a server that shares the rows: of the first one, or of another.
    pub(crate) async fn another_life(&self, server: ServerId) -> Control {
        let control = &self.control;
        live(&self.folder, server, control.store().clone(), control.objects().clone()).await
    }

    /// A deployment that takes and gives a number `x`.
    pub(crate) async fn deployment(&self, name: &str) -> DeploymentId {
        let fields = json!([{"name": "x", "data_type": "int"}]);
        let new = json!({"name": name, "input_type": "structured", "output_type": "structured",
            "input_fields": fields, "output_fields": fields});
        self.control.create_deployment(&self.by, self.project, of(new)).await.unwrap().id
    }

    pub(crate) async fn version(&self, deployment: DeploymentId, new: Value) -> Version {
        self.control.create_version(&self.by, self.project, deployment, of(new), None).await.unwrap()
    }

    pub(crate) async fn update(&self, version: &Version, change: Value) -> modelyard_types::Result<Version> {
        let (control, deployment) = (&self.control, version.deployment_id);
        control.update_version(&self.by, self.project, deployment, version.id, of(change), None).await
    }

    pub(crate) async fn reload(&self, version: &Version) -> Version {
        modelyard_store::versions::get(self.control.store(), version.id).await.unwrap().unwrap()
    }

    /// Uploads code, with requirements when there are any.
    pub(crate) async fn upload(&self, version: &Version, requirements: Option<&str>) -> Revision {
        let staged = self.staged(requirements).await;
        let (control, deployment) = (&self.control, version.deployment_id);
        control.upload_revision(&self.by, self.project, deployment, version.id, staged, "code.zip").await.unwrap()
    }

    /// An environment on `python3-11`, with a file of these requirements that waits to be built.
    pub(crate) async fn environment(&self, name: &str, requirements: &str) -> (Environment, EnvironmentBuild) {
        let new = of(json!({"name": name, "base_environment": "python3-11"}));
        let environment = self.control.create_environment(&self.by, self.project, new).await.unwrap();
        let build = self.environment_file(&environment, requirements).await;
        (environment, build)
    }

    /// Uploads requirements to an environment.
    pub(crate) async fn environment_file(&self, environment: &Environment, requirements: &str) -> EnvironmentBuild {
        let mut staging = self.control.objects().stage(1 << 20);
        staging.write(requirements.to_owned().into()).await.unwrap();
        let (control, staged) = (&self.control, staging.finish().await.unwrap());
        let name = "requirements.txt";
        control.upload_environment_file(&self.by, self.project, environment.id, staged, name).await.unwrap()
    }

    async fn staged(&self, requirements: Option<&str>) -> Staged {
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default();
        zip.start_file("deployment.py", options).unwrap();
        zip.write_all(b"class Deployment:\n    def request(self, data):\n        return data\n").unwrap();
        if let Some(requirements) = requirements {
            zip.start_file("requirements.txt", options).unwrap();
            zip.write_all(requirements.as_bytes()).unwrap();
        }
        let bytes = zip.finish().unwrap().into_inner();
        let mut staging = self.control.objects().stage(1 << 20);
        staging.write(bytes.into()).await.unwrap();
        staging.finish().await.unwrap()
    }

    /// A version with code that can be served, on `python3-11`, and what it stands in.
    pub(crate) async fn served(&self, new: Value) -> (Version, Place) {
        let deployment = self.deployment(&format!("d{}", uuid::Uuid::now_v7())).await;
        let version = self.version(deployment, new).await;
        self.upload(&version, None).await;
        crate::loops::build_all(&self.control).await;
        let place = self.control.catalogue().version(version.id).unwrap();
        (self.reload(&version).await, place)
    }
}

/// A server begins a life; its loops do not run.
async fn live(folder: &TempDir, server: ServerId, store: Store, objects: Objects) -> Control {
    let at = |name: &str| folder.path().join(name);
    let mut tx = store.begin().await.unwrap();
    let life = servers::start(&mut tx, server, Timestamp::now()).await.unwrap();
    tx.commit().await.unwrap();
    let logs = at(&format!("logs-{server}-{}.db", life.number));
    let logs = LogStore::open(logs.to_str().unwrap()).await.unwrap();
    let settings = Settings {
        file_size_limit: 1 << 30,
        bucket_reach: modelyard_objects::remote::Reach::allowing(vec![([127, 0, 0, 0].into(), 8)]),
        google_storage_url: None,
        file_cache: folder.path().join("file-cache"),
        file_cache_size: 1 << 20,
        life,
        keys: crate::secrets::Keyring::new([&[7; 32]]),
        api_url: "http://127.0.0.1:8080/v2.1".into(),
        runner: Arc::new(NoRunner),
        walls: Default::default(),
        reach: Reach::everything(),
        builder: watch::channel(None).1,
        worker: at("worker"),
        interpreters: vec![interpreter("3.10"), interpreter("3.11")],
        without_r: Some("R is not installed on this server".into()),
        package_limits: Default::default(),
        packages: at("packages"),
        environments: at("environments"),
        memory_mb: 4096,
        hard_cpu_limit: false,
        request_memory: 1 << 30,
        builds_at_once: 1,
        init_limit: Duration::from_secs(10),
        begin_limit: Duration::from_secs(30),
        drain_limit: Duration::from_secs(10),
        stop_grace: Duration::from_secs(1),
        environment_file_retention: Duration::from_secs(3600),
        log_retention: Duration::from_secs(3600),
    };
    Control::prepare(settings, store, logs, objects).await.unwrap()
}

/// A body as the API would read it.
pub(crate) fn of<T: serde::de::DeserializeOwned>(body: Value) -> T {
    serde_json::from_value(body).unwrap()
}

fn interpreter(minor: &str) -> Interpreter {
    Interpreter {
        language: modelyard_runner::package::Language::Python,
        version: format!("{minor}.1"),
        minor: minor.into(),
        path: format!("/nowhere/{minor}/bin/python").into(),
        base_prefix: format!("/nowhere/{minor}").into(),
        platform: "linux".into(),
    }
}
