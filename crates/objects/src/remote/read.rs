//! Reading a file as a stream that goes on after it was interrupted.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::Stream;
use hyper::body::Incoming;

use super::RemoteError;
use super::entries::Entry;
use super::http::next_frame;
use super::provider::{Found, Provider};

/// How often a stream is taken up again that brings nothing.
const AGAIN: u32 = 3;
const DOING: &str = "reading a file";

/// What is left of a file to read.
struct Rest {
    provider: Arc<dyn Provider>,
    key: String,
    etag: Option<String>,
    range: Range<u64>,
    body: Incoming,
    again: u32,
}

/// Begins to read a file, or a range of it.
pub(super) async fn open(
    provider: Arc<dyn Provider>,
    key: String,
    name: &str,
    range: Option<Range<u64>>,
) -> Result<(Entry, impl Stream<Item = Result<Bytes, RemoteError>> + Send + use<>), RemoteError> {
    if range.as_ref().is_some_and(Range::is_empty) {
        return Err(RemoteError::BadName("a range has at least one byte".into()));
    }
    let (head, body) = provider.get(&key, range.as_ref(), None).await?.into_parts();
    let found = Found::of(DOING, &head.headers)?;
    let range = match range {
        // Not all refuse one that begins behind the end.
        Some(range) if range.start >= found.size => {
            return Err(RemoteError::BadName("the file has no such range of bytes".into()));
        }
        // A range that begins in the file and ends behind it is cut.
        Some(range) => range.start..range.end.min(found.size),
        None => 0..found.size,
    };
    let entry = Entry { name: name.to_owned(), size: found.size, created: found.created, etag: found.etag.clone() };
    let rest = Rest { provider, key, etag: found.etag, range, body, again: AGAIN };
    Ok((entry, futures_util::stream::try_unfold(rest, Rest::next)))
}

impl Rest {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, RemoteError> {
        loop {
            let failure = match next_frame(DOING, &mut self.body).await {
                Ok(Some(bytes)) => {
                    self.range.start += bytes.len() as u64;
                    self.again = AGAIN;
                    return match self.range.start > self.range.end {
                        true => Err(RemoteError::failed(DOING, "the provider sent more than was asked for")),
                        false => Ok(Some((bytes, self))),
                    };
                }
                Ok(None) if self.range.is_empty() => return Ok(None),
                Ok(None) => RemoteError::failed(DOING, "the answer ended early"),
                Err(failure) => failure,
            };
            if self.again == 0 || self.etag.is_none() || self.range.is_empty() {
                return Err(failure);
            }
            self.again -= 1;
            self.body = self.provider.get(&self.key, Some(&self.range), self.etag.as_deref()).await?.into_body();
        }
    }
}
