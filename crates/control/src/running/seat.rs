//! A worker process as a seat of its version's lane.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use modelyard_dispatch::{Call, Seat};
use modelyard_runner::process::Process;
use modelyard_types::RequestId;

use super::carrier::Carrier;

/// The part of a request's context before its id, and the length of an id: see `LiveRequest::context`.
const ID_AT: usize = r#"{"id":""#.len();
const ID_LEN: usize = 36;

/// A process that takes calls, and which requests these were: its log lines name them by their call.
pub(super) struct ProcessSeat {
    process: Arc<Process>,
    calls: Arc<Calls>,
    /// What carries the files of its calls, if they have any.
    carrier: Option<Arc<Carrier>>,
}

/// The contexts of the calls a process holds, the oldest first. A group has that of its first request, which its log lines name.
#[derive(Default)]
pub(super) struct Calls(Mutex<VecDeque<Held>>);

/// A call that a process holds.
struct Held {
    ticket: u64,
    context: Bytes,
    /// The contexts of all its requests, if it is several.
    members: Vec<Bytes>,
}

impl ProcessSeat {
    pub(super) fn new(process: Arc<Process>, calls: Arc<Calls>, carrier: Option<Arc<Carrier>>) -> Self {
        Self { process, calls, carrier }
    }
}

impl Calls {
    /// The request of a call.
    pub(super) fn request(&self, ticket: u64) -> Option<RequestId> {
        let calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        id_in(&calls.iter().find(|held| held.ticket == ticket)?.context)
    }

    /// The requests of a call, in the order of their payloads.
    pub(super) fn requests(&self, ticket: u64) -> Vec<RequestId> {
        let calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(held) = calls.iter().find(|held| held.ticket == ticket) else { return Vec::new() };
        let alone = std::slice::from_ref(&held.context);
        let contexts = if held.members.is_empty() { alone } else { &held.members };
        contexts.iter().filter_map(|context| id_in(context)).collect()
    }

    /// A call ended.
    pub(super) fn end(&self, ticket: u64) {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if calls.front().is_some_and(|first| first.ticket == ticket) {
            calls.pop_front();
        } else {
            calls.retain(|held| held.ticket != ticket);
        }
    }
}

/// The id that a context begins with.
fn id_in(context: &[u8]) -> Option<RequestId> {
    std::str::from_utf8(context.get(ID_AT..ID_AT + ID_LEN)?).ok()?.parse().ok()
}

impl Seat for ProcessSeat {
    fn hand_over(&self, ticket: u64, call: &Call) {
        let held = Held { ticket, context: call.context.clone(), members: call.members.clone() };
        self.calls.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(held);
        if let Some(carrier) = &self.carrier {
            return carrier.hand_over(ticket, call);
        }
        if let Err(too_large) = self.process.call(ticket, call.flags, &call.context, &call.body, Vec::new()) {
            // Bodies are bounded far below what a frame may hold.
            tracing::error!(%too_large, "a request does not fit into a frame");
            self.process.kill("The process was ended, because a request for it was larger than it may be");
        }
    }

    fn cancel(&self, ticket: u64) {
        if !self.carrier.as_ref().is_some_and(|carrier| carrier.cancel(ticket)) {
            self.process.cancel(ticket);
        }
    }

    fn recall(&self, ticket: u64) {
        self.process.recall(ticket);
    }

    fn credit(&self, ticket: u64, updates: u32) {
        self.process.credit(ticket, updates);
    }

    fn kill(&self, why: &str) {
        self.process.kill(why);
    }
}
