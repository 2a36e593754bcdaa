//! Records of what runs, for the next life of the server: a file an instance, with the process that must not survive us.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::cgroup::Group;

/// An instance that ran.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    /// The boot in which it ran.
    boot: String,
    /// Its first process.
    pid: i32,
    /// When that started, in the kernel's ticks since boot: a pid alone may be another process by now.
    started: u64,
    /// Its cgroup's folders.
    groups: Vec<PathBuf>,
}

/// Writes down a running instance.
pub(super) fn write(folder: &Path, name: &str, pid: i32, group: Option<&Group>) -> io::Result<()> {
    let started = start_time(pid).ok_or_else(|| io::Error::other("the instance is gone already"))?;
    let record = Record { boot: boot(), pid, started, groups: group.map(Group::folders).unwrap_or_default() };
    fs::write(folder.join(name), serde_json::to_vec(&record)?)
}

/// Forgets an instance.
pub(super) fn remove(folder: &Path, name: &str) {
    let _ = fs::remove_file(folder.join(name));
}

/// The file with the parent cgroups of this life.
const PARENTS: &str = "cgroups.json";

/// The parent cgroups of the life before: a server started from another place has them elsewhere.
pub(super) fn parents(folder: &Path) -> Vec<PathBuf> {
    fs::read(folder.join(PARENTS)).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
}

/// Writes the parent cgroups of this life down.
pub(super) fn write_parents(folder: &Path, parents: &[PathBuf]) -> io::Result<()> {
    fs::write(folder.join(PARENTS), serde_json::to_vec(parents)?)
}

/// Ends all that is written down, and forgets it.
pub(super) fn end_all(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let record = fs::read(entry.path()).ok().and_then(|text| serde_json::from_slice::<Record>(&text).ok());
        if let Some(record) = record.filter(|record| record.boot == boot()) {
            end(&record);
        }
        let _ = fs::remove_file(entry.path());
    }
}

fn end(record: &Record) {
    let lives = || start_time(record.pid) == Some(record.started);
    let until = Instant::now() + Duration::from_secs(5);
    while lives() && Instant::now() < until {
        let _ = kill(Pid::from_raw(record.pid), Signal::SIGKILL);
        sleep(Duration::from_millis(1));
    }
    let group = Group::recorded(&record.groups);
    group.kill();
    group.remove();
}

fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default()
}

/// When a process started; nothing for one that is gone or only waits to be reaped.
fn start_time(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit(')').next()?.split_whitespace();
    let state = fields.next()?;
    (state != "Z").then_some(())?;
    // The third field is the state; the start is the twenty-second.
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn what_is_recorded_ends_and_another_process_of_that_number_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let mut recorded = Command::new("sleep").arg("600").spawn().unwrap();
        let mut other = Command::new("sleep").arg("600").spawn().unwrap();
        write(folder.path(), "a", i32::try_from(recorded.id()).unwrap(), None).unwrap();
        let forged = Record { boot: boot(), pid: i32::try_from(other.id()).unwrap(), started: 1, groups: vec![] };
        fs::write(folder.path().join("b"), serde_json::to_vec(&forged).unwrap()).unwrap();
        fs::write(folder.path().join("c"), "not a record").unwrap();

        end_all(folder.path());

        assert!(recorded.wait().unwrap().code().is_none());
        assert!(other.try_wait().unwrap().is_none());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
