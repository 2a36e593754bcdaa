//! Files that lie at somebody else's provider: S3, Google Cloud Storage, Azure Blob Storage.
//!
//! It knows names and bytes of files in one place, a bucket or container and a prefix in it. All it asks of a provider is a signed URL
//! or a signed call (docs/decisions/0022), and which addresses it may dial is [`Reach`]'s to say. Every call has limits of time.
//!
//! A provider can hold files that no name here can be: those with an empty segment (`a//b`, `dir/`), a segment `.` or `..`, or with
//! control characters. They are left out of lists and cannot be reached. In Azure no name has a backslash.

mod azure;
mod blocks;
mod body;
mod bucket;
mod container;
mod dial;
mod entries;
mod error;
mod fields;
mod gcs;
mod http;
mod names;
mod place;
mod provider;
mod reach;
mod read;
mod refusal;
mod s3;
mod sas;
mod trust;
mod v4;
mod write;
mod xml;

use std::fmt::{self, Display};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use hyper::Method;

pub use entries::{Entry, Page};
pub use error::RemoteError;
pub use place::{Azure, Gcs, Place, S3};
pub use provider::Part;
pub use reach::Reach;

use provider::{Listing, Provider};

/// How long a place may take to show that it works.
const CHECK: Duration = Duration::from_secs(10);
/// How long what is passed on to a provider may be, in bytes: a prefix, the id of an upload, where a page begins.
const LONGEST: usize = 2048;
/// The largest file that is written in one go, in bytes.
pub const LARGEST_WRITE: u64 = write::LARGEST;
/// How many files a page of a list has at most.
const LARGEST_PAGE: usize = 1000;

/// The files at a place. Cheap to clone.
#[derive(Clone)]
pub struct Remote(Arc<dyn Provider>);

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").field("prefix", &self.0.prefix()).finish_non_exhaustive()
    }
}

impl Remote {
    /// Opens a place: looks at what was given, and asks the provider nothing.
    pub fn open(place: Place, reach: &Reach) -> Result<Self, RemoteError> {
        match place {
            Place::S3(place) => Ok(Self(Arc::new(s3::open(place, reach)?))),
            Place::Azure(place) => Ok(Self(Arc::new(azure::open(place, reach)?))),
            Place::Gcs(place) => Ok(Self(Arc::new(gcs::open(place, reach)?))),
        }
    }

    /// Asks the provider for one file below the prefix, so that it is known whether the place is there and the credentials are good.
    pub async fn check(&self) -> Result<(), RemoteError> {
        match tokio::time::timeout(CHECK, self.list("", None, 1, None)).await {
            Ok(listed) => listed.map(|_| ()),
            Err(_) => {
                let reason = format!("no answer within {} seconds", CHECK.as_secs());
                Err(RemoteError::Unreachable { host: "the provider".into(), reason })
            }
        }
    }

    /// About a file; none when there is none.
    pub async fn get(&self, name: &str) -> Result<Option<Entry>, RemoteError> {
        let found = self.0.head(&self.key(name)?).await?;
        Ok(found.map(|found| Entry {
            name: name.to_owned(),
            size: found.size,
            created: found.created,
            etag: found.etag,
        }))
    }

    /// Files whose names begin with `prefix`, at most `limit` (and 1,000) with what they have in common up to `delimiter`. A page can
    /// be short or empty and still not be the last: only `next` says so.
    pub async fn list(
        &self,
        prefix: &str,
        delimiter: Option<&str>,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Page, RemoteError> {
        if [Some(prefix), delimiter, after].into_iter().flatten().any(|text| text.len() > LONGEST) {
            return Err(RemoteError::BadName(format!(
                "a prefix, a delimiter or a token of a list has at most {LONGEST} bytes"
            )));
        }
        if prefix.contains(char::is_control)
            || delimiter.is_some_and(|it| it.is_empty() || it.contains(char::is_control))
        {
            return Err(RemoteError::BadName(
                "a prefix or delimiter has no control characters, and a delimiter is not empty".into(),
            ));
        }
        let prefix = format!("{}{prefix}", self.0.prefix());
        self.0.list(&Listing { prefix, delimiter, limit: limit.clamp(1, LARGEST_PAGE), after }).await
    }

    /// Removes a file; false when it was not there.
    pub async fn delete(&self, name: &str) -> Result<bool, RemoteError> {
        self.0.delete(&self.key(name)?).await
    }

    /// A file, or a range of its bytes, as a stream. What breaks off is taken up again where it ended, as long as the file is the same.
    pub async fn read(
        &self,
        name: &str,
        range: Option<Range<u64>>,
    ) -> Result<(Entry, impl Stream<Item = Result<Bytes, RemoteError>> + Send + use<>), RemoteError> {
        read::open(self.0.clone(), self.key(name)?, name, range).await
    }

    /// Writes a file, in parts when it is large, so that little of it is in memory. It is there when this returns, and not before. When
    /// it fails or is dropped, the parts are called off.
    pub async fn write<E: Display>(
        &self,
        name: &str,
        content_type: Option<&str>,
        bytes: impl Stream<Item = Result<Bytes, E>> + Send,
    ) -> Result<Entry, RemoteError> {
        let found = write::all(&self.0, &self.key(name)?, content_type, bytes).await?;
        Ok(Entry { name: name.to_owned(), size: found.size, created: found.created, etag: found.etag })
    }

    /// A URL by which whoever has it can read a file.
    pub async fn sign_get(&self, name: &str, valid: Duration) -> Result<String, RemoteError> {
        self.0.sign(Method::GET, &self.key(name)?, valid)
    }

    /// A URL by which whoever has it can write a file.
    pub async fn sign_put(&self, name: &str, valid: Duration) -> Result<String, RemoteError> {
        self.0.sign(Method::PUT, &self.key(name)?, valid)
    }

    /// Begins an upload in parts; answers its id.
    pub async fn begin(&self, name: &str) -> Result<String, RemoteError> {
        self.0.begin(&self.key(name)?, None).await
    }

    /// A URL by which whoever has it can upload a part: its number, from 1, of an upload. In Azure `upload` is an id that the uploader
    /// chose for the part, and there is no number.
    pub async fn sign_part(
        &self,
        name: &str,
        upload: &str,
        part: Option<u32>,
        valid: Duration,
    ) -> Result<String, RemoteError> {
        check_upload(upload)?;
        self.0.sign_part(&self.key(name)?, upload, part, valid)
    }

    /// Makes a file of the parts of an upload.
    pub async fn complete(&self, name: &str, upload: &str, parts: &[Part]) -> Result<(), RemoteError> {
        check_upload(upload)?;
        self.0.complete(&self.key(name)?, upload, None, parts).await.map(|_| ())
    }

    /// Calls an upload off. Azure removes the parts by itself, within a week.
    pub async fn abort(&self, name: &str, upload: &str) -> Result<(), RemoteError> {
        check_upload(upload)?;
        self.0.abort(&self.key(name)?, upload).await
    }

    fn key(&self, name: &str) -> Result<String, RemoteError> {
        let key = names::full(self.0.prefix(), name)?;
        self.0.check_name(&key)?;
        Ok(key)
    }
}

/// The id of an upload is the provider's, or a client's for a block: any text, but not any length.
fn check_upload(upload: &str) -> Result<(), RemoteError> {
    match upload.is_empty() || upload.len() > LONGEST {
        true => Err(RemoteError::BadUpload(format!("the id of an upload has 1 to {LONGEST} bytes"))),
        false => Ok(()),
    }
}
