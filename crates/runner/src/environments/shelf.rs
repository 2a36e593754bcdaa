//! The folders environments stand in, their locks, and what is known about each.
//!
//! ```text
//! locks/NAME                   held while the thing called NAME is made or removed
//! resolved/NAME                the locked requirements of a requirements.txt
//! work/NAME/                   what a running step may write to, beside its cache; gone when it ended
//! scopes/SCOPE/                the cache of a scope, in which source packages are built
//! shared/cache/                the cache of wheels, which no user's code can write to
//! shared/environments/KEY/     an environment
//! shared/environments/KEY.json says that it is complete; its time of change is that of the last use
//! shared/environments/KEY.system leads to the system packages that belong to it
//! systems/KEY/                 system packages, and KEY.json beside it as for an environment; for nobody but us
//! systems/NAME.work/           where some are just being installed
//! ```
//! An environment holds its own path in its scripts, so it cannot be moved when it is ready. It is therefore built in
//! its place, and the record beside it is written last. The record does not stand inside, where a build could forge it.

use std::{
    fs::{self, DirBuilder, File, Permissions},
    io,
    os::{
        fd::AsRawFd,
        unix::fs::{DirBuilderExt, PermissionsExt, chown},
    },
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::{
    caches,
    confined::{BuildUser, changes_user},
    imports::Imports,
    system::system_link,
};

const LOCK_PAUSE: Duration = Duration::from_millis(25);

/// What is known about a complete environment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Record {
    /// The interpreter's version.
    pub python: String,
    /// The folder of the interpreter's installation.
    pub base_prefix: PathBuf,
    /// Bytes of all files, those of its system packages too.
    pub size: u64,
    /// What its packages cost to import, where that was measured.
    #[serde(default)]
    pub imports: Option<Imports>,
    /// The key of its system packages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
}

/// An environment, for those who decide which are still needed.
#[derive(Debug, Clone)]
pub struct Usage {
    /// Its key.
    pub key: String,
    /// Its folder.
    pub path: PathBuf,
    /// The version of its Python.
    pub python: String,
    /// Bytes of all its files. Files that it shares with other environments count in each.
    pub size: u64,
    /// When it was last built, asked for, or marked as used.
    pub last_used: SystemTime,
}

/// A lock, held until it is dropped.
pub(super) struct Lock(pub(super) Flock<File>);

impl Lock {
    /// Notes that it was taken just now.
    pub fn touch(&self) -> io::Result<()> {
        self.0.set_modified(SystemTime::now())
    }
}

/// The folders.
#[derive(Debug)]
pub(super) struct Shelf {
    root: PathBuf,
    user: BuildUser,
}

impl Shelf {
    /// Makes the folders and removes what an earlier life left half-built.
    pub fn open(root: &Path, user: BuildUser) -> io::Result<Self> {
        for (folder, mode) in [
            ("", 0o711),
            ("locks", 0o700),
            ("resolved", 0o700),
            ("work", 0o711),
            ("scopes", 0o711),
            ("shared", 0o711),
            ("shared/environments", 0o711),
            ("systems", 0o700),
        ] {
            make_folder(&root.join(folder), mode)?;
        }
        let shelf = Self { root: root.canonicalize()?, user };
        shelf.make_cache(&shelf.shared_cache())?;
        shelf.remove_leftovers()?;
        Ok(shelf)
    }

