//! Bytes on their way: frames that come in pieces, and what waits until it can be written.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::books::add;
use super::raw;
use crate::protocol::MAX_FRAME;
use crate::rights::{self, Pairing, Received};

const PIECE: usize = 256 << 10;
/// Bytes of room that are kept when nothing waits.
const KEPT: usize = 1 << 20;
/// Bytes of the frame of a file.
const FILE_FRAME: usize = 17;
/// Milliseconds before it is tried again, when too many descriptors of this user are on their way.
pub(super) const CROWDED: u8 = 10;

/// Frames, some of which have descriptors.
#[derive(Debug, Default)]
pub(super) struct Frames {
    pub bytes: Vec<u8>,
    /// Where frames of files begin, and their descriptors.
    pub files: Vec<(usize, OwnedFd)>,
}

impl Frames {
    pub fn add(&mut self, kind: u8, payload: &[u8]) {
        add(&mut self.bytes, kind, payload);
    }

    pub fn add_file(&mut self, kind: u8, payload: &[u8; 12], file: OwnedFd) {
        self.files.push((self.bytes.len(), file));
        self.add(kind, payload);
    }
}

impl From<Vec<u8>> for Frames {
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, files: Vec::new() }
    }
}

/// What was read and not taken yet.
#[derive(Default)]
pub(super) struct Incoming {
    data: Vec<u8>,
    taken: usize,
}

impl Incoming {
    /// Reads once; how many bytes that were, none at the end.
    pub fn read(&mut self, from: BorrowedFd<'_>) -> nix::Result<usize> {
        self.make_room();
        let room = self.data.spare_capacity_mut();
        // SAFETY: the kernel writes at most as many bytes as there is room for, and says how many they are.
        let count = unsafe { libc::read(raw(from), room.as_mut_ptr().cast(), room.len()) };
        let count = Errno::result(count)?.cast_unsigned();
        // SAFETY: the kernel has just written these bytes.
        unsafe { self.data.set_len(self.data.len() + count) };
        Ok(count)
    }

    /// Reads once from a socket, with the descriptors that come.
    pub fn receive(&mut self, from: BorrowedFd<'_>, pairing: &mut Pairing) -> nix::Result<usize> {
        self.make_room();
        let Received { bytes, descriptors, lost } = rights::receive(from, &mut self.data)?;
        pairing.came(descriptors, lost);
        Ok(bytes)
    }

    fn make_room(&mut self) {
        self.data.drain(..std::mem::take(&mut self.taken));
        if self.data.is_empty() && self.data.capacity() > KEPT {
            self.data = Vec::new();
        }
        self.data.reserve(PIECE);
    }

    /// Whether a part of a frame is there.
    pub fn in_the_middle(&self) -> bool {
        self.taken < self.data.len()
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
    files: VecDeque<(usize, OwnedFd)>,
    /// The host lets no more descriptors be on their way.
    pub crowded: bool,
}

impl Outgoing {
    pub fn len(&self) -> usize {
        self.data.len() - self.written
    }

    pub fn files(&self) -> usize {
        self.files.len()
    }

    pub fn append(&mut self, more: impl Into<Frames>) {
        let Frames { bytes, files } = more.into();
        if self.len() == 0 {
            (self.data, self.written) = (bytes, 0);
            self.files = files.into();
        } else {
            let before = self.data.len();
            self.data.extend_from_slice(&bytes);
            self.files.extend(files.into_iter().map(|(at, file)| (before + at, file)));
        }
    }

    /// Writes to a pipe what goes without waiting.
    pub fn write(&mut self, to: BorrowedFd<'_>) -> io::Result<()> {
        // SAFETY: the bytes outlive the call, which does not change them.
        self.flush(|bytes| unsafe { libc::write(raw(to), bytes.as_ptr().cast(), bytes.len()) })
    }

    /// Sends to a socket what goes without waiting, each frame of a file by itself, with its descriptor.
    pub fn send(&mut self, to: BorrowedFd<'_>) -> io::Result<()> {
        self.crowded = false;
        while self.len() > 0 {
            let sent = match self.files.front() {
                Some((at, file)) if *at == self.written => {
                    rights::send(to, &self.data[self.written..self.written + FILE_FRAME], file)
                }
                next => {
                    let end = next.map_or(self.data.len(), |(at, _)| *at);
                    let bytes = &self.data[self.written..end];
                    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
                    // SAFETY: the bytes outlive the call, which does not change them.
                    Errno::result(unsafe { libc::send(raw(to), bytes.as_ptr().cast(), bytes.len(), flags) })
                        .map(isize::cast_unsigned)
                }
            };
            match sent {
                Ok(count) => {
                    self.files.pop_front_if(|(at, _)| *at == self.written);
                    self.written += count;
                }
                Err(Errno::EAGAIN) => return Ok(()),
                Err(Errno::ETOOMANYREFS) => {
                    self.crowded = true;
                    return Ok(());
                }
                Err(Errno::EINTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
        (self.data, self.written) = (Vec::new(), 0);
        Ok(())
    }

    /// Sends all to a socket.
    pub fn send_all(&mut self, to: BorrowedFd<'_>) -> io::Result<()> {
        loop {
            self.send(to)?;
            if self.len() == 0 {
                return Ok(());
            }
            match self.crowded {
                true => poll(&mut [], CROWDED)?,
                false => poll(&mut [PollFd::new(to, PollFlags::POLLOUT)], PollTimeout::NONE)?,
            };
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn descriptors_go_out_in_their_places_though_the_socket_is_full_again_and_again() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (mut outgoing, mut wanted) = (Outgoing::default(), Vec::new());
        for index in 0..50u8 {
            let mut frames = Frames::default();
            frames.add(7, &vec![index; 20_000]);
            frames.add_file(11, &[index; 12], tempfile::tempfile().unwrap().into());
            wanted.extend_from_slice(&frames.bytes);
            outgoing.append(frames);
        }
        let (mut incoming, mut pairing, mut files) = (Incoming::default(), Pairing::default(), 0);
        let mut all = Vec::new();
        while files < 50 {
            outgoing.send(ours.as_fd()).unwrap();
            incoming.receive(theirs.as_fd(), &mut pairing).unwrap();
            while let Some((kind, payload)) = incoming.next().unwrap() {
                add(&mut all, kind, &payload);
                if kind == 11 {
                    pairing.take().unwrap().unwrap();
                    files += 1;
                } else {
                    pairing.expect_none().unwrap();
                }
            }
            pairing.settle(incoming.in_the_middle()).unwrap();
        }
        assert!(all == wanted && outgoing.len() == 0 && outgoing.files() == 0);
    }
}
