//! The data folder: everything a server keeps on disk, and the lock that lets one server in at a time.

mod filesystem;
mod key;
mod lock;
mod written;

#[cfg(test)]
mod tests;

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use modelyard_types::ServerId;

pub use key::Keys;
pub(crate) use written::{publish, remove, temporary, write_private};

use crate::{Result, StartError};

/// An open data folder. While it lives no other server can open it.
pub struct DataFolder {
    path: PathBuf,
    _lock: lock::Lock,
}

impl DataFolder {
    /// Opens a folder for one server, and makes it when it is not there.
    pub fn open(path: &Path) -> Result<Self> {
        let failed = |e| StartError(format!("The data folder {} cannot be opened: {e}.", path.display()));
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        let path = fs::canonicalize(path).map_err(failed)?;
        let lock = lock::Lock::take(&path)?;
        Ok(Self { path, _lock: lock })
    }

    /// Refuses a folder that SQLite would not be safe on.
    pub fn require_local(&self) -> Result<()> {
        filesystem::require_local(&self.path)
    }

    /// The folder itself, as an absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The SQLite file, when there is no other database.
    pub fn database(&self) -> PathBuf {
        self.path.join("modelyard.db")
    }

    /// The file of log lines.
    pub fn logs(&self) -> PathBuf {
        self.path.join("logs.db")
    }

    /// The folder of stored files.
    pub fn objects(&self) -> PathBuf {
        self.path.join("objects")
    }

    /// The folder of unpacked packages.
    pub fn packages(&self) -> PathBuf {
        self.path.join("packages")
    }

    /// The folder of built environments.
    pub fn environments(&self) -> PathBuf {
        self.path.join("environments")
    }

    /// The folder of copies of files that lie at providers. It can be emptied while no server runs.
    pub fn file_cache(&self) -> PathBuf {
        self.path.join("file-cache")
    }

    /// The folder of the runner: scratch of instances, and records of what runs.
    pub fn instances(&self) -> PathBuf {
        self.path.join("instances")
    }

    /// The folder of programs that were fetched.
    pub fn tools(&self) -> PathBuf {
        self.path.join("tools")
    }

    /// The folder of worker packages, one for each release that ran here.
    pub fn worker(&self) -> PathBuf {
        self.path.join("worker")
    }

    /// The id of the server that this folder belongs to; made at its first start.
    pub fn server_id(&self) -> Result<ServerId> {
        let path = self.path.join("server-id");
        let failed = |e| StartError(format!("The file {} cannot be used: {e}.", path.display()));
        match fs::read_to_string(&path) {
            Ok(text) => text.trim().parse().map_err(|_| failed(io::Error::other("it does not hold an id"))),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let id = ServerId::new();
                write_private(&path, &format!("{id}\n")).and_then(|_| publish(&path)).map_err(failed)?;
                Ok(id)
            }
            Err(e) => Err(failed(e)),
        }
    }

    /// The file with the first administrator's token.
    pub fn admin_token(&self) -> PathBuf {
        self.path.join("admin-token")
    }

    /// The key file's content; made when it is missing, unless an installation depends on the one that was there.
    pub fn keys(&self, installed: bool) -> Result<Keys> {
        key::read_or_make(&self.path.join("key"), installed)
    }
}
