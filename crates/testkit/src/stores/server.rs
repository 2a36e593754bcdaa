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
use hyper::header::{CONTENT_LENGTH, LOCATION};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio::sync::Barrier;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

pub(super) type Failure = Box<dyn std::error::Error + Send + Sync>;
pub(super) type Answer = Response<UnsyncBoxBody<Bytes, Failure>>;
/// What answers a request.
pub(super) type Answering = Arc<dyn Fn(Request<Incoming>) -> BoxFuture<'static, Answer> + Send + Sync>;

/// How the next answer goes wrong.
#[derive(Clone, Debug)]
pub enum Fault {
    /// An answer of this status, and nothing done.
    Status(u16),
    /// An answer that refers to another address, and nothing done.
    Redirect(String),
    /// The answer ends after so many bytes of its body, and the connection with it.
    Cut(usize),
    /// The answer waits, twice, until the test has come here too: so it knows that it was asked, and says when to go on.
    Held(Arc<Barrier>),
}

/// A server on a free port of the loopback, until it is dropped.
pub(super) struct Server {
    pub address: SocketAddr,
    faults: Arc<Mutex<VecDeque<Fault>>>,
    accepting: JoinHandle<()>,
}

impl Server {
    pub async fn start(answering: Answering) -> Self {
        Self::start_with(None, answering).await
    }

    /// One that speaks TLS, with a certificate for its address that nobody has signed but itself.
    pub async fn start_with_tls(answering: Answering) -> Self {
        Self::start_with(Some(tls()), answering).await
    }

    async fn start_with(tls: Option<TlsAcceptor>, answering: Answering) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("it listens");
        let faults = Arc::<Mutex<VecDeque<Fault>>>::default();
        let accepting = tokio::spawn(accept(listener, tls, answering, faults.clone()));
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

async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    answering: Answering,
    faults: Arc<Mutex<VecDeque<Fault>>>,
) {
    // Connections go with the server.
    let mut connections = JoinSet::new();
    while let Ok((connection, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let (answering, faults) = (answering.clone(), faults.clone());
        let service = hyper::service::service_fn(move |request| answer(answering.clone(), faults.clone(), request));
        let (http, tls) = (hyper::server::conn::http1::Builder::new(), tls.clone());
        // A client that goes away is no failure of the store.
        connections.spawn(async move {
            match tls {
                None => drop(http.serve_connection(TokioIo::new(connection), service).await),
                Some(tls) => {
                    if let Ok(connection) = tls.accept(connection).await {
                        drop(http.serve_connection(TokioIo::new(connection), service).await);
                    }
                }
            }
        });
    }
}

fn tls() -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_slice(include_bytes!("tls_test_cert.pem")).expect("it is a certificate");
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("tls_test_key.pem")).expect("it is a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.expect("there are versions").with_no_client_auth().with_single_cert(vec![certificate], key);
    TlsAcceptor::from(Arc::new(config.expect("they belong together")))
}

async fn answer(
    answering: Answering,
    faults: Arc<Mutex<VecDeque<Fault>>>,
    request: Request<Incoming>,
) -> Result<Answer, Failure> {
    let fault = faults.lock().expect("no panic").pop_front();
    match fault {
        Some(Fault::Status(status)) => Ok(text(status, "")),
        Some(Fault::Redirect(address)) => {
            let mut answer = text(307, "");
            answer.headers_mut().insert(LOCATION, address.parse()?);
            Ok(answer)
        }
        Some(Fault::Cut(length)) => cut(answering(request).await, length).await,
        Some(Fault::Held(gate)) => {
            gate.wait().await;
            gate.wait().await;
            Ok(answering(request).await)
        }
        None => Ok(answering(request).await),
    }
}

async fn cut(answer: Answer, length: usize) -> Result<Answer, Failure> {
    let (mut head, body) = answer.into_parts();
    let bytes = body.collect().await?.to_bytes();
    head.headers.insert(CONTENT_LENGTH, bytes.len().into());
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
