//! The reading side of a worker's socket: bytes, and descriptors where answers may have files.
//!
//! The kernel hands a descriptor out with the first byte it was sent with, and ends the read with the bytes of that write. So
//! one that has come belongs to a frame of this read, or to the first frame of the next.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use tokio::io::{AsyncReadExt, Interest};
use tokio::net::unix::OwnedReadHalf;

use crate::protocol::{Broken, Decoder};
use crate::rights::{self, Received};

/// What comes from a worker.
#[derive(Debug)]
pub struct Arrivals {
    socket: OwnedReadHalf,
    /// Nothing where no answer has files: then the kernel closes descriptors that come.
    descriptors: Option<Descriptors>,
}

#[derive(Debug, Default)]
struct Descriptors {
    at_hand: Option<OwnedFd>,
    /// The one at hand came with an earlier read: the next frame is its own.
    due: bool,
    broken: Option<Broken>,
}

impl Arrivals {
    pub fn new(socket: OwnedReadHalf, with_files: bool) -> Self {
        Self { socket, descriptors: with_files.then(Descriptors::default) }
    }

    /// Waits for bytes. Safe to give up.
    pub async fn read(&mut self, decoder: &mut Decoder) -> io::Result<usize> {
        let Some(descriptors) = &mut self.descriptors else { return self.socket.read_buf(&mut decoder.room()).await };
        let socket = self.socket.as_ref();
        loop {
            socket.readable().await?;
            let read = socket.try_io(Interest::READABLE, || Ok(descriptors.receive(socket.as_fd(), decoder)?));
            match read {
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                read => return read,
            }
        }
    }

    /// Reads without waiting, past what the runtime knows of the socket. False when there is nothing.
    pub fn read_now(&mut self, decoder: &mut Decoder) -> bool {
        let socket = self.socket.as_ref().as_fd();
        let read = match &mut self.descriptors {
            Some(descriptors) => descriptors.receive(socket, decoder),
            // Descriptors that come are closed.
            None => rights::receive(socket, &mut decoder.room()).map(|received| received.bytes),
        };
        read.is_ok_and(|bytes| bytes > 0)
    }

    /// The descriptor of the file frame that has just been read.
    pub fn take(&mut self) -> Result<OwnedFd, Broken> {
        let descriptors = self.descriptors.as_mut();
        let at_hand = descriptors.and_then(|it| {
            it.due = false;
            it.at_hand.take()
        });
        at_hand.ok_or_else(|| Broken::new("a file frame without a descriptor"))
    }

    /// To be called before a frame that has no descriptor counts.
    pub fn expect_none(&self) -> Result<(), Broken> {
        match &self.descriptors {
            Some(Descriptors { due: true, .. }) => Err(Broken::new("a descriptor with a frame that takes none")),
            _ => Ok(()),
        }
    }

    /// To be called when the whole frames of a read are done; `in_the_middle` of one, its descriptor may be at hand already.
    pub fn settle(&mut self, in_the_middle: bool) -> Result<(), Broken> {
        let Some(descriptors) = &mut self.descriptors else { return Ok(()) };
        if let Some(broken) = descriptors.broken.take() {
            return Err(broken);
        }
        if descriptors.at_hand.is_some() && !in_the_middle {
            return Err(Broken::new("a descriptor without a frame"));
        }
        descriptors.due = descriptors.at_hand.is_some();
        Ok(())
    }
}

impl Descriptors {
    fn receive(&mut self, socket: BorrowedFd<'_>, decoder: &mut Decoder) -> nix::Result<usize> {
        let Received { bytes, descriptors, lost } = rights::receive(socket, &mut decoder.room())?;
        if lost || descriptors.len() + usize::from(self.at_hand.is_some()) > 1 {
            self.broken = Some(Broken::new("more descriptors than frames for them, or than this server has room for"));
        }
        self.at_hand = descriptors.into_iter().next().or(self.at_hand.take());
        Ok(bytes)
    }
}
