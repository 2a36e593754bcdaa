//! Entering the cgroups and namespaces of an instance, and making its first process in them.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{getegid, geteuid};

use super::orders::Plan;

/// The kernel's number of it; the one in `libc` is of a type too small.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Joins the cgroups and unshares the namespaces. The processes made from now on are in them.
pub(super) fn enter(plan: &Plan) -> Result<(), String> {
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(|e| format!("the link to the server cannot be set: {e}"))?;
    for file in &plan.join {
        join(file).map_err(|e| format!("the cgroup {file} cannot be joined: {e}"))?;
    }
    if plan.user_namespace {
        user_namespace().map_err(|e| format!("no user namespace: {e}"))?;
    }
    if plan.root.is_some() {
        let kinds = CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWPID
            | CloneFlags::CLONE_NEWIPC
            | CloneFlags::CLONE_NEWUTS
            | CloneFlags::CLONE_NEWCGROUP;
        unshare(kinds).map_err(|e| format!("no namespaces: {e}"))?;
    }
    Ok(())
}

/// A process moves itself: cheap, where moving another one makes the kernel wait for all processors.
fn join(file: &str) -> std::io::Result<()> {
    OpenOptions::new().write(true).open(file)?.write_all(b"0")
}

/// A user namespace in which we are who we are, with all capabilities until we give them up.
pub(super) fn user_namespace() -> std::io::Result<()> {
    let (uid, gid) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER)?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/gid_map", format!("{gid} {gid} 1"))?;
    fs::write("/proc/self/uid_map", format!("{uid} {uid} 1"))
}

/// Where we are after the fork.
pub(super) enum Side {
    /// In the process the server started, which is done.
    Outside { pid: i32 },
    /// In the first process of the instance.
    Inside,
}

/// Makes the first process of the instance, as a child of the server itself.
pub(super) fn fork(plan: &Plan) -> Result<Side, Errno> {
    let born = plan.born_in.as_deref().and_then(|folder| File::open(folder).ok());
    let pid = match born.and_then(|folder| clone_into(&folder)) {
        Some(pid) => pid,
        None => {
            let (flags, none) = (libc::CLONE_PARENT | libc::SIGCHLD, 0);
            // SAFETY: like fork, in a process with one thread.
            Errno::result(unsafe { libc::syscall(libc::SYS_clone, flags, none, none, none, none) })?
        }
    };
    if pid > 0 {
        return Ok(Side::Outside { pid: i32::try_from(pid).unwrap_or(i32::MAX) });
    }
    if plan.root.is_some() {
        prctl::set_pdeathsig(Signal::SIGKILL)?;
    } else {
        // Without a PID namespace we must outlive the server for as long as it takes to end our descendants.
        prctl::set_child_subreaper(true)?;
    }
    Ok(Side::Inside)
}

/// Makes a process that is in a cgroup from birth. `None` when the kernel does not do it: then the parent's cgroup counts.
fn clone_into(folder: &File) -> Option<i64> {
    // SAFETY: all zero is a valid value of this plain struct.
    let mut wish: libc::clone_args = unsafe { std::mem::zeroed() };
    wish.flags = (libc::CLONE_PARENT as u64) | CLONE_INTO_CGROUP;
    wish.cgroup = u64::try_from(folder.as_raw_fd()).ok()?;
    // SAFETY: like fork, in a process with one thread; the struct outlives the call.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw const wish, size_of::<libc::clone_args>()) };
    (pid >= 0).then_some(pid)
}
