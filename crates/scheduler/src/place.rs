//! Which wishes the host has room for, and who makes room for the others.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use modelyard_types::{InstanceId, Timestamp, VersionId};

use crate::action::{Action, StopReason};
use crate::choice::Open;
use crate::load::{Capacity, InstanceLoad, InstanceState, VersionLoad, count};
use crate::retire::least_needed;
use crate::room::{Room, Size};

/// For so long a start is held to keep a processor busy. Later it waits for something, or hangs, and is no reason to hold others back.
const STARTING: Duration = Duration::from_secs(10);

/// For so long an instance must have been idle to go for mere growth of another version: who is busy again in a moment should
/// not have to start again.
const RESTED: Duration = Duration::from_secs(10);

/// The wish of a version for one more instance.
pub(crate) struct Wish<'a> {
    pub(crate) version: &'a VersionLoad,
    /// 0 for requests that have nothing, 1 for what must always be, 2 for growth.
    pub(crate) urgency: usize,
    /// Which of the version's wishes of that urgency it is: each version gets one before any gets two.
    pub(crate) turn: u32,
}

impl Wish<'_> {
    /// Who comes first: the urgent, in turn, those that have waited longest.
    pub(crate) fn order(&self) -> (usize, u32, Reverse<Option<Duration>>, VersionId) {
        (self.urgency, self.turn, Reverse(self.version.oldest_wait), self.version.version)
    }
}

/// A plan in the making.
pub(crate) struct Placing<'a> {
    now: Timestamp,
    host: Size,
    versions: &'a [&'a VersionLoad],
    room: Room,
    /// How many more instances may start now.
    starts_left: u32,
    stopped: HashSet<InstanceId>,
    unplaced: HashSet<VersionId>,
    /// Those that want an instance which is not started now.
    waiting: BTreeSet<VersionId>,
    stops: Vec<Action>,
    starts: Vec<Action>,
    complaints: Vec<Action>,
}

