//! The end of an instance: everything in it dies first, then it is told, then nothing is left.

use std::process::Child;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal as Unix, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use tokio::sync::mpsc;

use super::supervisor::{Signal, Supervisor};
use super::worker::DEATH;
use super::{clean, records};
use crate::cgroup::Group;
use crate::init::orders::Report;
use crate::process::{Ended, Gone, Note};

impl Supervisor {
    pub(super) async fn finish(mut self, mut inbox: mpsc::UnboundedReceiver<Signal>) -> Ended {
        self.scratch = None;
        self.kill_everything().await;
        let expected = self.stop_until.is_some();
        let out_of_memory = self.out_of_memory;
        let reason = match (&self.ending, expected) {
            (Some(reason), _) => reason.clone(),
            (None, _) if self.workers.is_empty() => "The instance stopped".into(),
            (None, _) => format!("The process did not stop within {} s", self.spec.stop_grace.as_secs()),
        };
        self.workers.retain(|worker| worker.link.is_some());
        for worker in &mut self.workers {
            if let Some(gone) = worker.gone.take() {
                let _ = gone.send(Gone { reason: reason.clone(), out_of_memory, exit: None, expected });
            }
        }
        while !self.workers.is_empty() {
            match inbox.recv().await {
                Some(Signal::Note(serial, Note::Done)) => self.workers.retain(|worker| worker.serial != serial),
                Some(_) => {}
                None => break,
            }
        }
        self.remove_everything().await;
        Ended { reason, expected: expected && self.ending.is_none() }
    }

    /// Afterwards no process of the instance lives.
    async fn kill_everything(&mut self) {
        self.learn_the_first_process().await;
        self.control = None;
        let (first, launcher, group) = (self.first.take(), self.launcher.take(), self.group.clone());
        let namespaces = self.shared.walls.means.namespaces;
        let ended = tokio::task::spawn_blocking(move || end(first, launcher, group.as_ref(), namespaces));
        if ended.await.is_err() {
            tracing::error!(instance = %self.spec.instance, "ending an instance failed");
        }
    }

    /// An instance may be stopped before it told its first process: that is waited for, or nobody would ever end it.
    async fn learn_the_first_process(&mut self) {
        let Some(control) = self.control.as_mut().filter(|_| self.first.is_none()) else { return };
        control.close();
        let learn = async {
            while let Some(report) = control.next().await {
                if let Report::Forked { pid } = report {
                    return Some(pid);
                }
            }
            None
        };
        self.first = tokio::time::timeout(DEATH, learn).await.ok().flatten();
    }

    async fn remove_everything(&mut self) {
        if let Some(door) = self.door.take() {
            door.close().await;
        }
        let (shared, network) = (self.shared.clone(), self.network.take());
        let (group, scratch) = (self.group.take(), self.shared.scratch_of(&self.spec));
        let (folder, name) = (self.shared.settings.records(), self.spec.name());
        let removed = tokio::task::spawn_blocking(move || {
            if let Some(group) = group {
                group.remove();
            }
            if let Some(link) = network.and_then(|network| network.link) {
                shared.network.remove(&link);
            }
            clean::remove(&scratch);
            records::remove(&folder, &name);
        });
        if removed.await.is_err() {
            tracing::error!(instance = %self.spec.instance, "cleaning up after an instance failed");
        }
    }
}

fn end(first: Option<i32>, launcher: Option<Child>, group: Option<&Group>, namespaces: bool) {
    if let Some(mut launcher) = launcher {
        if first.is_none() {
            let _ = launcher.kill();
        }
        let _ = launcher.wait();
    }
    if let Some(first) = first.map(Pid::from_raw) {
        // Without a PID namespace the first process ends its descendants itself, now that its socket is closed.
        if !namespaces && !wait_for(first, DEATH) {
            tracing::warn!("an instance did not end by itself");
        }
        let _ = kill(first, Unix::SIGKILL);
        let _ = waitpid(first, None);
    }
    if let Some(group) = group {
        group.kill();
    }
}

/// Waits for a child without taking leave of it, so that its number stays its own. False when it lives on.
fn wait_for(child: Pid, patience: Duration) -> bool {
    let until = Instant::now() + patience;
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    while Instant::now() < until {
        match nix::sys::wait::waitid(nix::sys::wait::Id::Pid(child), flags) {
            Ok(WaitStatus::StillAlive) => std::thread::sleep(Duration::from_millis(1)),
            _ => return true,
        }
    }
    false
}
