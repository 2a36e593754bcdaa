//! Which instances there are on this server, by version: what the scaler plans with.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use modelyard_dispatch::{Lane, SeatId};
use modelyard_types::instance_types::InstanceType;
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
    /// Its kind, one of those that its version may have.
    pub(crate) kind: InstanceType,
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
    /// What waited and is being ended, because starts failed too often.
    given_up: Option<GivenUp>,
}

/// The requests of a version that are being ended, because its instances do not start.
#[derive(Clone)]
pub(crate) struct GivenUp {
    /// Those made before: what comes later gets another attempt.
    pub(crate) before: Timestamp,
    /// What callers are told.
    pub(crate) reason: String,
    /// How many have ended; nothing until those in the lane have.
    ended: Option<usize>,
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
            of_version.forgive();
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

    /// Notes that what waits for a version is being ended, and gives the reason; nothing when its starts have not failed.
    pub(crate) fn give_up(&self, version: VersionId) -> Option<String> {
        let mut fleet = self.lock();
        let of_version = fleet.get_mut(&version).filter(|it| it.failures > 0)?;
        let (before, reason) = (Timestamp::now(), of_version.failure.clone());
        let ended = of_version.given_up.as_ref().and_then(|it| it.ended);
        of_version.given_up = Some(GivenUp { before, reason: reason.clone(), ended });
        Some(reason)
    }

    /// Some of the requests that were given up have ended.
    pub(crate) fn gave_up(&self, version: VersionId, count: usize) {
        let mut fleet = self.lock();
        let given_up = fleet.get_mut(&version).and_then(|it| it.given_up.as_mut());
        given_up.into_iter().for_each(|it| it.ended = Some(it.ended.unwrap_or(0) + count));
    }

    /// All that were given up have ended, unless more have been since; says how many those were.
    pub(crate) fn all_given_up(&self, version: VersionId, before: Timestamp) -> Option<usize> {
        let mut fleet = self.lock();
        let given_up = fleet.get_mut(&version)?.given_up.take_if(|it| it.before == before)?;
        given_up.ended
    }

    /// Whether requests of a version that were given up have yet to end.
    pub(crate) fn is_giving_up(&self, version: VersionId) -> bool {
        self.lock().get(&version).is_some_and(|it| it.given_up.is_some())
    }

    /// What was given up, but for those whose lanes are about to end theirs.
    pub(crate) fn given_up(&self) -> Vec<(VersionId, GivenUp)> {
        let fleet = self.lock();
        let given_up = fleet.iter().filter_map(|(version, it)| Some((*version, it.given_up.clone()?)));
        given_up.filter(|(_, it)| it.ended.is_some()).collect()
    }

    /// Marks an instance as being stopped; gives it unless it is gone or stopping already.
    pub(crate) fn stopping(&self, id: InstanceId) -> Option<Running> {
        let mut fleet = self.lock();
        let instances = fleet.values_mut().flat_map(|of_version| of_version.instances.iter_mut());
        let instance = instances.into_iter().find(|it| it.id == id && it.phase != Phase::Stopping)?;
        instance.phase = Phase::Stopping;
        Some(instance.clone())
    }

    /// Whether an instance is being stopped.
    pub(super) fn is_stopping(&self, id: InstanceId) -> bool {
        let fleet = self.lock();
        let mut instances = fleet.values().flat_map(|of_version| &of_version.instances);
        instances.any(|it| it.id == id && it.phase == Phase::Stopping)
    }

    /// All instances.
    pub(crate) fn all(&self) -> Vec<Running> {
        self.lock().values().flat_map(|of_version| of_version.instances.iter().cloned()).collect()
    }

    /// The lanes of all versions that have instances, also of those that are gone.
    pub(crate) fn lanes(&self) -> Vec<Arc<Lane>> {
        let fleet = self.lock();
        fleet.values().filter_map(|of_version| Some(of_version.instances.first()?.listener.lane.clone())).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<VersionId, OfVersion>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OfVersion {
    /// Makes failed starts forgotten; what waits is not given up any more.
    pub(crate) fn forgive(&mut self) {
        self.failures = 0;
        self.failed_at = None;
        self.given_up = None;
    }
}

impl Running {
    pub(super) fn new(
        id: InstanceId,
        version: &VersionSnapshot,
        kind: InstanceType,
        revision: RevisionId,
        listener: Arc<InstanceListener>,
    ) -> Self {
        Self {
            id,
            // An instance is never started again under its id, so its epoch is always the first.
            epoch: 1,
            generation: version.generation,
            revision,
            kind,
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
