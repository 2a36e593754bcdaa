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
//! How the programs are confined, and how a Python below `/root` is made usable: [`confined`].

pub(crate) mod confined;
mod message;
mod requirements;
pub(crate) mod run;
mod shelf;
mod steps;
mod view;

#[cfg(test)]
mod tests;

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sha2::{Digest, Sha256};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::{
    requirements::Requirements,
    run::Done,
    shelf::{Lock, Record, Shelf},
    steps::{Install, Place, Steps},
};
use crate::{
    interpreters::Interpreter,
    uv::{Index, Uv},
};

pub use self::{confined::BuildUser, shelf::Usage};

/// Part of each key: changes when this builder would build something else from the same lock.
const BUILDER: &str = "modelyard environment 1";

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
    /// Who runs builds when the server is root.
    pub user: BuildUser,
    /// How long one build may take.
    pub time_limit: Duration,
}

/// What to build.
#[derive(Debug, Clone)]
pub struct Spec<'a> {
    /// The text of the `requirements.txt`; empty for a bare Python.
    pub requirements: &'a str,
    /// The Python to build for.
    pub interpreter: &'a Interpreter,
    /// Whose build it is: builds of one scope share the packages they built from source.
    pub scope: &'a str,
    /// Look for newer versions, even when these requirements were locked before.
    pub refresh: bool,
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
    #[error("The build took longer than allowed and was ended")]
    TimedOut,
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
        let requirements =
            requirements::check(spec.requirements, &self.settings.index.allowed).map_err(BuildError::Failed)?;
        let steps = Steps {
            uv: &self.settings.uv,
            index: &self.settings.index,
            options: &requirements.options,
            interpreter: spec.interpreter,
            user: self.settings.user,
            root: self.shelf.root(),
            deadline: Instant::now() + self.settings.time_limit,
            cancel,
        };
        let build = Build { shelf: &self.shelf, steps, requirements: &requirements, spec, log };
        build.run().await
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

/// One build on its way.
struct Build<'a> {
    shelf: &'a Arc<Shelf>,
    steps: Steps<'a>,
    requirements: &'a Requirements,
    spec: &'a Spec<'a>,
    log: Log<'a>,
}

