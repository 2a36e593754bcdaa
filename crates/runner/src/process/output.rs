//! What a process writes: how much of it is kept, and how the pipes behind descriptors 1 and 2 are read.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;

use crate::protocol::Level;

/// Bytes of output kept of one call, and of what lies between two calls.
pub const KEPT: usize = 10 << 20;

/// What stands in the log where the rest is missing.
const REST: &str = "The rest of the output was dropped: more than 10 MiB of it.";

/// Bytes read from a pipe at once; a line longer than this is cut.
const PIECE: usize = 64 << 10;

/// How much more output is kept.
#[derive(Debug)]
pub struct Budget {
    left: usize,
    told: bool,
}

impl Default for Budget {
    fn default() -> Self {
        Self { left: KEPT, told: false }
    }
}

impl Budget {
    /// The text if it is to be kept; once, a sentence in its place; then nothing.
    pub fn keep(&mut self, text: String) -> Option<String> {
        if let Some(left) = self.left.checked_sub(text.len()) {
            self.left = left;
            return Some(text);
        }
        self.left = 0;
        (!std::mem::replace(&mut self.told, true)).then(|| REST.to_owned())
    }
}

/// One of the two pipes.
#[derive(Debug)]
pub struct Pipe {
    pipe: Receiver,
    /// The level of what comes out of it.
    pub level: Level,
    /// Something came out of it once: then it is looked at before a call ends, so that its output counts for that call.
    pub used: bool,
    /// It has no more writers.
    pub closed: bool,
    part: Vec<u8>,
}

impl Pipe {
    pub fn new(fd: OwnedFd, level: Level) -> io::Result<Self> {
        Ok(Self { pipe: Receiver::from_owned_fd(fd)?, level, used: false, closed: false, part: Vec::new() })
    }

    /// Waits for output. Safe to give up.
    pub async fn read(&mut self) -> Option<String> {
        if self.part.capacity() == 0 {
            self.part.reserve_exact(PIECE);
        }
        let mut room = bytes::BufMut::limit(&mut self.part, PIECE);
        match self.pipe.read_buf(&mut room).await {
            Ok(0) | Err(_) => {
                self.closed = true;
                self.rest()
            }
            Ok(_) => self.lines(),
        }
    }

    /// What is there now, without waiting: whole lines, and at the end what is there of the last.
    pub fn drain(&mut self) -> Option<String> {
        if self.is_empty() {
            return self.rest();
        }
        let mut piece = vec![0; PIECE];
        // No more than the pipe holds, or a busy writer would keep us here.
        for _ in 0..2 {
            match nix::unistd::read(self.pipe.as_fd(), &mut piece) {
                Ok(0) => self.closed = true,
                Ok(n) => {
                    self.part.extend_from_slice(&piece[..n]);
                    continue;
                }
                Err(_) => {}
            }
            break;
        }
        self.rest()
    }

    fn is_empty(&self) -> bool {
        let mut bytes: libc::c_int = 0;
        // SAFETY: the kernel writes one number, which outlives the call.
        let asked = unsafe { libc::ioctl(self.pipe.as_raw_fd(), libc::FIONREAD, &raw mut bytes) };
        asked == 0 && bytes == 0
    }

    /// The whole lines read so far; the part of a line stays, unless it is too long.
    fn lines(&mut self) -> Option<String> {
        self.used = true;
        let end = match self.part.iter().rposition(|byte| *byte == b'\n') {
            Some(at) => at + 1,
            None if self.part.len() >= PIECE => self.part.len(),
            None => return None,
        };
        let text = line_text(&self.part[..end]);
        self.part.drain(..end);
        text
    }

    fn rest(&mut self) -> Option<String> {
        let text = line_text(&self.part);
        self.part = Vec::new();
        text
    }
}

fn line_text(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.strip_suffix('\n').unwrap_or(&text);
    (!bytes.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::io::Write;

    use super::*;

    fn pipe() -> (Pipe, std::fs::File) {
        let (read, write) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
        nix::fcntl::fcntl(&read, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK)).unwrap();
        (Pipe::new(read, Level::Info).unwrap(), write.into())
    }

    #[tokio::test]
    async fn whole_lines_come_out_and_the_rest_at_the_end() {
        let (mut pipe, mut write) = pipe();
        write.write_all(b"one\ntwo\nthr").unwrap();
        assert_eq!(pipe.read().await.as_deref(), Some("one\ntwo"));
        write.write_all(b"ee\n").unwrap();
        assert_eq!(pipe.read().await.as_deref(), Some("three"));
        write.write_all(b"half").unwrap();
        assert_eq!(pipe.drain().as_deref(), Some("half"));
        assert_eq!(pipe.drain(), None);
        drop(write);
        assert_eq!(pipe.read().await, None);
        assert!(pipe.closed);
    }

    #[tokio::test]
    async fn a_line_without_end_comes_out_in_pieces() {
        let (mut pipe, mut write) = pipe();
        let writer = std::thread::spawn(move || write.write_all(&vec![b'x'; 3 * PIECE]).unwrap());
        let mut length = 0;
        while !pipe.closed {
            length += pipe.read().await.map_or(0, |text| text.len());
            assert!(pipe.part.len() <= PIECE);
        }
        writer.join().unwrap();
        assert_eq!(length, 3 * PIECE);
    }

    #[test]
    fn what_is_too_much_is_said_once() {
        let mut budget = Budget::default();
        assert!(budget.keep("x".repeat(KEPT - 1)).is_some());
        assert_eq!(budget.keep("xx".into()).as_deref(), Some(REST));
        assert_eq!(budget.keep("x".into()), None);
    }
}
