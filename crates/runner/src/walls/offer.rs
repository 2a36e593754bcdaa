//! Asking a process of our own what it may do here.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};

use crate::init::ARGUMENT;
use crate::init::orders::{Offered, Order, ProbeOrder, Report};
use crate::init::wire::{self, Inbox};

/// A host that needs longer than this to say what it offers offers nothing.
const PATIENCE: Duration = Duration::from_secs(10);

/// Has everything tried.
pub(super) fn ask(launcher: &Path, scratch: &Path, uid: u32) -> io::Result<Offered> {
    let folder = scratch.join("probe");
    fs::create_dir_all(&folder)?;
    let text = folder.to_str().ok_or_else(|| io::Error::other("the path of the scratch folder is not UTF-8"))?;
    let order = Order::Probe(ProbeOrder { scratch: text.to_owned(), uid });
    let (child, control) = launch(launcher, "probe")?;
    let offered = wire::send(control.as_fd(), &order).and_then(|()| answer(&control));
    end(child);
    crate::local::clean::remove(&folder);
    offered
}

/// Starts our own program as the first process of an instance.
pub(crate) fn launch(launcher: &Path, name: &str) -> io::Result<(Child, OwnedFd)> {
    let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC)?;
    let child = Command::new(launcher)
        .args([ARGUMENT, name])
        .env_clear()
        .stdin(Stdio::from(theirs))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| io::Error::new(e.kind(), format!("{} cannot be started: {e}", launcher.display())))?;
    Ok((child, ours))
}

fn answer(control: &OwnedFd) -> io::Result<Offered> {
    let mut inbox = Inbox::default();
    let patience = PollTimeout::try_from(PATIENCE).unwrap_or(PollTimeout::MAX);
    loop {
        match inbox.next()? {
            Some(Report::Probed(offered)) => return Ok(*offered),
            Some(_) => return Err(io::Error::other("the probe answered something else")),
            None => {}
        }
        if poll(&mut [PollFd::new(control.as_fd(), PollFlags::POLLIN)], patience)? == 0 {
            return Err(io::Error::other("the probe did not answer"));
        }
        if !inbox.read(control.as_fd())? {
            return Err(io::Error::other("the probe ended without an answer"));
        }
    }
}

fn end(mut child: Child) {
    let _ = child.kill();
    let _ = child.wait();
}
