//! An instance as its version's lane and log see it: listens to its processes.

use std::collections::HashMap;
use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use bytes::Bytes;
use modelyard_dispatch::{FailureKind, Lane, Outcome, SeatId};
use modelyard_runner::packed::unpack;
use modelyard_runner::process::{Ended, Listener, Process, ProcessEvent, ProcessKey};
use modelyard_runner::protocol::{CallError, ErrorKind, Fatal, Level};
use modelyard_store::logs::{self, LogLabels, LogLine};
use modelyard_types::{InstanceId, ProjectId, RequestId, Timestamp, VersionId};

use super::carrier::{Carrier, Loads};
use super::seat::{Calls, ProcessSeat};
use crate::Inner;
use crate::instances::History;
use crate::requests::MAX_RESULT;
use crate::variables::Masks;

/// What callers read when the constructor failed and said nothing for them (semantics 1.9).
const INIT_FAILED: &str = "Failed to initialise the deployment. See the logs for details.";

/// One instance: its processes, and where what they say goes.
pub(super) struct InstanceListener {
    pub(super) control: Weak<Inner>,
    pub(super) version: VersionId,
    pub(super) project: ProjectId,
    pub(super) lane: Arc<Lane>,
    pub(super) labels: LogLabels,
    pub(super) history: History,
    pub(super) places: Mutex<HashMap<u32, Place>>,
    /// What is carried to and from its processes.
    pub(super) loads: Loads,
    /// What it was given and must not tell; nothing as long as it was given nothing.
    pub(super) confided: OnceLock<Confided>,
}

/// What an instance was given and nobody may read in what it says.
pub(super) struct Confided {
    /// Its secrets.
    pub(super) masks: Masks,
    /// By what its own token is known.
    pub(super) token: [u8; 32],
}

/// A process of the instance.
pub(super) struct Place {
    seat: SeatId,
    calls: Arc<Calls>,
    carrier: Option<Arc<Carrier>>,
}

impl InstanceListener {
    /// The seats of its processes.
    pub(super) fn seats(&self) -> Vec<SeatId> {
        self.places().values().map(|place| place.seat).collect()
    }

    /// What user code says, with the secrets it knows hidden.
    fn hidden(&self, text: String) -> String {
        match self.confided.get() {
            Some(confided) => confided.masks.hidden(text),
            None => text,
        }
    }

    fn places(&self) -> MutexGuard<'_, HashMap<u32, Place>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ready(&self, from: ProcessKey, process: Arc<Process>) {
        let (seat, calls) = (SeatId::new(), Arc::<Calls>::default());
        let carrier = self.loads.any().then(|| self.loads.of(seat, process.clone(), calls.clone()));
        let seated = Arc::new(ProcessSeat::new(process, calls.clone(), carrier.clone()));
        let place = Place { seat, calls, carrier };
        self.places().insert(from.process, place);
        let Some(control) = self.control.upgrade() else { return };
        if !control.fleet.ready(self.version, from.instance, from.process) {
            return;
        }
        self.lane.seat_ready(seat, seated);
        if !control.fleet.ready(self.version, from.instance, from.process) {
            // It began to stop at this moment, and its seats were retired before this one was there.
            drop(self.lane.retire(seat));
        }
    }

    /// An answer; its files are stored first if it may have some.
    fn answered(&self, from: ProcessKey, ticket: u64, body: Bytes, files: Vec<Arc<File>>) {
        let carrier = self.places().get(&from.process).and_then(|place| place.carrier.clone());
        match carrier.filter(|_| self.loads.deployment.has_output_files) {
            Some(carrier) => carrier.answered(ticket, body, files),
            None => self.finished(from, ticket, Outcome::Result(body)),
        }
    }

    fn finished(&self, from: ProcessKey, ticket: u64, outcome: Outcome) {
        let Some((seat, calls)) = self.place(from) else { return };
        calls.end(ticket);
        self.lane.finished(seat, ticket, outcome);
    }

    fn failed(&self, error: CallError) -> Outcome {
        let kind = match error.kind {
            ErrorKind::Exception => FailureKind::Exception,
            ErrorKind::Output => FailureKind::Output,
            ErrorKind::Input => FailureKind::Input,
            ErrorKind::Cancelled => FailureKind::Cancelled,
            ErrorKind::Internal => FailureKind::Internal,
        };
        let (message, public) =
            (self.hidden(error.message), error.public_error_message.map(|public| self.hidden(public)));
        Outcome::Failed { message, public, kind }
    }

    fn place(&self, from: ProcessKey) -> Option<(SeatId, Arc<Calls>)> {
        self.places().get(&from.process).map(|place| (place.seat, place.calls.clone()))
    }

    fn log(&self, from: ProcessKey, call: Option<u64>, level: Level, text: String) {
        let calls = self.place(from).map(|(_, calls)| calls);
        let request = call.and_then(|ticket| calls.and_then(|calls| calls.request(ticket)));
        let level = match level {
            Level::Info => logs::Level::Info,
            Level::Error => logs::Level::Error,
        };
        self.write(from.instance, Some(from.process), request, level, text);
    }

    /// Writes down a line of the platform about this instance.
    fn note(&self, instance: InstanceId, level: logs::Level, text: String) {
        self.write(instance, None, None, level, text);
    }

    fn write(
        &self,
        instance: InstanceId,
        process: Option<u32>,
        request: Option<RequestId>,
        level: logs::Level,
        text: String,
    ) {
        let Some(control) = self.control.upgrade() else { return };
        let labels = LogLabels {
            instance_id: Some(instance),
            process_id: process.map(|process| process.to_string()),
            deployment_request_id: request,
            ..self.labels.clone()
        };
        let (at_ns, text) = (Timestamp::now().0 * 1_000, self.hidden(text));
        for line in text.lines() {
            let text = line.to_owned();
            control.log_sink.push(LogLine { project_id: self.project, at_ns, level, text, labels: labels.clone() });
        }
    }
}

