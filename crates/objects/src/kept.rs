//! Kept files: objects that rows of files refer to, in a folder or in an object store. They lie on 256 shelves, so that those that no
//! row refers to can be looked for one shelf at a time.
//!
//! A key tells where its object is, so that files in the folder stay readable when an installation gets an object store.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::TryStreamExt;
use jiff::Timestamp;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::reading::{Kept, READING, read_ranges};
use crate::remote::{Remote, RemoteError};
use crate::{ObjectError, Objects, Staged};

/// The folder of all kept files.
const AREA: &str = "files";
/// What the keys of those begin with that are in the object store.
pub const AWAY: &str = "stored/";
/// How many files are sent to it at once: two parts of each are in memory.
const SENDING: usize = 4;
/// How often a file is sent that breaks off.
const TRIES: usize = 3;
/// How many entries of a list in the object store are asked for at once.
const PAGE: usize = 1000;

/// The object store of files.
#[derive(Clone)]
pub(crate) struct Away {
    store: Remote,
    /// Who sends; others wait with their uploads on the disk.
    sending: Arc<Semaphore>,
}

impl Objects {
    /// The same objects, with files that are kept from now on in an object store. Those in the folder stay there.
    pub fn with_files_in(self, store: Remote) -> Self {
        Self { away: Some(Away { store, sending: Arc::new(Semaphore::new(SENDING)) }), ..self }
    }

    /// Whether files are kept in an object store.
    pub fn has_files_away(&self) -> bool {
        self.away.is_some()
    }

    /// Keeps a whole upload; durable when this returns.
    pub async fn keep_file(&self, staged: Staged) -> Result<String, ObjectError> {
        let id = Uuid::new_v4().simple().to_string();
        let name = format!("{}/{id}", &id[..2]);
        if let Some(away) = &self.away {
            away.send(&name, &staged).await?;
            return Ok(format!("{AWAY}{name}"));
        }
        let key = format!("{AREA}/{name}");
        staged.become_file(self.path(&key)).await?;
        Ok(key)
    }

    /// Opens a kept file. Whoever has it open can read it to its end, also when it is removed; in an object store, as long as the store
    /// lets them.
    pub async fn open_file(&self, key: &str) -> Result<Kept, ObjectError> {
        if let Some(name) = key.strip_prefix(AWAY) {
            return Ok(Kept::Away(self.store_of(name)?.clone(), name.into()));
        }
        let path = self.path(key);
        let opened = tokio::task::spawn_blocking(move || File::open(path)).await.map_err(io::Error::other);
        match opened.and_then(|opened| opened) {
            Ok(file) => Ok(Kept::Here(Arc::new(file))),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Err(ObjectError::Missing(key.to_owned())),
            Err(cause) => Err(ObjectError::of_io(READING, &cause)),
        }
    }

    fn store_of(&self, name: &str) -> Result<&Remote, ObjectError> {
        let away = self.away.as_ref().map(|away| &away.store);
        away.ok_or_else(|| ObjectError::Away(format!("{name} is in one, and the setting files_store names none")))
    }

    /// Removes a kept file; fine when it is gone already.
    pub(crate) async fn delete_away(&self, name: &str) -> Result<(), ObjectError> {
        match self.store_of(name)?.delete(name).await {
            Ok(_) | Err(RemoteError::Missing(_)) => Ok(()),
            Err(cause) => Err(ObjectError::away(name, cause)),
        }
    }

    /// A copy of an open file as it is now, read by offset; refused when it is larger than `limit` bytes.
    pub async fn stage_file(&self, file: Arc<File>, limit: u64) -> Result<Staged, ObjectError> {
        self.stage(limit).copy(file).await
    }

    /// Ranges of open files as one file, without a name, open for reading and at its beginning.
    pub async fn joined(&self, ranges: Vec<(Kept, Range<u64>)>) -> Result<File, ObjectError> {
        let mut staging = self.stage(u64::MAX);
        let mut pieces = read_ranges(ranges).await?;
        while let Some(piece) = pieces.try_next().await? {
            staging.write(piece).await?;
        }
        let staged = staging.finish().await?;
        let opened = File::open(staged.path()).map_err(|cause| ObjectError::of_io(READING, &cause))?;
        // Its name goes with `staged`.
        Ok(opened)
    }

