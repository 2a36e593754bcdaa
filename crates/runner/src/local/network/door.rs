//! The server's side of the sockets that listen inside an instance: its own, and those of the resolver.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::names;
use crate::init::orders;

/// How many connections an instance may have to the server.
const CONNECTIONS: usize = 64;
/// After this pause connections are taken again when there was no room for one more.
const PAUSE: Duration = Duration::from_millis(100);

/// A connection from an instance to the server.
#[derive(Debug)]
pub struct Guest {
    stream: TcpStream,
    visit: Visit,
}

/// What bounds such a connection: it ends with its instance, and an instance has so many.
#[derive(Debug)]
pub struct Visit {
    over: CancellationToken,
    _place: OwnedSemaphorePermit,
}

impl Guest {
    /// The connection, and what bounds it.
    pub fn into_parts(self) -> (TcpStream, Visit) {
        (self.stream, self.visit)
    }
}

impl Visit {
    /// Serves the connection for as long as its instance lives.
    pub async fn while_it_lasts(self, serve: impl Future<Output = ()>) {
        self.over.run_until_cancelled(serve).await;
    }
}

/// The sockets of an instance. Dropping it closes them all, and the connections that came over them.
#[derive(Debug, Default)]
pub(crate) struct Door {
    tasks: JoinSet<()>,
    over: CancellationToken,
}

impl Door {
    /// Serves the sockets that came from inside a network.
    pub(crate) fn open(
        network: &orders::Network,
        sockets: Vec<OwnedFd>,
        guests: Option<mpsc::Sender<Guest>>,
    ) -> io::Result<Self> {
        let mut door = Self::default();
        let mut sockets = VecDeque::from(sockets);
        let mut next = || sockets.pop_front().ok_or_else(|| io::Error::other("a socket of its network is missing"));
        if network.platform.is_some() {
            let listener = listener(next()?)?;
            if let Some(guests) = guests {
                door.tasks.spawn(take(listener, guests, door.over.clone()));
            }
        }
        if network.names.is_some() {
            let socket = std::net::UdpSocket::from(next()?);
            socket.set_nonblocking(true)?;
            door.tasks.spawn(names::answer(UdpSocket::from_std(socket)?));
            door.tasks.spawn(names::connect(listener(next()?)?));
        }
        Ok(door)
    }

    /// Closes everything.
    pub(crate) async fn close(mut self) {
        self.over.cancel();
        self.tasks.shutdown().await;
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.over.cancel();
    }
}

fn listener(socket: OwnedFd) -> io::Result<TcpListener> {
    let listener = std::net::TcpListener::from(socket);
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// Takes connections and hands them to the server.
async fn take(listener: TcpListener, guests: mpsc::Sender<Guest>, over: CancellationToken) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = room.clone().acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let guest = Guest { stream, visit: Visit { over: over.clone(), _place: place } };
        if guests.send(guest).await.is_err() {
            return;
        }
    }
}
