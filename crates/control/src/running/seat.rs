//! A worker process as a seat of its version's lane.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use modelyard_dispatch::{Call, Seat};
use modelyard_runner::process::Process;
use modelyard_types::RequestId;

/// The part of a request's context before its id, and the length of an id: see `LiveRequest::context`.
const ID_AT: usize = r#"{"id":""#.len();
const ID_LEN: usize = 36;

/// A process that takes calls, and which requests these were: its log lines name them by their call.
pub(super) struct ProcessSeat {
    process: Arc<Process>,
    calls: Arc<Calls>,
}

/// The contexts of the calls a process holds, the oldest first. A group has that of its first request, which its log lines name.
#[derive(Default)]
pub(super) struct Calls(Mutex<VecDeque<(u64, Bytes)>>);

impl ProcessSeat {
    pub(super) fn new(process: Arc<Process>, calls: Arc<Calls>) -> Self {
        Self { process, calls }
    }
}

impl Calls {
    /// The request of a call.
    pub(super) fn request(&self, ticket: u64) -> Option<RequestId> {
        let calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, context) = calls.iter().find(|(held, _)| *held == ticket)?;
        std::str::from_utf8(context.get(ID_AT..ID_AT + ID_LEN)?).ok()?.parse().ok()
    }

    /// A call ended.
    pub(super) fn end(&self, ticket: u64) {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if calls.front().is_some_and(|(first, _)| *first == ticket) {
            calls.pop_front();
        } else {
            calls.retain(|(held, _)| *held != ticket);
        }
    }
}

impl Seat for ProcessSeat {
    fn hand_over(&self, ticket: u64, call: &Call) {
        self.calls.0.lock().unwrap_or_else(PoisonError::into_inner).push_back((ticket, call.context.clone()));
        if let Err(too_large) = self.process.call(ticket, call.flags, &call.context, &call.body, Vec::new()) {
            // Bodies are bounded far below what a frame may hold.
            tracing::error!(%too_large, "a request does not fit into a frame");
            self.process.kill("The process was ended, because a request for it was larger than it may be");
        }
    }

    fn cancel(&self, ticket: u64) {
        self.process.cancel(ticket);
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
