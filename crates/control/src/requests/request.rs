//! A request that has not ended: what is known of it, and what happens when its lane reports.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use modelyard_dispatch::{Call, Class, Job, Outcome, Waiter};
use modelyard_store::{Life, Request, RequestData};
use modelyard_types::requests::{RequestKind, RequestStatus};
use modelyard_types::versions::RetentionMode;
use modelyard_types::{ProjectId, RequestId, Timestamp};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::inputs::TEXT;
use super::outputs;
use super::recorder::{MAX_INLINE, Record};
use crate::Inner;
use crate::access::Actor;
use crate::catalogue::{DeploymentSnapshot, VersionSnapshot};

/// How often an interrupted request of a version with `restart_request_interruption` is run again (semantics 1.9).
const MAX_RETRIES: i64 = 3;

/// How a request ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Its last status.
    pub status: RequestStatus,
    /// What came out: JSON text.
    pub result: Option<Bytes>,
    /// Why it failed.
    pub error_message: Option<String>,
}

/// A request that waits or runs on this server.
pub(crate) struct LiveRequest {
    pub(crate) id: RequestId,
    // Not the snapshot of the project: a request may run for an hour, and would keep all of it in memory.
    pub(crate) project: ProjectId,
    pub(crate) deployment: Arc<DeploymentSnapshot>,
    pub(crate) version: Arc<VersionSnapshot>,
    pub(crate) actor: Arc<Actor>,
    pub(crate) body: Bytes,
    pub(crate) flags: u8,
    pub(crate) priority: u8,
    pub(crate) created: Timestamp,
    pub(crate) timeout: i64,
    life: Life,
    state: Mutex<State>,
    me: Weak<LiveRequest>,
    control: Weak<Inner>,
}

struct State {
    status: RequestStatus,
    started: Option<Timestamp>,
    retries: i64,
    /// Whether a row of it has been handed to the recorder already.
    recorded: bool,
    answer: Option<oneshot::Sender<Ended>>,
    permit: Option<OwnedSemaphorePermit>,
}

/// For how long after its time a request may be missing an end before it gets one here.
const OVERDUE: Duration = Duration::from_secs(60);

/// What a new request is made of.
pub(crate) struct NewRequest {
    pub(crate) project: ProjectId,
    pub(crate) deployment: Arc<DeploymentSnapshot>,
    pub(crate) version: Arc<VersionSnapshot>,
    pub(crate) actor: Arc<Actor>,
    pub(crate) body: Bytes,
    pub(crate) flags: u8,
    pub(crate) priority: u8,
    pub(crate) timeout: i64,
    pub(crate) permit: Option<OwnedSemaphorePermit>,
}

impl LiveRequest {
    pub(crate) fn new(new: NewRequest, control: &Arc<Inner>, answer: oneshot::Sender<Ended>) -> Arc<Self> {
        let state = State {
            status: RequestStatus::Pending,
            started: None,
            retries: 0,
            recorded: false,
            answer: Some(answer),
            permit: new.permit,
        };
        Arc::new_cyclic(|me| Self {
            id: RequestId::new(),
            project: new.project,
            deployment: new.deployment,
            version: new.version,
            actor: new.actor,
            body: new.body,
            flags: new.flags,
            priority: new.priority,
            created: Timestamp::now(),
            timeout: new.timeout,
            life: control.settings.life,
            state: Mutex::new(state),
            me: me.clone(),
            control: Arc::downgrade(control),
        })
    }

    /// The job that runs it.
    pub(crate) fn job(self: &Arc<Self>) -> Job {
        Job {
            id: self.id,
            class: Class::Direct,
            priority: self.priority,
            call: Call { flags: self.flags, context: self.context(), body: self.body.clone() },
            waiter: self.clone(),
        }
    }

    /// The context of semantics 1.4. It begins with the id: see [`crate::running::seat`].
    fn context(&self) -> Bytes {
        Bytes::from(format!(
            concat!(
                r#"{{"id":"{}","request_mode":"express","user_id":"{}","pipeline_id":null,"pipeline_version_id":null,"#,
                r#""pipeline_object_id":null,"pipeline_request_id":null}}"#
            ),
            self.id, self.actor.user
        ))
    }

    /// When its time is over.
    pub(crate) fn deadline(&self) -> Timestamp {
        self.created.plus(Duration::from_secs(self.timeout.unsigned_abs()))
    }

    /// Where it stands, and since when it runs.
    pub(crate) fn status(&self) -> (RequestStatus, Option<Timestamp>) {
        let state = self.lock();
        (state.status, state.started)
    }

    /// Ends it because its time is over.
    pub(crate) fn expire(&self, now: Timestamp) {
        self.version.lane.expire(self.id);
        if self.deadline().plus(OVERDUE) <= now {
            // Its lane knows nothing of it. That should never be; yet no request is open for ever.
            self.interrupt(TIMED_OUT);
        }
    }

    /// Ends it because this server stops.
    pub(crate) fn interrupt(&self, reason: &str) {
        if let Some(control) = self.control.upgrade() {
            self.end(&control, failed(reason.to_owned()));
        }
    }

    /// Its row as it stands. Data is kept only when retention is full.
    pub(crate) fn row(&self) -> (Request, RequestData) {
        let state = self.lock();
        self.row_of(&state, None)
    }

    /// Hands its row to the recorder if that was not done yet: it has been running long enough to be worth one.
    pub(crate) fn record_unended(&self) {
        let Some(control) = self.control.upgrade() else { return };
        let mut state = self.lock();
        if state.recorded || state.answer.is_none() {
            return;
        }
        state.recorded = true;
        self.record_as_it_stands(&state, &control);
    }

