//! The table of requests that have not ended, or whose end is not in the hands of the recorder yet: what get and list show
//! beside the rows of the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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

    /// Removes a request unless another claim of it has taken its place.
    pub(crate) fn remove_this(&self, request: &LiveRequest) {
        self.shard(request.id, |table| {
            let is_this = table.get(&request.id).is_some_and(|it| std::ptr::eq(it.as_ref(), request));
            if is_this { table.remove(&request.id) } else { None }
        });
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

/// Batch requests that were claimed, or are about to be, and are not in the table of live ones yet; and whether somebody
/// called them off since.
#[derive(Default)]
pub(crate) struct Arriving(Mutex<HashMap<RequestId, bool>>);

impl Arriving {
    pub(crate) fn add(&self, ids: impl Iterator<Item = RequestId>) {
        self.lock().extend(ids.map(|id| (id, false)));
    }

    pub(crate) fn remove(&self, id: RequestId) {
        self.lock().remove(&id);
    }

    /// Lets one of these `enter` the table of live ones, unless it was called off; says whether it did. Whoever calls it off
    /// finds it in one of the two at every moment.
    pub(crate) fn leave(&self, id: RequestId, enter: impl FnOnce()) -> bool {
        let mut arriving = self.lock();
        let called_off = arriving.remove(&id).unwrap_or(false);
        if !called_off {
            enter();
        }
        !called_off
    }

    /// Calls one off: it ends instead of coming in. Says whether it is one of these.
    pub(crate) fn call_off(&self, id: RequestId) -> bool {
        self.lock().get_mut(&id).map(|called_off| *called_off = true).is_some()
    }

    /// Whether one was called off.
    pub(crate) fn is_called_off(&self, id: RequestId) -> bool {
        self.lock().get(&id).copied().unwrap_or(false)
    }

    pub(crate) fn holds(&self, id: RequestId) -> bool {
        self.lock().contains_key(&id)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RequestId, bool>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
