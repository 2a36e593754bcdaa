//! How a request ends, goes back to the queue or runs again: what its lane reports.

use std::sync::Arc;

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

    fn end(&self, control: &Arc<Inner>, ended: Ended) {
        let mut state = self.lock();
        if std::mem::replace(&mut state.over, true) {
            return;
        }
        state.status = ended.status;
        let updates = self.updates.get().and_then(|updates| updates.end());
        let mut permit = std::mem::take(&mut state.permit);
        control.room.heavier(&mut permit, updates.as_ref().map_or(0, Bytes::len));
        let ended = Ended { result: ended.result.map(|result| control.room.held(result)), ..ended };
        let end = (ended.clone(), Timestamp::now());
        let record = self.last_record(&state, &end, updates, permit);
        state.ended = Some(end);
        let stored_first = match (record, self.me.upgrade()) {
            (Some(record), Some(me)) if record.is_large() => Some((me, record)),
            (Some(record), _) => {
                control.recorder.push(record);
                None
            }
            (None, _) => None,
        };
        let (answer, listeners) = (state.answer.take(), std::mem::take(&mut state.listeners));
        drop(state);
        match stored_first {
            Some((me, record)) => control.store_and_record(me, record),
            // Recorded first, removed then: a get finds it in one of the two at every moment.
            None => control.live.remove(self.id),
        }
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

    /// Hands the record of its end, whose large data is stored, to the recorder. Gives the objects of one that was deleted
    /// meanwhile: nothing is kept of it.
    pub(in crate::requests) fn hand_over(&self, mut record: Record, control: &Inner) -> Vec<String> {
        let state = self.lock();
        let mut unused = Vec::new();
        if state.deleted {
            unused.extend(record.data().into_iter().filter_map(|(_, key)| key.take()));
            record = Record::Forget(self.id, None, record.into_permit());
        }
        control.recorder.push(record);
        // The table of live ones is never locked within this lock: it looks at states.
        drop(state);
        control.live.remove_this(self);
        unused
    }

    /// Lets go of a request with a key that has not begun, so that a repeat makes it anew: it leaves no trace. Its callers
    /// are told that the server stops.
    pub(super) fn let_go(&self, control: &Inner) {
        let mut state = self.lock();
        if std::mem::replace(&mut state.over, true) {
            return;
        }
        let permit = std::mem::take(&mut state.permit);
        control.recorder.push(Record::Forget(self.id, self.key_end(None), permit));
        state.answer = None;
        state.listeners.clear();
        drop(state);
        control.live.remove(self.id);
    }

    /// Puts a batch request back into the queue of rows.
    pub(super) fn release(&self, control: &Inner, retries: i64) {
        let mut state = self.lock();
        if state.cancelled.is_some() {
            drop(state);
            return self.end_cancelled();
        }
        if std::mem::replace(&mut state.over, true) {
            return;
        }
        if let Some(updates) = self.updates.get() {
            updates.end();
        }
        let release = Release { id: self.id, life: self.life(), epoch: self.request.epoch, retries };
        control.recorder.push(Record::Release(release, std::mem::take(&mut state.permit)));
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
        me.come_alone_into_lane().is_ok()
    }
}

impl Waiter for LiveRequest {
    fn started(&self) {
        let mut state = self.lock();
        if state.over {
            return;
        }
        let now = Timestamp::now();
        if state.cancelled.is_none() {
            state.status = RequestStatus::Processing;
        }
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
        if self.updates(false).push(text, &control.room) {
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
            // Before its process could be asked to give way.
            Outcome::Crashed(_) if self.is_cancelled() => return self.end_cancelled(),
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
