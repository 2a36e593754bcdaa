//! Frames on their way to a worker. Writing never blocks the caller: what the socket does not take at once waits in a
//! bounded queue, and a task sends it when there is room.
//!
//! While the way is held, frames gather and go out by one write: the answers of one read cause many calls.

use std::collections::VecDeque;
use std::io::{ErrorKind, IoSlice};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::{Buf, Bytes, BytesMut};
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::Notify;

/// Pieces that may wait. The lanes hand over only a few calls ahead, so a queue this long means that nobody reads.
const MOST: usize = 8192;
/// Parts up to this size are copied together while they wait; larger ones are kept as they are.
const SMALL: usize = 4096;

/// The way to a worker.
#[derive(Debug)]
pub struct Outgoing {
    socket: OwnedWriteHalf,
    queue: Mutex<Queue>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Bytes>,
    /// Small parts behind those that wait, copied together.
    tail: BytesMut,
    held: bool,
    closed: bool,
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
        self.waiting.push_back(whole());
    }

    fn end_tail(&mut self) {
        if !self.tail.is_empty() {
            let tail = self.tail.split().freeze();
            self.waiting.push_back(tail);
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
        if let Flushed::Full = turn.send_waiting() {
            self.wake.notify_one();
        }
    }

    /// Sends what waits, until the way is closed.
    pub async fn flush(&self) {
        loop {
            self.wake.notified().await;
            loop {
                match self.turn().send_waiting() {
                    Flushed::Closed => return,
                    Flushed::Empty => break,
                    Flushed::Full => {}
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
}

impl Turn<'_> {
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

    fn send_waiting(&mut self) -> Flushed {
        self.queue.end_tail();
        while !self.queue.closed {
            let Some(first) = self.queue.waiting.front() else { return Flushed::Empty };
            match self.way.socket.try_write(first) {
                Ok(sent) => self.sent(sent),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Flushed::Full,
                Err(_) => self.queue.clear(),
            }
        }
        Flushed::Closed
    }

    fn sent(&mut self, bytes: usize) {
        if let Some(first) = self.queue.waiting.front_mut() {
            first.advance(bytes);
            if first.is_empty() {
                self.queue.waiting.pop_front();
            }
        }
    }
}
