//! What a control is told once, at its start.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use modelyard_runner::environments::Builder;
use modelyard_runner::interpreters::Interpreter;
use modelyard_runner::package::Limits;
use modelyard_runner::runner::Runner;
use modelyard_runner::walls::Reach;
use modelyard_store::Life;
use modelyard_types::language::InterpreterKey;
use modelyard_types::walls::WallsDetail;
use tokio::sync::watch;

use crate::secrets::Keyring;

/// What a [`Control`](crate::Control) is told once.
pub struct Settings {
    /// The present life of this server.
    pub life: Life,
    /// The keys that secrets are encrypted with.
    pub keys: Keyring,
    /// The address of the API, as instances reach it.
    pub api_url: String,
    /// Where instances run.
    pub runner: Arc<dyn Runner>,
    /// The walls around what runs there.
    pub walls: WallsDetail,
    /// How far instances reach into the network there.
    pub reach: Reach,
    /// Who builds environments, or why nobody can; nothing while its tools are still being fetched.
    pub builder: watch::Receiver<Option<Result<Arc<Builder>, String>>>,
    /// The folder that holds the `modelyard_worker` package.
    pub worker: PathBuf,
    /// The interpreters on offer, one per language and minor version.
    pub interpreters: Vec<Interpreter>,
    /// Why there is no R among them, as a sentence without its full stop.
    pub without_r: Option<String>,
    /// What packages may hold.
    pub package_limits: Limits,
    /// The folder that unpacked packages lie in.
    pub packages: PathBuf,
    /// The folder that environments are built in.
    pub environments: PathBuf,
    /// The memory that all instances together may have, in MB.
    pub memory_mb: u64,
    /// Whether an instance never gets more of the processors than its type has.
    pub hard_cpu_limit: bool,
    /// The memory that the bodies and results of requests may take, in bytes.
    pub request_memory: u64,
    /// The largest file that is kept, in bytes.
    pub file_size_limit: u64,
    /// Which addresses are dialled for buckets at providers.
    pub bucket_reach: modelyard_objects::remote::Reach,
    /// Where Google Cloud Storage is, if not at Google's own address.
    pub google_storage_url: Option<String>,
    /// The folder of copies of files at providers.
    pub file_cache: PathBuf,
    /// The most that those copies may take, in bytes.
    pub file_cache_size: u64,
    /// How many builds run at once.
    pub builds_at_once: usize,
    /// How long a process may take to become ready.
    pub init_limit: Duration,
    /// How long a process may take to begin with a request that is next.
    pub begin_limit: Duration,
    /// How long an instance that is stopped may take to finish the requests it began.
    pub drain_limit: Duration,
    /// How long a process may take to say goodbye.
    pub stop_grace: Duration,
    /// How long files of environments are kept that are neither in use nor the last.
    pub environment_file_retention: Duration,
    /// How long log lines are kept.
    pub log_retention: Duration,
}

impl Settings {
    /// The interpreter with this key.
    pub(crate) fn interpreter(&self, key: &str) -> Result<&Interpreter, String> {
        self.interpreters
            .iter()
            .find(|it| it.key() == key)
            .ok_or_else(|| format!("{} is no longer installed on this server", InterpreterKey::of(key).title()))
    }

    /// Who builds environments; waits for its tools. The error is a sentence for the user.
    pub(crate) async fn builder(&self) -> Result<Arc<Builder>, String> {
        let mut builder = self.builder.clone();
        match builder.wait_for(Option::is_some).await {
            Ok(found) => found.clone().unwrap_or_else(|| Err(GONE.to_owned())),
            Err(_) => Err(GONE.to_owned()),
        }
    }
}

const GONE: &str = "The server is stopping";