impl<'a> Placing<'a> {
    /// Nothing planned yet.
    pub(crate) fn new(now: Timestamp, host: &Capacity, versions: &'a [&'a VersionLoad]) -> Self {
        let instances = versions.iter().flat_map(|version| &version.instances);
        let fresh = |instance: &&InstanceLoad| {
            instance.state == InstanceState::Starting && now.since(instance.created) < STARTING
        };
        Self {
            now,
            host: Size::of_host(host),
            versions,
            room: Room::left(host, versions),
            starts_left: host.cpus.saturating_mul(2).max(4).saturating_sub(count(instances.filter(fresh))),
            stopped: HashSet::new(),
            unplaced: HashSet::new(),
            waiting: BTreeSet::new(),
            stops: Vec::new(),
            starts: Vec::new(),
            complaints: Vec::new(),
        }
    }

    /// What was planned, in the order to carry it out.
    pub(crate) fn into_actions(self) -> Vec<Action> {
        let waits = self.waiting.into_iter().map(|version| Action::Waits { version });
        [self.stops, self.starts, self.complaints, waits.collect()].concat()
    }

    /// Stops an instance.
    pub(crate) fn stop(&mut self, version: &VersionLoad, instance: InstanceId, reason: StopReason) {
        if !self.stopped.insert(instance) {
            return;
        }
        if let Some(load) = version.instances.iter().find(|load| load.id == instance) {
            self.room.release(load);
        }
        self.stops.push(Action::Stop { instance, reason });
    }

    /// Starts an instance if there is room; else makes or keeps room for it if that is possible.
    pub(crate) fn place(&mut self, wish: &Wish<'_>) {
        if !self.start(wish) && wish.version.choices.len() > 1 {
            self.waiting.insert(wish.version.version);
        }
    }

    /// Whether an instance starts now.
    fn start(&mut self, wish: &Wish<'_>) -> bool {
        let version = wish.version;
        if self.starts_left == 0 || self.unplaced.contains(&version.version) {
            return false;
        }
        let open = Open::of(version, self.host, self.now);
        for (choice, need) in open.choices.iter().copied() {
            if self.room.free.holds(need) {
                self.room.take(need);
                self.starts_left -= 1;
                self.starts.push(Action::Start { version: version.version, choice });
                return true;
            }
            if self.room.soon().holds(need) || self.make_room(wish, need) {
                self.room.reserve(need);
                return false;
            }
        }
        let growth = wish.urgency == 2;
        if growth || !open.choices.iter().any(|(_, need)| self.replace_in_place(version, *need)) {
            self.unplaced.insert(version.version);
            if !growth {
                self.complain(version, &open);
            }
        }
        false
    }

    /// Stops others' idle instances above their minimum, the longest idle first, if that makes enough room.
    fn make_room(&mut self, wish: &Wish<'_>, need: Size) -> bool {
        let mut room = self.room;
        let mut chosen: Vec<(&VersionLoad, InstanceId)> = Vec::new();
        for (other, instance) in self.evictable(wish) {
            if room.soon().holds(need) {
                break;
            }
            let taken = chosen.iter().filter(|(chosen, _)| chosen.version == other.version).count();
            if need.minus(room.soon()).shares(Size::of(instance)) && taken < self.spare(other) {
                room.release(instance);
                chosen.push((other, instance.id));
            }
        }
        if !room.soon().holds(need) {
            return false;
        }
        for (other, instance) in chosen {
            self.stop(other, instance, StopReason::MakeRoom);
        }
        true
    }

    /// Idle instances of other versions that nobody waits for, the longest idle first.
    fn evictable(&self, wish: &Wish<'_>) -> Vec<(&'a VersionLoad, &'a InstanceLoad)> {
        let bound = if wish.urgency < 2 { self.now } else { self.now.minus(RESTED) };
        let is_spare = |instance: &InstanceLoad| {
            instance.rests_since().is_some_and(|since| since <= bound) && !self.stopped.contains(&instance.id)
        };
        let is_other = |other: &&&VersionLoad| other.version != wish.version.version && other.waiting == 0;
        let mut resting: Vec<(&VersionLoad, &InstanceLoad)> = Vec::new();
        for other in self.versions.iter().filter(is_other) {
            let spare = other.current(InstanceState::Running).filter(|instance| is_spare(instance));
            resting.extend(spare.map(|instance| (*other, instance)));
        }
        resting.sort_by_key(|(_, instance)| least_needed(instance));
        resting
    }

    /// How many instances of a version may go before it falls below its minimum.
    fn spare(&self, version: &VersionLoad) -> usize {
        let ready = version.current(InstanceState::Running).filter(|instance| !self.stopped.contains(&instance.id));
        usize::try_from(count(ready).saturating_sub(version.floor())).unwrap_or(usize::MAX)
    }

    /// Stops an outdated instance of the version itself when its successor fits only in its place, one at a time; also when not
    /// even then, once a successor is ready: fewer instances are better than some that run old code for good.
    fn replace_in_place(&mut self, version: &VersionLoad, need: Size) -> bool {
        let mut outdated: Vec<&InstanceLoad> = version.outdated().collect();
        outdated.retain(|instance| !self.stopped.contains(&instance.id));
        outdated.sort_by_key(|instance| least_needed(instance));
        let leaves =
            |instance: &InstanceLoad| instance.state == InstanceState::Stopping || self.stopped.contains(&instance.id);
        if version.instances.iter().any(|instance| !version.is_current(instance) && leaves(instance)) {
            return true;
        }
        let all = outdated.iter().fold(self.room.soon(), |soon, instance| soon.plus(Size::of(instance)));
        let makes_way = all.holds(need) || version.current(InstanceState::Running).next().is_some();
        let Some(first) = outdated.first().filter(|_| makes_way) else { return false };
        self.stop(version, first.id, StopReason::Outdated);
        if self.room.soon().holds(need) {
            self.room.reserve(need);
        }
        true
    }

    fn complain(&mut self, version: &VersionLoad, open: &Open) {
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        let (need, free, host) = (open.least(), self.room.free, self.host);
        let mut why = if need.memory > free.memory {
            let (need, free, all) = (mib(need.memory), free.memory >> 20, host.memory >> 20);
            format!("An instance needs {need} MiB of memory, and of the host's {all} MiB only {free} MiB are free")
        } else {
            let (need, free, all) = (need.accelerators, free.accelerators, host.accelerators);
            format!("An instance needs {need} accelerators, and of the host's {all} only {free} are free")
        };
        if let Some(after) = open.next_after {
            let after = after.as_secs();
            why.push_str(&format!("; when it has waited for {after} s, the next instance type of its group is tried"));
        }
        self.complaints.push(Action::CannotPlace { version: version.version, why });
    }
}
