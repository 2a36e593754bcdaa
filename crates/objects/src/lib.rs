//! Stored files and packages: put, get, delete. Knows bytes, not projects. All lie in a folder, but for files of buckets and blobs when
//! an object store was named for them.
//!
//! Keys are opaque ids, never names that users chose. What is uploaded is staged first: written to a temporary file
//! with a hash on the way, and visible as an object only by one rename. A broken upload leaves nothing.

mod cache;
mod held;
mod kept;
mod owned;
mod reading;
pub mod remote;
mod staging;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path as Location;
use object_store::{ObjectStore, ObjectStoreExt};
use uuid::Uuid;

pub use cache::Cache;
pub use kept::AWAY;
pub use owned::Owned;
pub use reading::{Kept, Pieces, read_ranges};
pub use staging::{Staged, Staging};

/// What can go wrong with stored bytes.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// There is no object of this key.
    #[error("the stored object '{0}' is missing")]
    Missing(String),
    /// The upload is larger than allowed.
    #[error("the upload is larger than {0} bytes")]
    TooLarge(u64),
    /// There is no room for more.
    #[error("there is no room left on the disk for stored files")]
    NoRoom,
    /// The object store does not answer, or does not take what it is asked.
    #[error("the object store of files: {0}")]
    Away(String),
    /// The disk or the store failed.
    #[error("{doing}: {cause}")]
    Failed {
        /// What was being done.
        doing: &'static str,
        /// What went wrong.
        cause: String,
    },
}

impl ObjectError {
    fn failed(doing: &'static str, cause: impl std::fmt::Display) -> Self {
        ObjectError::Failed { doing, cause: cause.to_string() }
    }

    fn of_io(doing: &'static str, cause: &std::io::Error) -> Self {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        match cause.kind() {
            StorageFull | QuotaExceeded => ObjectError::NoRoom,
            _ => ObjectError::failed(doing, cause),
        }
    }

    /// What went wrong with an object in the object store.
    fn away(name: &str, cause: remote::RemoteError) -> Self {
        match cause {
            remote::RemoteError::Missing(_) => ObjectError::Missing(format!("{AWAY}{name}")),
            cause => ObjectError::Away(cause.to_string()),
        }
    }
}

impl From<ObjectError> for modelyard_types::Error {
    fn from(error: ObjectError) -> Self {
        match error {
            ObjectError::TooLarge(_) => modelyard_types::Error::TooLarge,
            ObjectError::NoRoom => {
                modelyard_types::Error::NoRoom("The server has no room left for files; nothing was stored".into())
            }
            ObjectError::Away(cause) => {
                tracing::error!(cause, "the object store of files failed");
                modelyard_types::Error::Unavailable(
                    "The store of files does not answer as it should; try again later".into(),
                )
            }
            other => modelyard_types::Error::internal("object store", other),
        }
    }
}

/// The objects of an installation. Cheap to clone.
#[derive(Clone)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
    folder: PathBuf,
    staging: PathBuf,
    /// Where files are kept from now on, if not in the folder.
    away: Option<kept::Away>,
}

impl Objects {
    /// Opens the objects below a local folder; makes it, and removes what broken uploads left.
    pub fn local(folder: &Path) -> Result<Self, ObjectError> {
        let objects = folder.join("objects");
        let staging = folder.join("staging");
        if staging.exists() {
            std::fs::remove_dir_all(&staging).map_err(|cause| ObjectError::failed("clearing broken uploads", cause))?;
        }
        for folder in [&objects, &staging] {
            std::fs::create_dir_all(folder).map_err(|cause| ObjectError::failed("making the object folder", cause))?;
        }
        let store = LocalFileSystem::new_with_prefix(&objects)
            .map_err(|cause| ObjectError::failed("opening the object folder", cause))?
            .with_fsync(true);
        let folder = objects.canonicalize().map_err(|cause| ObjectError::failed("opening the object folder", cause))?;
        Ok(Self { store: Arc::new(store), folder, staging, away: None })
    }

    /// Begins an upload of at most `limit` bytes.
    pub fn stage(&self, limit: u64) -> Staging {
        Staging::begin(&self.staging, limit)
    }

    /// Makes a staged upload an object: durable and visible when this returns.
    pub async fn keep(&self, staged: Staged) -> Result<String, ObjectError> {
        let key = fresh_key();
        // No sweep finds what a crash leaves here without a row: so the name comes last.
        staged.flush().await?;
        staged.become_file(self.path(&key)).await?;
        Ok(key)
    }

