//! Runs a program that installs system packages: as root, but in a root file system, PID namespace and mostly a network of
//! its own, with few of root's rights.
//!
//! It is our own program, executed again with a hidden argument, as for the first process of an instance. What it
//! installs lands in folders of the server, over the host's files and never in them.

use std::ffi::CString;
use std::fs;
use std::io;
use std::path::Path;

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, chdir, dup2_stdout, execv, fork};
use serde::{Deserialize, Serialize};

use super::calls::Filters;
use super::orders::{Plan, Step};
use super::{build, mounts, privileges};

/// The hidden first argument that makes our program run an installer. The second is the file of its [`Installing`].
pub(crate) const ARGUMENT: &str = "install-init";

/// What to run, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Installing {
    /// The folder that the root is put up at.
    pub root: String,
    /// How it is filled, in order.
    pub steps: Vec<Step>,
    /// Whether it has the host's network; else it has none.
    pub network: bool,
    /// The program and its arguments.
    pub command: Vec<String>,
}

/// Runs it; gives the status to end with.
pub(super) fn run() -> io::Result<i32> {
    let file = std::env::args_os().nth(2).ok_or_else(|| io::Error::other("the file of what to install is missing"))?;
    let installing: Installing = serde_json::from_slice(&fs::read(file)?)?;
    // All that is said is for the log.
    dup2_stdout(io::stderr())?;
    let mut kinds = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWCGROUP;
    if !installing.network {
        kinds |= CloneFlags::CLONE_NEWNET;
    }
    unshare(kinds)?;
    match child()? {
        Some(first) => wait_for(first),
        None => first_process(&installing),
    }
}

/// The first process of the namespace: what is left over by others ends with it.
fn first_process(installing: &Installing) -> io::Result<i32> {
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    put_up(installing).map_err(io::Error::other)?;
    privileges::keep_those_of_installers()?;
    prctl::set_dumpable(false)?;
    if let Ok(filters) = Filters::of_installers() {
        filters.take().map_err(io::Error::other)?;
    }
    match child()? {
        Some(program) => wait_for(program),
        None => execute(&installing.command),
    }
}

fn put_up(installing: &Installing) -> Result<(), String> {
    let root = Path::new(&installing.root);
    let plan = Plan { root: Some(installing.root.clone()), steps: installing.steps.clone(), ..Plan::default() };
    build::root_at(root, &plan, None)?;
    // Root could set values of the kernel there.
    mounts::make_read_only(Path::new("/proc")).map_err(|e| format!("/proc cannot be made read-only: {e}"))?;
    chdir("/").map_err(|e| format!("the root cannot be entered: {e}"))
}

fn execute(command: &[String]) -> io::Result<i32> {
    let words: Vec<CString> = command.iter().map(|word| CString::new(word.as_str())).collect::<Result<_, _>>()?;
    let program = words.first().ok_or_else(|| io::Error::other("there is nothing to run"))?;
    execv(program, &words)?;
    Ok(0)
}

/// A child, or nothing in the child itself.
fn child() -> Result<Option<Pid>, Errno> {
    // SAFETY: this process has one thread.
    match unsafe { fork()? } {
        ForkResult::Parent { child } => Ok(Some(child)),
        ForkResult::Child => Ok(None),
    }
}

/// Waits for a process, and for others that end meanwhile; gives the status to end with.
fn wait_for(process: Pid) -> io::Result<i32> {
    loop {
        match waitpid(None, None) {
            Ok(WaitStatus::Exited(pid, status)) if pid == process => return Ok(status),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == process => return Ok(128 + signal as i32),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}
