//! The lanes of versions: made when a version is first seen, kept while it lives, whatever happens to its snapshot.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use modelyard_dispatch::{Lane, LaneSettings};
use modelyard_types::VersionId;
use tokio::runtime::Handle;
use tokio::sync::Notify;

/// All lanes of this server.
pub(crate) struct Lanes {
    lanes: Mutex<HashMap<VersionId, Arc<Lane>>>,
    waiting: Arc<Waiting>,
    /// How long a process may take to begin with a request.
    begin_limit: Duration,
    /// Where timers run.
    runtime: Handle,
}

/// The versions for which a request had to wait since the scaler looked last.
struct Waiting {
    versions: Mutex<HashSet<VersionId>>,
    scaler: Arc<Notify>,
}

impl Waiting {
    fn note(&self, version: VersionId) {
        if self.lock().insert(version) {
            self.scaler.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<VersionId>> {
        self.versions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lanes {
    /// No lanes yet. `scaler` is woken whenever a request waits without a free seat; `begin_limit` is how long a process may
    /// take to begin with a request.
    pub(crate) fn new(scaler: Arc<Notify>, begin_limit: Duration) -> Self {
        let waiting = Arc::new(Waiting { versions: Mutex::default(), scaler });
        Self { lanes: Mutex::default(), waiting, begin_limit, runtime: Handle::current() }
    }

    /// The lane of a version, with settings in force from now on.
    pub(crate) fn of(&self, version: VersionId, settings: LaneSettings) -> Arc<Lane> {
        let settings = LaneSettings { begin_limit: self.begin_limit, ..settings };
        let mut lanes = self.lock();
        if let Some(lane) = lanes.get(&version) {
            lane.set(settings);
            return lane.clone();
        }
        let lane = self.new_lane(version, settings);
        lanes.insert(version, lane.clone());
        lane
    }

    fn new_lane(&self, version: VersionId, settings: LaneSettings) -> Arc<Lane> {
        let (waiting, runtime) = (self.waiting.clone(), self.runtime.clone());
        Arc::new_cyclic(|lane: &Weak<Lane>| {
            let lane = lane.clone();
            let waker = move |at| drop(runtime.spawn(wake(lane.clone(), at)));
            Lane::new(settings, Arc::new(move || waiting.note(version)), Arc::new(waker))
        })
    }

    /// The lane of a version that has one.
    pub(crate) fn get(&self, version: VersionId) -> Option<Arc<Lane>> {
        self.lock().get(&version).cloned()
    }

    /// Ends what waits for a version that is gone, and forgets its lane.
    pub(crate) fn close(&self, version: VersionId, reason: &str) {
        let lane = self.lock().remove(&version);
        if let Some(lane) = lane {
            lane.close(reason);
        }
    }

    /// All lanes.
    pub(crate) fn all(&self) -> Vec<(VersionId, Arc<Lane>)> {
        self.lock().iter().map(|(version, lane)| (*version, lane.clone())).collect()
    }

    /// The versions for which requests had to wait since the last call.
    pub(crate) fn take_nudged(&self) -> Vec<VersionId> {
        self.waiting.lock().drain().collect()
    }

    /// Has a version looked at the next time, too, without hurry.
    pub(crate) fn look_again(&self, version: VersionId) {
        self.waiting.lock().insert(version);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<VersionId, Arc<Lane>>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes a lane at the time it asked for, if it is still there.
async fn wake(lane: Weak<Lane>, at: Instant) {
    tokio::time::sleep_until(at.into()).await;
    if let Some(lane) = lane.upgrade() {
        lane.woken();
    }
}