impl Build<'_> {
    async fn run(&self) -> Result<Environment, BuildError> {
        let lock = if self.requirements.is_empty() { String::new() } else { self.lock().await? };
        let wheels = self.key(&lock, "wheels");
        let sources = self.key(&lock, &format!("built in {}", self.spec.scope));
        for key in [&wheels, &sources] {
            if let Some(environment) = self.ready(key) {
                return Ok(environment);
            }
        }
        let hashes = !lock.contains("git+");
        if hashes {
            if let Some(environment) = self.install(&wheels, &lock, Install::Wheels).await? {
                return Ok(environment);
            }
            (self.log)("Some packages have no wheel for this Python; building them from their source");
        }
        let built = self.install(&sources, &lock, Install::Sources { hashes }).await?;
        built.ok_or_else(|| BuildError::Failed("A package could not be built from its source".to_owned()))
    }

    /// The complete environment of this key.
    fn ready(&self, key: &str) -> Option<Environment> {
        let record = self.shelf.record(key)?;
        if let Err(error) = self.shelf.touch(key) {
            tracing::warn!(%error, key, "the use of an environment could not be noted");
        }
        Some(environment(self.shelf, key, record, true))
    }

    fn key(&self, lock: &str, how: &str) -> String {
        let python = self.spec.interpreter;
        let prefix = python.base_prefix.to_string_lossy();
        digest(&[BUILDER, lock, &python.version, &prefix, &python.platform, "no system packages", how])
    }

    /// The requirements with exact versions and hashes: those found before for the same text, or new ones.
    async fn lock(&self) -> Result<String, BuildError> {
        let index = self.steps.index;
        let name = self.key(
            &format!("{}\0{:?}\0{:?}{:?}", self.requirements.text, self.requirements.options, index.args, index.env),
            self.spec.scope,
        );
        let _lock = self.hold(&name).await?;
        if let Some(lock) = self.shelf.resolved(&name).filter(|_| !self.spec.refresh) {
            (self.log)("These requirements were locked before; using the same versions");
            return Ok(lock);
        }
        let cache = self.shelf.scope_cache(self.spec.scope)?;
        let done = self.lock_in(&name, &cache, &self.requirements.text, &[], self.log).await?;
        if !done.status.success() {
            return Err(self.failed(&done, &name, &cache).await);
        }
        let lock = String::from_utf8_lossy(&done.output).into_owned();
        self.shelf.keep_resolved(&name, &lock)?;
        Ok(lock)
    }

    async fn lock_in(
        &self,
        name: &str,
        cache: &Path,
        text: &str,
        more: &[&str],
        log: Log<'_>,
    ) -> Result<Done, BuildError> {
        let work = self.open_work(name, ("requirements.txt", text)).await?;
        let done = self.steps.lock(&Place { work: &work, cache: Some(cache), writes: &[] }, log, more).await;
        self.close_work(name).await?;
        done
    }

    /// The failure in plain words, with the newest version where the wanted one does not exist.
    async fn failed(&self, done: &Done, name: &str, cache: &Path) -> BuildError {
        let explained = message::explain(&done.errors, self.requirements);
        let Some(package) = explained.no_such_version else { return BuildError::Failed(explained.message) };
        let newest = self.lock_in(name, cache, &package, &["--no-deps", "--no-build"], &|_| {}).await;
        let newest = newest.ok().map(|done| String::from_utf8_lossy(&done.output).into_owned()).unwrap_or_default();
        let newest =
            newest.lines().find_map(|line| line.split_whitespace().next()?.split_once("==").map(|(_, v)| v.to_owned()));
        let message = match newest {
            Some(version) => format!("{}; the newest that can be had is {version}", explained.message),
            None => explained.message,
        };
        BuildError::Failed(message::shorten(&message))
    }

    /// Builds the environment of this key; `None` when that needs packages to be built and `how` forbids it.
    async fn install(&self, key: &str, lock: &str, how: Install) -> Result<Option<Environment>, BuildError> {
        let _lock = self.hold(key).await?;
        if let Some(environment) = self.ready(key) {
            return Ok(Some(environment));
        }
        let path = self.blocking(key, Shelf::new_environment).await?;
        let work = self.open_work(key, ("lock.txt", lock)).await?;
        let filled = self.fill(&path, &work, lock, how).await;
        self.close_work(key).await?;
        if !matches!(filled, Ok(true)) {
            self.blocking(key, Shelf::remove_environment).await?;
            return filled.map(|_| None);
        }
        let (python, base_prefix) = (self.spec.interpreter.version.clone(), self.spec.interpreter.base_prefix.clone());
        let record = self
            .blocking(key, move |shelf, key| {
                let record = Record { python, base_prefix, size: shelf::size_of(&shelf.environment(key))? };
                shelf.complete(key, &record).map(|()| record)
            })
            .await?;
        Ok(Some(environment(self.shelf, key, record, false)))
    }

    /// Makes and fills the environment; false when that needs packages to be built and `how` forbids it.
    async fn fill(&self, path: &Path, work: &Path, lock: &str, how: Install) -> Result<bool, BuildError> {
        let (cache, writes) = match how {
            Install::Wheels => (self.shelf.shared_cache(), self.shelf.shared()),
            Install::Sources { .. } => (self.shelf.scope_cache(self.spec.scope)?, path.to_path_buf()),
        };
        let place = Place { work, cache: Some(&cache), writes: &[&writes] };
        self.succeeded(&self.steps.make(path, &place, self.log).await?)?;
        if !lock.is_empty() {
            let held = HeldErrors { log: self.log, held: Mutex::default() };
            let done = self.steps.install(path, how, &place, &|line| held.line(line)).await?;
            if how == Install::Wheels && needs_sources(&done) {
                return Ok(false);
            }
            held.release();
            self.succeeded(&done)?;
        }
        self.steps.compile(path, &Place { work, cache: None, writes: &[path] }).await?;
        Ok(true)
    }

    fn succeeded(&self, done: &Done) -> Result<(), BuildError> {
        if done.status.success() {
            return Ok(());
        }
        Err(BuildError::Failed(message::explain(&done.errors, self.requirements).message))
    }

    /// Works on the folders outside of the runtime's own threads.
    async fn blocking<T: Send + 'static>(
        &self,
        name: &str,
        work: impl FnOnce(&Shelf, &str) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let (shelf, name) = (Arc::clone(self.shelf), name.to_owned());
        tokio::task::spawn_blocking(move || work(&shelf, &name)).await?
    }

    async fn hold(&self, name: &str) -> Result<Lock, BuildError> {
        let waiting = self.shelf.lock(name, self.steps.cancel);
        let lock = tokio::time::timeout_at(self.steps.deadline, waiting).await.map_err(|_| BuildError::TimedOut)?;
        lock?.ok_or(BuildError::Cancelled)
    }

    /// A fresh folder for a step, with one file and uv's settings.
    async fn open_work(&self, name: &str, (file, text): (&'static str, &str)) -> io::Result<PathBuf> {
        let config = self.steps.index.config.clone().map(|text| ("uv.toml", text));
        let files: Vec<(&str, String)> = [(file, text.to_owned())].into_iter().chain(config).collect();
        self.blocking(name, move |shelf, name| shelf.new_work(name, &files)).await
    }

    async fn close_work(&self, name: &str) -> io::Result<()> {
        self.blocking(name, Shelf::remove_work).await
    }
}

/// Holds back what follows the first error, until it is known to be one.
struct HeldErrors<'a> {
    log: Log<'a>,
    held: Mutex<Vec<String>>,
}

impl HeldErrors<'_> {
    fn line(&self, line: &str) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_empty() && !line.starts_with("error:") && !line.trim_start().starts_with('×') {
            return (self.log)(line);
        }
        held.push(line.to_owned());
    }

    fn release(self) {
        let held = self.held.into_inner().unwrap_or_else(PoisonError::into_inner);
        held.iter().for_each(|line| (self.log)(line));
    }
}

fn environment(shelf: &Shelf, key: &str, record: Record, reused: bool) -> Environment {
    let path = shelf.environment(key);
    let python = path.join("bin/python");
    Environment { key: key.to_owned(), path, python, base_prefix: record.base_prefix, size: record.size, reused }
}

/// Whether uv failed because a package must be built.
fn needs_sources(done: &Done) -> bool {
    let words = ["no usable wheels", "building from source is disabled", "--no-build"];
    !done.status.success()
        && done.errors.iter().any(|line| words.iter().any(|words| line.contains(words)) || disabled_by_older_uv(line))
}

fn disabled_by_older_uv(line: &str) -> bool {
    line.contains("Building source distributions") && line.contains("is disabled")
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
