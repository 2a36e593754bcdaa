//! What a step of the lane causes outside it: gathered under its lock, carried out after.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::oneshot;

use crate::job::{Call, Job, Outcome, Waiter};
use crate::port::Port;

/// Who is told when a lane has work and no free seat.
pub(crate) type Nudge = Arc<dyn Fn() + Send + Sync>;
/// Who calls [`Lane::woken`](crate::Lane::woken) at a given time.
pub(crate) type Waker = Arc<dyn Fn(Instant) + Send + Sync>;

/// A list that needs no memory of its own for its first element, which is mostly the only one.
pub(crate) struct Few<T> {
    first: Option<T>,
    rest: Vec<T>,
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self { first: None, rest: Vec::new() }
    }
}

impl<T> Few<T> {
    /// Adds an element at the end.
    pub(crate) fn push(&mut self, item: T) {
        match self.first {
            None => self.first = Some(item),
            Some(_) => self.rest.push(item),
        }
    }

    fn into_iter(self) -> impl Iterator<Item = T> {
        self.first.into_iter().chain(self.rest)
    }
}

/// All that a step causes.
#[derive(Default)]
pub(crate) struct Effects {
    /// Ports that have something to send, or are no longer in use.
    pub(crate) ports: Few<Arc<Port>>,
    /// Whose jobs started, and their calls, which nobody needs any more.
    pub(crate) started: Few<(Arc<dyn Waiter>, Call)>,
    /// Jobs that ended.
    pub(crate) finished: Few<(Job, Outcome)>,
    /// A job that was not taken: even dropping it may run code of its owner.
    pub(crate) refused: Option<Job>,
    /// Those who wait for seats that are now drained; dropping one wakes its other end.
    pub(crate) drained: Vec<oneshot::Sender<()>>,
    /// Whether work waits for a seat that is not there.
    pub(crate) nudge: bool,
    /// When the lane wants to be woken.
    pub(crate) wake_at: Option<Instant>,
}

impl Effects {
    /// Carries everything out: seats first, so that processes work while callers are told.
    pub(crate) fn run(self, nudge: &Nudge, waker: &Waker) {
        for port in self.ports.into_iter() {
            port.drain();
        }
        for (waiter, _call) in self.started.into_iter() {
            waiter.started();
        }
        for (job, outcome) in self.finished.into_iter() {
            job.waiter.finish(outcome);
        }
        drop((self.refused, self.drained));
        if self.nudge {
            nudge();
        }
        if let Some(at) = self.wake_at {
            waker(at);
        }
    }
}
