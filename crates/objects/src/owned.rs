//! Objects that belong to a row: their keys tell which, so that those whose row never came to be can be found.
//!
//! They lie on 256 shelves, by the last byte of the owner's id. Whoever looks through them takes one shelf at a time.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use uuid::Uuid;

use crate::{ObjectError, Objects};

/// The folder of all owned objects.
const AREA: &str = "owned";

/// A stored file, whole or not, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
    /// The row it was stored for.
    pub owner: Uuid,
    path: PathBuf,
}

impl Owned {
    /// `NAME` begins with the owner's id.
    fn read(path: PathBuf) -> Option<Self> {
        let owner = path.file_name()?.to_str()?.get(..32)?.parse().ok()?;
        Some(Self { owner, path })
    }
}

/// A new key for an object of a row.
pub(crate) fn fresh_key(owner: Uuid) -> String {
    let more = Uuid::new_v4().simple().to_string();
    format!("{}/{}-{more}", shelf_of(owner.as_bytes()[15]), owner.simple())
}

fn shelf_of(byte: u8) -> String {
    format!("{AREA}/{byte:02x}")
}

impl Objects {
    /// The owned objects of a shelf that were stored at least so long ago; also what is left of ones that broke off.
    pub async fn owned(&self, shelf: u8, age: Duration) -> Result<Vec<Owned>, ObjectError> {
        let folder = self.path(&shelf_of(shelf));
        let listed = tokio::task::spawn_blocking(move || list(&folder, age)).await;
        let listed = listed.map_err(|cause| ObjectError::failed("listing objects", cause))?;
        listed.map_err(|cause| ObjectError::failed("listing objects", cause))
    }

    /// Removes an owned object; fine when it is gone already.
    pub async fn remove(&self, owned: &Owned) -> Result<(), ObjectError> {
        match tokio::fs::remove_file(&owned.path).await {
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
                Err(ObjectError::failed("removing an object", cause))
            }
            _ => Ok(()),
        }
    }
}

fn list(folder: &Path, age: Duration) -> std::io::Result<Vec<Owned>> {
    let mut found = Vec::new();
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(found),
        Err(cause) => return Err(cause),
    };
    let now = SystemTime::now();
    for entry in entries {
        let entry = entry?;
        // One that is gone by now needs no look.
        let Ok(about) = entry.metadata() else { continue };
        let is_old = now.duration_since(about.modified()?).is_ok_and(|past| past >= age);
        if is_old && let Some(owned) = Owned::read(entry.path()) {
            found.push(owned);
        }
    }
    Ok(found)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[tokio::test]
    async fn owned_objects_are_found_by_their_shelf_and_age() {
        let folder = tempfile::tempdir().unwrap();
        let objects = Objects::local(folder.path()).unwrap();
        let (owner, other) = (Uuid::from_u128(0x1234), Uuid::from_u128(0x5678));
        let key = objects.put(owner, Bytes::from_static(b"hello")).await.unwrap();
        objects.put(other, Bytes::new()).await.unwrap();
        // What a store leaves when it is killed in the middle of writing.
        std::fs::write(objects.path(&format!("{key}#1")), b"he").unwrap();

        assert_eq!(objects.owned(0x34, Duration::from_secs(60)).await.unwrap(), []);
        assert_eq!(objects.owned(0x12, Duration::ZERO).await.unwrap(), []);
        let found = objects.owned(0x34, Duration::ZERO).await.unwrap();
        assert_eq!(found.iter().map(|found| found.owner).collect::<Vec<_>>(), [owner, owner]);
        for found in &found {
            objects.remove(found).await.unwrap();
            objects.remove(found).await.unwrap();
        }
        assert!(matches!(objects.get(&key).await, Err(ObjectError::Missing(_))));
        assert_eq!(objects.owned(0x78, Duration::ZERO).await.unwrap().len(), 1);
    }
}
