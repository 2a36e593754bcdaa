//! A world that carries plans out: instances that take time to start, and requests that take time to run.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use modelyard_types::{InstanceId, Timestamp, VersionId};

use crate::{Action, Capacity, Choice, InstanceLoad, InstanceState, StopReason, Strategy, VersionLoad, plan};

pub(super) const GIB: u64 = 1 << 30;

pub(super) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A version of which nothing is, named by a letter. An instance takes 1 GiB.
pub(super) fn version(letter: char) -> VersionLoad {
    VersionLoad {
        version: format!("00000000-0000-0000-0000-0000000000{:02x}", u32::from(letter)).parse::<VersionId>().unwrap(),
        available: true,
        generation: 1,
        minimum: 0,
        maximum: 5,
        idle_time: seconds(300),
        processes: 1,
        choices: vec![takes(GIB)],
        waits_since: None,
        strategy: Strategy::Default,
        waiting: 0,
        oldest_wait: None,
        failures: 0,
        last_failure: None,
        instances: vec![],
    }
}

/// A choice of so many bytes of memory, tried for ten seconds.
pub(super) fn takes(memory: u64) -> Choice {
    Choice { memory, accelerators: 0, patience: seconds(10) }
}

/// Versions, their instances and queues, and a clock that is turned.
pub(super) struct World {
    pub(super) now: Timestamp,
    pub(super) host: Capacity,
    pub(super) versions: Vec<VersionLoad>,
    /// How long instances take to start, and whether they do.
    pub(super) boot: Duration,
    pub(super) fails: bool,
    /// How long a request runs.
    pub(super) run: Duration,
    pub(super) done: usize,
    pub(super) refused: usize,
    pub(super) starts: usize,
    pub(super) longest_wait: Duration,
    queues: HashMap<VersionId, VecDeque<Timestamp>>,
    ends: HashMap<InstanceId, Vec<Timestamp>>,
    instances: u64,
    begin: Timestamp,
}

impl World {
    pub(super) fn new(gib: u64, versions: impl IntoIterator<Item = VersionLoad>) -> Self {
        let begin = Timestamp(1_700_000_000_000_000);
        Self {
            now: begin,
            host: Capacity { memory: gib * GIB, cpus: 8, accelerators: 0 },
            versions: versions.into_iter().collect(),
            boot: seconds(2),
            fails: false,
            run: seconds(1),
            done: 0,
            refused: 0,
            starts: 0,
            longest_wait: Duration::ZERO,
            queues: HashMap::new(),
            ends: HashMap::new(),
            instances: 0,
            begin,
        }
    }

    /// So many requests come in for the version at that place.
    pub(super) fn arrive(&mut self, place: usize, requests: usize) {
        let queue = self.queues.entry(self.versions[place].version).or_default();
        queue.extend(std::iter::repeat_n(self.now, requests));
        self.look();
    }

    /// All that happens in so long a time, at whose end nothing is planned yet.
    pub(super) fn turn(&mut self, by: Duration) {
        self.now = self.now.plus(by);
        self.end_calls();
        self.end_starts();
        self.look();
    }

    fn end_calls(&mut self) {
        for instance in self.versions.iter_mut().flat_map(|version| &mut version.instances) {
            let Some(ends) = self.ends.get_mut(&instance.id) else { continue };
            let before = ends.len();
            ends.retain(|end| *end > self.now);
            self.done += before - ends.len();
        }
    }

    fn end_starts(&mut self) {
        for version in &mut self.versions {
            let due = |i: &InstanceLoad| i.state == InstanceState::Starting && self.now.since(i.created) >= self.boot;
            if self.fails && version.instances.iter().any(due) {
                version.failures += 1;
                version.last_failure = Some(self.now);
                version.instances.retain(|instance| !due(instance));
            }
            for instance in version.instances.iter_mut().filter(|i| due(i)) {
                instance.state = InstanceState::Running;
                version.failures = 0;
            }
            let ends = &self.ends;
            let busy = |i: &InstanceLoad| ends.get(&i.id).is_some_and(|ends| !ends.is_empty());
            version.instances.retain(|instance| instance.state != InstanceState::Stopping || busy(instance));
        }
    }

    /// Hands out what waits and brings the loads up to date.
    pub(super) fn look(&mut self) {
        for version in &mut self.versions {
            let queue = self.queues.entry(version.version).or_default();
            for instance in &mut version.instances {
                let ends = self.ends.entry(instance.id).or_default();
                while instance.state == InstanceState::Running
                    && ends.len() < usize::try_from(version.processes).unwrap()
                    && let Some(came) = queue.pop_front()
                {
                    self.longest_wait = self.longest_wait.max(self.now.since(came));
                    ends.push(self.now.plus(self.run));
                }
                instance.running = u32::try_from(ends.len()).unwrap();
                let rests = instance.state == InstanceState::Running && ends.is_empty();
                instance.idle_since = rests.then(|| instance.idle_since.unwrap_or(self.now));
            }
            version.waiting = queue.len().try_into().unwrap();
            version.oldest_wait = queue.front().map(|came| self.now.since(*came));
        }
    }

