//! Requests that are given up: cancelled, out of time, or left by their server.

use std::time::Duration;

use modelyard_dispatch::Cancel;
use modelyard_store::requests::MAX_RETRIES;
use modelyard_types::Timestamp;
use modelyard_types::requests::RequestStatus;

use super::LiveRequest;
use super::ending::TIMED_OUT;

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
}
