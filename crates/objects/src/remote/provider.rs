//! What all providers can do with a file, by its full name: that with the prefix.

use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{CONTENT_LENGTH, CONTENT_RANGE, DATE, ETAG, HeaderMap, LAST_MODIFIED};
use hyper::{Method, Response};
use jiff::Timestamp;

use super::RemoteError;
use super::entries::{self, Page};

/// A part of an upload, by what its provider knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// By its number and what its upload answered.
    Tag {
        /// From 1.
        number: u32,
        /// The header `ETag` of the answer.
        etag: String,
    },
    /// By the id that its uploader gave it.
    Block(String),
}

/// What a list is to have.
pub(super) struct Listing<'a> {
    /// With the prefix of the place.
    pub prefix: String,
    pub delimiter: Option<&'a str>,
    pub limit: usize,
    pub after: Option<&'a str>,
}

/// What headers say about a file.
#[derive(Debug)]
pub(super) struct Found {
    pub size: u64,
    pub created: i64,
    /// Without quotes.
    pub etag: Option<String>,
}

impl Found {
    /// Reads an answer about a file, or a part of one.
    pub fn read(headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let whole = text(CONTENT_RANGE).and_then(|range| range.rsplit_once('/')?.1.parse().ok());
        let size = whole.or_else(|| text(CONTENT_LENGTH)?.parse().ok()).unwrap_or(0);
        let moment = [LAST_MODIFIED, DATE].into_iter().find_map(|name| entries::moment(text(name)?));
        Self {
            size,
            created: moment.unwrap_or_else(|| Timestamp::now().as_microsecond()),
            etag: text(ETAG).map(|etag| etag.trim_matches('"').to_owned()),
        }
    }
}

/// A store of files at a provider.
#[async_trait]
pub(super) trait Provider: Send + Sync {
    /// What the names of all files begin with.
    fn prefix(&self) -> &str;

    async fn list(&self, listing: &Listing<'_>) -> Result<Page, RemoteError>;

    async fn head(&self, key: &str) -> Result<Option<Found>, RemoteError>;

    /// A file, or a range of it, if it still has this tag.
    async fn get(
        &self,
        key: &str,
        range: Option<&Range<u64>>,
        etag: Option<&str>,
    ) -> Result<Response<Incoming>, RemoteError>;

    async fn put(&self, key: &str, content_type: Option<&str>, bytes: Bytes) -> Result<Found, RemoteError>;

    async fn delete(&self, key: &str) -> Result<bool, RemoteError>;

    fn sign(&self, method: Method, key: &str, valid: Duration) -> Result<String, RemoteError>;

    async fn begin(&self, key: &str, content_type: Option<&str>) -> Result<String, RemoteError>;

    fn sign_part(&self, key: &str, upload: &str, part: Option<u32>, valid: Duration) -> Result<String, RemoteError>;

    async fn put_part(&self, key: &str, upload: &str, number: u32, bytes: Bytes) -> Result<Part, RemoteError>;

    /// Answers the tag of the file.
    async fn complete(
        &self,
        key: &str,
        upload: &str,
        content_type: Option<&str>,
        parts: &[Part],
    ) -> Result<Option<String>, RemoteError>;

    async fn abort(&self, key: &str, upload: &str) -> Result<(), RemoteError>;
}
