//! What may become of a request: a small model that is held against the rows after every step.

use std::collections::{HashMap, HashSet};

use modelyard_store::outbox::Message;
use modelyard_store::requests::MAX_RETRIES;
use modelyard_store::{Life, Request, RequestData};
use modelyard_types::RequestId;
use modelyard_types::requests::{RequestKind, RequestStatus};

type Row = (Request, RequestData);

/// Who holds a request: a life, and its how manieth claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) life: Life,
    epoch: i64,
}

impl Claim {
    pub(super) fn of(request: &Request) -> Self {
        // The epoch of a direct request counts its runs; its server keeps it.
        let epoch = if request.kind == RequestKind::Batch { request.epoch } else { 0 };
        Self { life: Life { server: request.server_id, number: request.life }, epoch }
    }
}

/// What the test knows of all requests.
#[derive(Default)]
pub(super) struct Books {
    /// Whether interrupted requests are run again.
    restarts: bool,
    /// Batch requests that were accepted.
    pub(super) accepted: Vec<RequestId>,
    /// Direct requests that were seen.
    pub(super) direct: HashSet<RequestId>,
    /// Those that somebody called off, successfully.
    pub(super) called_off: HashSet<RequestId>,
    /// Those that were shown as cancelled by the server that was asked.
    pub(super) cancelled: HashSet<RequestId>,
    /// Those that were shown as being cancelled: whatever becomes of their server, they do not run again.
    pub(super) being_cancelled: HashSet<RequestId>,
    pub(super) deleted: HashSet<RequestId>,
    /// Those whose time was over.
    pub(super) late: HashSet<RequestId>,
    /// Lives that others have taken over, or could have.
    pub(super) lost: Vec<Life>,
    /// The results that processes gave: a number each.
    results: Vec<(RequestId, Claim)>,
    rows: HashMap<RequestId, Row>,
}

impl Books {
    pub(super) fn new(restarts: bool) -> Self {
        Self { restarts, ..Self::default() }
    }

    /// A process answers a request; gives the result, which is like no other.
    pub(super) fn run(&mut self, id: RequestId, claim: Claim) -> usize {
        self.results.push((id, claim));
        self.results.len() - 1
    }

    /// A request is handed to a process: not one that has ended, unless its server does not know.
    pub(super) fn handed_over(&self, id: RequestId, claim: Claim) {
        if self.lost.contains(&claim.life) {
            return;
        }
        assert!(!self.cancelled.contains(&id), "{id} was cancelled, and runs");
        if let Some((request, _)) = self.rows.get(&id) {
            assert!(!request.status.is_final(), "{id} is {:?}, and runs", request.status);
        }
    }

    /// All requests there may be rows of.
    pub(super) fn ids(&self) -> Vec<RequestId> {
        self.accepted.iter().chain(&self.direct).copied().collect()
    }

    /// Looks at the rows and the outbox as they are now.
    pub(super) fn look(&mut self, rows: Vec<Row>, told: &[Message]) {
        let mut now: HashMap<RequestId, Row> = rows.into_iter().map(|row| (row.0.id, row)).collect();
        for id in self.ids() {
            match (self.rows.get(&id), now.get(&id)) {
                (before, Some(after)) => {
                    assert!(!self.deleted.contains(&id), "{id} was deleted and is there again");
                    self.check(after);
                    if let Some(before) = before {
                        check_edge(before, after);
                    }
                }
                (Some(_), None) => assert!(self.deleted.contains(&id), "the row of {id} is gone"),
                (None, None) => {
                    assert!(self.direct.contains(&id) || self.deleted.contains(&id), "{id} was accepted and has no row")
                }
            }
        }
        self.check_outbox(&now, told);
        std::mem::swap(&mut self.rows, &mut now);
    }

    fn check(&self, (request, data): &Row) {
        let id = request.id;
        assert!(request.retries <= if self.restarts { MAX_RETRIES } else { 0 }, "{id} was run too often");
        assert_eq!(request.completed_at.is_some(), request.status.is_final());
        assert_eq!(data.result.is_some(), request.status == RequestStatus::Completed);
        match request.status {
            RequestStatus::Completed => self.check_result(request, data),
            RequestStatus::Cancelled | RequestStatus::CancelledPending => {
                assert!(self.called_off.contains(&id), "nobody called {id} off");
            }
            RequestStatus::Failed => {
                let timed_out = request.error_message.as_deref() == Some("Request timed out");
                assert!(!timed_out || self.late.contains(&id), "{id} timed out in time");
                let message = request.error_message.as_deref().unwrap_or_default();
                assert!(!message.contains("already"), "{id} failed: {message}");
            }
            RequestStatus::Pending | RequestStatus::Processing => {}
        }
        assert!(
            !self.being_cancelled.contains(&id)
                || request.status == RequestStatus::CancelledPending
                || request.status.is_final(),
            "{id} was shown as being cancelled and is {:?}",
            request.status
        );
        assert!(
            !self.cancelled.contains(&id)
                || !matches!(request.status, RequestStatus::Completed | RequestStatus::Processing),
            "{id} was shown as cancelled and is {:?}",
            request.status
        );
    }

    /// A result is that of a run under the claim that holds the row.
    fn check_result(&self, request: &Request, data: &RequestData) {
        let result: serde_json::Value = serde_json::from_slice(data.result.as_ref().unwrap()).unwrap();
        let (id, claim) = self.results[result["x"].as_u64().unwrap() as usize];
        assert_eq!(id, request.id, "a request has the result of another");
        assert_eq!(claim, Claim::of(request), "{id} has a result of a claim that was lost");
    }

    fn check_outbox(&self, rows: &HashMap<RequestId, Row>, told: &[Message]) {
        let mut ends: HashMap<RequestId, RequestStatus> = HashMap::new();
        for message in told {
            assert!(ends.insert(message.request_id, message.status).is_none(), "{} ended twice", message.request_id);
        }
        for id in &self.accepted {
            let Some((request, _)) = rows.get(id) else { continue };
            let end = request.status.is_final().then_some(request.status);
            assert_eq!(ends.get(id).copied(), end, "{id} is told otherwise than it is");
        }
    }

    /// Nothing is open any more.
    pub(super) fn all_over(&self) {
        for id in self.accepted.iter().filter(|id| !self.deleted.contains(id)) {
            let (request, _) = &self.rows[id];
            assert!(request.status.is_final(), "{id} is {:?} for ever: {request:?}", request.status);
        }
        for (request, _) in self.rows.values() {
            assert!(request.status.is_final(), "{} is {:?} for ever", request.id, request.status);
        }
    }
}

/// From where a row may go where. Several steps may lie between two looks.
fn check_edge(before: &Row, after: &Row) {
    use RequestStatus::{CancelledPending, Pending, Processing};
    let (old, new) = (&before.0, &after.0);
    if old.status.is_final() {
        assert_eq!(before, after, "what has ended does not change");
        return;
    }
    assert!(new.epoch >= old.epoch && new.retries >= old.retries, "counts go up: {old:?} {new:?}");
    let allowed = match (old.status, new.status) {
        (Processing, Pending) => new.retries > old.retries,
        (CancelledPending, status) => status == CancelledPending || status.is_final(),
        _ => true,
    };
    assert!(allowed, "{} went from {:?} to {:?}", new.id, old.status, new.status);
}
