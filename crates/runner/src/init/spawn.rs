//! Starting a worker: fork, put its descriptors in place, execute.

use std::convert::Infallible;
use std::ffi::CString;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, signal, sigprocmask};
use nix::unistd::{ForkResult, Pid, execve, fork, setsid};

use super::Control;
use super::confinement::Confinement;
use super::orders::{Plan, Report, Spawn};
use super::relay;

/// The descriptor of a worker's socket.
pub(super) const SOCKET: i32 = 3;

/// The program, its arguments and its environment, as the kernel wants them.
pub(super) struct Image {
    pub arguments: Vec<CString>,
    pub environment: Vec<CString>,
}

/// Starts a worker, in a session of its own.
pub(super) fn worker(
    control: &Control,
    plan: &Plan,
    confinement: &Confinement,
    spawn: &Spawn,
    fds: [OwnedFd; 3],
) -> Result<Pid, String> {
    let image = image(plan, spawn).ok_or("an argument or environment variable holds a zero byte")?;
    let temporary = plan.env.iter().find(|(name, _)| name == "TMPDIR").map_or("/tmp", |(_, folder)| folder);
    let relay = spawn.relayed.then_some(temporary);
    // SAFETY: this process has one thread.
    match unsafe { fork() } {
        Ok(ForkResult::Parent { child }) => Ok(child),
        Ok(ForkResult::Child) => {
            let Err(why) = become_worker(&image, confinement, &fds, relay);
            let program = spawn.command.first().map_or("", String::as_str);
            let reason = format!("{program} could not be started: {why}");
            let _ = control.report(&Report::NotStarted { serial: spawn.serial, reason });
            // SAFETY: ends this process without running anything of its parent's.
            unsafe { libc::_exit(127) }
        }
        Err(e) => Err(format!("no process could be made: {}", e.desc())),
    }
}

fn image(plan: &Plan, spawn: &Spawn) -> Option<Image> {
    let stamp = ["--spawned".to_owned(), now().to_string()];
    let arguments = spawn.command.iter().chain(&stamp).map(|argument| CString::new(argument.as_str()).ok());
    let environment = plan.env.iter().map(|(name, value)| CString::new(format!("{name}={value}")).ok());
    Some(Image { arguments: arguments.collect::<Option<_>>()?, environment: environment.collect::<Option<_>>()? })
}

/// The monotonic clock in microseconds, as the worker reads it too.
fn now() -> i64 {
    let mut clock = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel fills the struct, which outlives the call.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut clock) };
    clock.tv_sec * 1_000_000 + clock.tv_nsec / 1000
}

/// With `relay`, a folder for its pipes, this process becomes the relay, and a child of it the worker.
fn become_worker(
    image: &Image,
    confinement: &Confinement,
    fds: &[OwnedFd; 3],
    relay: Option<&str>,
) -> Result<Infallible, String> {
    confinement.take_rules()?;
    in_place(fds).map_err(said)?;
    confinement.take_filters()?;
    if let Some(folder) = relay {
        relay::run(image, folder);
    }
    let program = image.arguments.first().ok_or("nothing is to be started")?;
    execve(program, &image.arguments, &image.environment).map_err(said)
}

fn said(e: Errno) -> String {
    e.desc().to_owned()
}

/// A session of its own, no signals held back, and the descriptors where they belong.
fn in_place(fds: &[OwnedFd; 3]) -> Result<(), Errno> {
    setsid()?;
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    // SAFETY: the default reaction runs no code of ours. Rust programs ignore this signal, others expect it.
    unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) }?;
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
    let [socket, stdout, stderr] = fds;
    // The socket last: its place may be where another one lies now.
    for (fd, place) in [(stdout, 1), (stderr, 2), (socket, SOCKET)] {
        put(fd, place)?;
    }
    // SAFETY: takes numbers only. What stays open above is ours and marked to close; this is for what was inherited.
    unsafe { libc::syscall(libc::SYS_close_range, SOCKET + 1, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    Ok(())
}

fn put(fd: &OwnedFd, place: i32) -> Result<(), Errno> {
    // SAFETY: `fd` is open, and what lies at `place` is either standard output or was put elsewhere before.
    unsafe {
        if fd.as_raw_fd() == place {
            Errno::result(libc::fcntl(place, libc::F_SETFD, 0))?;
        } else {
            Errno::result(libc::dup2(fd.as_raw_fd(), place))?;
        }
    }
    Ok(())
}
