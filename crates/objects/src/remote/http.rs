//! Calls to a provider: limits of time, few repeats, and what kept an answer from coming.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{CONTENT_LENGTH, HOST};
use hyper::{Method, Request, Response, StatusCode};
use tokio::time::{Instant, sleep, timeout};
use url::Url;

use super::RemoteError;
use super::body::Body;
use super::dial::{Client, NotAllowed};
use super::error::short;
use super::refusal::Refusal;

/// How long an answer may take, and how long a body may pause in either direction.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// How often a call is made at most, how long we wait before the second, and after what time none is repeated.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(200);
const REPEAT_WITHIN: Duration = Duration::from_secs(10);
/// How large an answer may be that we read whole: a page of a thousand long names.
const LARGEST_ANSWER: usize = 16 << 20;

/// Names and values, of headers or of a query.
pub(super) type Pairs = Vec<(&'static str, String)>;

/// A call, ready to be made: its URL and headers are signed.
pub(super) struct Call {
    pub doing: &'static str,
    pub method: Method,
    pub url: Url,
    pub headers: Pairs,
    pub body: Bytes,
}

/// Makes calls for one place. Cheap to clone.
#[derive(Clone)]
pub(super) struct Http {
    pub client: Client,
    /// Parts of the credentials; whatever a provider says is cleared of them.
    pub hidden: Arc<[String]>,
}

impl Http {
    /// Makes a call; the answer may be a refusal.
    pub async fn send(&self, call: &Call) -> Result<Response<Incoming>, RemoteError> {
        let begun = Instant::now();
        let mut attempt = 1;
        loop {
            let last = attempt == ATTEMPTS || begun.elapsed() > REPEAT_WITHIN;
            match self.attempt(call).await {
                Ok(response) if last || !may_pass(response.status()) => return Ok(response),
                Err(failure) if last || !failure.may_pass => return Err(failure.error),
                _ => {}
            }
            sleep(PAUSE * attempt * attempt).await;
            attempt += 1;
        }
    }

    async fn attempt(&self, call: &Call) -> Result<Response<Incoming>, Failure> {
        let body = Body::new(call.body.clone());
        let progress = body.progress();
        let mut request = Request::builder().method(call.method.clone()).uri(call.url.as_str());
        for (name, value) in &call.headers {
            request = request.header(*name, value);
        }
        if matches!(call.method, Method::PUT | Method::POST) {
            // Some want to be told of nothing as well.
            request = request.header(CONTENT_LENGTH, call.body.len());
        }
        let request = request.header(HOST, host_of(&call.url)).body(body);
        let request = request.map_err(|cause| Failure::for_good(RemoteError::failed(call.doing, cause.to_string())))?;
        tokio::select! {
            answered = self.client.request(request) => answered.map_err(|cause| Failure::of(call, cause)),
            () = progress.stalled(PATIENCE) => Err(Failure::for_good(silence(call))),
        }
    }

    /// The answer to a call when it is no refusal.
    pub async fn expect(&self, call: &Call) -> Result<Response<Incoming>, RefusedOr> {
        let response = self.send(call).await?;
        match response.status().is_success() {
            true => Ok(response),
            false => Err(RefusedOr::Refused(self.refusal(response).await)),
        }
    }

    /// What a provider says when it refuses.
    pub async fn refusal(&self, response: Response<Incoming>) -> Refusal {
        let (head, body) = response.into_parts();
        // A refusal without a body is one as well.
        let body = whole("reading a refusal", body).await.unwrap_or_default();
        Refusal::read(&head, &body, &self.hidden)
    }
}

/// Why a call brought no success.
pub(super) enum RefusedOr {
    Refused(Refusal),
    Failed(RemoteError),
}

impl From<RemoteError> for RefusedOr {
    fn from(error: RemoteError) -> Self {
        RefusedOr::Failed(error)
    }
}

/// All of an answer that is small.
pub(super) async fn whole(doing: &'static str, mut body: Incoming) -> Result<Bytes, RemoteError> {
    let mut bytes = BytesMut::new();
    while let Some(frame) = next_frame(doing, &mut body).await? {
        bytes.extend_from_slice(&frame);
        if bytes.len() > LARGEST_ANSWER {
            return Err(RemoteError::failed(doing, "the answer is too large"));
        }
    }
    Ok(bytes.freeze())
}

/// The next bytes of an answer; none at its end.
pub(super) async fn next_frame(doing: &'static str, body: &mut Incoming) -> Result<Option<Bytes>, RemoteError> {
    loop {
        let frame = timeout(PATIENCE, body.frame()).await;
        let frame = frame.map_err(|_| RemoteError::failed(doing, "the provider fell silent"))?;
        let Some(frame) = frame else { return Ok(None) };
        let frame = frame.map_err(|cause| RemoteError::failed(doing, innermost(&cause)))?;
        // Trailers say nothing to us.
        if let Ok(bytes) = frame.into_data()
            && !bytes.is_empty()
        {
            return Ok(Some(bytes));
        }
    }
}

/// The host of a URL as requests and signatures name it.
pub(super) fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// What a provider says when it is busy or broken.
fn may_pass(status: StatusCode) -> bool {
    status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED
        || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
}

struct Failure {
    error: RemoteError,
    may_pass: bool,
}

impl Failure {
    fn for_good(error: RemoteError) -> Self {
        Self { error, may_pass: false }
    }

    fn of(call: &Call, cause: hyper_util::client::legacy::Error) -> Self {
        let host = host_of(&call.url);
        if let Some(NotAllowed(address)) = find(&cause) {
            return Self::for_good(RemoteError::Forbidden { host, address: *address });
        }
        // What may have begun is only begun again when twice is the same as once.
        let may_pass = cause.is_connect() || call.method != Method::POST;
        Self { error: RemoteError::Unreachable { host, reason: innermost(&cause) }, may_pass }
    }
}

fn silence(call: &Call) -> RemoteError {
    let reason = format!("no answer within {} seconds", PATIENCE.as_secs());
    RemoteError::Unreachable { host: host_of(&call.url), reason }
}

fn find(error: &hyper_util::client::legacy::Error) -> Option<&NotAllowed> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

/// The cause of all causes, which is the one that says something.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(cause) = error.source() {
        error = cause;
    }
    short(&error.to_string())
}
