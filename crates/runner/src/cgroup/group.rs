//! The group of one instance, in all the places it needs.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::{Controller, Place};

/// The period over which a processor quota is counted.
const PERIOD: u64 = 100_000;

/// What a group may use.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of memory.
    pub memory_bytes: Option<u64>,
    /// Processes and threads.
    pub processes: Option<u64>,
    /// Processors, in thousandths, that are never passed.
    pub cpu: Option<u64>,
    /// Processors, in thousandths, that it has a right to where there are too few for all.
    pub cpu_share: Option<u64>,
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    places: Vec<Place>,
}

impl Group {
    pub(super) fn new(places: Vec<Place>) -> Self {
        Self { places }
    }

    /// A group known by its folders only, as an earlier life of the server wrote them down: good for ending it.
    #[must_use]
    pub fn recorded(folders: &[PathBuf]) -> Self {
        Self::new(folders.iter().map(|folder| Place::V2(Vec::new(), folder.clone())).collect())
    }

    /// Its folders.
    #[must_use]
    pub fn folders(&self) -> Vec<PathBuf> {
        self.places.iter().map(|place| place.folder().clone()).collect()
    }

    /// The files into which a process writes `0` to join (version 1).
    #[must_use]
    pub fn join_files(&self) -> Vec<PathBuf> {
        let v1 = self.places.iter().filter(|place| matches!(place, Place::V1(..)));
        v1.map(|place| place.folder().join("tasks")).collect()
    }

    /// The folder into which a process is born (version 2).
    #[must_use]
    pub fn birth_folder(&self) -> Option<&Path> {
        self.places.iter().find(|place| matches!(place, Place::V2(..))).map(|place| place.folder().as_path())
    }

    pub(super) fn make(&self, limits: &Limits) -> io::Result<()> {
        for place in &self.places {
            folder(place.folder())?;
            match place {
                Place::V1(of, folder) => limit_v1(*of, folder, limits)?,
                Place::V2(of, folder) => limit_v2(of, folder, limits)?,
            }
        }
        Ok(())
    }

    /// How often the kernel ended a process of the group for want of memory.
    #[must_use]
    pub fn out_of_memory(&self) -> u64 {
        let count = |place: &Place| {
            let file = match place {
                Place::V1(Controller::Memory, folder) => folder.join("memory.oom_control"),
                Place::V1(..) => return None,
                Place::V2(_, folder) => folder.join("memory.events"),
            };
            let text = fs::read_to_string(file).ok()?;
            text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse::<u64>().ok())
        };
        self.places.iter().filter_map(count).max().unwrap_or(0)
    }

    /// The processes in it.
    #[must_use]
    pub fn pids(&self) -> Vec<i32> {
        let mut pids: Vec<i32> = self.places.iter().flat_map(|place| processes(place.folder())).collect();
        pids.sort_unstable();
        pids.dedup();
        pids
    }

    /// Ends every process in the group, and waits a moment for them to be gone.
    pub fn kill(&self) {
        let until = Instant::now() + Duration::from_secs(5);
        for place in &self.places {
            let _ = fs::write(place.folder().join("cgroup.kill"), "1");
        }
        loop {
            let pids = self.pids();
            if pids.is_empty() || Instant::now() > until {
                return;
            }
            for pid in pids.into_iter().filter(|pid| *pid > 1) {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
            sleep(Duration::from_millis(1));
        }
    }

    /// Removes the group. A process that just ended may hold it for a moment.
    pub fn remove(&self) {
        let until = Instant::now() + Duration::from_secs(2);
        for place in &self.places {
            while let Err(e) = fs::remove_dir(place.folder()) {
                if e.kind() == ErrorKind::NotFound {
                    break;
                }
                if Instant::now() > until {
                    tracing::warn!(folder = %place.folder().display(), "a cgroup could not be removed: {e}");
                    break;
                }
                sleep(Duration::from_millis(1));
            }
        }
    }
}

fn processes(folder: &Path) -> Vec<i32> {
    let text = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

pub(super) fn folder(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(e) if e.kind() != ErrorKind::AlreadyExists => Err(e),
        _ => Ok(()),
    }
}

fn limit_v1(of: Controller, folder: &Path, limits: &Limits) -> io::Result<()> {
    match of {
        Controller::Memory => {
            let Some(bytes) = limits.memory_bytes else { return Ok(()) };
            fs::write(folder.join("memory.limit_in_bytes"), bytes.to_string())?;
            // Memory and swap together, where the kernel counts swap.
            let _ = fs::write(folder.join("memory.memsw.limit_in_bytes"), bytes.to_string());
        }
        Controller::Pids => {
            let Some(most) = limits.processes else { return Ok(()) };
            fs::write(folder.join("pids.max"), most.to_string())?;
        }
        Controller::Cpu => {
            if let Some(thousandths) = limits.cpu_share {
                fs::write(folder.join("cpu.shares"), (thousandths * 1024 / 1000).max(2).to_string())?;
            }
            let Some(thousandths) = limits.cpu else { return Ok(()) };
            fs::write(folder.join("cpu.cfs_period_us"), PERIOD.to_string())?;
            fs::write(folder.join("cpu.cfs_quota_us"), quota(thousandths).to_string())?;
        }
    }
    Ok(())
}

fn limit_v2(of: &[Controller], folder: &Path, limits: &Limits) -> io::Result<()> {
    if let Some(bytes) = limits.memory_bytes.filter(|_| of.contains(&Controller::Memory)) {
        fs::write(folder.join("memory.max"), bytes.to_string())?;
        let _ = fs::write(folder.join("memory.swap.max"), "0");
    }
    if let Some(most) = limits.processes.filter(|_| of.contains(&Controller::Pids)) {
        fs::write(folder.join("pids.max"), most.to_string())?;
    }
    if let Some(thousandths) = limits.cpu_share.filter(|_| of.contains(&Controller::Cpu)) {
        fs::write(folder.join("cpu.weight"), (thousandths / 10).clamp(1, 10_000).to_string())?;
    }
    if let Some(thousandths) = limits.cpu.filter(|_| of.contains(&Controller::Cpu)) {
        fs::write(folder.join("cpu.max"), format!("{} {PERIOD}", quota(thousandths)))?;
    }
    Ok(())
}

/// The kernel takes no less than a millisecond in a period.
fn quota(thousandths: u64) -> u64 {
    (thousandths * PERIOD / 1000).max(1000)
}
