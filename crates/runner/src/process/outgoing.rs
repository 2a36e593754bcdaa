//! Frames on their way to a worker. Writing never blocks the caller: what the socket does not take at once waits in a
//! bounded queue, and a task sends it when there is room.
//!
//! While the way is held, frames gather and go out by one write: the answers of one read cause many calls.
//!
//! A descriptor goes out with the first byte of its own frame, by a write of its own.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::Interest;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::Notify;

use crate::rights;

/// Pieces that may wait. The lanes hand over only a few calls ahead, so a queue this long means that nobody reads.
const MOST: usize = 8192;
/// Parts up to this size are copied together while they wait; larger ones are kept as they are.
const SMALL: usize = 4096;
/// The pause before it is tried again, when too many descriptors of this server are on their way.
const CROWDED: Duration = Duration::from_millis(10);

/// The way to a worker.
#[derive(Debug)]
pub struct Outgoing {
    socket: OwnedWriteHalf,
    queue: Mutex<Queue>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Piece>,
    /// Small parts behind those that wait, copied together.
    tail: BytesMut,
    held: bool,
    closed: bool,
}

/// What goes out by one write.
#[derive(Debug)]
struct Piece {
    bytes: Bytes,
    /// What goes with its first byte.
    file: Option<OwnedFd>,
}

impl Queue {
    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.tail.is_empty()
    }

    fn add(&mut self, part: &[u8], whole: impl FnOnce() -> Bytes) {
        if part.len() <= SMALL {
            self.tail.extend_from_slice(part);
            return;
        }
        self.end_tail();
        self.waiting.push_back(Piece { bytes: whole(), file: None });
    }

    fn add_file(&mut self, frame: Vec<u8>, file: OwnedFd) {
        self.end_tail();
        self.waiting.push_back(Piece { bytes: frame.into(), file: Some(file) });
    }

    fn end_tail(&mut self) {
        if !self.tail.is_empty() {
            let bytes = self.tail.split().freeze();
            self.waiting.push_back(Piece { bytes, file: None });
        }
    }

    fn clear(&mut self) {
        self.closed = true;
        self.waiting.clear();
        self.tail.clear();
    }
}

/// The right to write next. Frames go out in the order in which it was taken.
pub struct Turn<'a> {
    way: &'a Outgoing,
    queue: MutexGuard<'a, Queue>,
}

/// The worker takes nothing any more: it is gone, or it does not read.
#[derive(Debug, PartialEq, Eq)]
pub struct Stuck;

impl Outgoing {
    pub fn new(socket: OwnedWriteHalf) -> Self {
        Self { socket, queue: Mutex::default(), wake: Notify::new() }
    }

    pub fn turn(&self) -> Turn<'_> {
        Turn { way: self, queue: self.queue.lock().unwrap_or_else(PoisonError::into_inner) }
    }

    /// Lets go of everything that waits; nothing is sent from now on.
    pub fn close(&self) {
        self.turn().queue.clear();
        self.wake.notify_one();
    }

    /// Whether frames have not reached the socket yet.
    pub fn is_waiting(&self) -> bool {
        !self.turn().queue.is_empty()
    }

    /// Holds frames back until [`Self::release`].
    pub fn hold(&self) {
        self.turn().queue.held = true;
    }

    /// Sends what gathered while the way was held.
    pub fn release(&self) {
        let mut turn = self.turn();
        turn.queue.held = false;
        turn.send_soon();
    }

    /// Sends what waits, until the way is closed.
    pub async fn flush(&self) {
        loop {
            self.wake.notified().await;
            loop {
                // Not within the `match`, which would keep the turn.
                let flushed = self.turn().send_waiting();
                match flushed {
                    Flushed::Closed => return,
                    Flushed::Empty => break,
                    Flushed::Full => {}
                    Flushed::Crowded => tokio::time::sleep(CROWDED).await,
                }
                if self.socket.writable().await.is_err() {
                    return self.close();
                }
            }
        }
    }
}

enum Flushed {
    Closed,
    Empty,
    Full,
    /// The host lets no more descriptors be on their way.
    Crowded,
}

impl Turn<'_> {
    /// Sends a frame with a descriptor: at once when nothing waits and the socket takes it, else later.
    pub fn send_file(&mut self, frame: Vec<u8>, file: OwnedFd) -> Result<(), Stuck> {
        if self.queue.closed || self.queue.waiting.len() > MOST {
            return Err(Stuck);
        }
        self.queue.add_file(frame, file);
        if !self.queue.held {
            self.send_soon();
        }
        Ok(())
    }

    /// Sends a frame: at once when nothing waits and the socket takes it, else later.
    pub fn send(mut self, head: &[u8], rest: [&Bytes; 2]) -> Result<(), Stuck> {
        if self.queue.closed || self.queue.waiting.len() > MOST {
            return Err(Stuck);
        }
        let mut sent = 0;
        let length = head.len() + rest[0].len() + rest[1].len();
        if self.queue.is_empty() && !self.queue.held {
            sent = self.write(&[IoSlice::new(head), IoSlice::new(rest[0]), IoSlice::new(rest[1])]);
            if sent == length {
                return Ok(());
            }
        }
        let head = &head[sent.min(head.len())..];
        self.queue.add(head, || Bytes::copy_from_slice(head));
        sent = sent.saturating_sub(length - rest[0].len() - rest[1].len());
        for part in rest {
            let skip = sent.min(part.len());
            sent -= skip;
            self.queue.add(&part[skip..], || part.slice(skip..));
        }
        if !self.queue.held {
            self.way.wake.notify_one();
        }
        Ok(())
    }

    /// What the socket took; a broken socket takes nothing, its reader will notice.
    fn write(&self, parts: &[IoSlice<'_>]) -> usize {
        loop {
            match self.way.socket.try_write_vectored(parts) {
                Ok(sent) => return sent,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => return 0,
            }
        }
    }

    /// As the other `write`, with a descriptor.
    fn write_with(&self, bytes: &[u8], file: &OwnedFd) -> io::Result<usize> {
        let socket = self.way.socket.as_ref();
        socket.try_io(Interest::WRITABLE, || Ok(rights::send(socket.as_fd(), bytes, file)?))
    }

    /// Sends what the socket takes of what waits, and leaves the rest to the task.
    fn send_soon(&mut self) {
        if let Flushed::Full | Flushed::Crowded = self.send_waiting() {
            self.way.wake.notify_one();
        }
    }

    fn send_waiting(&mut self) -> Flushed {
        self.queue.end_tail();
        while !self.queue.closed {
            let Some(first) = self.queue.waiting.front() else { return Flushed::Empty };
            let sent = match &first.file {
                None => self.way.socket.try_write(&first.bytes),
                Some(file) => self.write_with(&first.bytes, file),
            };
            match sent {
                Ok(sent) => self.sent(sent),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Flushed::Full,
                Err(e) if e.raw_os_error() == Some(libc::ETOOMANYREFS) => return Flushed::Crowded,
                Err(_) => self.queue.clear(),
            }
        }
        Flushed::Closed
    }

    fn sent(&mut self, bytes: usize) {
        if let Some(first) = self.queue.waiting.front_mut() {
            first.bytes.advance(bytes);
            first.file = None;
            if first.bytes.is_empty() {
                self.queue.waiting.pop_front();
            }
        }
    }
}
