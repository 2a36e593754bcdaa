//! The table of requests that have not ended: what get and list show beside the rows of those that have.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use modelyard_types::RequestId;

use super::request::LiveRequest;

const SHARDS: usize = 16;

type Shard = Mutex<HashMap<RequestId, Arc<LiveRequest>>>;

/// Requests that wait or run on this server.
#[derive(Default)]
pub(crate) struct Live {
    shards: [Shard; SHARDS],
}

impl Live {
    /// Adds a request; it is shown from now on.
    pub(crate) fn insert(&self, request: Arc<LiveRequest>) {
        self.shard(request.id, |table| table.insert(request.id, request));
    }

    /// Removes a request; its record must have been handed to the recorder before.
    pub(crate) fn remove(&self, id: RequestId) {
        self.shard(id, |table| table.remove(&id));
    }

    /// The request of this id.
    pub(crate) fn get(&self, id: RequestId) -> Option<Arc<LiveRequest>> {
        self.shard(id, |table| table.get(&id).cloned())
    }

    /// The request of this id, unless it was deleted and is on its way out.
    pub(crate) fn shown(&self, id: RequestId) -> Option<Arc<LiveRequest>> {
        self.get(id).filter(|request| !request.is_deleted())
    }

    /// The requests that pass `wanted`, in no order.
    pub(crate) fn filter(&self, wanted: impl Fn(&LiveRequest) -> bool) -> Vec<Arc<LiveRequest>> {
        let mut found = Vec::new();
        for shard in &self.shards {
            let table = shard.lock().unwrap_or_else(PoisonError::into_inner);
            found.extend(table.values().filter(|request| wanted(request)).cloned());
        }
        found
    }

    /// Whether no request waits or runs.
    pub(crate) fn is_empty(&self) -> bool {
        self.shards.iter().all(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).is_empty())
    }

    fn shard<T>(&self, id: RequestId, act: impl FnOnce(&mut HashMap<RequestId, Arc<LiveRequest>>) -> T) -> T {
        let at = usize::from(id.0.as_bytes()[15]) % SHARDS;
        act(&mut self.shards[at].lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Batch requests that were claimed, or are about to be, and are not in the table of live ones yet.
#[derive(Default)]
pub(crate) struct Arriving(Mutex<HashSet<RequestId>>);

impl Arriving {
    pub(crate) fn add(&self, ids: impl Iterator<Item = RequestId>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(ids);
    }

    pub(crate) fn remove(&self, id: RequestId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    pub(crate) fn holds(&self, id: RequestId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&id)
    }
}