    /// The keys of the files on a shelf of the folder that were kept at least so long ago.
    pub async fn kept(&self, shelf: u8, age: Duration) -> Result<Vec<String>, ObjectError> {
        let shelf = format!("{AREA}/{shelf:02x}");
        let folder = self.path(&shelf);
        let listed = tokio::task::spawn_blocking(move || list(&folder, &shelf, age)).await.map_err(io::Error::other);
        listed.and_then(|listed| listed).map_err(|cause| ObjectError::of_io("listing objects", &cause))
    }

    /// The keys of the files on a shelf of the object store that were kept at least so long ago; none when there is no store.
    pub async fn kept_away(&self, shelf: u8, age: Duration) -> Result<Vec<String>, ObjectError> {
        let mut keys = Vec::new();
        if let Some(away) = &self.away {
            list_away(&away.store, shelf, age, &mut keys).await.map_err(|cause| ObjectError::away("", cause))?;
        }
        Ok(keys)
    }
}

impl Away {
    /// Sends a staged upload; it is there when this returns. What breaks off is sent again, a few times.
    async fn send(&self, name: &str, staged: &Staged) -> Result<(), ObjectError> {
        let _turn = self.sending.acquire().await.map_err(|cause| ObjectError::Away(cause.to_string()))?;
        let mut tries = 1;
        loop {
            match self.store.write(name, None, staged.read().await?).await {
                Ok(_) => return Ok(()),
                Err(RemoteError::Unreachable { .. } | RemoteError::Failed { .. }) if tries < TRIES => tries += 1,
                Err(cause) => return Err(ObjectError::away(name, cause)),
            }
        }
    }
}

fn list(folder: &Path, shelf: &str, age: Duration) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(found),
        Err(cause) => return Err(cause),
    };
    let now = SystemTime::now();
    for entry in entries {
        let entry = entry?;
        // One that is gone by now needs no look.
        let Ok(about) = entry.metadata() else { continue };
        let is_old = now.duration_since(about.modified()?).is_ok_and(|past| past >= age);
        if is_old && let Some(name) = entry.file_name().to_str() {
            found.push(format!("{shelf}/{name}"));
        }
    }
    Ok(found)
}

async fn list_away(store: &Remote, shelf: u8, age: Duration, keys: &mut Vec<String>) -> Result<(), RemoteError> {
    let until = Timestamp::now().as_microsecond().saturating_sub(i64::try_from(age.as_micros()).unwrap_or(i64::MAX));
    let mut after: Option<String> = None;
    loop {
        let page = store.list(&format!("{shelf:02x}/"), None, PAGE, after.as_deref()).await?;
        // Of what else there may be, and of what has no time, nothing is known.
        let ours = |name: &str| name.split_once('/').is_some_and(|(shelf, id)| id.len() == 32 && id.starts_with(shelf));
        let old = page.entries.into_iter().filter(|it| it.created > 0 && it.created <= until && ours(&it.name));
        keys.extend(old.map(|entry| format!("{AWAY}{}", entry.name)));
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
pub(crate) mod tests {
    use bytes::Bytes;

    use super::*;

    /// Keeps bytes that come in pieces.
    pub(crate) async fn kept(objects: &Objects, bytes: &[u8]) -> String {
        let mut staging = objects.stage(u64::MAX);
        for piece in bytes.chunks(300_000) {
            staging.write(Bytes::copy_from_slice(piece)).await.unwrap();
        }
        objects.keep_file(staging.finish().await.unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn who_has_a_file_open_reads_it_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let objects = Objects::local(folder.path()).unwrap();
        let key = kept(&objects, b"hello").await;
        let file = objects.open_file(&key).await.unwrap();
        objects.delete(&key).await.unwrap();

        assert_eq!(
            read_ranges(vec![(file, 0..5)]).await.unwrap().try_collect::<Vec<_>>().await.unwrap().concat(),
            b"hello"
        );
        assert!(matches!(objects.open_file(&key).await, Err(ObjectError::Missing(_))));
    }

    #[tokio::test]
    async fn kept_files_are_found_by_their_shelf_and_age() {
        let folder = tempfile::tempdir().unwrap();
        let objects = Objects::local(folder.path()).unwrap();
        let key = kept(&objects, b"hello").await;
        let shelf = u8::from_str_radix(&key[6..8], 16).unwrap();

        assert_eq!(objects.kept(shelf, Duration::ZERO).await.unwrap(), [key]);
        assert_eq!(objects.kept(shelf, Duration::from_secs(60)).await.unwrap(), [""; 0]);
        assert_eq!(objects.kept(shelf.wrapping_add(1), Duration::ZERO).await.unwrap(), [""; 0]);
    }
}
