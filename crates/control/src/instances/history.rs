//! The history of one instance: what is written down of it while it lives.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use modelyard_runner::process::{Gone, Phase};
use modelyard_store::{Instance, InstanceEvent};
use modelyard_types::instances::InstanceStatus;
use modelyard_types::{InstanceEventId, Timestamp};

use super::Journal;
use super::sentences::{self, Why};

/// After so many processes that ended, no more of them are told.
const MANY: u32 = 100;

/// Tells the journal of an instance. Events come from several tasks; they are put in order here.
pub(crate) struct History {
    journal: Arc<Journal>,
    told: Mutex<Told>,
}

struct Told {
    row: Instance,
    processes: u32,
    /// The processes that have been ready once.
    ready: BTreeSet<u32>,
    ends: u32,
}

impl History {
    /// Begins the history of a new instance. `passed` are the kinds that its version may have and that found no room.
    pub(crate) fn begin(journal: Arc<Journal>, row: Instance, processes: u32, passed: Vec<String>) -> Self {
        metrics::counter!("modelyard_instance_starts_total").increment(1);
        let created = sentences::created(&row.instance_type, &passed);
        let told = Told { row, processes, ready: BTreeSet::new(), ends: 0 };
        let history = Self { journal, told: Mutex::new(told) };
        history.tell(&history.lock(), created);
        history
    }

    /// It is handed to the runner.
    pub(crate) fn scheduled(&self) {
        let mut told = self.lock();
        let took = Timestamp::now().since(told.row.created_at);
        self.tell(&told, sentences::scheduled(took));
        if told.row.status == InstanceStatus::Pending {
            self.change(&mut told, InstanceStatus::Initialising);
        }
    }

    /// A phase of the first start of one of its processes is done. Those of its first process are told one by one, of the
    /// others only when they are ready.
    pub(crate) fn phase(&self, process: u32, phase: Phase, took: Duration) {
        let mut told = self.lock();
        if told.ready.contains(&process) {
            if phase == Phase::Ready && told.ends < MANY {
                self.tell(&told, sentences::process_replaced(process));
            }
            return;
        }
        match phase {
            Phase::Ready if told.processes > 1 => self.tell(&told, sentences::process_ready(process, took)),
            _ if process == 0 => self.tell(&told, sentences::phase(phase, took)),
            _ => {}
        }
        if phase == Phase::Ready {
            told.ready.insert(process);
            if told.row.status == InstanceStatus::Initialising {
                self.change(&mut told, InstanceStatus::Running);
            }
        }
    }

    /// A process is no more. One that never was ready takes the instance with it, which tells the reason.
    pub(crate) fn gone(&self, process: u32, gone: &Gone) {
        let mut told = self.lock();
        if gone.expected || !told.ready.contains(&process) || told.ends >= MANY {
            return;
        }
        told.ends += 1;
        self.tell(&told, sentences::process_ended(process, &gone.reason));
        if told.ends == MANY {
            self.tell(&told, sentences::enough());
        }
    }

    /// It is being stopped.
    pub(crate) fn stopping(&self, why: &Why) {
        metrics::counter!("modelyard_instance_stops_total", "reason" => why.word()).increment(1);
        let mut told = self.lock();
        self.tell(&told, sentences::stopping(why));
        self.change(&mut told, InstanceStatus::Stopping);
    }

    /// It is no more. `failures` are the failed starts in a row, if this was one.
    pub(crate) fn ended(&self, reason: &str, expected: bool, failures: Option<u32>) {
        let mut told = self.lock();
        let now = Timestamp::now();
        (told.row.updated_at, told.row.ended_at) = (now, Some(now));
        let sentence = match failures {
            Some(failures) => {
                metrics::counter!("modelyard_instance_start_failures_total").increment(1);
                sentences::failed(reason, failures)
            }
            None => sentences::ended(reason, expected || told.row.status == InstanceStatus::Stopping),
        };
        self.tell(&told, sentence);
    }

    /// Writes it down again as it stands: others may have thought that its server is dead.
    pub(crate) fn repeat(&self) {
        self.journal.push(self.lock().row.clone(), None);
    }

    /// Where it stands.
    pub(crate) fn status(&self) -> InstanceStatus {
        self.lock().row.status
    }

    fn change(&self, told: &mut Told, to: InstanceStatus) {
        told.row.status = to;
        told.row.updated_at = Timestamp::now();
        self.tell(told, sentences::status(to));
    }

    fn tell(&self, told: &Told, description: String) {
        let event = InstanceEvent {
            id: InstanceEventId::new(),
            instance_id: told.row.id,
            created_at: Timestamp::now(),
            description,
        };
        self.journal.push(told.row.clone(), Some(event));
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
