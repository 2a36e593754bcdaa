//! Trying what the host offers, each thing in a process of its own.

use std::fs;
use std::path::Path;

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork, geteuid};

use super::calls::Filters;
use super::namespaces::user_namespace;
use super::network::try_a_link;
use super::orders::{Ids, Offered, ProbeOrder, Reach};
use super::privileges::become_user;
use super::{mounts, reach};

/// Tries everything.
pub(super) fn all(order: &ProbeOrder) -> Offered {
    let as_root = attempt(|| unshare(CloneFlags::CLONE_NEWNS));
    let in_user_namespace = attempt(|| user_namespace().map_err(errno));
    let first = || if as_root.is_none() { Ok(()) } else { user_namespace().map_err(errno) };
    let with = |kinds: CloneFlags| {
        attempt(|| {
            first()?;
            unshare(kinds)
        })
    };
    Offered {
        own_ids: own_ids(order.uid),
        pid_namespace: with(CloneFlags::CLONE_NEWPID),
        mount_namespace: attempt(|| {
            first()?;
            new_root(order)
        }),
        ipc_and_uts_namespaces: with(CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWCGROUP),
        network_namespace: with(CloneFlags::CLONE_NEWNET),
        links: attempt(|| {
            first()?;
            try_a_link().map_err(errno)
        }),
        fresh_proc: attempt(|| {
            first()?;
            fresh_proc(order)
        }),
        overlay: attempt(|| {
            first()?;
            overlay(order)
        }),
        landlock: landlock(),
        landlock_version: reach::version(),
        seccomp: seccomp(),
        namespaces_as_root: as_root,
        user_namespace: in_user_namespace,
    }
}

/// Runs the trial in a child. Nothing when it worked, else the reason.
fn attempt(trial: impl FnOnce() -> Result<(), Errno>) -> Option<String> {
    // SAFETY: this process has one thread.
    match unsafe { fork() } {
        Ok(ForkResult::Child) => {
            let status = trial().map_or_else(|e| e as i32, |()| 0);
            // SAFETY: ends this process without running anything of its parent's.
            unsafe { libc::_exit(status.clamp(0, 255)) }
        }
        Ok(ForkResult::Parent { child }) => match waitpid(child, None) {
            Ok(WaitStatus::Exited(_, 0)) => None,
            Ok(WaitStatus::Exited(_, errno)) => Some(Errno::from_raw(errno).desc().to_owned()),
            other => Some(format!("the trial ended with {other:?}")),
        },
        Err(e) => Some(e.desc().to_owned()),
    }
}

fn errno(error: std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
}

fn own_ids(uid: u32) -> Option<String> {
    if !geteuid().is_root() {
        return Some("the server is an ordinary user".into());
    }
    attempt(|| become_user(Ids { uid, gid: uid }))
}

fn in_memory(order: &ProbeOrder) -> Result<&Path, Errno> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    let place = Path::new(&order.scratch);
    mounts::make_private()?;
    mounts::memory(place, 0o755, 1 << 20)?;
    Ok(place)
}

fn new_root(order: &ProbeOrder) -> Result<(), Errno> {
    let place = in_memory(order)?;
    let (below, usr) = (place.join("usr"), Path::new("/usr"));
    mounts::folder(&below, 0o755).map_err(errno)?;
    mounts::bind(usr, &below, false)?;
    mounts::become_root(place)
}

fn fresh_proc(order: &ProbeOrder) -> Result<(), Errno> {
    unshare(CloneFlags::CLONE_NEWPID)?;
    let place = in_memory(order)?;
    match attempt(|| mounts::proc(place)) {
        None => Ok(()),
        Some(_) => Err(Errno::EPERM),
    }
}

/// On the file system that instances really use, since not every one can carry an overlay.
fn overlay(order: &ProbeOrder) -> Result<(), Errno> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    mounts::make_private()?;
    let place = |name: &str| format!("{}/{name}", order.scratch);
    for name in ["lower", "upper", "work", "merged"] {
        mounts::folder(Path::new(&place(name)), 0o755).map_err(errno)?;
    }
    mounts::overlay(Path::new(&place("merged")), &place("lower"), &place("upper"), &place("work"))?;
    fs::write(place("merged/file"), "x").map_err(errno)
}

fn landlock() -> Option<String> {
    if reach::version() < 1 {
        return Some("this kernel does not have it, or it is not switched on".into());
    }
    let reach = Reach { read: vec!["/".into()], ..Reach::default() };
    attempt(|| {
        prctl::set_no_new_privs()?;
        reach::rules(&reach).and_then(|rules| reach::take(&rules)).map_err(|_| Errno::last())
    })
}

fn seccomp() -> Option<String> {
    let filters = match Filters::build() {
        Ok(filters) => filters,
        Err(reason) => return Some(reason),
    };
    attempt(|| filters.take().map_err(|_| Errno::last()))
}
