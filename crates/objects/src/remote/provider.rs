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
    /// What an answer with a file, or a range of it, says about the whole.
    pub fn of(doing: &'static str, headers: &HeaderMap) -> Result<Self, RemoteError> {
        let whole = text(headers, CONTENT_RANGE.as_str()).and_then(|range| range.rsplit_once('/')?.1.parse().ok());
        // Google's own header is there when it sends a file packed otherwise than it is stored.
        let size = |name| text(headers, name)?.parse().ok();
        match whole.or_else(|| size("x-goog-stored-content-length")).or_else(|| size(CONTENT_LENGTH.as_str())) {
            Some(size) => Ok(Self::written(headers, size)),
            None => Err(RemoteError::failed(doing, "the answer does not say how large the file is")),
        }
    }

    /// What an answer says about a file of so many bytes that was just written.
    pub fn written(headers: &HeaderMap, size: u64) -> Self {
        let moment = [LAST_MODIFIED, DATE].iter().find_map(|name| entries::moment(text(headers, name.as_str())?));
        Self {
            size,
            created: moment.unwrap_or_else(|| Timestamp::now().as_microsecond()),
            etag: text(headers, ETAG.as_str()).map(|etag| etag.trim_matches('"').to_owned()),
        }
    }
}

/// A header, if it is there and is text.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// A store of files at a provider.
#[async_trait]
pub(super) trait Provider: Send + Sync {
    /// What the names of all files begin with.
    fn prefix(&self) -> &str;

    /// Refuses names that only this provider cannot have.
    fn check_name(&self, _: &str) -> Result<(), RemoteError> {
        Ok(())
    }

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
