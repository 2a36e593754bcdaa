//! The reading side of a worker's socket: bytes, and descriptors where answers may have files.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use tokio::io::{AsyncReadExt, Interest};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedReadHalf;

use crate::protocol::{Broken, Decoder};
use crate::rights::{self, Pairing, Received};

/// What comes from a worker.
#[derive(Debug)]
pub struct Arrivals {
    socket: OwnedReadHalf,
    /// Nothing where no answer has files: then descriptors that come are closed.
    pairing: Option<Pairing>,
}

impl Arrivals {
    pub fn new(socket: OwnedReadHalf, with_files: bool) -> Self {
        Self { socket, pairing: with_files.then(Pairing::default) }
    }

    /// Waits for bytes. Safe to give up.
    pub async fn read(&mut self, decoder: &mut Decoder) -> io::Result<usize> {
        let Some(pairing) = &mut self.pairing else { return self.socket.read_buf(&mut decoder.room()).await };
        let socket = self.socket.as_ref();
        loop {
            socket.readable().await?;
            let read = socket.try_io(Interest::READABLE, || Ok(receive(socket, decoder, Some(pairing))?));
            match read {
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                read => return read,
            }
        }
    }

    /// Reads without waiting, past what the runtime knows of the socket. False when there is nothing.
    pub fn read_now(&mut self, decoder: &mut Decoder) -> bool {
        receive(self.socket.as_ref(), decoder, self.pairing.as_mut()).is_ok_and(|bytes| bytes > 0)
    }

    /// The descriptor of the file frame that has just been read.
    pub fn take(&mut self) -> Result<OwnedFd, Broken> {
        let Some(pairing) = &mut self.pairing else {
            return Err(Broken::new("a file, and no output field is for files"));
        };
        // Breaking with the process is all that is left when this server can open nothing more.
        pairing.take().map_err(Broken::new)?.ok_or_else(|| Broken::new("a file this server had no room for"))
    }

    /// To be called for each frame that is no file's.
    pub fn expect_none(&self) -> Result<(), Broken> {
        self.pairing.as_ref().map_or(Ok(()), Pairing::expect_none).map_err(Broken::new)
    }

    /// To be called when the whole frames of a read are done.
    pub fn settle(&mut self, in_the_middle: bool) -> Result<(), Broken> {
        self.pairing.as_mut().map_or(Ok(()), |pairing| pairing.settle(in_the_middle)).map_err(Broken::new)
    }
}

fn receive(socket: &UnixStream, decoder: &mut Decoder, pairing: Option<&mut Pairing>) -> nix::Result<usize> {
    let Received { bytes, descriptors, lost } = rights::receive(socket.as_fd(), &mut decoder.room())?;
    if let Some(pairing) = pairing {
        pairing.came(descriptors, lost);
    }
    Ok(bytes)
}
