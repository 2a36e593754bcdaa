//! Asks the scheduler what should run, and sees to it.

use std::sync::Arc;
use std::time::Duration;

use modelyard_dispatch::LaneLoad;
use modelyard_scheduler::{Action, Capacity, InstanceLoad, InstanceState, Strategy, VersionLoad, plan};
use modelyard_types::versions::{ScalingStrategy, VersionStatus};
use modelyard_types::{Timestamp, VersionId};

use crate::Inner;
use crate::catalogue::VersionSnapshot;
use crate::running::{OfVersion, Phase, Running};

/// How often to look without a nudge.
const PAUSE: Duration = Duration::from_secs(1);
/// Nudges closer together than this share one look.
const BREATH: Duration = Duration::from_millis(10);

pub(super) async fn run(control: Arc<Inner>) {
    loop {
        // Woken or not, the step is the same.
        let _ = tokio::time::timeout(PAUSE, control.nudges.scaling.notified()).await;
        step(&control);
        tokio::time::sleep(BREATH).await;
    }
}

fn step(control: &Arc<Inner>) {
    let now = Timestamp::now();
    let cpus = std::thread::available_parallelism().map_or(1, |count| count.get() as u32);
    let host = Capacity { memory: control.settings.memory_mb << 20, cpus, accelerators: 0 };
    let loads: Vec<_> = interesting(control).into_iter().map(|version| load(control, version, now)).collect();
    for action in plan(now, &host, &loads) {
        act(control, action);
    }
}

/// The versions that have instances, want some, or have requests waiting.
fn interesting(control: &Inner) -> Vec<VersionId> {
    let mut versions = control.lanes.take_nudged();
    versions.extend(control.fleet.look(|fleet| fleet.keys().copied().collect::<Vec<_>>()));
    versions.extend(control.catalogue.projects().iter().flat_map(|project| project.kept_warm().collect::<Vec<_>>()));
    versions.sort_unstable();
    versions.dedup();
    versions
}

fn load(control: &Inner, id: VersionId, now: Timestamp) -> VersionLoad {
    let known = control.catalogue.version(id);
    let lane = control.lanes.get(id).map(|lane| lane.load()).unwrap_or_default();
    let mut load = match known {
        Some((project, _, version)) => wanted(&version, project.suspended.is_some()),
        None => gone(id),
    };
    load.waiting = (lane.waiting_direct + lane.waiting_batch) as u64;
    load.oldest_wait = lane.oldest_wait;
    if load.waiting > 0 {
        // It is looked at again until nothing waits, whatever becomes of this plan.
        control.lanes.look_again(id);
    }
    control.fleet.look(|fleet| {
        let Some(of_version) = fleet.get_mut(&id) else { return };
        forgive_older(of_version, load.generation);
        load.failures = of_version.failures;
        load.last_failure = of_version.failed_at;
        load.instances = of_version.instances.iter().map(|instance| instance_load(instance, &lane, now)).collect();
    });
    load
}

/// New code or settings deserve a new try.
fn forgive_older(of_version: &mut OfVersion, generation: u64) {
    if of_version.failed_generation < generation {
        of_version.failures = 0;
        of_version.failed_at = None;
    }
}

fn wanted(version: &VersionSnapshot, suspended: bool) -> VersionLoad {
    VersionLoad {
        version: version.id,
        available: version.code.is_some() && version.status == VersionStatus::Available && !suspended,
        generation: version.generation,
        minimum: version.minimum_instances,
        maximum: version.maximum_instances,
        idle_time: Duration::from_secs(version.maximum_idle_time.into()),
        processes: version.instance_processes,
        memory: version.memory_bytes(),
        accelerators: 0,
        strategy: match version.scaling_strategy {
            ScalingStrategy::Default => Strategy::Default,
            ScalingStrategy::Moderate => Strategy::Moderate,
        },
        waiting: 0,
        oldest_wait: None,
        failures: 0,
        last_failure: None,
        instances: Vec::new(),
    }
}

/// A version that was deleted: whatever of it runs has to stop.
fn gone(version: VersionId) -> VersionLoad {
    VersionLoad {
        version,
        available: false,
        generation: 0,
        minimum: 0,
        maximum: 0,
        idle_time: Duration::ZERO,
        processes: 1,
        memory: 0,
        accelerators: 0,
        strategy: Strategy::Default,
        waiting: 0,
        oldest_wait: None,
        failures: 0,
        last_failure: None,
        instances: Vec::new(),
    }
}

fn instance_load(instance: &Running, lane: &LaneLoad, now: Timestamp) -> InstanceLoad {
    let own = instance.seats();
    let seats: Vec<_> = lane.seats.iter().filter(|seat| own.contains(&seat.id)).collect();
    let running = seats.iter().map(|seat| seat.calls).sum::<usize>();
    // Idle since its busiest process is.
    let idle_for = seats.iter().map(|seat| seat.idle_for).min().flatten();
    InstanceLoad {
        id: instance.id,
        generation: instance.generation,
        state: match instance.phase {
            Phase::Starting => InstanceState::Starting,
            Phase::Running => InstanceState::Running,
            Phase::Stopping => InstanceState::Stopping,
        },
        memory: instance.memory,
        accelerators: 0,
        created: instance.id.made_at(),
        running: u32::try_from(running).unwrap_or(u32::MAX),
        idle_since: idle_for.filter(|_| running == 0).map(|idle| now.minus(idle)),
    }
}

fn act(control: &Arc<Inner>, action: Action) {
    match action {
        Action::Start { version } => {
            let Some((project, deployment, version)) = control.catalogue.version(version) else { return };
            control.start_instance(&project, &deployment, &version);
        }
        Action::Stop { instance, reason } => {
            let Some(instance) = control.fleet.stopping(instance) else { return };
            let stopping = control.clone();
            control.loops.spawn(async move {
                stopping.stop_instance(instance, &format!("{reason:?}")).await;
            });
        }
        Action::CannotPlace { version, why } => {
            tracing::warn!(%version, why, "an instance finds no room");
            metrics::counter!("modelyard_instances_unplaced").increment(1);
        }
        Action::GiveUp { version } => {
            let reason = control.fleet.look(|fleet| fleet.get(&version).map(|it| it.failure.clone()));
            if let (Some(lane), Some(reason)) = (control.lanes.get(version), reason) {
                lane.refuse_waiting(&reason);
            }
        }
    }
}
