//! A process that never outlives the benchmark.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::processes::{self, Process};
use super::{Result, interrupt};

/// How long a process may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(10);

/// How often a process is looked at while waiting for it.
const LOOK: Duration = Duration::from_millis(5);

/// A started process; dropping it ends it and everything it started.
#[derive(Debug)]
pub struct Guarded {
    child: Child,
    name: String,
}

impl Guarded {
    /// Starts `command`, in a process group of its own so that Ctrl-C reaches it only through us.
    pub fn start(name: &str, command: &mut Command) -> Result<Guarded> {
        command.process_group(0);
        // SAFETY: between fork and exec only the prctl system call is made, which is safe there.
        unsafe {
            command.pre_exec(|| Ok(nix::sys::prctl::set_pdeathsig(Signal::SIGTERM)?));
        }
        let child = command
            .spawn()
            .map_err(|e| format!("{name} cannot be started ({}): {e}", command.get_program().display()))?;
        Ok(Guarded { child, name: name.into() })
    }

    /// The process id.
    pub fn pid(&self) -> i32 {
        // A process id always fits: the kernel's limit is 2^22.
        self.child.id().cast_signed()
    }

    /// The pipes, for whoever started it.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// An error when it has ended by itself or somebody wants to stop.
    pub fn check(&mut self) -> Result<()> {
        interrupt::check()?;
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(format!("{} has ended: {status}", self.name)),
            Err(e) => Err(format!("{} cannot be watched: {e}", self.name)),
        }
    }

    /// Waits until it ends by itself, for at most `limit`.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let from = Instant::now();
        while from.elapsed() < limit {
            interrupt::check()?;
            if let Some(status) = self.child.try_wait().map_err(|e| e.to_string())? {
                return Ok(status);
            }
            sleep(LOOK);
        }
        Err(format!("{} did not end within {} s", self.name, limit.as_secs()))
    }

    fn ended_within(&mut self, limit: Duration) -> bool {
        let from = Instant::now();
        while from.elapsed() < limit {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return true;
            }
            sleep(LOOK);
        }
        false
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        let below = processes::tree(self.pid());
        signal(self.pid(), Signal::SIGTERM);
        if !self.ended_within(GRACE) {
            eprintln!("{} did not end within {} s and was killed", self.name, GRACE.as_secs());
            if let Err(e) = self.child.kill().and_then(|()| self.child.wait()) {
                eprintln!("{} cannot be killed: {e}", self.name);
            }
        }
        end_leftovers(&self.name, &below);
    }
}

/// Ends what a process left behind; a server of ours should leave nothing.
fn end_leftovers(name: &str, below: &[Process]) {
    let from = Instant::now();
    let left = || below.iter().copied().filter(|p| processes::exists(*p)).collect::<Vec<_>>();
    while !left().is_empty() && from.elapsed() < Duration::from_secs(2) {
        sleep(LOOK);
    }
    for process in left() {
        eprintln!("{name} left process {} behind; it was killed", process.pid);
        signal(process.pid, Signal::SIGKILL);
    }
}

fn signal(pid: i32, signal: Signal) {
    // It may have ended meanwhile: then there is nobody to tell, and that is what was wanted.
    let _ = kill(Pid::from_raw(pid), signal);
}

/// Runs a command to its end and returns what it wrote; its last lines are the error when it fails.
pub fn output(name: &str, command: &mut Command, limit: Duration) -> Result<String> {
    let mut log = tempfile::tempfile().map_err(|e| format!("no temporary file: {e}"))?;
    let ours = |f: &std::fs::File| f.try_clone().map_err(|e| format!("no temporary file: {e}"));
    command.stdin(std::process::Stdio::null()).stdout(ours(&log)?).stderr(ours(&log)?);
    let status = Guarded::start(name, command)?.wait(limit)?;
    let mut text = String::new();
    std::io::Seek::rewind(&mut log)
        .and_then(|()| std::io::Read::read_to_string(&mut log, &mut text))
        .map_err(|e| format!("the output of {name} cannot be read: {e}"))?;
    if !status.success() {
        return Err(format!("{name} failed ({status}):\n{}", tail(&text, 15)));
    }
    Ok(text)
}

/// The last `lines` lines of a text.
pub fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all.get(all.len().saturating_sub(lines)..).unwrap_or_default().join("\n")
}
