//! Requests that are given up: cancelled, out of time, or left by their server.

use std::sync::Arc;
use std::time::Duration;

use modelyard_dispatch::{Cancel, Job, Lane, Outcome, Refusal, Waiter};
use modelyard_store::requests::MAX_RETRIES;
use modelyard_types::Timestamp;
use modelyard_types::requests::RequestStatus;

use super::LiveRequest;
use super::ending::TIMED_OUT;
use crate::requests::acceptor::Reserved;
use crate::requests::recorder::Record;

/// For how long after its time a request may be missing an end before it gets one here.
const OVERDUE: Duration = Duration::from_secs(60);
/// How long user code may take to give way to a cancel before its process is ended.
const CANCEL_GRACE: Duration = Duration::from_secs(10);

impl LiveRequest {
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
        if self.lock().over {
            // It is in no lane, but a later claim of it may be.
            return;
        }
        self.fail("The request is no longer this server's".into());
        self.version.lane.expire(self.id);
    }

    /// Ends it because this server stops. A batch request goes back to the queue if its work has not begun, or if its version
    /// wants it to be run again; a direct one that has a key and has not begun frees it.
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
        if self.key_hash.is_some() && !started && !cancelled && retries == 0 {
            return self.let_go(&control);
        }
        self.fail(reason.to_owned());
    }

    /// Calls it off: at once if it has not started; else its process is asked to interrupt it. Says whether it ends
    /// here: it may have gone back to the queue.
    pub(crate) fn cancel(&self) -> bool {
        {
            let mut state = self.lock();
            if state.over || state.cancelled.is_some() {
                return !state.over || state.ended.is_some();
            }
            // First: who is about to put it into its lane, or back into the queue, looks at this.
            state.cancelled = Some(Timestamp::now());
        }
        match self.version.lane.cancel(self.id) {
            Cancel::Asked | Cancel::Unknown => self.being_cancelled(),
            // Its lane had its end in hand already, or the waiter was told.
            Cancel::Done => {}
        }
        true
    }

    /// Puts it into its lane; one that was called off by now ends instead.
    pub(crate) fn come_into_lane(self: &Arc<Self>) -> Result<(), Refusal> {
        self.come_by(Lane::submit)
    }

    /// The same, for one that is handed to a process by itself.
    pub(super) fn come_alone_into_lane(self: &Arc<Self>) -> Result<(), Refusal> {
        self.come_by(Lane::submit_alone)
    }

    /// The same, for one that a place is kept for.
    pub(crate) fn come_to_place(self: &Arc<Self>, place: Reserved) -> Result<(), Refusal> {
        self.come_by(|lane, job| {
            place.keep();
            lane.submit_reserved(job)
        })
    }

    fn come_by(self: &Arc<Self>, way: impl FnOnce(&Lane, Job) -> Result<(), Refusal>) -> Result<(), Refusal> {
        if self.is_cancelled() {
            self.end_cancelled();
            return Ok(());
        }
        way(&self.version.lane, self.job())?;
        if self.is_cancelled() {
            // Whoever called it off this moment may not have found it in its lane.
            self.version.lane.cancel(self.id);
        }
        Ok(())
    }

    /// Whether it was called off.
    pub(super) fn is_cancelled(&self) -> bool {
        self.lock().cancelled.is_some()
    }

    /// Ends it as one that was called off; its lane does not have it.
    pub(crate) fn end_cancelled(&self) {
        self.finish(Outcome::Cancelled);
    }

    fn being_cancelled(&self) {
        let Some(control) = self.control.upgrade() else { return };
        let mut state = self.lock();
        if state.over {
            return;
        }
        state.status = RequestStatus::CancelledPending;
        if self.is_batch() {
            control.recorder.push(Record::CallOff(self.id));
        } else if state.recorded {
            self.record_as_it_stands(&state, &control);
        }
    }

    /// Ends the process of a request that was called off and did not give way.
    pub(crate) fn insist_on_cancel(&self, now: Timestamp) {
        let cancelled = self.lock().cancelled;
        if cancelled.is_some_and(|at| at.plus(CANCEL_GRACE) <= now) {
            self.version.lane.cancel(self.id);
        }
    }

    /// Cancels it and sees to it that nothing of it is kept; says whether it ends here.
    pub(crate) fn delete(&self) -> bool {
        self.lock().deleted = true;
        self.cancel()
    }

    /// Whether it was deleted and is on its way out.
    pub(crate) fn is_deleted(&self) -> bool {
        self.lock().deleted
    }
}
