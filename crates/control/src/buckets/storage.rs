//! Where the files of a bucket are, whoever keeps them: the one face of the installation's own store and of providers.

use std::fs::File;

use modelyard_objects::Staged;
use modelyard_store::files::listing::Page;
use modelyard_types::files::{FileName, UploadedPart};
use modelyard_types::{ContainerId, Error, Result, Timestamp};

use super::provided::Provided;
use crate::Control;
use crate::catalogue::BucketSnapshot;
use crate::files::{About, Action, Scratch};

/// The files of a bucket.
pub enum Storage {
    /// The installation keeps them.
    Kept(ContainerId),
    /// A provider keeps them.
    Provided(Provided),
}

/// A file, as lists show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub size: i64,
    /// When it was written.
    pub created_at: Timestamp,
}

/// A page of the files of a bucket.
#[derive(Clone, Debug, Default)]
pub struct Listed {
    /// The files.
    pub files: Vec<Entry>,
    /// What names have in common up to the delimiter.
    pub prefixes: Vec<String>,
    /// The token of the next page.
    pub next: Option<String>,
}

impl Control {
    /// The files of a bucket.
    pub async fn storage(&self, bucket: BucketSnapshot) -> Result<Storage> {
        match bucket.container() {
            Some(container) => Ok(Storage::Kept(container)),
            None => self.0.provided(bucket).await.map(Storage::Provided),
        }
    }

    /// Where a file can be sent to. `base` is our own address, as the caller knows it.
    pub async fn upload_url(&self, on: &Storage, name: &FileName, base: &str) -> Result<String> {
        match on {
            Storage::Kept(container) => Ok(address(base, &self.files().sign(Action::Put, *container, name)?)),
            Storage::Provided(files) => files.upload_url(name).await,
        }
    }

    /// Where a part of an upload can be sent to.
    pub async fn part_url(
        &self,
        on: &Storage,
        name: &FileName,
        upload: &str,
        number: Option<i64>,
        base: &str,
    ) -> Result<String> {
        match on {
            Storage::Kept(container) => {
                let number = number.ok_or_else(|| Error::invalid("part_number is required with upload_id"))?;
                Ok(address(base, &self.files().sign_part(*container, name, upload, number).await?))
            }
            Storage::Provided(files) => files.part_url(name, upload, number).await,
        }
    }

    /// Where a file can be fetched from, if it is there.
    pub async fn download_url(&self, on: &Storage, name: &FileName, base: &str) -> Result<String> {
        match on {
            Storage::Kept(container) => {
                self.files().get(*container, name).await?;
                Ok(address(base, &self.files().sign(Action::Get, *container, name)?))
            }
            Storage::Provided(files) => files.download_url(name).await,
        }
    }

    /// What is known of a file.
    pub async fn get_file(&self, on: &Storage, name: &FileName) -> Result<Entry> {
        match on {
            Storage::Kept(container) => Ok(Entry::of(self.files().get(*container, name).await?)),
            Storage::Provided(files) => files.get(name).await,
        }
    }

    /// Opens a file for reading, if there is room for it.
    pub(crate) async fn open_file(&self, on: &Storage, name: &FileName, room: &Scratch) -> Result<File> {
        match on {
            Storage::Kept(container) => self.files().open_whole(*container, name, room).await,
            Storage::Provided(files) => files.open(&self.0.providers, name, room).await,
        }
    }

    /// Writes a file.
    pub(crate) async fn put_file(&self, on: &Storage, name: &FileName, staged: Staged) -> Result<()> {
        match on {
            Storage::Kept(container) => self.files().put(*container, name, staged, About::default()).await.map(drop),
            Storage::Provided(files) => files.put(name, staged).await,
        }
    }

    /// A page of the files.
    pub async fn list_files(
        &self,
        on: &Storage,
        prefix: &str,
        delimiter: Option<&str>,
        limit: usize,
        token: Option<&str>,
    ) -> Result<Listed> {
        match on {
            Storage::Kept(container) => {
                let (page, next) = self.files().list(*container, prefix, delimiter, limit, token).await?;
                let Page { files, prefixes, .. } = page;
                Ok(Listed { files: files.into_iter().map(Entry::of).collect(), prefixes, next })
            }
            Storage::Provided(files) => files.list(self.files(), prefix, delimiter, limit, token).await,
        }
    }

    /// Deletes a file.
    pub async fn delete_file(&self, on: &Storage, name: &FileName) -> Result<()> {
        match on {
            Storage::Kept(container) => self.files().delete(*container, name).await,
            Storage::Provided(files) => files.delete(name).await,
        }
    }

    /// Begins an upload in parts; gives its id.
    pub async fn begin_upload(&self, on: &Storage, name: &FileName) -> Result<String> {
        match on {
            Storage::Kept(container) => Ok(self.files().begin_upload(*container, name).await?.to_string()),
            Storage::Provided(files) => files.begin(name).await,
        }
    }

    /// Makes an upload in parts a file.
    pub async fn complete_upload(
        &self,
        on: &Storage,
        name: &FileName,
        upload: &str,
        parts: &[UploadedPart],
    ) -> Result<()> {
        match on {
            Storage::Kept(container) => self.files().complete(*container, name, upload, parts).await.map(drop),
            Storage::Provided(files) => files.complete(name, upload, parts).await,
        }
    }
}

impl Entry {
    fn of(file: modelyard_store::File) -> Self {
        Self { name: file.name, size: file.size, created_at: file.created_at }
    }
}

/// The address of a ticket.
fn address(base: &str, ticket: &str) -> String {
    format!("{base}/files/{ticket}")
}
