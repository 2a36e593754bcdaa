//! Bytes on their way: frames that come in pieces, and what waits until it can be written.

use std::io;
use std::os::fd::BorrowedFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::raw;
use crate::protocol::MAX_FRAME;

const PIECE: usize = 256 << 10;
/// Bytes of room that are kept when nothing waits.
const KEPT: usize = 1 << 20;

/// What was read and not taken yet.
#[derive(Default)]
pub(super) struct Incoming {
    data: Vec<u8>,
    taken: usize,
}

impl Incoming {
    /// Reads once; how many bytes that were, none at the end.
    pub fn read(&mut self, from: BorrowedFd<'_>) -> nix::Result<usize> {
        self.data.drain(..std::mem::take(&mut self.taken));
        if self.data.is_empty() && self.data.capacity() > KEPT {
            self.data = Vec::new();
        }
        self.data.reserve(PIECE);
        let room = self.data.spare_capacity_mut();
        // SAFETY: the kernel writes at most as many bytes as there is room for, and says how many they are.
        let count = unsafe { libc::read(raw(from), room.as_mut_ptr().cast(), room.len()) };
        let count = Errno::result(count)?.cast_unsigned();
        // SAFETY: the kernel has just written these bytes.
        unsafe { self.data.set_len(self.data.len() + count) };
        Ok(count)
    }

    /// The next whole frame: its kind, and what follows it.
    pub fn next(&mut self) -> Result<Option<(u8, Vec<u8>)>, String> {
        let rest = &self.data[self.taken..];
        let Some(head) = rest.first_chunk::<4>() else { return Ok(None) };
        let size = u32::from_be_bytes(*head) as usize;
        if size == 0 || size > MAX_FRAME {
            return Err(format!("a frame of length {size}"));
        }
        let Some(frame) = rest.get(4..4 + size) else { return Ok(None) };
        let (kind, payload) = (frame[0], frame[1..].to_vec());
        self.taken += 4 + size;
        Ok(Some((kind, payload)))
    }
}

/// What waits to be written.
#[derive(Default)]
pub(super) struct Outgoing {
    data: Vec<u8>,
    written: usize,
}

impl Outgoing {
    pub fn len(&self) -> usize {
        self.data.len() - self.written
    }

    pub fn append(&mut self, more: Vec<u8>) {
        if self.len() == 0 {
            (self.data, self.written) = (more, 0);
        } else {
            self.data.extend_from_slice(&more);
        }
    }

    /// Writes to a pipe what goes without waiting.
    pub fn write(&mut self, to: BorrowedFd<'_>) -> io::Result<()> {
        // SAFETY: the bytes outlive the call, which does not change them.
        self.flush(|bytes| unsafe { libc::write(raw(to), bytes.as_ptr().cast(), bytes.len()) })
    }

    /// Sends to a socket what goes without waiting.
    pub fn send(&mut self, to: BorrowedFd<'_>) -> io::Result<()> {
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        // SAFETY: the bytes outlive the call, which does not change them.
        self.flush(|bytes| unsafe { libc::send(raw(to), bytes.as_ptr().cast(), bytes.len(), flags) })
    }

    /// Sends all to a socket.
    pub fn send_all(&mut self, to: BorrowedFd<'_>) -> io::Result<()> {
        loop {
            self.send(to)?;
            if self.len() == 0 {
                return Ok(());
            }
            poll(&mut [PollFd::new(to, PollFlags::POLLOUT)], PollTimeout::NONE)?;
        }
    }

    fn flush(&mut self, mut write: impl FnMut(&[u8]) -> isize) -> io::Result<()> {
        while self.len() > 0 {
            match Errno::result(write(&self.data[self.written..])) {
                Ok(count) => self.written += count.cast_unsigned(),
                Err(Errno::EAGAIN) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
        (self.data, self.written) = (Vec::new(), 0);
        Ok(())
    }
}
