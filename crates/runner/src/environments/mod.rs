//! Builds the environments that packages run in: a Python with what a `requirements.txt` asks for.
//!
//! An environment's key is the hash of its locked requirements, its interpreter and this builder. Same key, no build;
//! versions with the same key share one folder, which workers see read-only.
//!
//! Building has two steps, because building a source package runs code that a user chose:
//! 1. **Lock.** uv finds the versions (with hashes) in the cache of the caller's *scope* (its organization, say). uv may
//!    have to build a source package to learn what it needs.
//! 2. **Install.** First from wheels alone, into the cache that all scopes share and with hard links from there: no
//!    code of a package runs, and the hashes of the lock vouch for what the cache holds. Only when a package has no
//!    wheel are packages built, in the scope's own cache, without links; the environment's key then names the scope.
//!
//! System packages come before both: [`system`]. How the programs are confined, and how a Python below `/root` is made
//! usable: [`confined`].

mod build;
mod caches;
pub(crate) mod confined;
mod doctor;
mod imports;
mod limits;
mod looking;
pub mod r;
mod requirements;
pub(crate) mod run;
mod shelf;
mod steps;
mod system;
mod view;

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that fails here says where")]
mod confined_tests;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that fails here says where")]
mod doctor_tests;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that fails here says where")]
mod tests;

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use sha2::{Digest, Sha256};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::{
    build::Build,
    requirements::Requirements,
    shelf::{Record, Shelf},
    steps::Steps,
    system::Asking,
};
use crate::{
    interpreters::Interpreter,
    ubiops_yaml::Apt,
    uv::{Index, Uv},
};

pub(crate) use self::system::mounted_below;
pub use self::{
    confined::BuildUser,
    limits::Limits,
    shelf::Usage,
    system::{SystemPackages, system_of},
};

/// Gets the lines of a build's log as they come.
pub type Log<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// How environments are built.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The folder of environments and caches. It must be on a local disk.
    pub root: PathBuf,
    /// uv, found or fetched.
    pub uv: Uv,
    /// The package index.
    pub index: Index,
    /// The repository of R packages; empty for that of the host.
    pub r_repository: String,
    /// Who runs builds when the server is root.
    pub user: BuildUser,
    /// How long one build may take.
    pub time_limit: Duration,
    /// What else a build may use.
    pub limits: Limits,
    /// Bytes that the caches of packages may have, all together.
    pub cache_size: u64,
    /// Whether and how system packages are installed.
    pub system: SystemPackages,
}

/// What to build.
#[derive(Debug, Clone)]
pub struct Spec<'a> {
    /// The text of the `requirements.txt`; empty for a bare Python.
    pub requirements: &'a str,
    /// The Python to build for.
    pub interpreter: &'a Interpreter,
    /// The minor versions of all Pythons on offer, for advice.
    pub offered: &'a [String],
    /// Whose build it is: builds of one scope share the packages they built from source.
    pub scope: &'a str,
    /// Look for newer versions, even when these requirements were locked before.
    pub refresh: bool,
    /// What the code of source packages finds in its environment.
    pub given: &'a Given,
    /// The system packages that are asked for: by the environment below, then by its own file.
    pub apt: &'a [Apt],
}

/// Environment variables for a build. Only steps get them whose results nobody outside the build's scope can come by: the look
/// for versions, and the building of source packages.
#[derive(Clone, Default)]
pub struct Given {
    /// Names and values. Those that the builder sets itself win.
    pub env: Vec<(String, String)>,
    /// Another text for other variables, which tells nothing of their values: what was built with them is not used for others.
    pub mark: String,
}

/// Without the values: they may be secrets.
impl std::fmt::Debug for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.env.iter().map(|(name, _)| name)).finish()
    }
}

/// A complete environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// Its key.
    pub key: String,
    /// Its folder.
    pub path: PathBuf,
    /// Its Python, a link to the interpreter.
    pub python: PathBuf,
    /// The folder of the interpreter's installation, which a worker needs to see too.
    pub base_prefix: PathBuf,
    /// Bytes of all its files.
    pub size: u64,
    /// Whether it was there already.
    pub reused: bool,
}

/// Why there is no environment.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The requirements are at fault, or the index; the sentence has at most 1024 characters.
    #[error("{0}")]
    Failed(String),
    /// The time was up.
    #[error(
        "The build took longer than the {} that a build may take and was ended; ask for less, or ask the operator to raise \
         build_time_limit",
        period(*.0)
    )]
    TimedOut(Duration),
    /// Somebody cancelled it.
    #[error("The build was cancelled")]
    Cancelled,
    /// Our side is at fault.
    #[error("The environment could not be built: {0}")]
    Io(#[from] io::Error),
}

/// Builds environments and keeps them.
#[derive(Debug)]
pub struct Builder {
    settings: Settings,
    shelf: Arc<Shelf>,
}

impl Builder {
    /// Opens the folder and removes what an earlier life left half-built. Blocks.
    pub fn open(settings: Settings) -> io::Result<Self> {
        let shelf = Shelf::open(&settings.root, settings.user)?;
        Ok(Self { settings, shelf: Arc::new(shelf) })
    }

