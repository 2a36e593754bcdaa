//! What the supervisor knows of one worker process.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{setsockopt, sockopt};
use nix::unistd::pipe2;
use tokio::sync::oneshot;

use crate::process::{Ends, Gone, Process};
use crate::protocol::Fatal;

/// Room in a worker's socket, so that ordinary bodies go through in one piece. The host may allow less.
const ROOM: usize = 1 << 20;

/// How long a killed process may take to be gone, before the whole instance is ended.
pub(super) const DEATH: Duration = Duration::from_secs(5);

/// How often a process is signalled that its call is cancelled, until it answers: a signal just before a blocking system call
/// does not wake that call.
pub(super) const INSISTENCE: Duration = Duration::from_millis(100);

/// What happens at a deadline.
#[derive(Debug, Clone)]
pub(super) enum Then {
    /// The process is killed, for this reason.
    Kill(String),
    /// It was killed and lives: the instance is ended.
    GiveUp,
}

/// A worker process.
#[derive(Debug)]
pub(super) struct Worker {
    pub serial: u64,
    pub process: u32,
    /// The server's ends, until somebody listens to them.
    pub ends: Option<Ends>,
    pub link: Option<Arc<Process>>,
    pub gone: Option<oneshot::Sender<Gone>>,
    pub ready_at: Option<Instant>,
    pub deadline: Option<(Instant, Then)>,
    /// When it is signalled again that a call is cancelled.
    pub interrupt_again: Option<Instant>,
    /// Whether it was last told of a recall while frames had still to reach the socket.
    pub recalled_early: bool,
    /// Why we ended it.
    pub why: Option<String>,
    /// Why it was never there.
    pub not_started: Option<String>,
    /// Why it could not become ready.
    pub fatal: Option<Fatal>,
    /// What is said of its end.
    pub reason: Option<String>,
}

impl Worker {
    pub(super) fn new(serial: u64, process: u32, ends: Ends, init_limit: Duration) -> Self {
        let late = format!("The deployment did not become ready within {} s", init_limit.as_secs());
        Self {
            serial,
            process,
            ends: Some(ends),
            link: None,
            gone: None,
            ready_at: None,
            deadline: Some((Instant::now() + init_limit, Then::Kill(late))),
            interrupt_again: None,
            recalled_early: false,
            why: None,
            not_started: None,
            fatal: None,
            reason: None,
        }
    }
}

/// The two sides of a worker's socket and pipes: ours, and the descriptors it gets (socket, output, error output).
pub(super) fn ends() -> io::Result<(Ends, Vec<OwnedFd>)> {
    let (ours, theirs) = UnixStream::pair()?;
    for socket in [&ours, &theirs] {
        let _ = setsockopt(socket, sockopt::SndBuf, &ROOM);
    }
    let (stdout, out) = pipe()?;
    let (stderr, err) = pipe()?;
    Ok((Ends { socket: ours, stdout, stderr }, vec![theirs.into(), out, err]))
}

/// A pipe whose reading side never waits.
fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
    fcntl(&read, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok((read, write))
}