    pub(super) fn plan(&self) -> Vec<Action> {
        plan(self.now, &self.host, &self.versions)
    }

    /// Plans, and does what was planned.
    pub(super) fn step(&mut self) -> Vec<Action> {
        let actions = self.plan();
        for action in &actions {
            self.carry_out(action);
        }
        for version in &mut self.versions {
            let waits = actions.contains(&Action::Waits { version: version.version });
            version.waits_since = waits.then(|| version.waits_since.unwrap_or(self.now));
        }
        self.look();
        actions
    }

    fn carry_out(&mut self, action: &Action) {
        match action {
            Action::Start { version, choice } => {
                self.instances += 1;
                self.starts += 1;
                let id = format!("00000000-0000-0000-0000-{:012x}", self.instances).parse().unwrap();
                let load = self.versions.iter_mut().find(|load| load.version == *version).unwrap();
                load.instances.push(InstanceLoad {
                    id,
                    generation: load.generation,
                    state: InstanceState::Starting,
                    memory: load.choices[*choice].memory,
                    accelerators: load.choices[*choice].accelerators,
                    created: self.now,
                    running: 0,
                    idle_since: None,
                });
            }
            Action::Stop { instance, .. } => {
                let mut all = self.versions.iter_mut().flat_map(|version| &mut version.instances);
                all.find(|load| load.id == *instance).unwrap().state = InstanceState::Stopping;
            }
            Action::GiveUp { version } => self.refused += self.queues.remove(version).unwrap().len(),
            Action::CannotPlace { .. } | Action::Waits { .. } => (),
        }
    }

    /// Plans every second for so long and shows each second in which the picture changed.
    pub(super) fn watch(&mut self, for_seconds: u64) -> String {
        let mut lines: Vec<String> = vec![];
        let mut last = String::new();
        for second in 0..=for_seconds {
            if second > 0 {
                self.turn(seconds(1));
            }
            let actions = self.step();
            let line = format!("{}{}", self.show(), self.tell(&actions));
            if line != last {
                lines.push(format!("{:>4} {line}", self.now.since(self.begin).as_secs()));
                last = line;
            }
        }
        lines.join("\n")
    }

    /// Each version: its letter, what waits, its instances. `*` starts, `.` is idle, a digit works on so many, `x` stops;
    /// outdated ones stand behind `~`, and those that are not of the first choice before `'`.
    pub(super) fn show(&self) -> String {
        let versions = self.versions.iter().map(|version| {
            let one = |i: &InstanceLoad| match i.state {
                InstanceState::Starting => "*".to_owned(),
                InstanceState::Stopping => "x".to_owned(),
                InstanceState::Running if i.running == 0 => ".".to_owned(),
                InstanceState::Running => i.running.to_string(),
            };
            let age = |i: &InstanceLoad| if i.generation == version.generation { "" } else { "~" };
            let first = |i: &InstanceLoad| i.memory == version.choices[0].memory;
            let choice = |i: &InstanceLoad| if i.generation != version.generation || first(i) { "" } else { "'" };
            let shown = |i: &InstanceLoad| format!("{}{}{}", age(i), one(i), choice(i));
            let instances: String = version.instances.iter().map(shown).collect();
            format!("{} {:>2} [{instances}]", self.letter(version.version), version.waiting)
        });
        versions.collect::<Vec<_>>().join("  ")
    }

    /// What was planned, but for starts, which show.
    fn tell(&self, actions: &[Action]) -> String {
        let told = actions.iter().filter_map(|action| match action {
            Action::Start { .. } | Action::Waits { .. } => None,
            Action::Stop { reason, .. } => Some(format!(
                " {}",
                match reason {
                    StopReason::Idle => "idle",
                    StopReason::AboveMaximum => "above-maximum",
                    StopReason::Outdated => "outdated",
                    StopReason::MakeRoom => "make-room",
                    StopReason::Unavailable => "unavailable",
                }
            )),
            Action::CannotPlace { version, .. } => Some(format!(" no-room-for-{}", self.letter(*version))),
            Action::GiveUp { version } => Some(format!(" give-up-{}", self.letter(*version))),
        });
        let told: Vec<String> = told.collect();
        if told.is_empty() { String::new() } else { format!(" :{}", told.concat()) }
    }

    fn letter(&self, version: VersionId) -> char {
        let text = version.to_string();
        char::from(u8::from_str_radix(&text[text.len() - 2..], 16).unwrap())
    }
}

/// Compares what was watched with a table, whose indentation does not matter.
#[track_caller]
pub(super) fn assert_table(seen: &str, table: &str) {
    let trimmed = |text: &str| text.trim().lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>().join("\n");
    assert_eq!(trimmed(seen), trimmed(table), "\n{seen}\n");
}
