//! Brings the files of requests to a process before a call, and stores the files of its answer.
//!
//! A call has begun when its files are on their way: that is its time, and can be cancelled like all of it. The process is handed the
//! next call only when the files of this answer are copied, so that nobody writes over them.

mod bring;
mod store;

use std::collections::HashMap;
use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use modelyard_dispatch::{Call, FailureKind, Lane, Outcome, SeatId};
use modelyard_runner::process::Process;
use modelyard_types::{Error, ProjectId};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use super::seat::Calls;
use crate::Inner;
use crate::catalogue::DeploymentSnapshot;

/// What is said of a call whose files were on their way when it was called off.
const CANCELLED: &str = "The request was cancelled";

/// What carries the files of the calls of one process.
pub(super) struct Carrier {
    control: Weak<Inner>,
    project: ProjectId,
    deployment: Arc<DeploymentSnapshot>,
    /// The most bytes that an instance may have in its scratch.
    scratch: u64,
    lane: Arc<Lane>,
    seat: SeatId,
    process: Arc<Process>,
    calls: Arc<Calls>,
    runtime: Handle,
    work: Mutex<Work>,
}

/// Calls whose files are on their way.
#[derive(Default)]
struct Work {
    under_way: HashMap<u64, (Way, AbortHandle)>,
    /// Why the process is no more; told when nothing is under way.
    gone: Option<String>,
}

/// Which way files are carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// To the process.
    In,
    /// From the process, which needs not be there any more.
    Out,
}

/// What the carriers of an instance have in common.
#[derive(Clone)]
pub(super) struct Loads {
    pub(super) control: Weak<Inner>,
    pub(super) project: ProjectId,
    pub(super) deployment: Arc<DeploymentSnapshot>,
    pub(super) scratch: u64,
    pub(super) lane: Arc<Lane>,
}

impl Loads {
    /// Whether there is anything to carry.
    pub(super) fn any(&self) -> bool {
        self.deployment.has_input_files || self.deployment.has_output_files
    }

    /// The carrier of a process.
    pub(super) fn of(&self, seat: SeatId, process: Arc<Process>, calls: Arc<Calls>) -> Arc<Carrier> {
        let Self { control, project, deployment, scratch, lane } = self.clone();
        let (runtime, work) = (Handle::current(), Mutex::default());
        Arc::new(Carrier { control, project, deployment, scratch, lane, seat, process, calls, runtime, work })
    }
}

impl Carrier {
    /// Brings the files of a call, and hands it over then.
    pub(super) fn hand_over(self: &Arc<Self>, ticket: u64, call: &Call) {
        if !self.deployment.has_input_files {
            return self.call(ticket, call, Vec::new());
        }
        let (carrier, call) = (self.clone(), call.clone());
        self.begin(ticket, Way::In, async move {
            carrier.lane.started(carrier.seat, ticket);
            match carrier.bring(&call.body).await {
                Ok(files) => {
                    // Whoever cancels it from here on finds it with the process.
                    let mut work = carrier.work();
                    if work.under_way.remove(&ticket).is_some() {
                        carrier.call(ticket, &call, files);
                    }
                }
                Err(why) => carrier.end(ticket, failed(FailureKind::Input, told(why))),
            }
        });
    }

    fn call(&self, ticket: u64, call: &Call, files: Vec<modelyard_runner::process::CallFile>) {
        if let Err(too_large) = self.process.call(ticket, call.flags, &call.context, &call.body, files) {
            // Bodies are bounded far below what a frame may hold, files are counted, and names are short.
            tracing::error!(%too_large, "a request does not fit into a frame");
            self.process.kill("The process was ended, because a request for it was larger than it may be");
        }
    }

    /// Stores the files of an answer, and tells the lane of it then.
    pub(super) fn answered(self: &Arc<Self>, ticket: u64, body: Bytes, files: Vec<Arc<File>>) {
        let (carrier, requests) = (self.clone(), self.calls.requests(ticket));
        self.begin(ticket, Way::Out, async move {
            let outcome = match carrier.store(&requests, body, files).await {
                Ok(body) => Outcome::Result(body),
                Err(why) => failed(FailureKind::Output, told(why)),
            };
            carrier.end(ticket, outcome);
        });
    }

    /// Begins something that can be called off.
    fn begin(self: &Arc<Self>, ticket: u64, way: Way, work: impl Future<Output = ()> + Send + 'static) {
        // Within the lock, so that it does not end before it is known.
        let mut known = self.work();
        let task = self.runtime.spawn(work);
        known.under_way.insert(ticket, (way, task.abort_handle()));
    }

    /// Tells the lane how a call ended, unless it was called off.
    fn end(&self, ticket: u64, outcome: Outcome) {
        if self.work().under_way.remove(&ticket).is_none() {
            return;
        }
        self.finish(ticket, outcome);
    }

    fn finish(&self, ticket: u64, outcome: Outcome) {
        self.calls.end(ticket);
        self.lane.finished(self.seat, ticket, outcome);
        self.tell_gone();
    }

    /// Calls a call off whose files are on their way; false when they are not.
    pub(super) fn cancel(&self, ticket: u64) -> bool {
        let Some((_, task)) = self.work().under_way.remove(&ticket) else { return false };
        task.abort();
        self.finish(ticket, failed(FailureKind::Cancelled, CANCELLED.into()));
        true
    }

    /// The process is no more. An answer it gave counts all the same, once its files are stored; what was on its way to it is
    /// let go of.
    pub(super) fn gone(&self, why: &str) {
        let mut work = self.work();
        work.gone = Some(why.to_owned());
        work.under_way.retain(|_, (way, task)| {
            if *way == Way::In {
                task.abort();
            }
            *way == Way::Out
        });
        drop(work);
        self.tell_gone();
    }

    fn tell_gone(&self) {
        let mut work = self.work();
        if !work.under_way.is_empty() {
            return;
        }
        let gone = work.gone.take();
        drop(work);
        if let Some(why) = gone {
            self.lane.seat_gone(self.seat, &why);
        }
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failed(kind: FailureKind, message: String) -> Outcome {
    Outcome::Failed { message, public: None, kind }
}

/// What a caller reads of a failure; one of ours goes to the log.
fn told(error: Error) -> String {
    match error {
        Error::Internal(cause) => {
            tracing::error!(cause, "the files of a request could not be carried");
            "The files of the request could not be read or stored: the server failed".into()
        }
        told => told.to_string(),
    }
}
