//! The files of a bucket at a provider.

use std::fs::File;

use futures_util::TryStreamExt;
use modelyard_objects::remote::{Entry as Found, Part, Remote};
use modelyard_objects::{ObjectError, Staged};
use modelyard_types::buckets::Provider;
use modelyard_types::files::{FileName, UploadedPart};
use modelyard_types::{BucketId, Error, Kind, Result, Timestamp};
use sha2::{Digest, Sha256};

use super::providers::{Providers, told};
use super::storage::{Entry, Listed};
use crate::files::{Files, Scratch, VALID};

/// How often a file is looked at that is replaced at the same moment.
const LOOKS: usize = 5;

/// The files of a bucket at a provider.
pub struct Provided {
    pub(super) bucket: BucketId,
    pub(super) provider: Provider,
    pub(super) remote: Remote,
}

/// Why a file was not fetched.
enum Unfetched {
    /// It is another one by now.
    Changed,
    Failed(Error),
}

impl From<ObjectError> for Unfetched {
    fn from(cause: ObjectError) -> Self {
        Unfetched::Failed(cause.into())
    }
}

impl Provided {
    /// The place at the provider.
    pub(crate) fn remote(&self) -> &Remote {
        &self.remote
    }

    pub(super) async fn upload_url(&self, name: &FileName) -> Result<String> {
        self.remote.sign_put(name.as_str(), VALID).await.map_err(told)
    }

    /// In Azure a part has an id of its uploader's, and no number.
    pub(super) async fn part_url(&self, name: &FileName, upload: &str, number: Option<i64>) -> Result<String> {
        let number = match (self.provider, number) {
            (Provider::AzureBlobStorage, _) => None,
            (_, None) => return Err(Error::invalid("part_number is required with upload_id")),
            (_, Some(number)) => {
                let number = u32::try_from(number);
                Some(number.map_err(|_| Error::invalid("part_number is not the number of a part"))?)
            }
        };
        self.remote.sign_part(name.as_str(), upload, number, VALID).await.map_err(told)
    }

    pub(super) async fn download_url(&self, name: &FileName) -> Result<String> {
        self.look(name).await?;
        self.remote.sign_get(name.as_str(), VALID).await.map_err(told)
    }

    pub(super) async fn get(&self, name: &FileName) -> Result<Entry> {
        Ok(entry(self.look(name).await?))
    }

    async fn look(&self, name: &FileName) -> Result<Found> {
        self.remote.get(name.as_str()).await.map_err(told)?.ok_or(Error::NotFound(Kind::File))
    }

    /// A page of the files. Tokens are signed: what a provider takes for where to go on is its own, but not anybody's to make up.
    pub(super) async fn list(
        &self,
        files: &Files,
        prefix: &str,
        delimiter: Option<&str>,
        limit: usize,
        token: Option<&str>,
    ) -> Result<Listed> {
        let delimiter = delimiter.filter(|delimiter| !delimiter.is_empty());
        let list = [
            b"provider\0",
            self.bucket.0.as_bytes().as_slice(),
            prefix.as_bytes(),
            b"\0",
            delimiter.unwrap_or_default().as_bytes(),
        ]
        .concat();
        let after = token.map(|token| files.place(&list, token)).transpose()?;
        let page = self.remote.list(prefix, delimiter, limit, after.as_deref()).await.map_err(told)?;
        let next = page.next.map(|next| files.sign_place(&list, &next)).transpose()?;
        Ok(Listed { files: page.entries.into_iter().map(entry).collect(), prefixes: page.prefixes, next })
    }

    pub(super) async fn delete(&self, name: &FileName) -> Result<()> {
        match self.remote.delete(name.as_str()).await.map_err(told)? {
            true => Ok(()),
            false => Err(Error::NotFound(Kind::File)),
        }
    }

    pub(super) async fn begin(&self, name: &FileName) -> Result<String> {
        self.remote.begin(name.as_str()).await.map_err(told)
    }

    pub(super) async fn complete(&self, name: &FileName, upload: &str, parts: &[UploadedPart]) -> Result<()> {
        let mut named = Vec::with_capacity(parts.len());
        for part in parts {
            named.push(match part {
                UploadedPart::Block(id) => Part::Block(id.clone()),
                UploadedPart::Tag { number, etag } => {
                    let number = u32::try_from(*number).map_err(|_| Error::invalid("PartNumber is too large"))?;
                    Part::Tag { number, etag: etag.clone() }
                }
            });
        }
        self.remote.complete(name.as_str(), upload, &named).await.map_err(told)
    }

    /// Opens a file, if there is room for it: a copy on this server's disk, as long as the provider has the same one.
    pub(super) async fn open(&self, providers: &Providers, name: &FileName, room: &Scratch) -> Result<File> {
        let mut taken = 0;
        for _ in 0..LOOKS {
            let about = self.look(name).await?;
            room.take(about.size.saturating_sub(taken))?;
            taken = taken.max(about.size);
            let fetch = async {
                let (found, bytes) = self.remote.read(name.as_str(), None).await.map_err(failed)?;
                match (found.etag, found.size) == (about.etag.clone(), about.size) {
                    true => Ok(bytes.map_err(failed)),
                    false => Err(Unfetched::Changed),
                }
            };
            let opened = match &about.etag {
                Some(etag) => providers.cache.get(&self.key(name, etag), about.size, fetch).await,
                None => match fetch.await {
                    Ok(bytes) => providers.cache.pass(bytes).await,
                    Err(why) => Err(why),
                },
            };
            match opened {
                Ok(file) => return Ok(file),
                Err(Unfetched::Changed) => {}
                Err(Unfetched::Failed(cause)) => return Err(cause),
            }
        }
        Err(Error::Unavailable("The file is replaced again and again; try again later".into()))
    }

    /// What a copy of a file is known by.
    fn key(&self, name: &FileName, etag: &str) -> String {
        let hash = Sha256::new().chain_update(self.bucket.0.as_bytes());
        // No name has a zero byte.
        let hash = hash.chain_update(name.as_str()).chain_update(b"\0").chain_update(etag);
        hex::encode(hash.finalize())
    }

    pub(super) async fn put(&self, name: &FileName, staged: Staged) -> Result<()> {
        self.remote.write(name.as_str(), None, staged.read().await?).await.map(drop).map_err(told)
    }
}

fn failed(cause: modelyard_objects::remote::RemoteError) -> Unfetched {
    Unfetched::Failed(told(cause))
}

fn entry(found: Found) -> Entry {
    let size = i64::try_from(found.size).unwrap_or(i64::MAX);
    Entry { name: found.name, size, created_at: Timestamp(found.created) }
}
