//! Frames on their way to a worker. Writing never blocks the caller: what the socket does not take at once waits in a
//! bounded queue, and a task sends it when there is room.

use std::collections::VecDeque;
use std::io::{ErrorKind, IoSlice};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::{Buf, Bytes};
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::Notify;

/// Pieces that may wait. The lanes hand over only a few calls ahead, so a queue this long means that nobody reads.
const MOST: usize = 8192;

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
    closed: bool,
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
        let mut queue = self.turn().queue;
        queue.closed = true;
        queue.waiting.clear();
        drop(queue);
        self.wake.notify_one();
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
        if self.queue.waiting.is_empty() {
            sent = self.write(&[IoSlice::new(head), IoSlice::new(rest[0]), IoSlice::new(rest[1])]);
            if sent == length {
                return Ok(());
            }
        }
        if let Some(head) = head.get(sent..).filter(|head| !head.is_empty()) {
            self.queue.waiting.push_back(Bytes::copy_from_slice(head));
        }
        sent = sent.saturating_sub(head.len());
        for part in rest {
            let mut part = part.clone();
            let skip = sent.min(part.len());
            part.advance(skip);
            sent -= skip;
            if !part.is_empty() {
                self.queue.waiting.push_back(part);
            }
        }
        self.way.wake.notify_one();
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
        while !self.queue.closed {
            let Some(first) = self.queue.waiting.front() else { return Flushed::Empty };
            match self.way.socket.try_write(first) {
                Ok(sent) => self.sent(sent),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Flushed::Full,
                Err(_) => {
                    self.queue.closed = true;
                    self.queue.waiting.clear();
                }
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
