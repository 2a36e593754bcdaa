//! Serves HTTP: takes connections, bounds what they may cost, and lets them finish when the server stops.

mod body;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use nix::sys::socket::{setsockopt, sockopt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

use crate::{Result, StartError};

/// What connections may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many are open at once.
    pub connections: usize,
    /// How long a client may take for the head of a request.
    pub header_read: Duration,
    /// How long a client may pause while it sends a body.
    pub body_read: Duration,
}

/// A client that takes nothing of an answer for this long is given up.
const STALLED: Duration = Duration::from_secs(120);
/// After this pause connections are taken again when there was no room for one more.
const PAUSE: Duration = Duration::from_millis(100);

/// The open door: a listener and its connections.
pub struct Front {
    /// Where it listens.
    pub address: SocketAddr,
    connections: TaskTracker,
    stop: CancellationToken,
}

/// Takes an address, without answering anybody yet.
pub async fn bind(address: &str) -> Result<TcpListener> {
    let failed = |e| StartError(format!("The address {address} cannot be listened on: {e}."));
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    // Connections inherit these.
    let millis = u32::try_from(STALLED.as_millis()).unwrap_or(u32::MAX);
    let set = setsockopt(&listener, sockopt::TcpNoDelay, &true)
        .and_then(|()| setsockopt(&listener, sockopt::KeepAlive, &true))
        .and_then(|()| setsockopt(&listener, sockopt::TcpUserTimeout, &millis));
    set.map_err(|e| failed(e.into()))?;
    Ok(listener)
}

impl Front {
    /// Opens the door.
    pub fn open(listener: TcpListener, router: Router, limits: Limits) -> Result<Self> {
        let address = listener.local_addr().map_err(|e| StartError(format!("The listener has no address: {e}.")))?;
        let front = Self { address, connections: TaskTracker::new(), stop: CancellationToken::new() };
        let taken = take(listener, router, limits, front.connections.clone(), front.stop.clone());
        front.connections.spawn(taken);
        Ok(front)
    }

    /// Takes no more connections, and lets those there are answer what they were asked.
    pub fn close(&self) {
        self.stop.cancel();
        self.connections.close();
    }

    /// Waits until the last connection is done.
    pub async fn closed(&self) {
        self.connections.wait().await;
    }
}

async fn take(listener: TcpListener, router: Router, limits: Limits, tasks: TaskTracker, stop: CancellationToken) {
    let room = Arc::new(Semaphore::new(limits.connections));
    loop {
        let next = async {
            let place = Arc::clone(&room).acquire_owned().await.ok()?;
            Some((place, listener.accept().await))
        };
        let next = tokio::select! {
            () = stop.cancelled() => return,
            next = next => next,
        };
        match next {
            Some((place, Ok((stream, _)))) => {
                let connection = serve(stream, router.clone(), limits, stop.clone());
                tasks.spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            Some((_, Err(e))) if of_one_connection(&e) => {}
            Some((_, Err(e))) => {
                tracing::warn!("no connection can be taken for the moment: {e}");
                tokio::time::sleep(PAUSE).await;
            }
            None => return,
        }
    }
}

/// Errors that end the connection that was to be taken, and say nothing of the next.
fn of_one_connection(e: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(e.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

async fn serve(stream: TcpStream, router: Router, limits: Limits, stop: CancellationToken) {
    let answer = service_fn(move |request: Request<Incoming>| {
        let request = request.map(|body| body::timed(body, limits.body_read));
        let mut router = router.clone();
        async move { Ok::<_, Infallible>(Service::<Request<Body>>::call(&mut router, request).await.unwrap_or_else(never)) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_read)
        .serve_connection(TokioIo::new(stream), answer);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(e) = ended {
        tracing::debug!("a connection ended early: {e}");
    }
}

fn never<T>(impossible: Infallible) -> T {
    match impossible {}
}
