//! A request that has not ended: what is known of it, and what happens when its lane reports.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use modelyard_dispatch::{Call, Cancel, Class, Job, Outcome, Waiter};
use modelyard_store::requests::{Ending, MAX_RETRIES, Release, Start};
use modelyard_store::{Life, Request, RequestData};
use modelyard_types::requests::{RequestKind, RequestStatus};
use modelyard_types::versions::RetentionMode;
use modelyard_types::{RequestId, Timestamp};
use tokio::sync::oneshot;

use super::inputs::{self, LIST, TEXT, is_list};
use super::outputs;
use super::recorder::{KeyEnd, MAX_INLINE, Permit, Record};
use super::updates::{Reader, Updates};
use crate::Inner;
use crate::catalogue::{DeploymentSnapshot, VersionSnapshot};

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
    /// As it was made or claimed; where it stands is in `state`.
    pub(crate) request: Request,
    // Not the snapshot of the project: a request may run for an hour, and would keep all of it in memory.
    pub(crate) deployment: Arc<DeploymentSnapshot>,
    pub(crate) version: Arc<VersionSnapshot>,
    body: Bytes,
    request_key: Option<String>,
    key_hash: Option<[u8; 32]>,
    /// Made when the first update comes, or when somebody wants to read them.
    updates: OnceLock<Arc<Updates>>,
    state: Mutex<State>,
    me: Weak<LiveRequest>,
    control: Weak<Inner>,
}

struct State {
    status: RequestStatus,
    started: Option<Timestamp>,
    retries: i64,
    /// Whether a row of it is there, or has been handed to the recorder.
    recorded: bool,
    over: bool,
    /// Whether it was deleted: it ends without a trace.
    deleted: bool,
    /// When its process was asked to interrupt it.
    cancelled: Option<Timestamp>,
    answer: Option<oneshot::Sender<Ended>>,
    /// Others who wait for its end.
    listeners: Vec<oneshot::Sender<Ended>>,
    permit: Option<Permit>,
}

/// For how long after its time a request may be missing an end before it gets one here.
const OVERDUE: Duration = Duration::from_secs(60);
/// How long user code may take to give way to a cancel before its process is ended.
const CANCEL_GRACE: Duration = Duration::from_secs(10);

/// What a new request is made of.
pub(crate) struct NewRequest {
    pub(crate) request: Request,
    pub(crate) deployment: Arc<DeploymentSnapshot>,
    pub(crate) version: Arc<VersionSnapshot>,
    pub(crate) body: Bytes,
    /// The object that the body was read from.
    pub(crate) request_key: Option<String>,
    /// The key it can be found by again.
    pub(crate) key_hash: Option<[u8; 32]>,
    /// Whether its row is written already.
    pub(crate) recorded: bool,
    /// Who waits for its end.
    pub(crate) answer: Option<oneshot::Sender<Ended>>,
    pub(crate) permit: Option<Permit>,
}

impl LiveRequest {
    pub(crate) fn new(new: NewRequest, control: &Arc<Inner>) -> Arc<Self> {
        let state = State {
            status: RequestStatus::Pending,
            started: None,
            retries: new.request.retries,
            recorded: new.recorded,
            over: false,
            deleted: false,
            cancelled: None,
            answer: new.answer,
            listeners: Vec::new(),
            permit: new.permit,
        };
        Arc::new_cyclic(|me| Self {
            id: new.request.id,
            request: new.request,
            deployment: new.deployment,
            version: new.version,
            body: new.body,
            request_key: new.request_key,
            key_hash: new.key_hash,
            updates: OnceLock::new(),
            state: Mutex::new(state),
            me: me.clone(),
            control: Arc::downgrade(control),
        })
    }

    /// The job that runs it.
    pub(crate) fn job(self: &Arc<Self>) -> Job {
        let flags = match self.request.input_plain {
            true => TEXT,
            false if is_list(&self.body) => LIST,
            false => 0,
        };
        // A packed call is in no group with others.
        let packed = if self.version.groups { None } else { inputs::packed(&self.body, flags) };
        let (body, flags) = packed.unwrap_or_else(|| (self.body.clone(), flags));
        Job {
            id: self.id,
            class: if self.is_batch() { Class::Batch } else { Class::Direct },
            priority: u8::from(self.request.priority != 0),
            call: Call { flags, context: self.context(), body },
            waiter: self.clone(),
        }
    }