impl Listener for InstanceListener {
    fn event(&self, from: ProcessKey, event: ProcessEvent) {
        match event {
            ProcessEvent::Phase { phase, took } => {
                tracing::debug!(instance = %from.instance, phase = phase.name(), micros = took.as_micros() as u64, "start phase");
                metrics::histogram!("modelyard_start_phase_seconds", "phase" => phase.name())
                    .record(took.as_secs_f64());
                self.history.phase(from.process, phase, took);
            }
            ProcessEvent::Ready { process, .. } => self.ready(from, process),
            ProcessEvent::Started(ticket) => {
                if let Some((seat, _)) = self.place(from) {
                    self.lane.started(seat, ticket);
                }
            }
            ProcessEvent::Update(ticket, text) => {
                if let Some((seat, _)) = self.place(from) {
                    self.lane.update(seat, ticket, text);
                }
            }
            ProcessEvent::Result(ticket, body, files) => self.answered(from, ticket, body, files),
            ProcessEvent::Packed(ticket, body, files) if self.loads.deployment.has_output_files => {
                match unpack(&body, MAX_RESULT) {
                    Ok(text) => self.answered(from, ticket, text.into(), files),
                    Err(_) => self.finished(from, ticket, Outcome::Packed(body)),
                }
            }
            ProcessEvent::Packed(ticket, body, _) => self.finished(from, ticket, Outcome::Packed(body)),
            ProcessEvent::Error(ticket, error) => self.finished(from, ticket, self.failed(error)),
            ProcessEvent::Log { call, level, text } => self.log(from, call, level, text),
            ProcessEvent::Fatal(fatal) => {
                self.note(from.instance, logs::Level::Error, fatal.message.clone());
                if let Some(control) = self.control.upgrade() {
                    control.fleet.doomed(self.version, from.instance, self.hidden(told(fatal)));
                }
            }
            ProcessEvent::Gone(mut gone) => {
                gone.reason = self.hidden(gone.reason);
                let place = self.places().remove(&from.process);
                match place {
                    Some(Place { carrier: Some(carrier), .. }) => carrier.gone(&gone.reason),
                    Some(place) => drop(self.lane.seat_gone(place.seat, &gone.reason)),
                    None => {}
                }
                self.history.gone(from.process, &gone);
                if !gone.expected {
                    self.note(from.instance, logs::Level::Error, gone.reason);
                }
            }
        }
    }

    fn ended(&self, instance: InstanceId, _epoch: u64, ended: Ended) {
        let Some(control) = self.control.upgrade() else { return };
        if let Some(confided) = self.confided.get() {
            control.catalogue.instance_tokens.revoke(&confided.token);
        }
        let reason = self.hidden(ended.reason);
        let failures = control.fleet.ended(self.version, instance, &reason);
        self.history.ended(&reason, ended.expected, failures);
        control.nudges.scaling.notify_one();
        if control.catalogue.version(self.version).is_none() {
            control.nudges.cleaning.notify_one();
        }
    }
}

/// What waiting callers read of a start that failed.
fn told(fatal: Fatal) -> String {
    fatal.public_error_message.unwrap_or_else(|| INIT_FAILED.to_owned())
}
