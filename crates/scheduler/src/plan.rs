//! The plan: what goes, what comes, what has no room.

use modelyard_types::Timestamp;

use crate::action::Action;
use crate::backoff;
use crate::load::{Capacity, VersionLoad};
use crate::need::{Need, need};
use crate::place::{Placing, Wish};
use crate::retire::retire;

/// What must change so that each version has the instances it needs.
///
/// Decides and never acts: the same load always gives the same actions, so a lost or repeated action is put right by the next
/// pass. Never plans past `host`. Carry the actions out in order.
pub fn plan(now: Timestamp, host: &Capacity, loads: &[VersionLoad]) -> Vec<Action> {
    let mut versions: Vec<&VersionLoad> = loads.iter().collect();
    versions.sort_by_key(|version| version.version);

    let mut placing = Placing::new(now, host, &versions);
    for version in &versions {
        for (instance, reason) in retire(version, now) {
            placing.stop(version, instance, reason);
        }
    }
    let mut hopeless = Vec::new();
    let mut wishes = Vec::new();
    for version in &versions {
        if version.available && backoff::gives_up(version, now) {
            hopeless.push(Action::GiveUp { version: version.version });
        } else {
            wishes.extend(wishes_of(version, need(version, now)));
        }
    }
    wishes.sort_by_key(Wish::order);
    for wish in wishes {
        placing.place(&wish);
    }
    let mut actions = placing.into_actions();
    actions.extend(hopeless);
    actions
}

/// A wish for each instance a version needs, the most urgent first.
fn wishes_of(version: &VersionLoad, need: Need) -> impl Iterator<Item = Wish<'_>> {
    let urgencies = [need.first, need.base, need.growth].into_iter().enumerate();
    urgencies.flat_map(move |(urgency, wanted)| (0..wanted).map(move |turn| Wish { version, urgency, turn }))
}