    /// Works on the folders outside of the runtime's own threads.
    pub async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        name: &str,
        work: impl FnOnce(&Self, &str) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let (shelf, name) = (Arc::clone(self), name.to_owned());
        tokio::task::spawn_blocking(move || work(&shelf, &name)).await?
    }

    /// The folder of all others.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What a build of wheels alone may write to: hard links do not cross from one mount to another.
    pub fn shared(&self) -> PathBuf {
        self.root.join("shared")
    }

    pub fn shared_cache(&self) -> PathBuf {
        self.root.join("shared/cache")
    }

    /// The cache of a scope, made when it is not there.
    pub fn scope_cache(&self, scope: &str) -> io::Result<PathBuf> {
        let cache = self.root.join("scopes").join(super::digest(&[scope]));
        self.make_cache(&cache)?;
        Ok(cache)
    }

    pub fn make_cache(&self, cache: &Path) -> io::Result<()> {
        self.make_for_build(cache, 0o700)
    }

    pub fn environment(&self, key: &str) -> PathBuf {
        self.root.join("shared/environments").join(key)
    }

    fn record_path(&self, key: &str) -> PathBuf {
        self.root.join("shared/environments").join(format!("{key}.json"))
    }

    /// The record of a complete environment.
    pub fn record(&self, key: &str) -> Option<Record> {
        let bytes = fs::read(self.record_path(key)).ok()?;
        serde_json::from_slice(&bytes).ok().filter(|_| self.environment(key).is_dir())
    }

    /// Declares an environment complete, once all of it is on disk.
    pub fn complete(&self, key: &str, record: &Record) -> io::Result<()> {
        let folder = File::open(self.environment(key))?;
        // SAFETY: the descriptor is open for as long as `folder` lives.
        super::confined::check(unsafe { libc::syncfs(folder.as_raw_fd()) })?;
        write_whole(&self.record_path(key), &serde_json::to_vec(record)?)
    }

    /// Notes that an environment was used just now.
    pub fn touch(&self, key: &str) -> io::Result<()> {
        File::open(self.record_path(key))?.set_modified(SystemTime::now())
    }

    /// An empty folder for an environment, owned by the build user.
    pub fn new_environment(&self, key: &str) -> io::Result<PathBuf> {
        let path = self.environment(key);
        remove_folder(&path)?;
        self.make_for_build(&path, 0o755)?;
        Ok(path)
    }

    /// Removes an environment, complete or not. Its lock must be held.
    pub fn remove_environment(&self, key: &str) -> io::Result<()> {
        remove_file(&self.record_path(key))?;
        remove_file(&system_link(&self.environment(key)))?;
        remove_folder(&self.environment(key))
    }

    /// A fresh folder for a step to work in, with these files in it, owned by the build user.
    pub fn new_work(&self, name: &str, files: &[(&str, String)]) -> io::Result<PathBuf> {
        let path = self.root.join("work").join(name);
        remove_folder(&path)?;
        // Ours until all is written: later the build user could put links in the way of our writes.
        make_folder(&path, 0o700)?;
        for (file, text) in files {
            fs::write(path.join(file), text)?;
            fs::set_permissions(path.join(file), Permissions::from_mode(0o644))?;
        }
        for folder in ["home", "tmp"] {
            self.make_for_build(&path.join(folder), 0o700)?;
        }
        self.give(&path)?;
        Ok(path)
    }

    pub fn remove_work(&self, name: &str) -> io::Result<()> {
        remove_folder(&self.root.join("work").join(name))
    }

    /// The locked requirements that were found before.
    pub fn resolved(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.root.join("resolved").join(name)).ok()
    }

    pub fn keep_resolved(&self, name: &str, text: &str) -> io::Result<()> {
        write_whole(&self.root.join("resolved").join(name), text.as_bytes())
    }

    /// Waits for a lock; `None` when it was cancelled. Holds against this process and others alike.
    pub async fn lock(&self, name: &str, cancel: &CancellationToken) -> io::Result<Option<Lock>> {
        self.lock_as(name, FlockArg::LockExclusiveNonblock, cancel).await
    }

    /// Waits for a lock of this kind.
    pub async fn lock_as(&self, name: &str, how: FlockArg, cancel: &CancellationToken) -> io::Result<Option<Lock>> {
        let path = self.root.join("locks").join(name);
        loop {
            if let Some(lock) = caches::try_lock(&path, how)? {
                return Ok(Some(lock));
            }
            tokio::select! {
                () = cancel.cancelled() => return Ok(None),
                () = tokio::time::sleep(LOCK_PAUSE) => {}
            }
        }
    }

    pub fn try_lock(&self, name: &str) -> io::Result<Option<Lock>> {
        caches::try_lock(&self.root.join("locks").join(name), FlockArg::LockExclusiveNonblock)
    }

    /// All complete environments.
    pub fn usage(&self) -> io::Result<Vec<Usage>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(self.root.join("shared/environments"))? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(key) = name.to_str().and_then(|name| name.strip_suffix(".json")) else { continue };
            let (Some(record), Ok(about)) = (self.record(key), entry.metadata()) else { continue };
            all.push(Usage {
                key: key.to_owned(),
                path: self.environment(key),
                python: record.python,
                size: record.size,
                last_used: about.modified()?,
            });
        }
        all.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(all)
    }

    /// Removes half-built environments and folders of steps, unless another process is at work on them.
    fn remove_leftovers(&self) -> io::Result<()> {
        for name in names(&self.root.join("work"))? {
            if let Some(_lock) = self.try_lock(&name)? {
                self.remove_work(&name)?;
            }
        }
        for key in names(&self.root.join("shared/environments"))? {
            if key.contains('.') || self.record(&key).is_some() {
                continue;
            }
            if let Some(_lock) = self.try_lock(&key)? {
                tracing::info!(key, "removing a half-built environment");
                self.remove_environment(&key)?;
            }
        }
        self.remove_half_systems()
    }

    fn make_for_build(&self, folder: &Path, mode: u32) -> io::Result<()> {
        if !folder.is_dir() {
            make_folder(folder, mode)?;
            self.give(folder)?;
        }
        Ok(())
    }

    fn give(&self, path: &Path) -> io::Result<()> {
        if changes_user() { chown(path, Some(self.user.uid), Some(self.user.gid)) } else { Ok(()) }
    }
}

pub(super) fn names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    Ok(entries.into_iter().filter_map(|entry| entry.file_name().into_string().ok()).collect())
}

pub(super) fn make_folder(folder: &Path, mode: u32) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(mode).create(folder)?;
    fs::set_permissions(folder, Permissions::from_mode(mode))
}

pub(super) fn remove_file(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

pub(super) fn remove_folder(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// Writes a file so that it is there with all of its text or not at all.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let mut file = File::create(&temporary)?;
    io::Write::write_all(&mut file, bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// The bytes of all files below a folder. Links are not followed.
pub(super) fn size_of(folder: &Path) -> io::Result<u64> {
    let mut size = 0;
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let about = entry.metadata()?;
            if about.is_dir() {
                folders.push(entry.path());
            } else {
                size += about.len();
            }
        }
    }
    Ok(size)
}
