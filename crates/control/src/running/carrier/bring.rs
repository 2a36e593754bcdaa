//! From buckets to a process: every file that a call names, open for reading.

use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use modelyard_runner::process::CallFile;
use modelyard_types::{Error, Kind, Result};

use super::Carrier;
use crate::Control;
use crate::files::Scratch;
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
        let room = Scratch::of(self.scratch);
        // Boxed, since the compiler cannot tell that unnamed futures of borrowed items can be sent.
        let opening: Vec<_> = wanted.iter().map(|file| self.open(&control, file, &room).boxed()).collect();
        stream::iter(opening).buffered(AT_ONCE).try_collect().await
    }

    async fn open(&self, control: &Control, file: &Named, room: &Scratch) -> Result<CallFile> {
        let opened = match &file.what {
            Source::Bucket(uri) => {
                let project = control.catalogue().project_of(self.project).ok_or(Error::NotFound(Kind::Project))?;
                let bucket = project.buckets.get(&uri.bucket).copied().ok_or_else(|| no_bucket(file, uri))?;
                let storage = control.storage(bucket).await?;
                let opened = control.open_file(&storage, &uri.file, room).await;
                opened.map(|opened| (uri.file.last().to_owned(), opened))
            }
            Source::Blob(id) => control.open_whole_blob(self.project, *id, room).await,
        };
        let (name, opened) = opened.map_err(|cause| match cause {
            Error::TooLarge => Error::Invalid(format!(
                "The files of the request do not fit the {} MiB of disk that an instance of this type has",
                self.scratch.div_ceil(1 << 20)
            )),
            cause => not_there(file, cause),
        })?;
        Ok(CallFile { name, file: opened.into() })
    }
}
