//! A server in this process before a store: it can be told to fail.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{StreamExt, stream};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub(super) type Failure = Box<dyn std::error::Error + Send + Sync>;
pub(super) type Answer = Response<UnsyncBoxBody<Bytes, Failure>>;
/// What answers a request.
pub(super) type Answering = Arc<dyn Fn(Request<Incoming>) -> BoxFuture<'static, Answer> + Send + Sync>;

/// How the next answer goes wrong.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// An answer of this status, and nothing done.
    Status(u16),
    /// The answer ends after so many bytes of its body, and the connection with it.
    Cut(usize),
}

/// A server on a free port of the loopback, until it is dropped.
pub(super) struct Server {
    pub address: SocketAddr,
    faults: Arc<Mutex<VecDeque<Fault>>>,
    accepting: JoinHandle<()>,
}

impl Server {
    pub async fn start(answering: Answering) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("it listens");
        let faults = Arc::<Mutex<VecDeque<Fault>>>::default();
        let accepting = tokio::spawn(accept(listener, answering, faults.clone()));
        Self { address, faults, accepting }
    }

    pub fn fail_next(&self, fault: Fault) {
        self.faults.lock().expect("no panic").push_back(fault);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, answering: Answering, faults: Arc<Mutex<VecDeque<Fault>>>) {
    while let Ok((connection, _)) = listener.accept().await {
        let (answering, faults) = (answering.clone(), faults.clone());
        let service = hyper::service::service_fn(move |request| answer(answering.clone(), faults.clone(), request));
        let serving = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(connection), service);
        // A client that goes away is no failure of the store.
        tokio::spawn(async move { drop(serving.await) });
    }
}

async fn answer(
    answering: Answering,
    faults: Arc<Mutex<VecDeque<Fault>>>,
    request: Request<Incoming>,
) -> Result<Answer, Failure> {
    let fault = faults.lock().expect("no panic").pop_front();
    match fault {
        Some(Fault::Status(status)) => Ok(text(status, "")),
        Some(Fault::Cut(length)) => cut(answering(request).await, length).await,
        None => Ok(answering(request).await),
    }
}

async fn cut(answer: Answer, length: usize) -> Result<Answer, Failure> {
    let (mut head, body) = answer.into_parts();
    let bytes = body.collect().await?.to_bytes();
    head.headers.insert(hyper::header::CONTENT_LENGTH, bytes.len().into());
    let broken = io::Error::new(io::ErrorKind::ConnectionReset, "cut, as told");
    let frames = [Ok(Frame::data(bytes.slice(..length.min(bytes.len())))), Err(broken.into())];
    // What was written is sent when there is nothing more at once.
    let frames = stream::iter(frames).then(|frame| async {
        tokio::task::yield_now().await;
        frame
    });
    Ok(Response::from_parts(head, BodyExt::boxed_unsync(StreamBody::new(frames))))
}

pub(super) fn text(status: u16, text: &str) -> Answer {
    let body = Full::new(Bytes::from(text.to_owned())).map_err(|never| match never {});
    let mut answer = Response::new(body.boxed_unsync());
    *answer.status_mut() = status.try_into().expect("a status");
    answer
}
