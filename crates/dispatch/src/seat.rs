//! A place in a worker process, as the lane sees it.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::job::Call;

/// One worker process that can take calls.
///
/// No method may block. Calls of one seat come in order and one at a time, never while the lane is locked; they may come
/// from any thread that called the lane.
pub trait Seat: Send + Sync + 'static {
    /// Sends a call. Calls run one after another, in the order they were handed over. A ticket is never 0 and never used twice.
    fn hand_over(&self, ticket: u64, call: &Call);

    /// Ends a call: one that runs is interrupted, one that has not started is dropped. Either way the process answers with
    /// a failure of kind `Cancelled`, or with a result that was quicker.
    fn cancel(&self, ticket: u64);

    /// Asks for a call back that has not started: the process answers with a failure of kind `Cancelled` and the call goes to
    /// another seat. One that has started must go on undisturbed. Doing nothing is right, too: then the call runs here.
    fn recall(&self, ticket: u64) {
        let _ = ticket;
    }

    /// Allows the process so many more updates of the call.
    fn credit(&self, ticket: u64, updates: u32) {
        let _ = (ticket, updates);
    }

    /// Ends the process, whatever it does. The reason is a sentence, for its log.
    fn kill(&self, why: &str);
}

/// Names a seat. No two are alike in the life of the server, so what an ended process reports late finds no seat.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeatId(u64);

impl SeatId {
    /// Makes the next one.
    #[expect(clippy::new_without_default, reason = "a fresh id is not a neutral value")]
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl fmt::Display for SeatId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for SeatId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SeatId({})", self.0)
    }
}
