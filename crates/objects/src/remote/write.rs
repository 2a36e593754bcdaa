//! Writing a file of unknown size: at once when it is small, else in parts, one of which is on its way while the next is gathered.

use std::fmt::Display;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use jiff::Timestamp;
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::RemoteError;
use super::provider::{Found, Part, Provider};

/// How large a part is. All but the last are the same, which some stores demand.
const PART: usize = 16 << 20;
/// How many parts a file can have, at the provider that allows fewest.
const MOST_PARTS: u32 = 10_000;
/// The largest file.
pub(super) const LARGEST: u64 = PART as u64 * MOST_PARTS as u64;
/// How long those who send the bytes may pause.
const PATIENCE: Duration = Duration::from_secs(30);

/// Writes all of a stream.
pub(super) async fn all<E: Display>(
    provider: &Arc<dyn Provider>,
    key: &str,
    content_type: Option<&str>,
    bytes: impl Stream<Item = Result<Bytes, E>> + Send,
) -> Result<Found, RemoteError> {
    if let Some(bad) = content_type.filter(|it| !it.chars().all(|c| c.is_ascii_graphic() || c == ' ')) {
        return Err(RemoteError::BadName(format!("'{}' is no content type", bad.escape_default())));
    }
    let mut source = Source { stream: pin!(bytes), left: Bytes::new() };
    let first = source.part().await?;
    if first.len() < PART {
        return provider.put(key, content_type, first).await;
    }
    let mut upload = Upload::begin(provider, key, content_type).await?;
    match upload.carry(first, &mut source, content_type).await {
        Ok(found) => Ok(found),
        Err(error) => {
            upload.call_off().await;
            Err(error)
        }
    }
}

/// Bytes as they come, cut into parts.
struct Source<S> {
    stream: S,
    left: Bytes,
}

impl<E: Display, S: Stream<Item = Result<Bytes, E>> + Unpin> Source<S> {
    /// The next part. Only the last is not full, and it may be empty.
    async fn part(&mut self) -> Result<Bytes, RemoteError> {
        let mut part = BytesMut::new();
        while part.len() < PART {
            if self.left.is_empty() {
                let next = timeout(PATIENCE, self.stream.next()).await;
                let next = next.map_err(|_| RemoteError::Broken("nothing came for 30 seconds".into()))?;
                match next {
                    Some(bytes) => self.left = bytes.map_err(|cause| RemoteError::Broken(cause.to_string()))?,
                    None => break,
                }
            }
            let taken = self.left.len().min(PART - part.len());
            part.extend_from_slice(&self.left.split_to(taken));
        }
        Ok(part.freeze())
    }
}

/// An upload in parts. Dropping it before its end calls it off.
struct Upload {
    provider: Arc<dyn Provider>,
    key: String,
    /// None when it is over.
    id: Option<String>,
    parts: Vec<Part>,
    size: u64,
}

impl Upload {
    async fn begin(provider: &Arc<dyn Provider>, key: &str, content_type: Option<&str>) -> Result<Self, RemoteError> {
        let id = provider.begin(key, content_type).await?;
        Ok(Self { provider: provider.clone(), key: key.to_owned(), id: Some(id), parts: Vec::new(), size: 0 })
    }

    async fn carry<E: Display>(
        &mut self,
        first: Bytes,
        source: &mut Source<impl Stream<Item = Result<Bytes, E>> + Unpin>,
        content_type: Option<&str>,
    ) -> Result<Found, RemoteError> {
        let mut part = first;
        while !part.is_empty() {
            let full = part.len() == PART;
            let next = async { if full { source.part().await } else { Ok(Bytes::new()) } };
            ((), part) = tokio::try_join!(self.put(part), next)?;
        }
        let id = self.id.as_deref().unwrap_or_default();
        let etag = self.provider.complete(&self.key, id, content_type, &self.parts).await?;
        self.id = None;
        Ok(Found { size: self.size, created: Timestamp::now().as_microsecond(), etag })
    }

    async fn put(&mut self, bytes: Bytes) -> Result<(), RemoteError> {
        let number = self.parts.len() as u32 + 1;
        if number > MOST_PARTS {
            let largest = LARGEST >> 30;
            return Err(RemoteError::BadUpload(format!("a file that is written in one go has at most {largest} GiB")));
        }
        self.size += bytes.len() as u64;
        let id = self.id.as_deref().unwrap_or_default();
        self.parts.push(self.provider.put_part(&self.key, id, number, bytes).await?);
        Ok(())
    }

    async fn call_off(&mut self) {
        if let Some(id) = self.id.take() {
            call_off(&self.provider, &self.key, &id).await;
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let (Some(id), Ok(runtime)) = (self.id.take(), Handle::try_current()) {
            let (provider, key) = (self.provider.clone(), std::mem::take(&mut self.key));
            runtime.spawn(async move { call_off(&provider, &key, &id).await });
        }
    }
}

/// What cannot be called off stays at the provider until its own rules remove it.
async fn call_off(provider: &Arc<dyn Provider>, key: &str, id: &str) {
    if let Err(cause) = provider.abort(key, id).await {
        tracing::warn!(%cause, "the parts of a file that was not written to its end stay at the provider");
    }
}
