//! Serves HTTP: takes connections, bounds what they may cost, and lets them finish when the server stops.
//!
//! While it stops the door stays open: a client is told so instead of finding nobody.

mod body;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use modelyard_runner::local::{Guest, Visit};
use nix::sys::socket::{setsockopt, sockopt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
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
/// How long a connection that has asked nothing yet may take for that when the server stops, and to be answered when it is done.
const LATE: Duration = Duration::from_millis(500);
/// After this pause connections are taken again when there was no room for one more.
const PAUSE: Duration = Duration::from_millis(100);

/// The open door: a listener and its connections.
pub struct Front {
    /// Where it listens.
    pub address: SocketAddr,
    connections: TaskTracker,
    stop: CancellationToken,
    shut: CancellationToken,
    door: TaskTracker,
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
    /// Opens the door, also to those who come from inside of instances.
    pub fn open(listener: TcpListener, guests: mpsc::Receiver<Guest>, router: Router, limits: Limits) -> Result<Self> {
        let address = listener.local_addr().map_err(|e| StartError(format!("The listener has no address: {e}.")))?;
        let front = Self {
            address,
            connections: TaskTracker::new(),
            stop: CancellationToken::new(),
            shut: CancellationToken::new(),
            door: TaskTracker::new(),
        };
        let (connections, stop) = (front.connections.clone(), front.stop.clone());
        let arriving = Arriving { listener, guests };
        let taken = take(arriving, router, limits, connections, front.door.clone(), stop);
        let shut = front.shut.clone();
        front.door.spawn(async move { shut.run_until_cancelled(taken).await });
        Ok(front)
    }

    /// Lets connections answer what they were asked, and no more. New ones are taken for one answer each: why there is no
    /// other.
    pub fn wind_down(&self) {
        self.stop.cancel();
        self.connections.close();
    }

    /// Waits until the last connection is done of those that were there when it began to wind down.
    pub async fn quiet(&self) {
        self.connections.wait().await;
    }

    /// Takes no more connections; late ones have a moment to get their answer.
    pub async fn close(&self) {
        self.shut.cancel();
        self.door.close();
        let _ = tokio::time::timeout(LATE, self.door.wait()).await;
    }
}

/// Where connections come from.
struct Arriving {
    listener: TcpListener,
    guests: mpsc::Receiver<Guest>,
}

impl Arriving {
    /// The next connection, and who came if it is from inside an instance.
    async fn next(&mut self) -> std::io::Result<(TcpStream, Option<Visit>)> {
        tokio::select! {
            came = self.listener.accept() => came.map(|(stream, _)| (stream, None)),
            Some(guest) = self.guests.recv() => {
                let (stream, visit) = guest.into_parts();
                Ok((stream, Some(visit)))
            }
        }
    }
}

async fn take(
    mut arriving: Arriving,
    router: Router,
    limits: Limits,
    connections: TaskTracker,
    late: TaskTracker,
    stop: CancellationToken,
) {
    let room = Arc::new(Semaphore::new(limits.connections));
    loop {
        let next = async {
            let place = Arc::clone(&room).acquire_owned().await.ok()?;
            Some((place, arriving.next().await))
        };
        match next.await {
            Some((place, Ok((stream, visit)))) => {
                let connection = serve(stream, router.clone(), limits, stop.clone());
                let tasks = if stop.is_cancelled() { &late } else { &connections };
                tasks.spawn(async move {
                    match visit {
                        Some(visit) => visit.while_it_lasts(connection).await,
                        None => connection.await,
                    }
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
    let asked = AtomicBool::new(false);
    let answer = service_fn(|request: Request<Incoming>| {
        asked.store(true, Ordering::Relaxed);
        let request = request.map(|body| body::timed(body, limits.body_read));
        let mut router = router.clone();
        async move { Ok::<_, Infallible>(Service::<Request<Body>>::call(&mut router, request).await.unwrap_or_else(never)) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_read)
        .keep_alive(!stop.is_cancelled())
        .serve_connection(TokioIo::new(stream), answer);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            // The first request of a new one may be on its way: it has a moment to come.
            let early = match asked.load(Ordering::Relaxed) {
                false => tokio::time::timeout(LATE, connection.as_mut()).await.ok(),
                true => None,
            };
            match early {
                Some(ended) => ended,
                None => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            }
        }
    };
    if let Err(e) = ended {
        tracing::debug!("a connection ended early: {e}");
    }
}

fn never<T>(impossible: Infallible) -> T {
    match impossible {}
}
