//! The reading side of a worker's socket: bytes, and descriptors where answers may have files.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, Interest};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedReadHalf;

use super::held::Held;
use crate::protocol::{Broken, Decoder};
use crate::rights::{self, Pairing, Received};

/// What comes from a worker.
#[derive(Debug)]
pub struct Arrivals {
    socket: OwnedReadHalf,
    /// Nothing where no answer has files: then descriptors that come are closed.
    files: Option<Files>,
}

#[derive(Debug)]
struct Files {
    pairing: Pairing,
    held: Arc<Held>,
}

impl Arrivals {
    pub fn new(socket: OwnedReadHalf, held: Option<Arc<Held>>) -> Self {
        let files = held.map(|held| Files { pairing: Pairing::default(), held });
        Self { socket, files }
    }

    /// Waits for bytes. Safe to give up.
    pub async fn read(&mut self, decoder: &mut Decoder) -> io::Result<usize> {
        let Some(files) = &mut self.files else { return self.socket.read_buf(&mut decoder.room()).await };
        let socket = self.socket.as_ref();
        loop {
            socket.readable().await?;
            let read = socket.try_io(Interest::READABLE, || Ok(receive(socket, decoder, Some(files))?));
            match read {
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                read => return read,
            }
        }
    }

    /// Reads without waiting, past what the runtime knows of the socket. False when there is nothing.
    pub fn read_now(&mut self, decoder: &mut Decoder) -> bool {
        receive(self.socket.as_ref(), decoder, self.files.as_mut()).is_ok_and(|bytes| bytes > 0)
    }

    /// The file whose frame has just been read: an ordinary one.
    pub fn take(&mut self) -> Result<Arc<File>, Broken> {
        let Some(Files { pairing, held }) = &mut self.files else {
            return Err(Broken::new("a file, and no output field is for files"));
        };
        // Breaking with the process is all that is left when this server can open nothing more.
        let file = pairing.take().map_err(Broken::new)?;
        let file = file.ok_or_else(|| Broken::new("a file this server had no room for"))?;
        rights::ordinary(&file).map_err(|why| Broken::new(format!("a file that {why}")))?;
        Ok(held.add(file))
    }

    /// To be called for each frame that is no file's.
    pub fn expect_none(&self) -> Result<(), Broken> {
        self.files.as_ref().map_or(Ok(()), |files| files.pairing.expect_none()).map_err(Broken::new)
    }

    /// To be called when the whole frames of a read are done.
    pub fn settle(&mut self, in_the_middle: bool) -> Result<(), Broken> {
        self.files.as_mut().map_or(Ok(()), |files| files.pairing.settle(in_the_middle)).map_err(Broken::new)
    }
}

fn receive(socket: &UnixStream, decoder: &mut Decoder, files: Option<&mut Files>) -> nix::Result<usize> {
    let Received { bytes, descriptors, lost } = rights::receive(socket.as_fd(), &mut decoder.room())?;
    if let Some(files) = files {
        files.pairing.came(descriptors, lost);
    }
    Ok(bytes)
}
