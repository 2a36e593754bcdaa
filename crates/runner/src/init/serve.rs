//! The work of an instance's first process: orders in, reports out, and nothing dead left lying about.

use std::collections::HashMap;
use std::io;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid};

use super::confinement::Confinement;
use super::orders::{Order, Plan, Report};
use super::{Control, Failed, descendants, spawn};

struct Instance<'a> {
    control: Control,
    plan: &'a Plan,
    confinement: &'a Confinement,
    workers: HashMap<Pid, u64>,
}

/// Serves until the control socket closes, then ends everything.
pub(super) fn until_the_server_is_gone(control: Control, plan: &Plan, confinement: &Confinement) -> Result<(), Failed> {
    let mut mask = SigSet::empty();
    mask.add(Signal::SIGCHLD);
    let signals = sigprocmask(SigmaskHow::SIG_BLOCK, Some(&mask), None)
        .and_then(|()| SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC));
    let signals = match signals {
        Ok(signals) => signals,
        Err(e) => return Err(Failed { control, reason: format!("signals cannot be watched: {e}") }),
    };
    let mut instance = Instance { control, plan, confinement, workers: HashMap::new() };
    while instance.step(&signals).unwrap_or(false) {}
    if plan.root.is_none() {
        descendants::kill_all();
    }
    Ok(())
}

impl Instance<'_> {
    /// Waits for the next thing to do. False when the server is gone.
    fn step(&mut self, signals: &SignalFd) -> io::Result<bool> {
        while let Some(order) = self.control.inbox.next()? {
            self.obey(order)?;
        }
        let mut wait = [
            PollFd::new(self.control.socket.as_fd(), PollFlags::POLLIN),
            PollFd::new(signals.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut wait, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(e) => return Err(e.into()),
        }
        let [orders, deaths] = wait.map(|one| one.any().unwrap_or(true));
        if deaths {
            while let Ok(Some(_)) = signals.read_signal() {}
            self.reap()?;
        }
        if !orders {
            return Ok(true);
        }
        match self.control.inbox.read(self.control.socket.as_fd()) {
            Ok(open) => Ok(open),
            Err(Errno::EINTR | Errno::EAGAIN) => Ok(true),
            Err(e) => Err(e.into()),
        }
    }

    fn obey(&mut self, order: Order) -> io::Result<()> {
        match order {
            Order::Spawn(wish) => {
                let serial = wish.serial;
                let Some(fds) = self.control.inbox.take_fds() else {
                    return Err(io::Error::other("a worker came without its descriptors"));
                };
                match spawn::worker(&self.control, self.plan, self.confinement, &wish, fds) {
                    Ok(pid) => {
                        self.workers.insert(pid, serial);
                    }
                    Err(reason) => {
                        self.control.report(&Report::NotStarted { serial, reason })?;
                        self.control.report(&Report::Exited { serial, status: None, signal: None })?;
                    }
                }
                Ok(())
            }
            Order::Interrupt { serial } => {
                self.signal(serial, Signal::SIGUSR1);
                Ok(())
            }
            Order::Recall { serial } => {
                self.signal(serial, Signal::SIGURG);
                Ok(())
            }
            Order::Kill { serial } => {
                if let Some(pid) = self.worker(serial) {
                    descendants::kill_tree(pid);
                }
                Ok(())
            }
            Order::Probe(_) | Order::Build(_) => Err(io::Error::other("the walls stand already")),
        }
    }

    fn signal(&self, serial: u64, signal: Signal) {
        if let Some(pid) = self.worker(serial) {
            let _ = kill(pid, signal);
        }
    }

    fn worker(&self, serial: u64) -> Option<Pid> {
        self.workers.iter().find(|(_, known)| **known == serial).map(|(pid, _)| *pid)
    }

    /// Takes leave of everything that died, and tells of the workers among it.
    fn reap(&mut self) -> io::Result<()> {
        loop {
            let (pid, status, signal) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, status)) => (pid, Some(status), None),
                Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, None, Some(signal as i32)),
                Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return Ok(()),
                Ok(_) | Err(Errno::EINTR) => continue,
                Err(e) => return Err(e.into()),
            };
            if let Some(serial) = self.workers.remove(&pid) {
                self.end_what_is_left(pid);
                self.control.report(&Report::Exited { serial, status, signal })?;
            }
        }
    }

    /// What a dead worker left behind: its group; everything, when no other worker is there.
    fn end_what_is_left(&self, worker: Pid) {
        let _ = kill(Pid::from_raw(-worker.as_raw()), Signal::SIGKILL);
        if !self.workers.is_empty() {
            return;
        }
        if self.plan.root.is_some() && getpid() == Pid::from_raw(1) {
            let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
        } else {
            descendants::kill_all();
        }
    }
}
