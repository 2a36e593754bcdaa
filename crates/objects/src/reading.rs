//! Reading kept files: ranges of them as one stream, from the disk or from an object store.

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use tokio::task::JoinHandle;

use crate::ObjectError;
use crate::held::{counted, is_much};
use crate::remote::Remote;

/// How many bytes are read at a time; two pieces are in memory.
const PIECE: u64 = 512 << 10;
/// How many are when much is in memory already.
const SMALL_PIECE: u64 = 32 << 10;
pub(crate) const READING: &str = "reading an object";

/// A kept file that can be read. Cheap to clone.
#[derive(Clone)]
pub enum Kept {
    /// Open on the disk.
    Here(Arc<File>),
    /// In the object store, by this name.
    Away(Remote, Arc<str>),
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kept::Here(_) => f.write_str("Here"),
            Kept::Away(_, name) => f.debug_tuple("Away").field(name).finish(),
        }
    }
}

/// Bytes as they are read.
pub type Pieces = BoxStream<'static, Result<Bytes, ObjectError>>;

impl Kept {
    async fn read(self, range: Range<u64>) -> Result<Pieces, ObjectError> {
        match self {
            _ if range.is_empty() => Ok(stream::empty().boxed()),
            Kept::Here(file) => Ok(read_here(file, range)),
            Kept::Away(store, name) => {
                let opened = store.read(&name, Some(range.clone())).await;
                let (about, bytes) = opened.map_err(|cause| ObjectError::away(&name, cause))?;
                if about.size < range.end {
                    return Err(ObjectError::Away(format!("{name} has {} bytes and should have more", about.size)));
                }
                Ok(bytes.map_err(move |cause| ObjectError::away(&name, cause)).boxed())
            }
        }
    }
}

/// Ranges of kept files, read one after another. The first is open when this returns.
pub async fn read_ranges(ranges: Vec<(Kept, Range<u64>)>) -> Result<Pieces, ObjectError> {
    let mut ranges = ranges.into_iter().filter(|(_, range)| !range.is_empty());
    let Some((first, range)) = ranges.next() else { return Ok(stream::empty().boxed()) };
    let first = first.read(range).await?;
    let others = stream::iter(ranges).then(|(kept, range)| kept.read(range)).try_flatten();
    Ok(first.chain(others).boxed())
}

/// A range of an open file: while a piece is on its way the next is read.
fn read_here(file: Arc<File>, range: Range<u64>) -> Pieces {
    let mut reading = Reading { file, range, ahead: None };
    reading.read_ahead();
    let pieces = stream::try_unfold(reading, |mut reading| async move {
        let Some(ahead) = reading.ahead.take() else { return Ok(None) };
        let piece = ahead.await.map_err(io::Error::other).and_then(|piece| piece);
        let piece = piece.map_err(|cause| ObjectError::of_io(READING, &cause))?;
        reading.read_ahead();
        Ok(Some((piece, reading)))
    });
    pieces.boxed()
}

struct Reading {
    file: Arc<File>,
    range: Range<u64>,
    ahead: Option<JoinHandle<io::Result<Bytes>>>,
}

impl Reading {
    /// Begins to read the next piece, if there is one.
    fn read_ahead(&mut self) {
        if self.range.is_empty() {
            return;
        }
        let most = if is_much() { SMALL_PIECE } else { PIECE };
        let (file, at, length) = (self.file.clone(), self.range.start, most.min(self.range.end - self.range.start));
        self.range.start += length;
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
    use super::*;
    use crate::Objects;
    use crate::kept::tests::kept;

    #[tokio::test]
    async fn ranges_of_several_files_come_as_one_stream() {
        let folder = tempfile::tempdir().unwrap();
        let objects = Objects::local(folder.path()).unwrap();
        let bytes: Vec<u8> = (0..3 << 20).map(|at: u32| (at * 7 + at / 251) as u8).collect();
        let (first, second) = (kept(&objects, &bytes).await, kept(&objects, b"tail").await);

        let first = objects.open_file(&first).await.unwrap();
        let second = objects.open_file(&second).await.unwrap();
        let ranges = vec![(first.clone(), 5..bytes.len() as u64), (second.clone(), 0..0), (second, 1..3)];
        let read = read_ranges(ranges).await.unwrap().try_collect::<Vec<_>>().await.unwrap().concat();
        assert!(read == [&bytes[5..], b"ai"].concat());
        assert_eq!(read_ranges(vec![(first, 7..7)]).await.unwrap().try_collect::<Vec<_>>().await.unwrap().len(), 0);
    }

    #[tokio::test]
    async fn pieces_are_small_while_much_is_in_memory() {
        let folder = tempfile::tempdir().unwrap();
        let objects = Objects::local(folder.path()).unwrap();
        let key = kept(&objects, &vec![7; 2 << 20]).await;
        let file = objects.open_file(&key).await.unwrap();
        let held = counted(vec![0; 200 << 20]);
        let mut pieces = read_ranges(vec![(file, 0..2 << 20)]).await.unwrap();
        for _ in 0..3 {
            assert_eq!(pieces.try_next().await.unwrap().unwrap().len() as u64, SMALL_PIECE);
        }
        drop(held);
        // One is on its way already.
        pieces.try_next().await.unwrap();
        assert_eq!(pieces.try_next().await.unwrap().unwrap().len() as u64, PIECE);
    }
}
