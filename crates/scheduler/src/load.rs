//! What a plan is made from: the host, and each version with its instances.

use std::time::Duration;

use modelyard_types::{InstanceId, Timestamp, VersionId};

/// What the host offers to instances, all told; what they use of it is in the loads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capacity {
    /// Bytes of memory.
    pub memory: u64,
    /// Processors. They are shared, so they only bound how many instances start at the same time.
    pub cpus: u32,
    /// Accelerators, such as GPUs.
    pub accelerators: u32,
}

/// When a version gets another instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// As soon as a request waits that no process is free for.
    #[default]
    Default,
    /// One at a time, when the queue has waited for a while or is long.
    Moderate,
}

/// A version: what it is set to, what waits for it, what it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionLoad {
    /// Which one.
    pub version: VersionId,
    /// Whether it may run at all: it is enabled, and has code and an environment that work.
    pub available: bool,
    /// What its instances are made from, counted up whenever that changes. Instances of an older one are replaced.
    pub generation: u64,
    /// Instances to have always.
    pub minimum: u32,
    /// Instances to have at most.
    pub maximum: u32,
    /// How long an instance above the minimum may be idle.
    pub idle_time: Duration,
    /// Processes of an instance: how many requests it works on at a time.
    pub processes: u32,
    /// What a new instance may take, the first choice first.
    pub choices: Vec<Choice>,
    /// Since when plans have said that it waits with an instance; of the present generation.
    pub waits_since: Option<Timestamp>,
    /// How it grows.
    pub strategy: Strategy,
    /// Requests that wait for a process.
    pub waiting: u64,
    /// How long the oldest of them has waited.
    pub oldest_wait: Option<Duration>,
    /// Attempts that failed since the last start that succeeded, of this generation. Starts that were under way together
    /// and failed together are one attempt: count a failure only of an instance created after the last one.
    pub failures: u32,
    /// When the last of them failed.
    pub last_failure: Option<Timestamp>,
    /// Its instances, those of older generations included, until they are gone.
    pub instances: Vec<InstanceLoad>,
}

/// What a new instance may take: a kind of instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Bytes of memory.
    pub memory: u64,
    /// Accelerators.
    pub accelerators: u32,
    /// For how long it is tried before the next one is, too.
    pub patience: Duration,
}

/// An instance that takes room on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceLoad {
    /// Which one.
    pub id: InstanceId,
    /// What it was made from.
    pub generation: u64,
    /// How far it is.
    pub state: InstanceState,
    /// Bytes of memory it takes.
    pub memory: u64,
    /// Accelerators it takes.
    pub accelerators: u32,
    /// When its start was begun.
    pub created: Timestamp,
    /// How many requests it works on.
    pub running: u32,
    /// Since when it has had nothing to do, if so.
    pub idle_since: Option<Timestamp>,
}

/// How far an instance is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstanceState {
    /// Not ready yet.
    Starting,
    /// Takes requests.
    Running,
    /// On its way out; it takes room until it is gone.
    Stopping,
}

impl VersionLoad {
    /// Instances of the present generation in that state.
    pub(crate) fn current(&self, state: InstanceState) -> impl Iterator<Item = &InstanceLoad> {
        self.instances.iter().filter(move |instance| self.is_current(instance) && instance.state == state)
    }

    /// Instances of older generations that run.
    pub(crate) fn outdated(&self) -> impl Iterator<Item = &InstanceLoad> {
        let running = |instance: &&InstanceLoad| instance.state == InstanceState::Running;
        self.instances.iter().filter(running).filter(|instance| !self.is_current(instance))
    }

    pub(crate) fn is_current(&self, instance: &InstanceLoad) -> bool {
        instance.generation == self.generation
    }

    /// Instances that run, of any generation.
    pub(crate) fn running(&self) -> u32 {
        let running = self.instances.iter().filter(|instance| instance.state == InstanceState::Running);
        u32::try_from(running.count()).unwrap_or(u32::MAX)
    }

    /// Instances of the present generation that start or run.
    pub(crate) fn alive(&self) -> u32 {
        count(self.current(InstanceState::Starting)) + count(self.current(InstanceState::Running))
    }

    /// The minimum, within the maximum.
    pub(crate) fn floor(&self) -> u32 {
        self.minimum.min(self.maximum)
    }
}

impl InstanceLoad {
    /// Whether it has been idle for longer than its version allows.
    pub(crate) fn is_idle_too_long(&self, version: &VersionLoad, now: Timestamp) -> bool {
        self.rests_since().is_some_and(|since| since <= now.minus(version.idle_time))
    }

    /// Since when it has done nothing, if it runs and does nothing.
    pub(crate) fn rests_since(&self) -> Option<Timestamp> {
        self.idle_since.filter(|_| self.state == InstanceState::Running && self.running == 0)
    }
}

/// How many there are.
pub(crate) fn count<'a>(instances: impl Iterator<Item = &'a InstanceLoad>) -> u32 {
    u32::try_from(instances.count()).unwrap_or(u32::MAX)
}
