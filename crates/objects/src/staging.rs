//! Uploads on their way: a temporary file that becomes an object by one rename, or nothing.
//!
//! Bytes are written in batches on a blocking thread, while the next batch arrives; an upload never holds more than two.

use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use sha2::{Digest, Sha256};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::ObjectError;
use crate::held::{Held, is_much};
use crate::reading::{Kept, Pieces, read_ranges};

/// How many bytes are written at a time.
const BATCH: usize = 1 << 20;
/// From so many bytes at a time on the kernel is told to write them to the disk.
const WRITTEN_BEHIND: u64 = 512 << 10;
/// How many pieces are written at a time, however small they are.
const PIECES: usize = 256;

/// An upload that is being written. Dropping it removes what was written.
pub struct Staging {
    /// Nothing while a batch is being written.
    writer: Option<Writer>,
    writing: Option<JoinHandle<io::Result<Writer>>>,
    batch: Vec<Bytes>,
    batched: usize,
    held: Held,
    size: u64,
    limit: u64,
}

/// A whole upload that is not an object yet. Dropping it removes it.
#[derive(Debug)]
pub struct Staged {
    left: Leftover,
    file: File,
    size: u64,
    sha256: String,
}

/// The file of an upload and the hash of what is in it.
struct Writer {
    left: Leftover,
    file: Option<File>,
    written: u64,
    hash: Sha256,
}

/// A temporary file that goes when nobody took it.
#[derive(Debug)]
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
    /// An upload without a byte; its file is made with the first batch.
    pub(crate) fn begin(folder: &Path, limit: u64) -> Self {
        let path = folder.join(Uuid::new_v4().simple().to_string());
        let writer = Writer { left: Leftover(Some(path)), file: None, written: 0, hash: Sha256::new() };
        Self {
            writer: Some(writer),
            writing: None,
            batch: Vec::new(),
            batched: 0,
            held: Held::default(),
            size: 0,
            limit,
        }
    }

    /// Adds bytes; refuses those past the limit. Waits while the disk is behind.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), ObjectError> {
        self.size += bytes.len() as u64;
        if self.size > self.limit {
            return Err(ObjectError::TooLarge(self.limit));
        }
        if bytes.is_empty() {
            return Ok(());
        }
        self.batched += bytes.len();
        self.held.add(bytes.len());
        self.batch.push(bytes);
        if self.batched >= BATCH || self.batch.len() >= PIECES || is_much() {
            self.write_batch().await?;
        }
        Ok(())
    }

    /// A copy of an open file as it is now, from its beginning.
    pub(crate) async fn copy(mut self, from: Arc<File>) -> Result<Staged, ObjectError> {
        let mut writer = self.writer().await?;
        let limit = self.limit;
        let done = tokio::task::spawn_blocking(move || {
            // What grows meanwhile is not of the file.
            let size = from.metadata()?.len();
            let mut at = 0;
            while at < size && size <= limit {
                let mut piece = vec![0; usize::try_from((size - at).min(BATCH as u64)).unwrap_or(BATCH)];
                let read = from.read_at(&mut piece, at)?;
                if read == 0 {
                    break;
                }
                piece.truncate(read);
                at += read as u64;
                writer.write(&[piece.into()])?;
            }
            if size > limit { Ok(None) } else { writer.finish(at).map(Some) }
        });
        let staged = done.await.map_err(io::Error::other).and_then(|done| done).map_err(|cause| failed(&cause))?;
        staged.ok_or(ObjectError::TooLarge(limit))
    }

    /// How many bytes were added.
    pub fn size(&self) -> u64 {
        self.size
    }

    async fn write_batch(&mut self) -> Result<(), ObjectError> {
        let mut writer = self.writer().await?;
        let (batch, held) = (std::mem::take(&mut self.batch), std::mem::take(&mut self.held));
        self.batched = 0;
        self.writing = Some(tokio::task::spawn_blocking(move || {
            writer.write(&batch)?;
            drop(held);
            Ok(writer)
        }));
        Ok(())
    }

    /// The writer, when the batch before is written.
    async fn writer(&mut self) -> Result<Writer, ObjectError> {
        if let Some(writing) = self.writing.take() {
            return writing.await.map_err(io::Error::other).and_then(|done| done).map_err(|cause| failed(&cause));
        }
        self.writer.take().ok_or_else(|| ObjectError::failed(DOING, "it broke off before"))
    }

    /// Ends the upload. It is durable when it was made an object.
    pub async fn finish(mut self) -> Result<Staged, ObjectError> {
        let mut writer = self.writer().await?;
        let (batch, size) = (std::mem::take(&mut self.batch), self.size);
        let done = tokio::task::spawn_blocking(move || {
            writer.write(&batch)?;
            writer.finish(size)
        });
        done.await.map_err(io::Error::other).and_then(|done| done).map_err(|cause| failed(&cause))
    }
}

