//! How a request ends, goes back to the queue or runs again: what its lane reports.

use bytes::Bytes;
use modelyard_dispatch::{Outcome, Waiter};
use modelyard_store::requests::{MAX_RETRIES, Release, Start};
use modelyard_types::Timestamp;
use modelyard_types::requests::RequestStatus;

use super::{Ended, LiveRequest};
use crate::Inner;
use crate::requests::outputs;
use crate::requests::recorder::Record;

impl LiveRequest {
    /// Ends it as failed, wherever it stands.
    pub(crate) fn fail(&self, reason: String) {
        if let Some(control) = self.control.upgrade() {
            self.end(&control, failed(reason));
        }
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

    /// Puts a batch request back into the queue of rows.
    pub(super) fn release(&self, control: &Inner, retries: i64) {
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
pub(super) const TIMED_OUT: &str = "Request timed out";

/// The longest error message, in characters: clients refuse longer ones in some answers.
const MAX_ERROR: usize = 1024;

pub(in crate::requests) fn failed(mut message: String) -> Ended {
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
