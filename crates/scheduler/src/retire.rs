//! Which instances go for reasons of their own version.

use modelyard_types::{InstanceId, Timestamp};

use crate::action::StopReason;
use crate::load::{InstanceLoad, InstanceState, VersionLoad, count};
use crate::need;

/// What to stop of a version, and why.
pub(crate) fn retire(version: &VersionLoad, now: Timestamp) -> Vec<(InstanceId, StopReason)> {
    let present = || version.instances.iter().filter(|instance| instance.state != InstanceState::Stopping);
    if !version.available {
        return present().map(|instance| (instance.id, StopReason::Unavailable)).collect();
    }
    let mut stops: Vec<(InstanceId, StopReason)> = Vec::new();
    stops.extend(outdated(version, now).into_iter().map(|id| (id, StopReason::Outdated)));
    let surplus = above_maximum(version);
    let gone = u32::try_from(surplus.len()).unwrap_or(u32::MAX);
    stops.extend(idle(version, now, gone, &surplus).into_iter().map(|id| (id, StopReason::Idle)));
    stops.extend(surplus.into_iter().map(|id| (id, StopReason::AboveMaximum)));
    stops
}

/// Outdated instances that are not ready are no use; those that run make way once current ones are ready.
fn outdated(version: &VersionLoad, now: Timestamp) -> Vec<InstanceId> {
    let old = version.instances.iter().filter(|instance| !version.is_current(instance));
    let starting = old.filter(|instance| instance.state == InstanceState::Starting);
    let mut running: Vec<&InstanceLoad> = version.outdated().collect();
    running.sort_by_key(|instance| least_needed(instance));
    let surplus = running.len().saturating_sub(kept(version, now));
    starting.chain(running.into_iter().take(surplus)).map(|instance| instance.id).collect()
}

/// How many outdated instances stay: all in use until a current one is ready, then one in place of each that still starts.
fn kept(version: &VersionLoad, now: Timestamp) -> usize {
    let ready = count(version.current(InstanceState::Running));
    let kept = if version.maximum == 0 {
        0
    } else if ready == 0 {
        let used = version.outdated().filter(|instance| !instance.is_idle_too_long(version, now));
        count(used).max(version.floor())
    } else {
        need::base(version, now).max(version.alive()).saturating_sub(ready)
    };
    usize::try_from(kept).unwrap_or(usize::MAX)
}

/// Current instances beyond the maximum, after it was lowered: those that start, then the idle, then the least busy.
fn above_maximum(version: &VersionLoad) -> Vec<InstanceId> {
    let surplus = version.alive().saturating_sub(version.maximum);
    let mut running: Vec<&InstanceLoad> = version.current(InstanceState::Running).collect();
    running.sort_by_key(|instance| least_needed(instance));
    let mut starting: Vec<&InstanceLoad> = version.current(InstanceState::Starting).collect();
    starting.sort_by_key(|instance| (std::cmp::Reverse(instance.created), instance.id));
    let order = starting.into_iter().chain(running);
    order.take(usize::try_from(surplus).unwrap_or(usize::MAX)).map(|instance| instance.id).collect()
}

/// Instances that were idle for too long, the longest first, down to the minimum of those that are ready.
fn idle(version: &VersionLoad, now: Timestamp, gone: u32, surplus: &[InstanceId]) -> Vec<InstanceId> {
    if version.waiting > 0 {
        return Vec::new();
    }
    let ready = count(version.current(InstanceState::Running)).saturating_sub(gone);
    let spare = usize::try_from(ready.saturating_sub(version.floor())).unwrap_or(usize::MAX);
    let mut resting: Vec<&InstanceLoad> = version
        .current(InstanceState::Running)
        .filter(|instance| !surplus.contains(&instance.id))
        .filter(|instance| instance.is_idle_too_long(version, now))
        .collect();
    resting.sort_by_key(|instance| least_needed(instance));
    resting.into_iter().take(spare).map(|instance| instance.id).collect()
}

/// Orders instances so that those that are missed least come first: the longest idle, then those that work on the least.
pub(crate) fn least_needed(instance: &InstanceLoad) -> (u32, Timestamp, InstanceId) {
    let since = instance.rests_since().unwrap_or(Timestamp(i64::MAX));
    (instance.running, since, instance.id)
}
