//! Connections to providers: names resolved and addresses judged, with a limit of time, and TLS by the host's certificates.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ClientConfig;
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::net::TcpStream;
use tower::Service;

use super::body::Body;
use super::{Reach, RemoteError, trust};

/// How long it may take until a connection stands: name, address and TLS.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a connection that nobody uses is kept, and how many for each host.
const IDLE: Duration = Duration::from_secs(30);
const IDLE_CONNECTIONS: usize = 8;

/// Sends requests over connections that it keeps.
pub(super) type Client = hyper_util::client::legacy::Client<Dialer, Body>;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Why no connection was made: the address is in a network that is not allowed.
#[derive(Debug)]
pub(super) struct NotAllowed(pub IpAddr);

impl fmt::Display for NotAllowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the address {} is not allowed", self.0)
    }
}

impl std::error::Error for NotAllowed {}

/// A client that dials what `reach` permits.
pub(super) fn client(reach: Reach, check_certificates: bool) -> Result<Client, RemoteError> {
    let mut http = HttpConnector::new_with_resolver(Resolver(reach.clone()));
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_keepalive(Some(IDLE));
    let tls = tls(check_certificates)
        .map_err(|cause| RemoteError::place(format!("the certificates of this host cannot be read: {cause}")))?;
    let https = hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1();
    let dialer = Dialer { reach, connector: https.wrap_connector(http) };
    let mut client = hyper_util::client::legacy::Client::builder(TokioExecutor::new());
    client.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE).pool_max_idle_per_host(IDLE_CONNECTIONS);
    Ok(client.build(dialer))
}

fn tls(check_certificates: bool) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    let config = match check_certificates {
        true => config.with_platform_verifier()?,
        false => config.dangerous().with_custom_certificate_verifier(Arc::new(trust::Anybody(provider))),
    };
    Ok(config.with_no_client_auth())
}

/// Makes connections. An address that stands in a URL is judged here, one that a name resolves to in [`Resolver`].
#[derive(Clone)]
pub(super) struct Dialer {
    reach: Reach,
    connector: HttpsConnector<HttpConnector<Resolver>>,
}

impl Service<Uri> for Dialer {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Failure>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.connector.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = host.parse()
            && !self.reach.permits(address)
        {
            return Box::pin(std::future::ready(Err(NotAllowed(address).into())));
        }
        let connecting = self.connector.call(uri);
        Box::pin(async move {
            match tokio::time::timeout(PATIENCE, connecting).await {
                Ok(connected) => connected,
                Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "no connection within 5 seconds").into()),
            }
        })
    }
}

/// Resolves names as the host does, and leaves out the addresses that may not be dialled.
#[derive(Clone)]
pub(super) struct Resolver(Reach);

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Failure>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let reach = self.0.clone();
        Box::pin(async move {
            let found: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let (open, closed): (Vec<_>, Vec<_>) = found.into_iter().partition(|found| reach.permits(found.ip()));
            match closed.first() {
                Some(closed) if open.is_empty() => Err(NotAllowed(closed.ip()).into()),
                _ => Ok(open.into_iter()),
            }
        })
    }
}
