//! Bodies that end with an error when their sender pauses for too long.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep};

/// The body of a request, given up when nothing comes for `limit`.
pub(super) fn timed(body: Incoming, limit: Duration) -> Body {
    if body.is_end_stream() { Body::empty() } else { Body::new(Timed { body, limit, deadline: None, waiting: false }) }
}

struct Timed {
    body: Incoming,
    limit: Duration,
    /// Made when there was first something to wait for; most bodies come with their head.
    deadline: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

impl HttpBody for Timed {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.waiting = false;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let limit = this.limit;
        let deadline = this.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        if !this.waiting {
            deadline.as_mut().reset(Instant::now() + limit);
            this.waiting = true;
        }
        match deadline.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Some(Err("the client paused for too long while it sent the body".into()))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
