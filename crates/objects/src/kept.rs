//! Kept files: objects that rows of files refer to. They lie on 256 shelves, so that those that no row refers to can be looked for
//! one shelf at a time.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::stream;
use futures_util::{Stream, TryStreamExt};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::held::{counted, is_much};
use crate::{ObjectError, Objects, Staged};

/// The folder of all kept files.
const AREA: &str = "files";
/// How many bytes are read at a time; two pieces are in memory.
const PIECE: u64 = 512 << 10;
/// How many are when much is in memory already.
const SMALL_PIECE: u64 = 32 << 10;

impl Objects {
    /// Keeps a whole upload; durable when this returns.
    pub async fn keep_file(&self, staged: Staged) -> Result<String, ObjectError> {
        let id = Uuid::new_v4().simple().to_string();
        let key = format!("{AREA}/{}/{id}", &id[..2]);
        staged.become_file(self.path(&key)).await?;
        Ok(key)
    }

    /// Opens a kept file. Whoever has it open can read it to its end, also when it is removed.
    pub async fn open_file(&self, key: &str) -> Result<Arc<File>, ObjectError> {
        let path = self.path(key);
        let opened = tokio::task::spawn_blocking(move || File::open(path)).await.map_err(io::Error::other);
        match opened.and_then(|opened| opened) {
            Ok(file) => Ok(Arc::new(file)),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Err(ObjectError::Missing(key.to_owned())),
            Err(cause) => Err(ObjectError::of_io(READING, &cause)),
        }
    }

    /// A copy of an open file as it is now, read by offset; refused when it is larger than `limit` bytes.
    pub async fn stage_file(&self, file: Arc<File>, limit: u64) -> Result<Staged, ObjectError> {
        self.stage(limit).copy(file).await
    }

    /// Ranges of open files as one file, without a name, open for reading and at its beginning.
    pub async fn joined(&self, ranges: Vec<(Arc<File>, Range<u64>)>) -> Result<File, ObjectError> {
        let mut staging = self.stage(u64::MAX);
        let mut pieces = std::pin::pin!(read_ranges(ranges));
        while let Some(piece) = pieces.try_next().await? {
            staging.write(piece).await?;
        }
        let staged = staging.finish().await?;
        let opened = File::open(staged.path()).map_err(|cause| ObjectError::of_io(READING, &cause))?;
        // Its name goes with `staged`.
        Ok(opened)
    }

    /// The keys of the files on a shelf that were kept at least so long ago.
    pub async fn kept(&self, shelf: u8, age: Duration) -> Result<Vec<String>, ObjectError> {
        let shelf = format!("{AREA}/{shelf:02x}");
        let folder = self.path(&shelf);
        let listed = tokio::task::spawn_blocking(move || list(&folder, &shelf, age)).await.map_err(io::Error::other);
        listed.and_then(|listed| listed).map_err(|cause| ObjectError::of_io("listing objects", &cause))
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

const READING: &str = "reading an object";

/// Ranges of open files, read one after another: while a piece is on its way the next is read.
pub fn read_ranges(ranges: Vec<(Arc<File>, Range<u64>)>) -> impl Stream<Item = Result<Bytes, ObjectError>> + Send {
    let mut reading = Reading { ranges: ranges.into_iter(), present: None, ahead: None };
    reading.read_ahead();
    stream::try_unfold(reading, |mut reading| async move {
        let Some(ahead) = reading.ahead.take() else { return Ok(None) };
        let piece = ahead.await.map_err(io::Error::other).and_then(|piece| piece);
        let piece = piece.map_err(|cause| ObjectError::of_io(READING, &cause))?;
        reading.read_ahead();
        Ok(Some((piece, reading)))
    })
}

struct Reading {
    ranges: std::vec::IntoIter<(Arc<File>, Range<u64>)>,
    present: Option<(Arc<File>, Range<u64>)>,
    ahead: Option<JoinHandle<io::Result<Bytes>>>,
}

impl Reading {
    /// Begins to read the next piece, if there is one.
    fn read_ahead(&mut self) {
        while self.present.as_ref().is_none_or(|(_, range)| range.is_empty()) {
            match self.ranges.next() {
                Some(next) => self.present = Some(next),
                None => return,
            }
        }
        let Some((file, range)) = &mut self.present else { return };
        let most = if is_much() { SMALL_PIECE } else { PIECE };
        let (file, at, length) = (file.clone(), range.start, most.min(range.end - range.start));
        range.start += length;
        self.ahead = Some(tokio::task::spawn_blocking(move || {
            let mut piece = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
            file.read_exact_at(&mut piece, at)?;
            Ok(counted(piece))
        }));
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use futures_util::TryStreamExt;

    use super::*;

    async fn kept(objects: &Objects, bytes: &[u8]) -> String {
        let mut staging = objects.stage(u64::MAX);
        for piece in bytes.chunks(300_000) {
            staging.write(Bytes::copy_from_slice(piece)).await.unwrap();
        }
        objects.keep_file(staging.finish().await.unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn ranges_of_several_files_come_as_one_stream() {
        let folder = tempfile::tempdir().unwrap();
        let objects = Objects::local(folder.path()).unwrap();
        let bytes: Vec<u8> = (0..3 << 20).map(|at: u32| (at * 7 + at / 251) as u8).collect();
        let (first, second) = (kept(&objects, &bytes).await, kept(&objects, b"tail").await);

        let first = objects.open_file(&first).await.unwrap();
        let second = objects.open_file(&second).await.unwrap();
        let ranges = vec![(first.clone(), 5..bytes.len() as u64), (second.clone(), 0..0), (second, 1..3)];
        let read = read_ranges(ranges).try_collect::<Vec<_>>().await.unwrap().concat();
        assert!(read == [&bytes[5..], b"ai"].concat());
        assert_eq!(read_ranges(vec![(first, 7..7)]).try_collect::<Vec<_>>().await.unwrap().len(), 0);
    }

    #[tokio::test]
    async fn pieces_are_small_while_much_is_in_memory() {
        let folder = tempfile::tempdir().unwrap();
        let objects = Objects::local(folder.path()).unwrap();
        let key = kept(&objects, &vec![7; 2 << 20]).await;
        let file = objects.open_file(&key).await.unwrap();
        let held = counted(vec![0; 200 << 20]);
        let mut pieces = std::pin::pin!(read_ranges(vec![(file, 0..2 << 20)]));
        for _ in 0..3 {
            assert_eq!(pieces.try_next().await.unwrap().unwrap().len() as u64, SMALL_PIECE);
        }
        drop(held);
        // One is on its way already.
        pieces.try_next().await.unwrap();
        assert_eq!(pieces.try_next().await.unwrap().unwrap().len() as u64, PIECE);
    }

    #[tokio::test]
    async fn who_has_a_file_open_reads_it_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let objects = Objects::local(folder.path()).unwrap();
        let key = kept(&objects, b"hello").await;
        let file = objects.open_file(&key).await.unwrap();
        objects.delete(&key).await.unwrap();

        assert_eq!(read_ranges(vec![(file, 0..5)]).try_collect::<Vec<_>>().await.unwrap().concat(), b"hello");
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
