//! Files that are open for reading.

use std::fs;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use modelyard_objects::{Kept, ObjectError, Pieces, read_ranges};
use modelyard_store::{File, files};
use modelyard_types::files::FileName;
use modelyard_types::{ContainerId, Error, Result};

use super::Files;

/// How often a file is opened that is replaced at the same moment.
const LOOKS: usize = 5;

/// A file that is open for reading: whole, whatever becomes of its name.
pub struct Opened {
    /// The file.
    pub file: File,
    parts: Vec<(Kept, u64)>,
}

/// What is left of the room for the files of a request.
pub(crate) struct Scratch(AtomicU64);

impl Scratch {
    /// So many bytes.
    pub(crate) fn of(bytes: u64) -> Self {
        Self(AtomicU64::new(bytes))
    }

    /// Takes room for a file; refused when there is not so much.
    pub(crate) fn take(&self, bytes: u64) -> Result<()> {
        let left = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(bytes));
        left.map(drop).map_err(|_| Error::TooLarge)
    }
}

impl Files {
    /// Opens a file.
    pub async fn open(&self, container: ContainerId, name: &FileName) -> Result<Opened> {
        for _ in 0..LOOKS {
            let file = self.get(container, name).await?;
            let keys = match &file.object_key {
                Some(key) => vec![(key.clone(), file.size)],
                None => {
                    let parts = files::parts(&self.store, file.id).await?;
                    parts.into_iter().map(|part| (part.object_key, part.size)).collect()
                }
            };
            match self.open_all(keys).await {
                Ok(parts) if total(&parts) == file.size.unsigned_abs() => return Ok(Opened { file, parts }),
                // It was replaced or deleted between the two looks.
                Ok(_) | Err(ObjectError::Missing(_)) => {}
                Err(cause) => return Err(cause.into()),
            }
        }
        Err(Error::Internal(format!("the bytes of file {name} in container {container} are missing")))
    }

    async fn open_all(&self, keys: Vec<(String, i64)>) -> Result<Vec<(Kept, u64)>, ObjectError> {
        let mut parts = Vec::with_capacity(keys.len());
        for (key, size) in keys {
            parts.push((self.objects.open_file(&key).await?, size.unsigned_abs()));
        }
        Ok(parts)
    }

    /// Opens a file as one on this server's disk, if there is room for it: one of several parts is copied together first, and of what is
    /// in the object store the copy is kept for the next one.
    pub(crate) async fn open_whole(&self, container: ContainerId, name: &FileName, room: &Scratch) -> Result<fs::File> {
        let opened = self.open(container, name).await?;
        let size = opened.size();
        room.take(size)?;
        let id = opened.file.id;
        let ranges = opened.ranges(0..size);
        let file = match ranges.as_slice() {
            [(Kept::Here(file), _)] => file.try_clone().map_err(|cause| Error::internal("opening a file", cause))?,
            [(Kept::Away(..), _), ..] => {
                // The bytes of an id never change.
                let copied = self.cache.get(&id.0.simple().to_string(), size, read_ranges(ranges)).await;
                copied.map_err(|cause: ObjectError| Error::from(cause))?
            }
            _ => self.objects.joined(ranges).await?,
        };
        Ok(file)
    }
}

impl Opened {
    /// Its bytes.
    pub fn size(&self) -> u64 {
        self.file.size.unsigned_abs()
    }

    /// Some of its bytes, in order.
    pub async fn read(self, range: Range<u64>) -> Result<Pieces> {
        Ok(read_ranges(self.ranges(range)).await?)
    }

    /// Where some of its bytes lie: kept files and ranges in them.
    pub fn ranges(self, range: Range<u64>) -> Vec<(Kept, Range<u64>)> {
        let mut ranges = Vec::with_capacity(self.parts.len());
        let mut begin = 0;
        for (file, size) in self.parts {
            let own = range.start.clamp(begin, begin + size) - begin..range.end.clamp(begin, begin + size) - begin;
            begin += size;
            if !own.is_empty() {
                ranges.push((file, own));
            }
        }
        ranges
    }
}

fn total(parts: &[(Kept, u64)]) -> u64 {
    parts.iter().map(|(_, size)| size).sum()
}
