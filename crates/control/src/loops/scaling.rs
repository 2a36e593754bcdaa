//! Asks the scheduler what should run, and sees to it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use modelyard_dispatch::LaneLoad;
use modelyard_scheduler::{Action, Capacity, Choice, InstanceLoad, InstanceState, Strategy, VersionLoad, plan};
use modelyard_types::instances::InstanceStatus;
use modelyard_types::versions::{ScalingStrategy, VersionStatus};
use modelyard_types::{Timestamp, VersionId};

use super::unplaced::Unplaced;
use crate::Inner;
use crate::catalogue::{Offer, Place, VersionSnapshot};
use crate::instances::Why;
use crate::requests::no_instances;
use crate::running::{OfVersion, Phase, Running};

/// How often to look without a nudge.
const PAUSE: Duration = Duration::from_secs(1);
/// Nudges closer together than this share one look.
const BREATH: Duration = Duration::from_millis(10);

pub(super) async fn run(control: Arc<Inner>) {
    let mut unplaced = Unplaced::default();
    loop {
        // Woken or not, the step is the same.
        let _ = tokio::time::timeout(PAUSE, control.nudges.scaling.notified()).await;
        step(&control, &mut unplaced);
        tokio::time::sleep(BREATH).await;
    }
}

/// `unplaced` are the versions that found no room lately: told once, and given other kinds of instances in time.
pub(super) fn step(control: &Arc<Inner>, unplaced: &mut Unplaced) {
    let now = Timestamp::now();
    let cpus = std::thread::available_parallelism().map_or(1, |count| count.get() as u32);
    let host = Capacity { memory: control.settings.memory_mb << 20, cpus, accelerators: 0 };
    let mut loads: Vec<_> =
        interesting(control).into_iter().map(|(id, place)| load(control, id, place.as_ref(), now)).collect();
    for load in &mut loads {
        load.waits_since = unplaced.waits_since(load);
    }
    let actions = plan(now, &host, &loads);
    unplaced.note_waiting(&loads, &actions, now);
    for action in actions {
        if let Action::CannotPlace { version, why } = &action {
            unplaced.tell(control, *version, why, now);
            refuse_if_too_large(control, *version, &host);
        }
        act(control, action);
    }
    show(control);
}

/// Shows how many instances there are.
fn show(control: &Inner) {
    let all = control.fleet.all();
    for status in InstanceStatus::ALL {
        let count = all.iter().filter(|instance| instance.history().status() == status).count();
        metrics::gauge!("modelyard_instances", "status" => status.as_str()).set(count as f64);
    }
}

/// The versions that have instances, want some, or have requests waiting; without a place when they are gone.
fn interesting(control: &Inner) -> HashMap<VersionId, Option<Place>> {
    let mut found = HashMap::new();
    for project in control.catalogue.projects() {
        for id in project.kept_warm() {
            let place = project.version(*id).map(|(deployment, version)| (project.clone(), deployment, version));
            found.insert(*id, place);
        }
    }
    let mut others = control.lanes.take_nudged();
    others.extend(control.fleet.look(|fleet| fleet.keys().copied().collect::<Vec<_>>()));
    for id in others {
        found.entry(id).or_insert_with(|| control.catalogue.version(id));
    }
    found
}

fn load(control: &Inner, id: VersionId, known: Option<&Place>, now: Timestamp) -> VersionLoad {
    if let Some(place) = known {
        refuse_if_barred(place);
    }
    let lane = control.lanes.get(id).map(|lane| lane.load()).unwrap_or_default();
    let mut load = match known {
        Some((project, _, version)) => wanted(version, project.suspended.is_some()),
        None => gone(id),
    };
    load.waiting = lane.waiting_calls as u64;
    load.oldest_wait = lane.oldest_wait;
    if load.waiting > 0 {
        // It is looked at again until nothing waits, whatever becomes of this plan.
        control.lanes.look_again(id);
    }
    control.fleet.look(|fleet| {
        let Some(of_version) = fleet.get_mut(&id) else { return };
        if known.is_none() && of_version.instances.is_empty() {
            fleet.remove(&id);
            return;
        }
        forgive_older(of_version, load.generation);
        load.failures = of_version.failures;
        load.last_failure = of_version.failed_at;
        load.instances = of_version.instances.iter().map(|instance| instance_load(instance, &lane, now)).collect();
    });
    load
}

/// Ends the direct requests that wait for a version that may have no instance now; batch requests wait on in their rows.
fn refuse_if_barred((project, deployment, version): &Place) {
    let reason = match &project.suspended {
        Some(reason) => reason.clone(),
        None if version.maximum_instances == 0 => no_instances(deployment, version),
        None if version.code.is_none() => format!("Version '{}' has no code that can run", version.name),
        None => return,
    };
    version.lane.turn_away(&reason);
}

/// Ends what waits for an instance that this host will never have room for.
fn refuse_if_too_large(control: &Inner, id: VersionId, host: &Capacity) {
    let Some((_, _, version)) = control.catalogue.version(id) else { return };
    let least = version.offers.iter().map(|offer| offer.kind.memory_bytes()).min();
    if let Some(memory) = least.filter(|memory| *memory > host.memory) {
        version.lane.refuse_waiting(&format!(
            "An instance of version '{}' needs {} MiB of memory, and this server has {} MiB for instances",
            version.name,
            memory >> 20,
            host.memory >> 20
        ));
    }
}

/// New code or settings deserve a new try.
fn forgive_older(of_version: &mut OfVersion, generation: u64) {
    if of_version.failed_generation < generation {
        of_version.forgive();
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
        choices: version.offers.iter().map(choice).collect(),
        waits_since: None,
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

fn choice(offer: &Offer) -> Choice {
    Choice { memory: offer.kind.memory_bytes(), accelerators: 0, patience: offer.timeout }
}

/// A version that was deleted: whatever of it runs has to stop.
pub(super) fn gone(version: VersionId) -> VersionLoad {
    VersionLoad {
        version,
        available: false,
        generation: 0,
        minimum: 0,
        maximum: 0,
        idle_time: Duration::ZERO,
        processes: 1,
        choices: Vec::new(),
        waits_since: None,
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
        memory: instance.kind.memory_bytes(),
        accelerators: 0,
        created: instance.id.made_at(),
        running: u32::try_from(running).unwrap_or(u32::MAX),
        idle_since: idle_for.filter(|_| running == 0).map(|idle| now.minus(idle)),
    }
}

fn act(control: &Arc<Inner>, action: Action) {
    match action {
        Action::Start { version, choice } => {
            let Some(place) = control.catalogue.version(version) else { return };
            control.start_instance(place, choice);
        }
        Action::Stop { instance, reason } => {
            control.begin_to_stop(instance, Why::Planned(reason));
        }
        Action::CannotPlace { .. } => {
            metrics::counter!("modelyard_instances_unplaced").increment(1);
        }
        Action::Waits { .. } => (),
        Action::GiveUp { version } => control.give_up(version),
    }
}
