//! What the runner of this host is told once.

use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::sync::mpsc;

use super::{Block, Guest};
use crate::walls::NetworkMode;

/// The settings of a [`super::LocalRunner`].
#[derive(Debug, Clone)]
pub struct LocalSettings {
    /// A program whose `main` begins with [`crate::run_init_if_asked`]; by default the running one.
    pub launcher: PathBuf,
    /// A folder for this runner alone: scratch of instances, and records of what runs.
    pub folder: PathBuf,
    /// The folder that holds the `modelyard_worker` package.
    pub worker: PathBuf,
    /// A name of this installation on this host; cgroups carry it.
    pub installation: String,
    /// The first of the user ids that instances get, where the server is root.
    pub uid_base: u32,
    /// The level of walls below which user code is refused.
    pub required_level: u8,
    /// Run user code below that level all the same.
    pub unsafe_run: bool,
    /// Use no more walls than of this level.
    pub at_most: u8,
    /// How far instances reach into the network; the best that filters when absent.
    pub egress: Option<NetworkMode>,
    /// The addresses of instances; a free block when absent.
    pub network: Option<Block>,
    /// Where instances find the server, also those that reach nothing else.
    pub platform: Option<SocketAddr>,
    /// Who takes their connections.
    pub guests: Option<mpsc::Sender<Guest>>,
}

impl LocalSettings {
    /// The usual settings.
    #[must_use]
    pub fn new(folder: PathBuf, worker: PathBuf, installation: String) -> Self {
        Self {
            // Names the running program even after its file was replaced.
            launcher: "/proc/self/exe".into(),
            folder,
            worker,
            installation,
            uid_base: 700_000,
            required_level: 2,
            unsafe_run: false,
            at_most: 3,
            egress: None,
            network: None,
            platform: None,
            guests: None,
        }
    }

    pub(super) fn scratch(&self) -> PathBuf {
        self.folder.join("scratch")
    }

    pub(super) fn records(&self) -> PathBuf {
        self.folder.join("records")
    }
}
