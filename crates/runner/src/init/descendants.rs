//! Finding processes by their parents.

use std::collections::{HashMap, HashSet};
use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// All living processes that can be seen, each with its parent. Empty without a `/proc`.
fn parents() -> HashMap<i32, i32> {
    let mut parents = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // The second field is a name in brackets that may hold anything; the state and the parent follow the last bracket.
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let mut fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        if fields.next().is_some_and(|state| state != "Z")
            && let Some(parent) = fields.next().and_then(|parent| parent.parse().ok())
        {
            parents.insert(pid, parent);
        }
    }
    parents
}

/// The living descendants of a process.
pub(super) fn of(ancestor: Pid) -> Vec<Pid> {
    let parents = parents();
    let mut found = vec![ancestor.as_raw()];
    let mut at = 0;
    while let Some(parent) = found.get(at).copied() {
        found.extend(parents.iter().filter(|(_, of)| **of == parent).map(|(pid, _)| *pid));
        at += 1;
    }
    found.into_iter().skip(1).map(Pid::from_raw).collect()
}

/// Ends a worker with its session's first group and all its descendants that can be seen.
pub(super) fn kill_tree(worker: Pid) {
    let below = of(worker);
    let _ = kill(Pid::from_raw(-worker.as_raw()), Signal::SIGKILL);
    let _ = kill(worker, Signal::SIGKILL);
    for pid in below {
        let _ = kill(pid, Signal::SIGKILL);
    }
}

/// Ends all descendants of this process, which adopts orphans, until none is left. They are stopped first: what stands still
/// cannot fork away.
pub(super) fn kill_all() {
    let mut stopped: HashSet<Pid> = HashSet::new();
    loop {
        let below = of(nix::unistd::getpid());
        if below.is_empty() {
            return;
        }
        let moving: Vec<Pid> = below.iter().copied().filter(|pid| !stopped.contains(pid)).collect();
        for pid in &moving {
            let _ = kill(*pid, Signal::SIGSTOP);
        }
        stopped.extend(&moving);
        if !moving.is_empty() {
            continue;
        }
        for pid in below {
            let _ = kill(pid, Signal::SIGKILL);
        }
        while matches!(
            nix::sys::wait::waitpid(None, Some(nix::sys::wait::WaitPidFlag::WNOHANG)),
            Ok(status) if status != nix::sys::wait::WaitStatus::StillAlive
        ) {}
    }
}
