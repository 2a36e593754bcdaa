//! Bodies of refused requests are read to their end, within bounds, so that the client gets to read the refusal.
//!
//! A server that answers and hangs up while a client still sends makes the client see a broken connection instead of
//! the answer. Small bodies have arrived by then; the large ones are wrapped here.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, EXPECT};
use http_body_util::BodyExt;

/// Bodies up to this size have arrived with their headers, or nearly so.
const SMALL: u64 = 64 << 10;
/// How much of an unwanted body is read.
const MOST: usize = 256 << 20;
/// How long an unwanted body is read.
const LONGEST: Duration = Duration::from_secs(10);

/// The request, with its body wrapped if it may be large.
pub(crate) fn guarded(request: Request) -> Request {
    if !may_be_large(request.headers()) {
        return request;
    }
    request.map(|body| Body::new(Drained(Some(body))))
}

fn may_be_large(headers: &HeaderMap) -> bool {
    // Who asks before sending has not sent anything yet, and will not when it is refused.
    if headers.contains_key(EXPECT) {
        return false;
    }
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    match length {
        Some(length) => length > SMALL,
        None => headers.contains_key("transfer-encoding"),
    }
}

/// A body whose unread rest is read and thrown away when it is dropped.
struct Drained(Option<Body>);

impl HttpBody for Drained {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, axum::Error>>> {
        match &mut self.0 {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.0.as_ref().map(HttpBody::size_hint).unwrap_or_default()
    }
}

impl Drop for Drained {
    fn drop(&mut self) {
        let Some(body) = self.0.take().filter(|body| !body.is_end_stream()) else {
            return;
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(tokio::time::timeout(LONGEST, read_away(body)));
        }
    }
}

async fn read_away(mut body: Body) {
    let mut read = 0;
    while let Some(Ok(frame)) = body.frame().await {
        read += frame.data_ref().map_or(0, Bytes::len);
        if read > MOST {
            return;
        }
    }
}