    /// The context of semantics 1.4. It begins with the id: see [`crate::running::seat`].
    fn context(&self) -> Bytes {
        let mode = if self.is_batch() { "batch" } else { "express" };
        let rest =
            r#","pipeline_id":null,"pipeline_version_id":null,"pipeline_object_id":null,"pipeline_request_id":null}"#;
        let head = format!(r#"{{"id":"{}","request_mode":"{mode}","user_id":"#, self.id);
        Bytes::from(match self.request.user_id {
            Some(user) => format!(r#"{head}"{user}"{rest}"#),
            None => format!("{head}null{rest}"),
        })
    }

    pub(crate) fn is_batch(&self) -> bool {
        self.request.kind == RequestKind::Batch
    }

    /// When its time is over: that of a direct request runs from its creation, that of a batch request from its start.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        let limit = Duration::from_secs(self.request.timeout.unsigned_abs());
        match self.request.kind {
            RequestKind::Direct => Some(self.request.created_at().plus(limit)),
            RequestKind::Batch => self.lock().started.map(|started| started.plus(limit)),
        }
    }

    /// Where it stands.
    pub(crate) fn status(&self) -> RequestStatus {
        self.lock().status
    }

    /// Ends it because its time is over.
    pub(crate) fn expire(&self, now: Timestamp) {
        self.version.lane.expire(self.id);
        if self.deadline().is_some_and(|deadline| deadline.plus(OVERDUE) <= now) {
            // Its lane knows nothing of it. That should never be; yet no request is open for ever.
            self.fail(TIMED_OUT.into());
        }
    }

    /// Ends it because it is no longer this server's: its lane lets go of it, and what it has to tell is not written.
    pub(crate) fn lose_claim(&self) {
        self.fail("The server was taken for dead".into());
        self.version.lane.expire(self.id);
    }

    /// Ends it because this server stops. A batch request goes back to the queue if its work has not begun, or if its version
    /// wants it to be run again.
    pub(crate) fn interrupt(&self, reason: &str) {
        self.give_up(reason);
        // It is over: no process begins with it any more, and one that has begun may stop.
        self.version.lane.cancel(self.id);
    }

    fn give_up(&self, reason: &str) {
        let Some(control) = self.control.upgrade() else { return };
        let again = self.version.restart_request_interruption;
        let (started, cancelled, retries) = {
            let state = self.lock();
            (state.started.is_some(), state.cancelled.is_some(), state.retries)
        };
        if self.is_batch() && !cancelled && (!started || again && retries < MAX_RETRIES) {
            return self.release(&control, retries + i64::from(started));
        }
        self.fail(reason.to_owned());
    }

    /// Ends it as failed, wherever it stands.
    pub(crate) fn fail(&self, reason: String) {
        if let Some(control) = self.control.upgrade() {
            self.end(&control, failed(reason));
        }
    }

    /// Calls it off: at once if it has not started; else its process is asked to interrupt it.
    pub(crate) fn cancel(&self) {
        if self.lock().cancelled.is_some() {
            return;
        }
        match self.version.lane.cancel(self.id) {
            Cancel::Asked => self.being_cancelled(),
            // Its lane had its end in hand already, or the waiter was told.
            Cancel::Done | Cancel::Unknown => {}
        }
    }

    fn being_cancelled(&self) {
        let Some(control) = self.control.upgrade() else { return };
        let mut state = self.lock();
        if state.over || state.cancelled.is_some() {
            return;
        }
        state.cancelled = Some(Timestamp::now());
        state.status = RequestStatus::CancelledPending;
        if state.recorded && !self.is_batch() {
            self.record_as_it_stands(&state, &control);
        }
    }

    /// Ends the process of a request that was asked to give way and did not.
    pub(crate) fn insist_on_cancel(&self, now: Timestamp) {
        let cancelled = self.lock().cancelled;
        if cancelled.is_some_and(|at| at.plus(CANCEL_GRACE) <= now) {
            self.version.lane.cancel(self.id);
        }
    }

    /// Cancels it and sees to it that nothing of it is kept.
    pub(crate) fn delete(&self) {
        self.lock().deleted = true;
        self.cancel();
    }

    /// Whether it was deleted and is on its way out.
    pub(crate) fn is_deleted(&self) -> bool {
        self.lock().deleted
    }

    /// Tells somebody more of its end; nothing when it has ended already.
    pub(crate) fn listen(&self) -> Option<oneshot::Receiver<Ended>> {
        let mut state = self.lock();
        if state.over {
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        state.listeners.push(sender);
        Some(receiver)
    }

    /// Somebody is going to read its updates and holds the writer back; said before it is submitted.
    pub(crate) fn be_read(&self) {
        self.updates(true);
    }

    /// Its updates, from the first that is kept. One reader may lead: who said so before.
    pub(super) fn reader(&self, leads: bool) -> Reader {
        Reader::new(self.updates(false).clone(), leads)
    }

    fn updates(&self, leads: bool) -> &Arc<Updates> {
        self.updates.get_or_init(|| Arc::new(Updates::new(self.keeps_data(), leads)))
    }

    fn keeps_data(&self) -> bool {
        self.request.retention_mode == RetentionMode::Full
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
        if state.recorded || state.over || state.deleted {
            return;
        }
        state.recorded = true;
        self.record_as_it_stands(&state, &control);
    }

    /// Hands its row to the recorder; under the lock, so that the record of its end comes after this one.
    fn record_as_it_stands(&self, state: &State, control: &Inner) {
        if self.is_batch() {
            return;
        }
        let (request, mut data) = self.row_of(state, None);
        // Large data is an object; one that a later record replaces would be left behind.
        data.request_data = data.request_data.filter(|data| data.len() <= MAX_INLINE);
        control.recorder.push(Record::Put(Box::new((request, data)), None));
    }

    fn row_of(&self, state: &State, ended: Option<(&Ended, Timestamp)>) -> (Request, RequestData) {
        let result = ended.and_then(|(ended, _)| ended.result.as_ref());
        let request = Request {
            status: ended.map_or(state.status, |(ended, _)| ended.status),
            started_at: state.started,
            completed_at: ended.map(|(_, at)| at),
            error_message: ended.and_then(|(ended, _)| ended.error_message.clone()),
            output_size: result.map_or(0, |result| result.len() as i64),
            epoch: if self.is_batch() { self.request.epoch } else { state.retries },
            retries: state.retries,
            ..self.request.clone()
        };
        let data = RequestData {
            request_data: self.keeps_data().then(|| self.body.clone()),
            result: result.filter(|_| self.keeps_data()).cloned(),
            ..RequestData::default()
        };
        (request, data)
    }

    fn end(&self, control: &Inner, ended: Ended) {
        let mut state = self.lock();
        if std::mem::replace(&mut state.over, true) {
            return;
        }
        state.status = ended.status;
        let updates = self.updates.get().and_then(|updates| updates.end());
        let result = ended.result.as_ref().filter(|_| self.keeps_data());
        let kept = result.map_or(0, Bytes::len) + updates.as_ref().map_or(0, Bytes::len);
        let permit = control.recorder.heavier(state.permit.take(), kept);
        if let Some(record) = self.last_record(&state, &ended, updates, permit) {
            control.recorder.push(record);
        }
        let (answer, listeners) = (state.answer.take(), std::mem::take(&mut state.listeners));
        drop(state);
        // Recorded first, removed then: a get finds it in one of the two at every moment.
        control.live.remove(self.id);
        for listener in listeners {
            let _ = listener.send(ended.clone());
        }
        // Nobody listens when the caller has gone; the request counts all the same.
        if let Some(answer) = answer {
            let _ = answer.send(ended);
        }
        if self.is_batch() {
            control.feed_after_end(&self.version);
        }
    }

    fn last_record(
        &self,
        state: &State,
        ended: &Ended,
        updates: Option<Bytes>,
        permit: Option<Permit>,
    ) -> Option<Record> {
        let now = Timestamp::now();
        if state.deleted {
            return Some(Record::Forget(self.id, None, permit));
        }
        if self.is_batch() {
            return Some(Record::End(Box::new(self.ending(state, ended, updates, now)), permit));
        }
        if self.request.retention_mode == RetentionMode::None {
            let key = self.key_hash.map(|key_hash| KeyEnd {
                project: self.request.project_id,
                key_hash,
                status: ended.status,
            });
            return state.recorded.then_some(Record::Forget(self.id, key, permit));
        }
        let (request, mut data) = self.row_of(state, Some((ended, now)));
        data.updates = updates;
        Some(Record::Put(Box::new((request, data)), permit))
    }

    fn ending(&self, state: &State, ended: &Ended, updates: Option<Bytes>, now: Timestamp) -> Ending {
        let result = ended.result.as_ref();
        let request = &self.request;
        Ending {
            id: self.id,
            project_id: request.project_id,
            deployment_id: request.deployment_id,
            version_id: request.version_id,
            kind: request.kind,
            life: self.life(),
            epoch: request.epoch,
            status: ended.status,
            started_at: state.started,
            completed_at: now,
            error_message: ended.error_message.clone(),
            retries: state.retries,
            retention_mode: request.retention_mode,
            request_key: self.request_key.clone(),
            output_size: result.map_or(0, |result| result.len() as i64),
            result: result.filter(|_| self.keeps_data()).cloned(),
            result_key: None,
            updates,
            updates_key: None,
        }
    }

    fn life(&self) -> Life {
        Life { server: self.request.server_id, number: self.request.life }
    }

    /// Puts a batch request back into the queue of rows.
    fn release(&self, control: &Inner, retries: i64) {
        let mut state = self.lock();
        if std::mem::replace(&mut state.over, true) {
            return;
        }
        if let Some(updates) = self.updates.get() {
            updates.end();
        }
        let release = Release { id: self.id, life: self.life(), epoch: self.request.epoch, retries };
        control.recorder.push(Record::Release(release, state.permit.take()));
        drop(state);
        self.version.lane.go_out(1);
        control.live.remove(self.id);
    }

    /// Puts an interrupted request back into its lane, if its version wants that; says whether it did.
    fn restart(&self, control: &Inner) -> bool {
        let Some(me) = self.me.upgrade() else { return false };
        let late = !self.is_batch() && self.deadline().is_some_and(|deadline| deadline <= Timestamp::now());
        if !self.version.restart_request_interruption || late {
            return false;
        }
        let mut state = self.lock();
        if state.over || state.cancelled.is_some() || state.retries >= MAX_RETRIES {
            return false;
        }
        state.retries += 1;
        state.status = RequestStatus::Pending;
        state.started = None;
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
        if state.over {
            return;
        }
        let now = Timestamp::now();
        state.status = RequestStatus::Processing;
        state.started = Some(now);
        // Lists read its row for the status it has; and should this server die, the row tells that it had begun.
        let Some(control) = self.control.upgrade() else { return };
        if self.is_batch() {
            let (id, life, epoch, retries) = (self.id, self.life(), self.request.epoch, state.retries);
            control.recorder.push(Record::Start(Start { id, life, epoch, started_at: now, retries }));
        } else if state.recorded {
            self.record_as_it_stands(&state, &control);
        }
    }

    fn update(&self, text: Bytes) {
        let Some(control) = self.control.upgrade() else { return };
        if self.updates(false).push(text, &control.recorder) {
            self.version.lane.credit(self.id, 1);
        }
    }

    fn finish(&self, outcome: Outcome) {
        let Some(control) = self.control.upgrade() else { return };
        let ended = match outcome {
            Outcome::Result(body) => match outputs::check(&self.deployment, body) {
                Ok(result) => Ended { status: RequestStatus::Completed, result: Some(result), error_message: None },
                Err(problem) => failed(problem),
            },
            Outcome::Packed(body) => match outputs::check_packed(&self.deployment, &body) {
                Ok(result) => Ended { status: RequestStatus::Completed, result: Some(result), error_message: None },
                Err(problem) => failed(problem),
            },
            // A worker that says so unasked has failed: the lane tells of those that were asked.
            Outcome::Cancelled => Ended { status: RequestStatus::Cancelled, result: None, error_message: None },
            Outcome::Failed { message, public, .. } => failed(public.unwrap_or(message)),
            Outcome::Crashed(_) if self.restart(&control) => return,
            Outcome::HandedBack if self.is_batch() => {
                let retries = self.lock().retries;
                return self.release(&control, retries);
            }
            Outcome::Crashed(reason) | Outcome::Refused(reason) => failed(reason),
            Outcome::HandedBack => failed("The server is stopping".into()),
            Outcome::TimedOut => failed(TIMED_OUT.into()),
        };
        self.end(&control, ended);
    }
}

/// What callers read of a request whose time is over (semantics 1.9).
const TIMED_OUT: &str = "Request timed out";

/// The longest error message, in characters: clients refuse longer ones in some answers.
const MAX_ERROR: usize = 1024;

pub(super) fn failed(mut message: String) -> Ended {
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
