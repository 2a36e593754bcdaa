//! Which instances there are on this server, by version: what the scaler plans with.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use modelyard_dispatch::{Lane, SeatId};
use modelyard_types::{InstanceId, RevisionId, Timestamp, VersionId};

use super::instance::InstanceListener;
use crate::catalogue::VersionSnapshot;
use crate::instances::History;

/// Where an instance stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No process of it takes calls yet.
    Starting,
    /// It takes calls.
    Running,
    /// It is being stopped.
    Stopping,
}

/// An instance.
#[derive(Clone)]
pub(crate) struct Running {
    pub(crate) id: InstanceId,
    pub(crate) epoch: u64,
    pub(crate) generation: u64,
    pub(crate) revision: RevisionId,
    /// Bytes of memory it may use.
    pub(crate) memory: u64,
    pub(crate) phase: Phase,
    pub(super) listener: Arc<InstanceListener>,
    /// How many processes it has, and which of them have been ready.
    processes: u32,
    were_ready: BTreeSet<u32>,
    /// Why it will not become ready, once that is known.
    doomed: Option<String>,
}

/// What runs of a version, and how its starts went.
#[derive(Default)]
pub(crate) struct OfVersion {
    pub(crate) instances: Vec<Running>,
    /// Failed starts since the last good one.
    pub(crate) failures: u32,
    /// When the last start failed.
    pub(crate) failed_at: Option<Timestamp>,
    /// What callers are told of it.
    pub(crate) failure: String,
    /// What the start that failed was made from.
    pub(crate) failed_generation: u64,
}

/// All instances of this server.
#[derive(Default)]
pub(crate) struct Fleet(Mutex<HashMap<VersionId, OfVersion>>);

impl Fleet {
    /// Looks at everything at one moment.
    pub(crate) fn look<T>(&self, at: impl FnOnce(&mut HashMap<VersionId, OfVersion>) -> T) -> T {
        at(&mut self.lock())
    }

    pub(super) fn add(&self, version: VersionId, instance: Running) {
        self.lock().entry(version).or_default().instances.push(instance);
    }

    /// A process of an instance could take calls; says whether it is to have any, or the instance is stopping.
    pub(super) fn ready(&self, version: VersionId, id: InstanceId, process: u32) -> bool {
        let mut fleet = self.lock();
        let Some(of_version) = fleet.get_mut(&version) else { return false };
        let Some(instance) = of_version.instances.iter_mut().find(|it| it.id == id) else { return false };
        if instance.phase == Phase::Starting {
            instance.phase = Phase::Running;
        }
        instance.were_ready.insert(process);
        let takes_calls = instance.phase == Phase::Running;
        if instance.has_started() {
            of_version.failures = 0;
            of_version.failed_at = None;
        }
        takes_calls
    }

    /// An instance will not become ready.
    pub(super) fn doomed(&self, version: VersionId, id: InstanceId, told: String) {
        let mut fleet = self.lock();
        let Some(of_version) = fleet.get_mut(&version) else { return };
        for instance in of_version.instances.iter_mut().filter(|it| it.id == id) {
            instance.doomed.get_or_insert_with(|| told.clone());
        }
    }

    /// An instance is no more. One of which a process was never ready counts as a failed start, unless it was told to stop;
    /// gives how many starts failed in a row then.
    pub(super) fn ended(&self, version: VersionId, id: InstanceId, reason: &str) -> Option<u32> {
        let mut fleet = self.lock();
        let of_version = fleet.get_mut(&version)?;
        let at = of_version.instances.iter().position(|it| it.id == id)?;
        let instance = of_version.instances.swap_remove(at);
        // Starts that fail together are one failure.
        let news = of_version.failed_at.is_none_or(|failed| instance.id.made_at() >= failed);
        let failed = instance.phase != Phase::Stopping && !instance.has_started();
        if failed && news {
            of_version.failures += 1;
            of_version.failed_at = Some(Timestamp::now());
            of_version.failed_generation = instance.generation;
            of_version.failure = instance.doomed.unwrap_or_else(|| reason.to_owned());
        }
        let failures = of_version.failures;
        if of_version.instances.is_empty() && failures == 0 {
            fleet.remove(&version);
        }
        failed.then_some(failures)
    }

    /// Marks an instance as being stopped; gives it unless it is gone or stopping already.
    pub(crate) fn stopping(&self, id: InstanceId) -> Option<Running> {
        let mut fleet = self.lock();
        let instances = fleet.values_mut().flat_map(|of_version| of_version.instances.iter_mut());
        let instance = instances.into_iter().find(|it| it.id == id && it.phase != Phase::Stopping)?;
        instance.phase = Phase::Stopping;
        Some(instance.clone())
    }

    /// All instances.
    pub(crate) fn all(&self) -> Vec<Running> {
        self.lock().values().flat_map(|of_version| of_version.instances.iter().cloned()).collect()
    }

    /// The lanes of all versions that have instances.
    pub(crate) fn lanes(&self) -> Vec<Arc<Lane>> {
        let fleet = self.lock();
        fleet.values().filter_map(|of_version| Some(of_version.instances.first()?.listener.lane.clone())).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<VersionId, OfVersion>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    pub(super) fn new(
        id: InstanceId,
        version: &VersionSnapshot,
        revision: RevisionId,
        listener: Arc<InstanceListener>,
    ) -> Self {
        Self {
            id,
            // An instance is never started again under its id, so its epoch is always the first.
            epoch: 1,
            generation: version.generation,
            revision,
            memory: version.memory_bytes(),
            phase: Phase::Starting,
            listener,
            processes: version.instance_processes,
            were_ready: BTreeSet::new(),
            doomed: None,
        }
    }

    /// Whether all its processes have been ready: one that takes calls with some of them may still fail to start.
    fn has_started(&self) -> bool {
        self.were_ready.len() >= self.processes as usize
    }

    /// What is written down of it.
    pub(crate) fn history(&self) -> &History {
        &self.listener.history
    }

    /// The seats of its processes.
    pub(crate) fn seats(&self) -> Vec<SeatId> {
        self.listener.seats()
    }
}
