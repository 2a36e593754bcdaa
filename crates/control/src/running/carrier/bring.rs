//! From buckets to a process: every file that a call names, open for reading.

use std::os::fd::OwnedFd;

use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use modelyard_runner::process::CallFile;
use modelyard_types::{Error, Kind, Result};

use super::Carrier;
use crate::Control;
use crate::requests::files::{MAX_FILES, Named, Source, named, no_bucket, not_there};

/// How many files of a call are on their way at once.
const AT_ONCE: usize = 8;

impl Carrier {
    /// The files of a call, in the order in which its body names them.
    pub(super) async fn bring(&self, body: &[u8]) -> Result<Vec<CallFile>> {
        let control = self.control.upgrade().ok_or_else(|| Error::Unavailable("The server is stopping".into()))?;
        let control = Control(control);
        let wanted = named(&self.deployment.input_fields, body).map_err(Error::Invalid)?;
        if wanted.len() > MAX_FILES {
            return Err(Error::Invalid(format!("Requests that run together have more than {MAX_FILES} files")));
        }
        // Boxed, since the compiler cannot tell that unnamed futures of borrowed items can be sent.
        let opening: Vec<_> = wanted.iter().map(|file| self.open(&control, file).boxed()).collect();
        let brought: Vec<(CallFile, u64)> = stream::iter(opening).buffered(AT_ONCE).try_collect().await?;
        let size: u64 = brought.iter().map(|(_, size)| size).sum();
        if size > self.scratch {
            let mb = size.div_ceil(1 << 20);
            return Err(Error::Invalid(format!("The files of the request have {mb} MiB, more than {}", self.room())));
        }
        Ok(brought.into_iter().map(|(file, _)| file).collect())
    }

    async fn open(&self, control: &Control, file: &Named) -> Result<(CallFile, u64)> {
        let opened = match &file.what {
            Source::Bucket(uri) => {
                let project = control.catalogue().project_of(self.project).ok_or(Error::NotFound(Kind::Project))?;
                let bucket = project.buckets.get(&uri.bucket).copied().ok_or_else(|| no_bucket(file, uri))?;
                let storage = control.storage(bucket).await?;
                let opened = control.open_file(&storage, &uri.file, self.scratch).await;
                opened.map(|(opened, size)| (uri.file.last().to_owned(), opened, size))
            }
            Source::Blob(id) => control.open_whole_blob(self.project, *id, self.scratch).await,
        };
        let (name, opened, size) = opened.map_err(|cause| match cause {
            Error::TooLarge => Error::Invalid(format!("{file} has more than {}", self.room())),
            cause => not_there(file, cause),
        })?;
        let opened: OwnedFd = opened.into();
        Ok((CallFile { name, file: opened }, size))
    }

    fn room(&self) -> String {
        format!("the {} MiB of disk that an instance of this type has", self.scratch.div_ceil(1 << 20))
    }
}
