//! The first process of an instance: puts up its walls, starts its workers, reaps what dies in it, and tells the server.
//!
//! It is our own program, executed again with a hidden argument, and has one thread. The server speaks to it over a socket;
//! when that closes, because the server is done or was killed, it ends, and the kernel ends all that runs in its PID namespace.

mod build;
pub(crate) mod calls;
mod confinement;
mod copy;
mod descendants;
pub(crate) mod install;
pub(crate) mod mounts;
mod namespaces;
mod network;
pub(crate) mod orders;
mod owned;
mod privileges;
mod probe;
pub(crate) mod reach;
mod relay;
mod serve;
mod spawn;
pub(crate) mod wire;

use std::io;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::time::Instant;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use confinement::Confinement;
use orders::{Order, Plan, Report, Step};
use owned::Translation;
use wire::Inbox;

/// The hidden first argument that makes our program the first process of an instance.
pub const ARGUMENT: &str = "instance-init";

/// Becomes the first process of an instance, or installs system packages, if the arguments ask for it, and then never returns. To be called first in
/// `main`, before any thread exists.
pub fn run_init_if_asked() {
    let asked = std::env::args_os().nth(1);
    let done = match asked.as_deref().and_then(std::ffi::OsStr::to_str) {
        Some(ARGUMENT) => run().map(|()| 0),
        Some(install::ARGUMENT) => install::run(),
        _ => return,
    };
    let status = done.unwrap_or_else(|e| {
        eprintln!("modelyard: {e}");
        1
    });
    std::process::exit(status);
}

/// The control socket of an instance's first process.
pub(crate) struct Control {
    pub socket: OwnedFd,
    pub inbox: Inbox,
}

impl Control {
    /// Takes the socket from descriptor 0 out of the way of the workers' descriptors.
    fn inherited() -> io::Result<Self> {
        // SAFETY: the server put the control socket there, and nothing in this process uses descriptor 0 otherwise.
        let zero = unsafe { OwnedFd::from_raw_fd(0) };
        let socket = fcntl(&zero, FcntlArg::F_DUPFD_CLOEXEC(10))?;
        // SAFETY: just made.
        let socket = unsafe { OwnedFd::from_raw_fd(socket) };
        let null = nix::fcntl::open("/dev/null", OFlag::O_RDWR, nix::sys::stat::Mode::empty())?;
        for standard in 0..2 {
            // SAFETY: both are open descriptors of ours.
            Errno::result(unsafe { libc::dup2(std::os::fd::AsRawFd::as_raw_fd(&null), standard) })?;
        }
        std::mem::forget(zero);
        Ok(Self { socket, inbox: Inbox::default() })
    }

    /// The next order; `None` when the server is gone.
    fn next(&mut self) -> io::Result<Option<Order>> {
        loop {
            if let Some(order) = self.inbox.next()? {
                return Ok(Some(order));
            }
            let mut wait = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
            match poll(&mut wait, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(e) => return Err(e.into()),
            }
            match self.inbox.read(self.socket.as_fd()) {
                Ok(true) | Err(Errno::EINTR | Errno::EAGAIN) => {}
                Ok(false) => return Ok(None),
                Err(e) => return Err(e.into()),
            }
        }
    }

    pub(crate) fn report(&self, report: &Report) -> io::Result<()> {
        wire::send(self.socket.as_fd(), report)
    }

    fn report_with(&self, report: &Report, fds: &[OwnedFd]) -> io::Result<()> {
        wire::send_with(self.socket.as_fd(), report, fds)
    }
}

fn run() -> io::Result<()> {
    let begun = Instant::now();
    let mut control = Control::inherited()?;
    match control.next()? {
        Some(Order::Probe(order)) => control.report(&Report::Probed(Box::new(probe::all(&order)))),
        Some(Order::Build(plan)) => match instance(control, &plan, begun) {
            Ok(()) => Ok(()),
            Err(Failed { control, reason }) => control.report(&Report::Failed { reason }),
        },
        Some(_) => Err(io::Error::other("the first order is not to build")),
        None => Ok(()),
    }
}

/// The walls could not be put up.
struct Failed {
    control: Control,
    reason: String,
}

fn instance(control: Control, plan: &Plan, begun: Instant) -> Result<(), Failed> {
    // While the host's `/proc` still shows our own children.
    let overlay = plan.steps.iter().any(|step| matches!(step, Step::Overlay { .. }));
    let translation = plan.ids.filter(|_| overlay).and_then(|ids| Translation::new(ids).ok());
    if let Err(reason) = namespaces::enter(plan) {
        return Err(Failed { control, reason });
    }
    if let Some(network) = &plan.network {
        let listening = network::enter(network).and_then(|sockets| {
            control
                .report_with(&Report::Listening, &sockets)
                .map_err(|e| format!("its sockets cannot be handed on: {e}"))
        });
        if let Err(reason) = listening {
            return Err(Failed { control, reason: format!("the network cannot be put up: {reason}") });
        }
    }
    match namespaces::fork(plan) {
        Ok(namespaces::Side::Outside { pid }) => {
            let _ = control.report(&Report::Forked { pid });
            if let Some(translation) = translation {
                translation.leave();
            }
            Ok(())
        }
        Ok(namespaces::Side::Inside) => {
            let confinement = match build::all(plan, translation.as_ref()).and_then(|()| Confinement::of(plan)) {
                Ok(confinement) => confinement,
                Err(reason) => return Err(Failed { control, reason }),
            };
            let micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
            let _ = control.report(&Report::Built { micros });
            serve::until_the_server_is_gone(control, plan, &confinement)
        }
        Err(e) => Err(Failed { control, reason: format!("no process could be made: {e}") }),
    }
}
