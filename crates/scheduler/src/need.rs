//! How many instances of its present generation a version should have now. Room is no question here.

use std::time::Duration;

use modelyard_types::Timestamp;

use crate::backoff;
use crate::load::{InstanceState, Strategy, VersionLoad, count};

/// How long a request waits before a version may have twice as many instances as are ready.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the queue of a moderate version waits before it grows, and how long it lets the last growth work.
const MODERATE: Duration = Duration::from_secs(10);

/// What a version wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Need {
    /// To have something at all, for requests that have nothing.
    pub(crate) first: u32,
    /// To keep the minimum, or to replace what is outdated.
    pub(crate) base: u32,
    /// To work on what waits.
    pub(crate) growth: u32,
}

/// What to start for a version.
pub(crate) fn need(version: &VersionLoad, now: Timestamp) -> Need {
    if !version.available || !backoff::may_start(version, now) {
        return Need::default();
    }
    let alive = version.alive();
    let most = version.maximum.saturating_sub(alive);
    let base = base(version, now).saturating_sub(alive);
    let growth = growth(version, now).saturating_sub(base).min(most - base);
    let first = u32::from(version.waiting > 0 && version.running() == 0 && alive == 0 && base + growth > 0);
    let need =
        Need { first, base: base.saturating_sub(first), growth: growth.saturating_sub(first.saturating_sub(base)) };
    if version.failures == 0 { need } else { one_attempt(version, need) }
}

/// While starts fail, one is tried at a time.
fn one_attempt(version: &VersionLoad, need: Need) -> Need {
    let tries = u32::from(count(version.current(InstanceState::Starting)) == 0);
    let first = need.first.min(tries);
    let base = need.base.min(tries - first);
    Need { first, base, growth: need.growth.min(tries - first - base) }
}

/// How many instances there should be whatever waits: the minimum; and in place of outdated ones that are in use as many as
/// work, and one to keep a warm version warm.
pub(crate) fn base(version: &VersionLoad, now: Timestamp) -> u32 {
    let used = version.outdated().any(|instance| !instance.is_idle_too_long(version, now));
    let working = count(version.outdated().filter(|instance| instance.running > 0));
    let replaced = if used { working.max(1) } else { 0 };
    replaced.max(version.minimum).min(version.maximum)
}

/// How many more instances what waits asks for.
fn growth(version: &VersionLoad, now: Timestamp) -> u32 {
    let short = shortage(version);
    if short == 0 {
        return 0;
    }
    match version.strategy {
        Strategy::Default => short.min(step(version)),
        Strategy::Moderate => u32::from(moderate_grows(version, now)),
    }
}

/// How many more instances it would take for every waiting request to have a process.
fn shortage(version: &VersionLoad) -> u32 {
    let processes = u64::from(version.processes.max(1));
    let running = version.instances.iter().filter(|instance| instance.state == InstanceState::Running);
    let busy: u64 = running.map(|instance| u64::from(instance.running)).sum();
    let free = (u64::from(version.running()) * processes).saturating_sub(busy);
    let coming = u64::from(count(version.current(InstanceState::Starting))) * processes;
    let short = version.waiting.saturating_sub(free + coming).div_ceil(processes);
    u32::try_from(short).unwrap_or(u32::MAX)
}

/// How many instances may be added: so many that there are twice those that are ready, at least one in all, and twice as many
/// again for each [`PATIENCE`] the oldest request has waited. Starting all at once what a burst seems to ask for would mostly
/// be too much: the first that is ready often clears it.
fn step(version: &VersionLoad) -> u32 {
    let waits = version.oldest_wait.unwrap_or_default().as_secs() / PATIENCE.as_secs();
    let doublings = u32::try_from(waits).unwrap_or(u32::MAX).min(16);
    let allowed = (version.running().saturating_mul(2)).max(1).saturating_mul(1 << doublings);
    allowed.saturating_sub(version.running() + count(version.current(InstanceState::Starting)))
}

/// Whether a moderate version gets one more instance now.
fn moderate_grows(version: &VersionLoad, now: Timestamp) -> bool {
    let capacity = u64::from(version.running()) * u64::from(version.processes.max(1));
    let asks = version.oldest_wait.is_some_and(|oldest| oldest >= MODERATE) || version.waiting > 2 * capacity;
    let rested = version.instances.iter().all(|instance| now.since(instance.created) >= MODERATE);
    let has_none = version.running() == 0 && version.alive() == 0;
    asks && (rested || has_none)
}
