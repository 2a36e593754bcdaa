//! Orders and reports on the control socket: a length, then JSON; descriptors travel beside the first byte.

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The largest message; a plan carries the environment variables of a deployment.
const MOST: usize = 64 << 20;

/// The bytes of a message.
pub(crate) fn packed<T: Serialize>(message: &T) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, message)?;
    let length = u32::try_from(bytes.len() - 4).map_err(io::Error::other)?;
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    Ok(bytes)
}

/// Sends a part of a message; the descriptors go with it. Gives the bytes taken.
pub(crate) fn send_part(to: BorrowedFd<'_>, bytes: &[u8], fds: &[RawFd]) -> Result<usize, Errno> {
    let rights = [ControlMessage::ScmRights(fds)];
    let rights = if fds.is_empty() { &rights[..0] } else { &rights[..] };
    sendmsg::<()>(to.as_raw_fd(), &[IoSlice::new(bytes)], rights, MsgFlags::MSG_NOSIGNAL, None)
}

/// Sends a message, waiting as long as it takes.
pub(crate) fn send<T: Serialize>(to: BorrowedFd<'_>, message: &T) -> io::Result<()> {
    send_with(to, message, &[])
}

/// Sends a message and descriptors with it, waiting as long as it takes.
pub(crate) fn send_with<T: Serialize>(to: BorrowedFd<'_>, message: &T, fds: &[OwnedFd]) -> io::Result<()> {
    let bytes = packed(message)?;
    let mut fds: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let mut sent = 0;
    while sent < bytes.len() {
        match send_part(to, &bytes[sent..], &fds) {
            Ok(n) => {
                fds.clear();
                sent += n;
            }
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => wait_to_write(to)?,
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

fn wait_to_write(to: BorrowedFd<'_>) -> io::Result<()> {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    match poll(&mut [PollFd::new(to, PollFlags::POLLOUT)], PollTimeout::NONE) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// Messages out of bytes as they arrive.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    bytes: Vec<u8>,
    fds: VecDeque<OwnedFd>,
}

impl Inbox {
    /// Reads what is there. False at the end.
    pub(crate) fn read(&mut self, from: BorrowedFd<'_>) -> Result<bool, Errno> {
        let mut piece = [0; 16 << 10];
        let mut space = nix::cmsg_space!([RawFd; 8]);
        let got = {
            let mut into = [IoSliceMut::new(&mut piece)];
            let flags = MsgFlags::MSG_CMSG_CLOEXEC | MsgFlags::MSG_DONTWAIT;
            let message = recvmsg::<()>(from.as_raw_fd(), &mut into, Some(&mut space), flags)?;
            for control in message.cmsgs()? {
                if let ControlMessageOwned::ScmRights(fds) = control {
                    // SAFETY: the kernel just made these descriptors for us, and nobody else knows them.
                    self.fds.extend(fds.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
                }
            }
            message.bytes
        };
        self.bytes.extend_from_slice(&piece[..got]);
        Ok(got > 0)
    }

    /// The next message, if all of it is there.
    pub(crate) fn next<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        let Some(length) = self.bytes.first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_be_bytes(*length) as usize;
        if length > MOST {
            return Err(io::Error::other("a control message is too large"));
        }
        let Some(body) = self.bytes.get(4..4 + length) else { return Ok(None) };
        let message = serde_json::from_slice(body)?;
        self.bytes.drain(..4 + length);
        Ok(Some(message))
    }

    /// All descriptors that have come.
    pub(crate) fn take_all_fds(&mut self) -> Vec<OwnedFd> {
        self.fds.drain(..).collect()
    }

    /// The descriptors of the message just read.
    pub(crate) fn take_fds<const N: usize>(&mut self) -> Option<[OwnedFd; N]> {
        let fds: Vec<OwnedFd> = self.fds.drain(..N.min(self.fds.len())).collect();
        fds.try_into().ok()
    }
}