const DOING: &str = "writing an upload";

fn failed(cause: &io::Error) -> ObjectError {
    ObjectError::of_io(DOING, cause)
}

impl Writer {
    fn file(&mut self) -> io::Result<&mut File> {
        if self.file.is_none() {
            let path = self.left.0.as_deref().unwrap_or(Path::new(""));
            self.file = Some(File::create_new(path)?);
        }
        self.file.as_mut().ok_or_else(|| io::Error::other("the file was just made"))
    }

    fn write(&mut self, batch: &[Bytes]) -> io::Result<()> {
        let at = self.written;
        let file = self.file()?;
        let mut slices: Vec<IoSlice<'_>> = batch.iter().map(|piece| IoSlice::new(piece)).collect();
        let mut rest = slices.as_mut_slice();
        while !rest.is_empty() {
            let written = file.write_vectored(rest)?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            IoSlice::advance_slices(&mut rest, written);
        }
        let length = batch.iter().map(Bytes::len).sum::<usize>() as u64;
        write_behind(file, at, length);
        self.written += length;
        for piece in batch {
            self.hash.update(piece);
        }
        Ok(())
    }

    fn finish(mut self, size: u64) -> io::Result<Staged> {
        self.file()?;
        let Some(file) = self.file else { return Err(io::Error::other("the file was just made")) };
        Ok(Staged { left: self.left, file, size, sha256: hex::encode(self.hash.finalize()) })
    }
}

/// Has the kernel begin to write to the disk what was just written, so that little is left to wait for at the end of a large file. Pages
/// on their way stay in memory.
fn write_behind(file: &File, at: u64, length: u64) {
    if length >= WRITTEN_BEHIND
        && let (Ok(at), Ok(length)) = (i64::try_from(at), i64::try_from(length))
    {
        // It is a hint: the sync at the end is what counts.
        let _ = posix_fadvise(file, at, length, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
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

    /// Its bytes, for those who send them on: read once the disk has taken them, so that a failure of it is no other content.
    pub async fn read(&self) -> Result<Pieces, ObjectError> {
        self.flush().await?;
        let path = self.path().to_owned();
        let opened = tokio::task::spawn_blocking(move || File::open(path)).await.map_err(io::Error::other);
        let opened = opened.and_then(|opened| opened).map_err(|cause| failed(&cause))?;
        read_ranges(vec![(Kept::Here(Arc::new(opened)), 0..self.size)]).await
    }

    /// Writes what it holds to the disk: for those whose readers trust what they find after a crash.
    pub(crate) async fn flush(&self) -> Result<(), ObjectError> {
        let file = self.file.try_clone().map_err(|cause| failed(&cause))?;
        let done = tokio::task::spawn_blocking(move || file.sync_all()).await.map_err(io::Error::other);
        done.and_then(|done| done).map_err(|cause| failed(&cause))
    }

    /// Gives the file its place; durable when this returns, and not before.
    pub(crate) async fn become_file(self, target: PathBuf) -> Result<(), ObjectError> {
        let moved = tokio::task::spawn_blocking(move || self.move_to(&target)).await.map_err(io::Error::other);
        moved.and_then(|done| done).map_err(|cause| ObjectError::of_io("keeping an upload", &cause))
    }

    /// The name comes before the bytes are on the disk, so that one commit of the file system does for both. Nobody looks for it before
    /// this is over; after a crash it is a stray.
    fn move_to(mut self, target: &Path) -> io::Result<()> {
        let parent = target.parent().unwrap_or(Path::new("/"));
        make_folder(parent)?;
        std::fs::rename(self.path(), target)?;
        self.left.0 = Some(target.to_owned());
        self.file.sync_all()?;
        File::open(parent)?.sync_all()?;
        self.left.0 = None;
        Ok(())
    }
}

/// Makes a folder, durably, if it is not there.
fn make_folder(folder: &Path) -> io::Result<()> {
    match (folder.is_dir(), folder.parent()) {
        (false, Some(above)) => {
            make_folder(above)?;
            match std::fs::create_dir(folder) {
                Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {}
                made => made?,
            }
            File::open(above)?.sync_all()
        }
        _ => Ok(()),
    }
}
