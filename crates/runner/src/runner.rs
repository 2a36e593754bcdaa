//! What a place that runs instances promises, and what it must be told.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use modelyard_types::ids::InstanceId;
use modelyard_types::language::Language;
use modelyard_types::network::Egress;
use serde_json::{Map, Value};

use crate::process::Listener;
use crate::protocol::{Maxima, TypedField};

/// What an instance may use.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InstanceLimits {
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// Processes and threads.
    pub processes: u64,
    /// Processors, in thousandths, that are never passed; all there are when absent.
    pub cpu: Option<u64>,
    /// Processors, in thousandths, that it has a right to where there are too few for all instances.
    pub cpu_share: Option<u64>,
    /// Bytes of disk for all it writes.
    pub scratch_bytes: u64,
    /// Bytes of the largest file it may write.
    pub file_bytes: u64,
    /// Open files of each process.
    pub open_files: u64,
}

impl Default for InstanceLimits {
    fn default() -> Self {
        Self {
            memory_bytes: 512 << 20,
            processes: 512,
            cpu: None,
            cpu_share: None,
            scratch_bytes: 10 << 30,
            file_bytes: 10 << 30,
            open_files: 4096,
        }
    }
}

/// What a worker loads.
#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    /// The file that holds the code, with or without extension.
    pub main_file: String,
    /// The context of the constructor; the number of the process is added to it.
    pub context: Map<String, Value>,
    /// `structured` or `plain`.
    pub input_type: String,
    /// `structured` or `plain`.
    pub output_type: String,
    /// The fields of a structured output.
    pub output_fields: Vec<TypedField>,
    /// The fields of a structured input whose values are files.
    pub input_files: Vec<TypedField>,
}

/// An instance to start.
#[derive(Debug, Clone)]
pub struct InstanceSpec {
    /// Its id.
    pub instance: InstanceId,
    /// Its epoch.
    pub epoch: u64,
    /// How many worker processes it has.
    pub processes: u32,
    /// What the code is written in.
    pub language: Language,
    /// The interpreter to run, an absolute path (of an environment, `…/bin/python`).
    pub program: PathBuf,
    /// Folders that instances see read-only at their own absolute path: the environment, the interpreter's real prefix.
    pub readable: Vec<PathBuf>,
    /// The folder of the system packages that it sees over the host's.
    pub system: Option<PathBuf>,
    /// The folder of the unpacked package. User code sees it as its own and may change it; the originals never change.
    pub package: PathBuf,
    /// Environment variables of the user's code. Nothing of the server's own environment is inherited.
    pub env: Vec<(String, String)>,
    /// What to load.
    pub load: Load,
    /// What it may use.
    pub limits: InstanceLimits,
    /// What it may reach in the network; what this place gives to everybody when absent.
    pub egress: Option<Egress>,
    /// What its workers may send.
    pub maxima: Maxima,
    /// How long a process may take to become ready.
    pub init_limit: Duration,
    /// How long a process may take to stop.
    pub stop_grace: Duration,
}

impl InstanceSpec {
    /// A name of this instance and epoch, good for files.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}-{}", self.instance, self.epoch)
    }
}

/// Why an instance is not started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It may not or cannot run here; the sentence says why.
    #[error("{0}")]
    Refused(String),
}

/// A place that runs instances. Everything is by instance id and epoch, and may be asked twice.
#[async_trait]
pub trait Runner: Send + Sync + 'static {
    /// Begins to start an instance; the listener hears the rest, in the end always [`Listener::ended`].
    async fn start(&self, spec: Arc<InstanceSpec>, listener: Arc<dyn Listener>) -> Result<(), StartError>;

    /// Stops an instance: each process may finish what it was handed and say goodbye, for as long as the grace lasts. Returns
    /// when nothing of it is left.
    async fn stop(&self, instance: InstanceId, epoch: u64);

    /// The instances that are there.
    async fn list(&self) -> Vec<(InstanceId, u64)>;
}
