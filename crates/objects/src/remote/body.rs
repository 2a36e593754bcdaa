//! What we send: bytes in small pieces, so that it can be seen whether they go on being taken.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::time::Instant;

/// How many bytes are handed over at once.
const PIECE: usize = 64 * 1024;

/// A body of known length.
pub(super) struct Body {
    left: Bytes,
    progress: Progress,
}

/// When bytes were last taken.
#[derive(Clone)]
pub(super) struct Progress(Arc<Mutex<Instant>>);

impl Body {
    pub fn new(bytes: Bytes) -> Self {
        Self { left: bytes, progress: Progress(Arc::new(Mutex::new(Instant::now()))) }
    }

    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }
}

impl Progress {
    fn last(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn made(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Returns when nothing has been taken for so long.
    pub async fn stalled(&self, limit: Duration) {
        loop {
            let last = self.last();
            tokio::time::sleep_until(last + limit).await;
            if self.last() == last {
                return;
            }
        }
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.progress.made();
        let length = self.left.len().min(PIECE);
        match length {
            0 => Poll::Ready(None),
            _ => Poll::Ready(Some(Ok(Frame::data(self.left.split_to(length))))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left.len() as u64)
    }
}
