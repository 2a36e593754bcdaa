//! The server's end of an instance's control socket.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::init::orders::{Order, Report};
use crate::init::wire::{self, Inbox};

pub(super) struct Control {
    socket: AsyncFd<OwnedFd>,
    inbox: Inbox,
    waiting: VecDeque<Waiting>,
}

/// A message, or the rest of one.
struct Waiting {
    bytes: Vec<u8>,
    sent: usize,
    fds: Vec<OwnedFd>,
}

impl Control {
    pub(super) fn new(socket: OwnedFd) -> io::Result<Self> {
        fcntl(&socket, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        // SAFETY: the descriptor is owned, so it stays this socket for as long as it is registered.
        let socket = unsafe { AsyncFd::register(socket) }?;
        Ok(Self { socket, inbox: Inbox::default(), waiting: VecDeque::new() })
    }

    /// Sends an order, now or when there is room. Errors show as the end of the reports.
    pub(super) fn send(&mut self, order: &Order, fds: Vec<OwnedFd>) -> io::Result<()> {
        self.waiting.push_back(Waiting { bytes: wire::packed(order)?, sent: 0, fds });
        self.flush();
        Ok(())
    }

    /// The descriptors that came with reports.
    pub(super) fn take_fds(&mut self) -> Vec<OwnedFd> {
        self.inbox.take_all_fds()
    }

    /// Tells the other side that no more orders come; reports can still be read.
    pub(super) fn close(&mut self) {
        self.waiting.clear();
        let _ = nix::sys::socket::shutdown(self.socket.as_raw_fd(), nix::sys::socket::Shutdown::Write);
    }

    /// Sends what the socket takes. False when it takes no more for now.
    fn flush(&mut self) -> bool {
        while let Some(first) = self.waiting.front_mut() {
            let fds: Vec<RawFd> = first.fds.iter().map(AsRawFd::as_raw_fd).collect();
            match wire::send_part(self.socket.as_fd(), &first.bytes[first.sent..], &fds) {
                Ok(n) => {
                    first.fds.clear();
                    first.sent += n;
                    if first.sent == first.bytes.len() {
                        self.waiting.pop_front();
                    }
                }
                Err(nix::errno::Errno::EINTR) => {}
                Err(nix::errno::Errno::EAGAIN) => return false,
                Err(_) => self.waiting.clear(),
            }
        }
        true
    }

    /// The next report, sending what waits in the meantime; `None` at the end. Safe to give up.
    pub(super) async fn next(&mut self) -> Option<Report> {
        loop {
            match self.inbox.next() {
                Ok(Some(report)) => return Some(report),
                Ok(None) => {}
                Err(_) => return None,
            }
            let wish =
                if self.waiting.is_empty() { Interest::READABLE } else { Interest::READABLE | Interest::WRITABLE };
            let mut ready = self.socket.ready(wish).await.ok()?;
            if ready.ready().is_writable() && !self.waiting.is_empty() {
                ready.clear_ready_matching(tokio::io::Ready::WRITABLE);
                drop(ready);
                self.flush();
                continue;
            }
            match self.inbox.read(ready.get_ref().as_fd()) {
                Ok(true) => {}
                Ok(false) => return None,
                Err(nix::errno::Errno::EAGAIN) => ready.clear_ready_matching(tokio::io::Ready::READABLE),
                Err(nix::errno::Errno::EINTR) => {}
                Err(_) => return None,
            }
        }
    }
}
