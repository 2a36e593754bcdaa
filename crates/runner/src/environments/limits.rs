//! What the steps of a build may use, and what watches it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use uuid::Uuid;

use super::shelf::size_of;
use crate::cgroup::{self, Cgroups, Controller};

/// How often the growth of an environment is looked at.
const PAUSE: Duration = Duration::from_secs(1);
/// Processes and threads of a step.
const PROCESSES: u64 = 2048;

/// What a build may use beside its time.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of the environment, together with what a step of its build works on.
    pub size: u64,
    /// Bytes of memory of a step.
    pub memory: u64,
    /// The groups that hold all processes of a step to its memory. Without any, each process is held to it by itself.
    pub cgroups: Cgroups,
}

/// The group of one step. It is ended and removed when this is dropped.
pub(super) struct Held(Option<cgroup::Group>);

impl Limits {
    /// Makes the group of a step; none where the host has no groups for us.
    pub(super) fn hold(&self) -> Held {
        if !self.cgroups.has(Controller::Memory) {
            return Held(None);
        }
        let limits =
            cgroup::Limits { memory_bytes: Some(self.memory), processes: Some(PROCESSES), ..cgroup::Limits::default() };
        let made = self.cgroups.make(&format!("build-{}", Uuid::new_v4()), &limits);
        Held(made.inspect_err(|error| tracing::warn!(%error, "a build runs without a cgroup of its own")).ok())
    }

    /// Waits until these folders together, or what a cache grows by with what is worked on, hold more than is allowed, which
    /// may never be; then says so.
    pub(super) async fn outgrown(&self, folders: &[PathBuf], cache: Option<&Path>) -> String {
        let before = size_of_all(cache.iter().map(|it| it.to_path_buf()).collect()).await;
        loop {
            tokio::time::sleep(PAUSE).await;
            let cached = size_of_all(cache.iter().map(|it| it.to_path_buf()).collect()).await;
            // What is installed was copied from the cache: it is one or the other.
            let size = size_of_all(folders.to_vec()).await.max(cached.saturating_sub(before));
            if let Some(sentence) = self.too_large(size) {
                return sentence;
            }
        }
    }

    /// The sentence, when this is too large.
    pub(super) fn too_large(&self, size: u64) -> Option<String> {
        (size > self.size).then(|| {
            format!(
                "The environment is larger than the {} that one may have: it had {} when its build was ended; ask for less, or \
                 ask the operator to raise build_size_limit",
                amount(self.size),
                amount(size)
            )
        })
    }
}

impl Held {
    /// The files by which a process joins, by writing `0`.
    pub(super) fn joins(&self) -> Vec<PathBuf> {
        let Some(group) = &self.0 else { return Vec::new() };
        let born = group.birth_folder().map(|folder| folder.join("cgroup.procs"));
        group.join_files().into_iter().chain(born).collect()
    }

    /// Whether memory is held by the group.
    pub(super) fn is_group(&self) -> bool {
        self.0.is_some()
    }

    /// Whether a process was ended for want of memory.
    pub(super) fn out_of_memory(&self) -> bool {
        self.0.as_ref().is_some_and(|group| group.out_of_memory() > 0)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some(group) = self.0.take() else { return };
        // Ending waits a moment, which the runtime's threads should not.
        std::thread::spawn(move || {
            group.kill();
            group.remove();
        });
    }
}

async fn size_of_all(folders: Vec<PathBuf>) -> u64 {
    tokio::task::spawn_blocking(move || folders.iter().map(|it| size_now(it)).sum()).await.unwrap_or(0)
}

/// The bytes of a folder that changes meanwhile.
fn size_now(folder: &Path) -> u64 {
    match size_of(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            fs::symlink_metadata(folder).map_or(0, |_| size_of(folder).unwrap_or(0))
        }
        size => size.unwrap_or(0),
    }
}

/// An amount of bytes as people write it.
pub(super) fn amount(bytes: u64) -> String {
    const MB: u64 = 1_000_000;
    match bytes {
        0..MB => format!("{bytes} bytes"),
        bytes if bytes < 1000 * MB => format!("{} MB", bytes / MB),
        bytes => format!("{}.{} GB", bytes / (1000 * MB), bytes / (100 * MB) % 10),
    }
}
