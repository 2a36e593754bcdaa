//! One build on its way: lock, then install from wheels, else from sources.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    BuildError, Environment, Log, Spec, digest,
    doctor::{self, Case},
    environment,
    imports::{self, Imports},
    looking,
    requirements::{self, Requirements},
    run::Done,
    shelf::{self, Lock, Record, Shelf},
    steps::{Install, Place, Steps},
    system::Layer,
};

/// Part of each key: changes when this builder would build something else from the same lock.
const BUILDER: &str = "modelyard environment 1";

/// One build on its way.
pub(super) struct Build<'a> {
    pub shelf: &'a Arc<Shelf>,
    pub steps: Steps<'a>,
    pub requirements: &'a Requirements,
    /// The system packages under the environment.
    pub system: Option<Layer>,
    pub spec: &'a Spec<'a>,
    pub log: Log<'a>,
}

impl Build<'_> {
    /// The environment that is there, or a new one.
    pub async fn run(&self) -> Result<Environment, BuildError> {
        if self.requirements.is_empty() {
            return self.install_any("").await;
        }
        let (lock, kept) = self.lock(self.spec.refresh).await?;
        match self.install_any(&lock).await {
            Err(BuildError::Failed(_)) if kept => {
                (self.log)("The versions locked before cannot be installed any more; looking for others");
                let (lock, _) = self.lock(true).await?;
                self.install_any(&lock).await
            }
            done => done,
        }
    }

    /// Locks the requirements and installs nothing.
    pub async fn check(&self) -> Result<(), BuildError> {
        if self.requirements.is_empty() { Ok(()) } else { self.lock(false).await.map(drop) }
    }

    /// Has the environment stand on system packages.
    pub fn stand_on(&mut self, system: Option<Layer>) {
        self.steps.layer = system.as_ref().map(|layer| layer.path.clone());
        self.system = system;
    }

    /// Installs from wheels, else from sources.
    async fn install_any(&self, lock: &str) -> Result<Environment, BuildError> {
        let wheels = self.key(lock, "wheels");
        let sources = self.key(lock, &format!("built in {}{}", self.spec.scope, self.mark()));
        for key in [&wheels, &sources] {
            if let Some(environment) = self.ready(key) {
                return Ok(environment);
            }
        }
        let hashes = requirements::all_hashed(lock);
        if hashes {
            if let Some(environment) = self.install(&wheels, lock, Install::Wheels).await? {
                return Ok(environment);
            }
            (self.log)("Some packages have no wheel for this Python; building them from their source");
        }
        let built = self.install(&sources, lock, Install::Sources { hashes }).await?;
        built.ok_or_else(|| BuildError::Failed("A package could not be built from its source".to_owned()))
    }

    /// The complete environment of this key.
    fn ready(&self, key: &str) -> Option<Environment> {
        let record = self.shelf.record(key)?;
        if let Some(imports) = &record.imports {
            imports.tell(self.log);
        }
        if let Err(error) = self.shelf.touch(key) {
            tracing::warn!(%error, key, "the use of an environment could not be noted");
        }
        Some(environment(self.shelf, key, record, true))
    }

    fn key(&self, lock: &str, how: &str) -> String {
        let python = self.spec.interpreter;
        let prefix = python.base_prefix.to_string_lossy();
        let system = self.system.as_ref().map_or("no system packages", |layer| &layer.key);
        digest(&[BUILDER, lock, &python.version, &prefix, &python.platform, system, how])
    }

    /// The cache of the build's scope; none for a build with variables or system packages: what was built with them is for no
    /// other.
    fn scope_cache(&self) -> io::Result<Option<PathBuf>> {
        if self.spec.given.env.is_empty() && self.system.is_none() {
            self.shelf.scope_cache(self.spec.scope).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Tells builds with variables from those with others or none.
    fn mark(&self) -> String {
        let mark = &self.spec.given.mark;
        if mark.is_empty() { String::new() } else { format!(" with {mark}") }
    }

    /// The requirements with exact versions and hashes, and whether they were kept from before for the same text.
    async fn lock(&self, refresh: bool) -> Result<(String, bool), BuildError> {
        let index = self.steps.index;
        let name = self.key(
            &format!("{}\0{:?}\0{:?}{:?}", self.requirements.text, self.requirements.options, index.args, index.env),
            &format!("{}{}", self.spec.scope, self.mark()),
        );
        let _lock = self.hold(&name).await?;
        if let Some(lock) = self.shelf.resolved(&name).filter(|_| !refresh) {
            (self.log)("These requirements were locked before; using the same versions");
            return Ok((lock, true));
        }
        let cache = self.scope_cache()?;
        let done = self.lock_in(&name, cache.as_deref(), &self.requirements.text, &[], self.log).await?;
        if !done.status.success() {
            return Err(self.failed(&done).await);
        }
        let lock = String::from_utf8_lossy(&done.output).into_owned();
        if !requirements::is_clean(&lock) {
            return Err(BuildError::Failed(
                "The code of a source package tampered with the list of versions".to_owned(),
            ));
        }
        self.shelf.keep_resolved(&name, &lock)?;
        Ok((lock, false))
    }

    async fn lock_in(
        &self,
        name: &str,
        cache: Option<&Path>,
        text: &str,
        more: &[&str],
        log: Log<'_>,
    ) -> Result<Done, BuildError> {
        let _using = self.using(cache).await?;
        let work = self.open_work(name, ("requirements.txt", text)).await?;
        let place = Place { work: &work, cache, writes: &[], reads: None, fills: None, builds_in: cache };
        let done = self.steps.lock(&place, log, more).await;
        self.close_work(name).await?;
        done
    }

    /// Locks one requirement for a look into the index.
    pub async fn look_up(&self, requirement: &str, options: &[&str]) -> Option<Done> {
        let cache = self.scope_cache().ok()?;
        let name = format!("look-{}", uuid::Uuid::new_v4());
        let done = self.lock_in(&name, cache.as_deref(), requirement, options, &|_| {}).await.ok()?;
        done.status.success().then_some(done)
    }

    fn case(&self) -> Case<'_> {
        Case {
            requirements: self.requirements,
            python: &self.spec.interpreter.minor,
            offered: self.spec.offered,
            folder: self.shelf.root(),
            memory: self.steps.limits.memory,
        }
    }

    /// The failure in plain words, with what a look into the index adds to it.
    async fn failed(&self, done: &Done) -> BuildError {
        let explained = doctor::explain(done, &self.case());
        let Some(look) = explained.look else { return BuildError::Failed(explained.message) };
        let more = looking::Looking { build: self }.look(&look).await;
        BuildError::Failed(doctor::shorten(&format!("{}{}", explained.message, more.unwrap_or_default())))
    }

    /// Builds the environment of this key; `None` when that needs packages to be built and `how` forbids it.
    async fn install(&self, key: &str, lock: &str, how: Install) -> Result<Option<Environment>, BuildError> {
        let _lock = self.hold(key).await?;
        if let Some(environment) = self.ready(key) {
            return Ok(Some(environment));
        }
        let path = self.shelf.blocking(key, Shelf::new_environment).await?;
        let work = self.open_work(key, ("lock.txt", lock)).await?;
        let filled = self.fill(&path, &work, lock, how).await;
        let imports = match filled {
            Ok(true) => self.imports(&path, &work).await,
            _ => Ok(None),
        };
        self.close_work(key).await?;
        if !matches!(filled, Ok(true)) {
            self.shelf.blocking(key, Shelf::remove_environment).await?;
            return filled.map(|_| None);
        }
        let (python, base_prefix) = (self.spec.interpreter.version.clone(), self.spec.interpreter.base_prefix.clone());
        let imports = match imports {
            Ok(imports) => imports,
            Err(error) => {
                self.shelf.blocking(key, Shelf::remove_environment).await?;
                return Err(error);
            }
        };
        let own = self.shelf.blocking(key, |shelf, key| shelf::size_of(&shelf.environment(key))).await?;
        let size = own + self.system.as_ref().map_or(0, |layer| layer.size);
        let system = self.system.as_ref().map(|layer| layer.key.clone());
        if let Some(sentence) = self.steps.limits.too_large(size) {
            self.shelf.blocking(key, Shelf::remove_environment).await?;
            return Err(BuildError::Failed(sentence));
        }
        let record = self
            .shelf
            .blocking(key, move |shelf, key| {
                if let Some(system) = &system {
                    shelf.link_system(key, system)?;
                }
                let record = Record { python, base_prefix, size, imports, system };
                shelf.complete(key, &record).map(|()| record)
            })
            .await?;
        Ok(Some(environment(self.shelf, key, record, false)))
    }

    /// Makes and fills the environment; false when that needs packages to be built and `how` forbids it.
    async fn fill(&self, path: &Path, work: &Path, lock: &str, how: Install) -> Result<bool, BuildError> {
        let (cache, writes) = match how {
            Install::Wheels => (Some(self.shelf.shared_cache()), self.shelf.shared()),
            Install::Sources { .. } => (self.scope_cache()?, path.to_path_buf()),
        };
        let _using = self.using(cache.as_deref()).await?;
        let builds_in = cache.as_deref().filter(|_| how != Install::Wheels);
        let place =
            Place { work, cache: cache.as_deref(), writes: &[&writes], reads: None, fills: Some(path), builds_in };
        self.succeeded(&self.steps.make(path, &place, self.log).await?).await?;
        if !lock.is_empty() {
            let held = HeldErrors { log: self.log, held: Mutex::default() };
            let done = self.steps.install(path, how, &place, &|line| held.line(line)).await?;
            if how == Install::Wheels && needs_sources(&done) {
                return Ok(false);
            }
            held.release();
            self.succeeded(&done).await?;
        }
        let place = Place { work, cache: None, writes: &[path], reads: None, fills: Some(path), builds_in: None };
        self.steps.compile(path, &place).await?;
        Ok(true)
    }

    /// What the packages asked for cost to import.
    pub(super) async fn imports(&self, path: &Path, work: &Path) -> Result<Option<Imports>, BuildError> {
        let place = Place { work, cache: None, writes: &[], reads: Some(path), fills: None, builds_in: None };
        imports::measure(&self.steps, &self.requirements.packages(), &place, self.log).await
    }

    async fn succeeded(&self, done: &Done) -> Result<(), BuildError> {
        if done.status.success() { Ok(()) } else { Err(self.failed(done).await) }
    }

    /// Keeps a cache from being removed while a step uses it.
    async fn using(&self, cache: Option<&Path>) -> Result<Option<Lock>, BuildError> {
        let Some(cache) = cache else { return Ok(None) };
        let lock = self.shelf.use_cache(cache, self.steps.cancel).await?.ok_or(BuildError::Cancelled)?;
        // It may have been removed before it was held.
        self.shelf.make_cache(cache)?;
        Ok(Some(lock))
    }

    async fn hold(&self, name: &str) -> Result<Lock, BuildError> {
        hold(self.shelf, &self.steps, name).await
    }

    /// A fresh folder for a step, with one file and uv's settings.
    async fn open_work(&self, name: &str, (file, text): (&'static str, &str)) -> io::Result<PathBuf> {
        let config = self.steps.index.config.clone().map(|text| ("uv.toml", text));
        let files: Vec<(&str, String)> = [(file, text.to_owned())].into_iter().chain(config).collect();
        self.shelf.blocking(name, move |shelf, name| shelf.new_work(name, &files)).await
    }

    async fn close_work(&self, name: &str) -> io::Result<()> {
        self.shelf.blocking(name, Shelf::remove_work).await
    }
}

/// Waits for a lock, no longer than the build may take.
pub(super) async fn hold(shelf: &Shelf, steps: &Steps<'_>, name: &str) -> Result<Lock, BuildError> {
    let waiting = shelf.lock(name, steps.cancel);
    let lock = tokio::time::timeout_at(steps.deadline, waiting).await;
    lock.map_err(|_| BuildError::TimedOut(steps.time_limit))??.ok_or(BuildError::Cancelled)
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

/// Whether uv failed because a package must be built.
fn needs_sources(done: &Done) -> bool {
    let words = ["no usable wheels", "building from source is disabled", "--no-build"];
    !done.status.success()
        && done.errors.iter().any(|line| words.iter().any(|words| line.contains(words)) || disabled_by_older_uv(line))
}

fn disabled_by_older_uv(line: &str) -> bool {
    line.contains("Building source distributions") && line.contains("is disabled")
}
