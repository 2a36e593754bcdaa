//! Uploads on their way: a temporary file that becomes an object by one rename, or nothing.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

use crate::ObjectError;

/// An upload that is being written. Dropping it removes what was written.
pub struct Staging {
    file: File,
    left: Leftover,
    hash: Sha256,
    size: u64,
    limit: u64,
}

/// A whole upload that is not an object yet. Dropping it removes it.
pub struct Staged {
    left: Leftover,
    size: u64,
    sha256: String,
}

/// A temporary file that goes when nobody took it.
struct Leftover(Option<PathBuf>);

impl Drop for Leftover {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // It is swept at the next start when it cannot be removed now.
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Staging {
    pub(crate) async fn begin(folder: &Path, limit: u64) -> Result<Self, ObjectError> {
        let path = folder.join(Uuid::new_v4().simple().to_string());
        let file = File::create_new(&path).await.map_err(|cause| ObjectError::failed("beginning an upload", cause))?;
        Ok(Self { file, left: Leftover(Some(path)), hash: Sha256::new(), size: 0, limit })
    }

    /// Adds bytes; refuses those past the limit.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), ObjectError> {
        self.size += bytes.len() as u64;
        if self.size > self.limit {
            return Err(ObjectError::TooLarge(self.limit));
        }
        self.hash.update(bytes);
        self.file.write_all(bytes).await.map_err(|cause| ObjectError::failed("writing an upload", cause))
    }

    /// Ends the upload, durably.
    pub async fn finish(mut self) -> Result<Staged, ObjectError> {
        self.file.flush().await.map_err(|cause| ObjectError::failed("writing an upload", cause))?;
        self.file.sync_all().await.map_err(|cause| ObjectError::failed("writing an upload", cause))?;
        Ok(Staged { left: self.left, size: self.size, sha256: hex::encode(self.hash.finalize()) })
    }
}

impl Staged {
    /// Where the bytes lie now.
    pub fn path(&self) -> &Path {
        self.left.0.as_deref().unwrap_or(Path::new(""))
    }

    /// How many bytes there are.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Their SHA-256, in hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    pub(crate) async fn become_file(mut self, target: PathBuf) -> Result<(), ObjectError> {
        let Some(source) = self.left.0.take() else {
            return Ok(());
        };
        let moved = tokio::task::spawn_blocking(move || {
            let parent = target.parent().unwrap_or(Path::new("/"));
            std::fs::create_dir_all(parent)?;
            std::fs::rename(&source, &target)?;
            std::fs::File::open(parent)?.sync_all()
        });
        match moved.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(cause)) => Err(ObjectError::failed("keeping an upload", cause)),
            Err(cause) => Err(ObjectError::failed("keeping an upload", cause)),
        }
    }
}