    /// Stores bytes that belong to a row; durable when this returns.
    pub async fn put(&self, owner: Uuid, bytes: Bytes) -> Result<String, ObjectError> {
        let key = owned::fresh_key(owner);
        let stored = self.store.put(&Location::from(key.as_str()), bytes.into()).await;
        stored.map_err(|cause| ObjectError::failed("storing an object", cause))?;
        Ok(key)
    }

    /// All bytes of an object.
    pub async fn get(&self, key: &str) -> Result<Bytes, ObjectError> {
        let found = self.store.get(&Location::from(key)).await.map_err(|cause| read_error(key, cause))?;
        found.bytes().await.map_err(|cause| read_error(key, cause))
    }

    /// How many bytes an object has.
    pub async fn size(&self, key: &str) -> Result<u64, ObjectError> {
        let found = self.store.head(&Location::from(key)).await.map_err(|cause| read_error(key, cause))?;
        Ok(found.size)
    }

    /// An object as a stream, with its size in bytes.
    pub async fn open(
        &self,
        key: &str,
    ) -> Result<(u64, impl Stream<Item = Result<Bytes, ObjectError>> + Send + use<>), ObjectError> {
        let found = self.store.get(&Location::from(key)).await.map_err(|cause| read_error(key, cause))?;
        let size = found.meta.size;
        let key = key.to_owned();
        let stream = found.into_stream().map_err(move |cause| read_error(&key, cause)).boxed();
        Ok((size, stream))
    }

    /// Removes an object; fine when it is gone already.
    pub async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        if let Some(name) = key.strip_prefix(AWAY) {
            return self.delete_away(name).await;
        }
        match self.store.delete(&Location::from(key)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(cause) => Err(ObjectError::failed("removing an object", cause)),
        }
    }

    /// Where an object lies on this machine, for those who need a file: builders and launchers.
    pub fn path(&self, key: &str) -> PathBuf {
        self.folder.join(key)
    }
}

fn fresh_key() -> String {
    // Two levels by random digits keep folders small.
    let id = Uuid::new_v4().simple().to_string();
    format!("{}/{}", &id[..2], id)
}

fn read_error(key: &str, cause: object_store::Error) -> ObjectError {
    match cause {
        object_store::Error::NotFound { .. } => ObjectError::Missing(key.to_owned()),
        cause => ObjectError::failed("reading an object", cause),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn open() -> (tempfile::TempDir, Objects) {
        let folder = tempfile::tempdir().unwrap();
        let objects = Objects::local(folder.path()).unwrap();
        (folder, objects)
    }

    #[tokio::test]
    async fn what_is_put_comes_back_until_it_is_deleted() {
        let (_folder, objects) = open();
        let key = objects.put(Uuid::new_v4(), Bytes::from_static(b"hello")).await.unwrap();

        assert_eq!(objects.get(&key).await.unwrap(), "hello");
        assert_eq!(objects.size(&key).await.unwrap(), 5);
        let (size, stream) = objects.open(&key).await.unwrap();
        assert_eq!(size, 5);
        assert_eq!(stream.try_collect::<Vec<_>>().await.unwrap().concat(), b"hello");

        objects.delete(&key).await.unwrap();
        objects.delete(&key).await.unwrap();
        assert!(matches!(objects.get(&key).await, Err(ObjectError::Missing(_))));
        assert!(matches!(objects.size(&key).await, Err(ObjectError::Missing(_))));
    }

    #[tokio::test]
    async fn an_upload_becomes_an_object_with_its_hash() {
        let (_folder, objects) = open();
        let mut staging = objects.stage(100);
        staging.write("hel".into()).await.unwrap();
        staging.write("lo".into()).await.unwrap();
        let staged = staging.finish().await.unwrap();
        assert_eq!(staged.size(), 5);
        assert_eq!(staged.sha256(), "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");

        let key = objects.keep(staged).await.unwrap();
        assert_eq!(objects.get(&key).await.unwrap(), "hello");
    }

    #[tokio::test]
    async fn a_broken_or_refused_upload_leaves_nothing() {
        let (folder, objects) = open();
        let mut staging = objects.stage(4);
        staging.write("hel".into()).await.unwrap();
        assert!(matches!(staging.write("lo".into()).await, Err(ObjectError::TooLarge(4))));
        drop(staging);
        drop(objects.stage(4).finish().await.unwrap());
        assert_eq!(std::fs::read_dir(folder.path().join("staging")).unwrap().count(), 0);
    }
}