    /// Hands its row to the recorder; under the lock, so that the record of its end comes after this one.
    fn record_as_it_stands(&self, state: &State, control: &Inner) {
        let (request, mut data) = self.row_of(state, None);
        // Large data is an object; one that a later record replaces would be left behind.
        data.request_data = data.request_data.filter(|data| data.len() <= MAX_INLINE);
        control.recorder.push(Record::Put(Box::new((request, data)), None));
    }

    fn row_of(&self, state: &State, ended: Option<(&Ended, Timestamp)>) -> (Request, RequestData) {
        let keep_data = self.version.retention_mode == RetentionMode::Full;
        let result = ended.and_then(|(ended, _)| ended.result.as_ref());
        let retention = Duration::from_secs(self.version.retention_time.unsigned_abs());
        let request = Request {
            id: self.id,
            project_id: self.project,
            deployment_id: self.deployment.id,
            version_id: self.version.id,
            revision_id: self.version.active_revision,
            kind: RequestKind::Direct,
            status: ended.map_or(state.status, |(ended, _)| ended.status),
            started_at: state.started,
            completed_at: ended.map(|(_, at)| at),
            timeout: self.timeout,
            error_message: ended.and_then(|(ended, _)| ended.error_message.clone()),
            input_plain: self.flags & TEXT != 0,
            output_plain: false,
            input_size: self.body.len() as i64,
            output_size: result.map_or(0, |result| result.len() as i64),
            created_by: self.actor.email.clone(),
            retention_mode: self.version.retention_mode,
            expires_at: self.created.plus(retention),
            server_id: self.life.server,
            life: self.life.number,
            epoch: state.retries,
            retries: state.retries,
        };
        let data = RequestData {
            request_data: keep_data.then(|| self.body.clone()),
            result: result.filter(|_| keep_data).cloned(),
            ..RequestData::default()
        };
        (request, data)
    }

    fn end(&self, control: &Inner, ended: Ended) {
        let mut state = self.lock();
        let Some(answer) = state.answer.take() else {
            return;
        };
        state.status = ended.status;
        let permit = state.permit.take();
        let record = match (self.version.retention_mode, state.recorded) {
            (RetentionMode::None, false) => None,
            (RetentionMode::None, true) => Some(Record::Forget(self.id, permit)),
            _ => Some(Record::Put(Box::new(self.row_of(&state, Some((&ended, Timestamp::now())))), permit)),
        };
        if let Some(record) = record {
            control.recorder.push(record);
        }
        drop(state);
        // Recorded first, removed then: a get finds it in one of the two at every moment.
        control.live.remove(self.id);
        // Nobody listens when the caller has gone; the request counts all the same.
        let _ = answer.send(ended);
    }

    /// Puts an interrupted request back into its lane, if its version wants that; says whether it did.
    fn restart(&self, control: &Inner) -> bool {
        let Some(me) = self.me.upgrade() else { return false };
        if !self.version.restart_request_interruption || self.deadline() <= Timestamp::now() {
            return false;
        }
        let mut state = self.lock();
        if state.answer.is_none() || state.retries >= MAX_RETRIES {
            return false;
        }
        state.retries += 1;
        state.status = RequestStatus::Pending;
        if state.recorded {
            self.record_as_it_stands(&state, control);
        }
        drop(state);
        // Alone, because it may be what ended the process.
        self.version.lane.submit_alone(me.job()).is_ok()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiter for LiveRequest {
    fn started(&self) {
        let mut state = self.lock();
        if state.answer.is_none() {
            return;
        }
        state.status = RequestStatus::Processing;
        state.started = Some(Timestamp::now());
        // Lists read its row for the status it has.
        if state.recorded
            && let Some(control) = self.control.upgrade()
        {
            self.record_as_it_stands(&state, &control);
        }
    }

    fn update(&self, _text: Bytes) {
        // A direct request without a stream has nobody who listens to updates; they are harmless (semantics 1.4).
        self.version.lane.credit(self.id, 1);
    }

    fn finish(&self, outcome: Outcome) {
        let Some(control) = self.control.upgrade() else { return };
        let ended = match outcome {
            Outcome::Result(body) => match outputs::check(&self.deployment, body) {
                Ok(result) => Ended { status: RequestStatus::Completed, result: Some(result), error_message: None },
                Err(problem) => failed(problem),
            },
            // A worker that says so unasked has failed: the lane tells of those that were asked.
            Outcome::Cancelled => Ended { status: RequestStatus::Cancelled, result: None, error_message: None },
            Outcome::Failed { message, public, .. } => failed(public.unwrap_or(message)),
            Outcome::Crashed(_) if self.restart(&control) => return,
            Outcome::Crashed(reason) | Outcome::Refused(reason) => failed(reason),
            Outcome::TimedOut => failed(TIMED_OUT.into()),
        };
        self.end(&control, ended);
    }
}

/// What callers read of a request whose time is over (semantics 1.9).
const TIMED_OUT: &str = "Request timed out";

/// The longest error message, in characters: clients refuse longer ones in some answers.
const MAX_ERROR: usize = 1024;

fn failed(mut message: String) -> Ended {
    if message.contains('\0') {
        // No database keeps it.
        message = message.replace('\0', "");
    }
    let error_message = match message.char_indices().nth(MAX_ERROR) {
        Some((end, _)) => message[..end].to_owned(),
        None => message,
    };
    Ended { status: RequestStatus::Failed, result: None, error_message: Some(error_message) }
}
