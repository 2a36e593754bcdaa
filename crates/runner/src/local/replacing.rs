//! Stopping, killing and replacing the processes of an instance, and the times at which that happens by itself.

use std::time::{Duration, Instant};

use super::supervisor::Supervisor;
use super::worker::{DEATH, INSISTENCE, Then, Worker};
use crate::init::orders::Order;

impl Supervisor {
    pub(super) fn stop(&mut self) {
        if self.stop_until.is_some() {
            return;
        }
        let until = if self.built { Instant::now() + self.spec.stop_grace } else { Instant::now() };
        self.stop_until = Some(until);
        self.respawn.clear();
        for (serial, ready) in self.workers.iter().map(|w| (w.serial, w.ready_at.is_some())).collect::<Vec<_>>() {
            match self.worker(serial).and_then(|worker| worker.link.clone()) {
                Some(link) if ready => link.stop(),
                _ => self.kill(serial, "The instance was stopped"),
            }
        }
    }

    pub(super) fn kill(&mut self, serial: u64, why: &str) {
        let Some(worker) = self.worker(serial).filter(|worker| worker.why.is_none() && worker.reason.is_none()) else {
            return;
        };
        worker.why = Some(why.to_owned());
        worker.deadline = Some((Instant::now() + DEATH, Then::GiveUp));
        if let Some(control) = &mut self.control {
            let _ = control.send(&Order::Kill { serial }, Vec::new());
        }
    }

    /// All was told of a process. One that had been ready is replaced; without it the instance is no good.
    pub(super) fn done(&mut self, serial: u64) {
        let Some(at) = self.workers.iter().position(|worker| worker.serial == serial) else { return };
        let worker = self.workers.swap_remove(at);
        if self.stop_until.is_some() {
            return;
        }
        let Some(ready_at) = worker.ready_at else {
            let reason = worker.fatal.map(|fatal| fatal.message).or(worker.reason);
            return self.end(reason.unwrap_or_else(|| "The process ended before it was ready".into()));
        };
        let quick = self.quick_deaths.entry(worker.process).or_default();
        *quick = if ready_at.elapsed() < Duration::from_secs(1) { *quick + 1 } else { 0 };
        // The first replacement comes at once; a process that dies again and again must not eat the host.
        let pause = Duration::from_millis(if *quick < 2 { 0 } else { 50u64 << (*quick).min(7) });
        self.respawn.push((Instant::now() + pause, worker.process));
    }

    /// Tells a process that a cancel frame is in its socket, now and until no call that was cancelled is in flight there.
    pub(super) fn interrupt(&mut self, serial: u64) {
        let Some(worker) = self.worker(serial) else { return };
        worker.interrupt_again = Some(Instant::now() + INSISTENCE);
        if let Some(control) = &mut self.control {
            let _ = control.send(&Order::Interrupt { serial }, Vec::new());
        }
    }

    /// Tells a process that a recall frame is in its socket. Told once, and again while the frame waits behind others that the
    /// process has to read first, until it has been told of after it left: user code is not to be bothered with signals.
    pub(super) fn recall(&mut self, serial: u64) {
        let Some(worker) = self.worker(serial) else { return };
        let Some(link) = &worker.link else { return };
        worker.recalled_early = link.has_unsent();
        worker.interrupt_again.get_or_insert(Instant::now() + INSISTENCE);
        if let Some(control) = &mut self.control {
            let _ = control.send(&Order::Recall { serial }, Vec::new());
        }
    }

    /// Repeats the signal for a call in work. One that only waits is read of in its turn.
    fn insist(&mut self, serial: u64) {
        let Some(worker) = self.worker(serial) else { return };
        worker.interrupt_again = None;
        let Some(link) = worker.link.clone() else { return };
        let (any, in_work) = link.cancelling();
        let again = worker.recalled_early && link.recalling();
        if any {
            worker.interrupt_again = Some(Instant::now() + INSISTENCE);
        }
        if in_work && let Some(control) = &mut self.control {
            let _ = control.send(&Order::Interrupt { serial }, Vec::new());
        }
        if again {
            self.recall(serial);
        }
    }

    pub(super) fn next_deadline(&self) -> Instant {
        let far = Instant::now() + Duration::from_secs(3600);
        let workers = self.workers.iter().filter_map(|worker| worker.deadline.as_ref()).map(|(at, _)| *at);
        let respawn = self.respawn.iter().map(|(at, _)| *at);
        let interrupts = self.workers.iter().filter_map(|worker| worker.interrupt_again);
        workers.chain(respawn).chain(interrupts).chain(self.stop_until).min().unwrap_or(far)
    }

    pub(super) fn deadlines(&mut self) {
        let now = Instant::now();
        let due = |worker: &Worker| {
            worker.deadline.clone().filter(|(at, _)| *at <= now).map(|(_, then)| (worker.serial, then))
        };
        for (serial, then) in self.workers.iter().filter_map(due).collect::<Vec<_>>() {
            match then {
                Then::Kill(why) => self.kill(serial, &why),
                Then::GiveUp => self.end("A process did not end when it was killed".into()),
            }
        }
        let again = |worker: &Worker| worker.interrupt_again.is_some_and(|at| at <= now).then_some(worker.serial);
        for serial in self.workers.iter().filter_map(again).collect::<Vec<_>>() {
            self.insist(serial);
        }
        let (due, later) = self.respawn.iter().copied().partition(|(at, _)| *at <= now);
        self.respawn = later;
        for (_, process) in due as Vec<(Instant, u32)> {
            if let Err(e) = self.spawn(process) {
                self.end(format!("A process could not be replaced: {e}"));
            }
        }
    }
}