    /// The environment for `spec`: the one that is there, or a new one. Two builds of one key wait for each other.
    pub async fn build(
        &self,
        spec: &Spec<'_>,
        log: Log<'_>,
        cancel: &CancellationToken,
    ) -> Result<Environment, BuildError> {
        let requirements = self.requirements(spec)?;
        let mut build = self.prepare(spec, &requirements, log, cancel, self.settings.time_limit);
        let built = async {
            let system = self.asking(&build.steps, spec.apt, spec.scope, spec.refresh, log).layer().await?;
            build.stand_on(system);
            build.run().await
        };
        built.await.map_err(|error| self.told(error))
    }

    /// Whether there are versions that meet the requirements, without installing any. What is found is kept for the
    /// build.
    pub async fn check(
        &self,
        spec: &Spec<'_>,
        log: Log<'_>,
        cancel: &CancellationToken,
        time_limit: Duration,
    ) -> Result<(), BuildError> {
        let requirements = self.requirements(spec)?;
        self.settings.system.check(spec.apt).map_err(BuildError::Failed)?;
        let mut build = self.prepare(spec, &requirements, log, cancel, time_limit);
        if !spec.apt.is_empty() {
            let asking = self.asking(&build.steps, spec.apt, spec.scope, spec.refresh, log);
            let Some(known) = asking.known()? else { return Ok(()) };
            build.stand_on(Some(known));
        }
        build.check().await.map_err(|error| self.told(error))
    }

    fn asking<'a>(
        &'a self,
        steps: &'a Steps<'a>,
        wanted: &'a [Apt],
        scope: &'a str,
        refresh: bool,
        log: Log<'a>,
    ) -> Asking<'a> {
        Asking { shelf: &self.shelf, steps, settings: &self.settings.system, wanted, scope, refresh, log }
    }

    fn requirements(&self, spec: &Spec<'_>) -> Result<Requirements, BuildError> {
        requirements::check(spec.requirements, &self.settings.index.allowed).map_err(BuildError::Failed)
    }

    fn prepare<'a>(
        &'a self,
        spec: &'a Spec<'a>,
        requirements: &'a Requirements,
        log: Log<'a>,
        cancel: &'a CancellationToken,
        time_limit: Duration,
    ) -> Build<'a> {
        let options = &requirements.options;
        let steps = Steps { options, ..self.steps(spec.interpreter, spec.given, cancel, time_limit) };
        Build { shelf: &self.shelf, steps, requirements, system: None, spec, log }
    }

    fn steps<'a>(
        &'a self,
        interpreter: &'a Interpreter,
        given: &'a Given,
        cancel: &'a CancellationToken,
        time_limit: Duration,
    ) -> Steps<'a> {
        Steps {
            uv: &self.settings.uv,
            index: &self.settings.index,
            options: &[],
            interpreter,
            given: &given.env,
            layer: None,
            user: self.settings.user,
            root: self.shelf.root(),
            deadline: Instant::now() + time_limit,
            time_limit,
            limits: &self.settings.limits,
            cancel,
        }
    }

    /// What is told when our own writing found no room: the same as when uv's did.
    fn told(&self, error: BuildError) -> BuildError {
        match error {
            BuildError::Io(cause)
                if matches!(cause.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) =>
            {
                BuildError::Failed(doctor::shorten(&doctor::full(self.shelf.root())))
            }
            error => error,
        }
    }

    /// The environment of this key, when it is complete.
    pub fn find(&self, key: &str) -> Option<Environment> {
        let record = self.shelf.record(key)?;
        Some(environment(&self.shelf, key, record, true))
    }

    /// All complete environments with their last use.
    pub fn usage(&self) -> io::Result<Vec<Usage>> {
        self.shelf.usage()
    }

    /// Notes that the environment was used just now.
    pub fn touch(&self, key: &str) -> io::Result<()> {
        self.shelf.touch(key)
    }

    /// Removes caches of packages, those that were not used for the longest time first, until the rest is within its size; tells
    /// how many. What is in use by a build stays, and files of environments too. Blocks.
    pub fn trim_caches(&self) -> io::Result<usize> {
        self.shelf.trim_caches(self.settings.cache_size)
    }

    /// Removes system packages that no environment has. Blocks.
    pub fn remove_unused_systems(&self) -> io::Result<()> {
        // A build that has found some is over by then.
        self.shelf.remove_unused_systems(2 * self.settings.time_limit)
    }

    /// Removes an environment. Whether something still runs in it is the caller's to know. False while it is built.
    pub fn remove(&self, key: &str) -> io::Result<bool> {
        if !is_key(key) {
            return Ok(false);
        }
        let Some(_lock) = self.shelf.try_lock(key)? else { return Ok(false) };
        self.shelf.remove_environment(key)?;
        Ok(true)
    }
}

fn environment(shelf: &Shelf, key: &str, record: Record, reused: bool) -> Environment {
    let path = shelf.environment(key);
    let python = path.join("bin/python");
    Environment { key: key.to_owned(), path, python, base_prefix: record.base_prefix, size: record.size, reused }
}

/// A period as people write it.
fn period(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds >= 60 && seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}

fn is_key(key: &str) -> bool {
    key.len() == 64 && key.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// One hash of several texts, each of which counts as a whole.
fn digest(texts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for text in texts {
        hasher.update((text.len() as u64).to_be_bytes());
        hasher.update(text.as_bytes());
    }
    hex::encode(hasher.finalize())
}
