//! Random histories against what must always hold, told from what processes and callers saw.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use proptest::prelude::*;

use super::fake::{Way, Yard, interrupted, own, raised};
use crate::{Class, FailureKind, Grouping, LaneSettings, Outcome};

#[derive(Clone, Debug)]
enum Step {
    Submit(Class, u8, Way),
    Seat,
    Start(usize),
    End(usize),
    /// The call fails: the code raises, or answers a group with something else than its results.
    Fail(usize, bool),
    Answer(usize),
    Gone(usize),
    Retire(usize),
    Cancel(usize),
    Expire(usize),
    Turn(u64),
    Sweep,
    /// So many calls ahead; groups up to a size, after a wait.
    Set(usize, Option<(usize, u64)>),
}

fn grouping() -> impl Strategy<Value = Option<(usize, u64)>> {
    prop_oneof![1 => Just(None), 3 => (2usize..5, prop_oneof![Just(0), Just(3), Just(20)]).prop_map(Some)]
}

fn step() -> impl Strategy<Value = Step> {
    let class = prop_oneof![Just(Class::Direct), Just(Class::Batch)];
    let way = prop_oneof![6 => Just(Way::Plain), 1 => Just(Way::Text), 1 => Just(Way::Alone)];
    prop_oneof![
        8 => (class, 0u8..3, way).prop_map(|(class, priority, way)| Step::Submit(class, priority, way)),
        1 => Just(Step::Seat),
        6 => (0usize..8).prop_map(Step::Start),
        6 => (0usize..8).prop_map(Step::End),
        2 => (0usize..8, any::<bool>()).prop_map(|(seat, raises)| Step::Fail(seat, raises)),
        3 => (0usize..8).prop_map(Step::Answer),
        1 => (0usize..8).prop_map(Step::Gone),
        1 => (0usize..8).prop_map(Step::Retire),
        2 => (0usize..16).prop_map(Step::Cancel),
        1 => (0usize..16).prop_map(Step::Expire),
        3 => (0u64..9).prop_map(Step::Turn),
        1 => Just(Step::Sweep),
        1 => Just(Step::Turn(3_000)),
        1 => Just(Step::Turn(BEGIN_LIMIT)),
        1 => (0usize..4, grouping()).prop_map(|(ahead, grouping)| Step::Set(ahead, grouping)),
    ]
}

/// How many milliseconds a process may have a call next and not begin with it.
const BEGIN_LIMIT: u64 = 8_000;

type Rank = (Class, u8, usize);

/// The yard, and what the test itself knows of it.
struct Watch {
    yard: Yard,
    read_ahead: usize,
    grouping: Option<(usize, u64)>,
    rerun: bool,
    ranks: HashMap<usize, Rank>,
    since: HashMap<usize, u64>,
    runs: Vec<u64>,
    started_at: HashMap<usize, u64>,
    cancelled: HashSet<usize>,
    expired: HashSet<usize>,
    failed: HashSet<usize>,
    /// Those that go alone, as far as the test knows: the lane gives some seats up by itself.
    alone: HashSet<usize>,
    gave_up: bool,
    /// Seats the lane still knows, by number, and whether they are open.
    open: HashMap<usize, bool>,
    seen: Vec<usize>,
    /// The call that is next at a seat or in work there, by ticket, and since when it is that.
    heads: HashMap<usize, (u64, u64)>,
}

impl Watch {
    /// A lane that knows nothing of its version, or knows it to be quick.
    fn new(known: bool, grouping: Option<(usize, u64)>, rerun: bool) -> Self {
        let read_ahead = 2;
        let settings = settings(read_ahead, grouping, rerun);
        let yard = if known { Yard::quick(read_ahead, 1) } else { Yard::new(settings) };
        yard.lane.set(settings);
        let before = 0..yard.ids.len();
        let open = yard.seats.iter().enumerate().map(|(seat, _)| (seat, true)).collect();
        let seen = yard.seats.iter().map(|(_, process)| process.0.lock().unwrap().history.len()).collect();
        Self {
            read_ahead,
            grouping,
            rerun,
            ranks: before.clone().map(|name| (name, (Class::Direct, 1, name))).collect(),
            since: HashMap::new(),
            runs: before.map(|_| 0).collect(),
            started_at: HashMap::new(),
            cancelled: HashSet::new(),
            expired: HashSet::new(),
            failed: HashSet::new(),
            alone: HashSet::new(),
            gave_up: false,
            open,
            seen,
            heads: HashMap::new(),
            yard,
        }
    }

    fn quick(&self) -> bool {
        let mut recent: Vec<u64> = self.runs.iter().rev().take(31).copied().collect();
        recent.sort_unstable();
        recent.len() >= 8 && recent[recent.len() / 2] <= 5
    }

    /// A seat that has a process, alive as far as the test is concerned, chosen by a number.
    fn pick(&self, number: usize) -> Option<usize> {
        let mut seats: Vec<usize> = self.open.keys().copied().collect();
        seats.sort_unstable();
        (!seats.is_empty()).then(|| seats[number % seats.len()])
    }

    /// The name of a job, counted from the latest.
    fn recent(&self, number: usize) -> Option<usize> {
        self.yard.ids.len().checked_sub(number + 1)
    }

    fn head(&self, seat: usize) -> Option<(Vec<usize>, bool)> {
        self.yard.told(seat, |told| told.buffer.front().map(|(_, names)| (names.clone(), told.working)))
    }

    /// The seats whose process has had a call next for too long and has not begun with it.
    fn stuck(&self) -> Vec<usize> {
        let now = self.yard.millis();
        let is_late = |seat: &usize| self.heads.get(seat).is_some_and(|(_, since)| now - since > BEGIN_LIMIT);
        let waits = |seat: &usize| self.head(*seat).is_some_and(|(_, working)| !working);
        self.open.keys().copied().filter(|seat| is_late(seat) && waits(seat)).collect()
    }

    fn note_heads(&mut self) {
        let now = self.yard.millis();
        for seat in self.open.keys() {
            match self.yard.told(*seat, |told| told.buffer.front().map(|(ticket, _)| *ticket)) {
                Some(ticket) if self.heads.get(seat).is_none_or(|(known, _)| *known != ticket) => {
                    self.heads.insert(*seat, (ticket, now));
                }
                _ => (),
            }
        }
    }

    fn is_killed(&self, seat: usize) -> bool {
        self.yard.told(seat, |told| told.killed.is_some())
    }

    fn ended(&self, name: usize) -> bool {
        !self.yard.outcomes(name).is_empty()
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Submit(class, priority, way) => {
                let name = self.yard.ids.len();
                self.since.insert(name, self.yard.millis());
                if self.yard.submit_as(*class, *priority, *way).is_ok() {
                    self.ranks.insert(name, (*class, *priority, name));
                    self.alone.extend((*way != Way::Plain).then_some(name));
                }
            }
            Step::Seat => drop(self.yard.seat()),
            Step::Turn(millis) => self.yard.turn(*millis),
            Step::Sweep => {
                let before = self.yard.lane.load().seats.len();
                let stuck = self.stuck();
                let lived: Vec<usize> = self.open.keys().copied().filter(|seat| !self.is_killed(*seat)).collect();
                self.yard.lane.sweep();
                assert!(stuck.iter().all(|seat| self.is_killed(*seat)), "who does not begin is killed");
                for seat in lived.into_iter().filter(|seat| self.is_killed(*seat)) {
                    let given_up = self.head(seat).is_some_and(|(names, _)| names.iter().all(|name| self.ended(*name)));
                    assert!(stuck.contains(&seat) || given_up, "nobody else is");
                }
                self.gave_up |= self.yard.lane.load().seats.len() < before;
            }
            Step::Set(read_ahead, grouping) => {
                (self.read_ahead, self.grouping) = (*read_ahead, *grouping);
                self.yard.lane.set(settings(*read_ahead, *grouping, self.rerun));
            }
            Step::Cancel(number) => {
                if let Some(name) = self.recent(*number) {
                    self.cancelled.insert(name);
                    self.yard.lane.cancel(self.yard.ids[name]);
                }
            }
            Step::Expire(number) => {
                if let Some(name) = self.recent(*number) {
                    self.expired.insert(name);
                    self.yard.lane.expire(self.yard.ids[name]);
                }
            }
            Step::Start(n) | Step::End(n) | Step::Fail(n, _) | Step::Answer(n) | Step::Gone(n) | Step::Retire(n) => {
                if let Some(seat) = self.pick(*n) {
                    self.at_seat(step, seat);
                }
            }
        }
    }

    fn at_seat(&mut self, step: &Step, seat: usize) {
        let id = self.yard.seats[seat].0;
        match (step, self.head(seat)) {
            (Step::Start(_), Some((names, false))) => {
                self.started_at.extend(names.iter().map(|name| (*name, self.yard.millis())));
                assert!(self.yard.start(seat));
            }
            (Step::End(_), Some((names, true))) => {
                self.runs.push(self.yard.millis() - self.started_at[&names[0]]);
                assert!(self.yard.end(seat, own(&names)));
            }
            (Step::Fail(_, raises), Some((names, true))) if *raises || names.len() > 1 => {
                self.fail(seat, &names, *raises);
            }
            (Step::Answer(_), head) => self.answer(seat, head),
            (Step::Gone(_), head) => {
                let innocent = head.filter(|(_, working)| !working).map(|(names, _)| names);
                assert!(self.yard.lane.seat_gone(id, "gone"));
                self.alone.extend(innocent.into_iter().flatten());
            }
            (Step::Retire(_), _) => drop(self.yard.lane.retire(id)),
            _ => (),
        }
    }

    /// A call fails. The members of a group are run again each, unless that is off or the last of them was cancelled.
    fn fail(&mut self, seat: usize, names: &[usize], raises: bool) {
        self.runs.push(self.yard.millis() - self.started_at[&names[0]]);
        let open: Vec<usize> = names.iter().copied().filter(|name| !self.ended(*name)).collect();
        let asked = open.iter().any(|name| self.cancelled.contains(name));
        let again = names.len() > 1 && self.rerun && !asked;
        let wrong = [names, &[0]].concat();
        assert!(self.yard.end(seat, if raises { raised() } else { own(&wrong) }));
        let fate = if again { &mut self.alone } else { &mut self.failed };
        fate.extend(open);
    }

    /// The process obeys a cancel, or a recall of a call it has not started.
    fn answer(&mut self, seat: usize, head: Option<(Vec<usize>, bool)>) {
        let (cancels, recalls) = self.yard.told(seat, |told| (told.cancels.clone(), told.recalls.clone()));
        let working = head.filter(|(_, working)| *working).map(|(names, _)| (names[0], self.yard.ticket(seat, 0)));
        match (cancels.first().or(recalls.first()), working) {
            (Some(ticket), Some((name, running))) if *ticket == running => {
                if cancels.contains(ticket) {
                    self.runs.push(self.yard.millis() - self.started_at[&name]);
                    assert!(self.yard.end(seat, interrupted()));
                }
            }
            (Some(ticket), _) => assert!(self.yard.drop_call(seat, *ticket)),
            (None, _) => (),
        }
    }

    /// What each seat was handed in this step: its number, the call, and how many calls it held before.
    fn handed(&mut self) -> Vec<(usize, Vec<usize>, usize)> {
        let mut handed = vec![];
        self.seen.resize(self.yard.seats.len(), 0);
        for (seat, seen) in self.seen.iter_mut().enumerate() {
            let new = self.yard.told(seat, |told| told.history[*seen..].to_vec());
            *seen += new.len();
            handed.extend(new.into_iter().map(|(names, before)| (seat, names, before)));
        }
        handed
    }

    fn waiting(&self) -> HashSet<usize> {
        let mut waiting: HashSet<usize> =
            self.ranks.keys().copied().filter(|name| self.yard.outcomes(*name).is_empty()).collect();
        for seat in self.open.keys() {
            for name in self.yard.buffer(*seat) {
                waiting.remove(&name);
            }
        }
        waiting
    }

    fn check(&mut self, was_quick: bool) {
        let load = self.yard.lane.load();
        let number = |id| self.yard.seats.iter().position(|(seat, _)| *seat == id).unwrap();
        self.open = load.seats.iter().map(|seat| (number(seat.id), seat.open)).collect();
        self.note_heads();
        let handed = self.handed();
        let waiting = self.waiting();
        let idle = self.open.iter().any(|(seat, open)| *open && self.yard.buffer(*seat).is_empty());

        let held = self.open.keys().flat_map(|seat| self.yard.calls(*seat));
        let held = held.filter(|names| names.iter().any(|name| !self.ended(*name))).count();
        assert_eq!(load.waiting_direct + load.waiting_batch, waiting.len(), "what waits is counted");
        assert_eq!(load.running + load.ahead, held, "and so is what processes hold");
        assert!(load.waiting_calls <= waiting.len() && (load.waiting_calls > 0) != waiting.is_empty());
        assert!(waiting.is_empty() || !idle || self.is_held_back(&waiting), "nothing waits while a seat is idle");
        for (_, names, before) in &handed {
            self.check_group(names, *before);
            let last = names.iter().map(|name| self.ranks[name]).max().unwrap();
            let overtaken = waiting.iter().any(|other| self.ranks[other] < last);
            assert!(!overtaken, "{names:?} were handed over before their turn");
            if *before > 0 {
                let most = if self.grouping.is_some() { self.read_ahead.min(1) } else { self.read_ahead };
                assert!(*before <= most, "no more is handed ahead than may be");
                assert!(was_quick || self.quick(), "nothing is handed ahead for a slow version");
                assert!(!idle, "nothing is handed ahead while a seat is idle");
            }
        }
        let flat = handed.iter().flat_map(|(seat, names, _)| names.iter().map(|name| (*seat, self.ranks[name])));
        let flat: Vec<(usize, Rank)> = flat.collect();
        for pair in flat.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
            assert!(pair[0].1 < pair[1].1, "a seat gets calls in order, and a group has its members in order");
        }
        self.check_ends();
    }

    /// Whether what waits may wait although a seat is idle: it is less than a group that others may join, for a while.
    fn is_held_back(&self, waiting: &HashSet<usize>) -> bool {
        let Some((size, wait)) = self.grouping else { return false };
        let now = self.yard.millis();
        let fresh = |name: &usize| now < self.since[name] + wait && !self.alone.contains(name);
        waiting.len() < size && waiting.iter().all(fresh)
    }

    fn check_group(&self, names: &[usize], before: usize) {
        let Some((size, _)) = self.grouping else { return assert_eq!(names.len(), 1, "nothing is grouped") };
        assert!(names.len() <= size, "a group has its size at most");
        assert!(names.len() == 1 || names.iter().all(|name| !self.alone.contains(name)), "who goes alone is alone");
        let is_blocked = self.gave_up || self.alone.iter().any(|name| !self.ended(*name) || names.contains(name));
        assert!(before == 0 || names.len() == size || is_blocked, "a group that may grow is not handed ahead");
    }

    fn times_handed(&self, name: usize) -> usize {
        let of =
            |seat| self.yard.told(seat, |told| told.history.iter().filter(|(names, _)| names.contains(&name)).count());
        (0..self.yard.seats.len()).map(of).sum()
    }

    fn check_ends(&self) {
        for name in 0..self.yard.ids.len() {
            let heard = self.yard.heard[name].lock().unwrap();
            assert!(heard.started <= 1, "{name} started twice");
            assert!(heard.outcomes.len() <= usize::from(self.ranks.contains_key(&name)), "{name} ended twice");
            match heard.outcomes.first() {
                // A seat that the sweep gives up counts as a process that ended, too; so the handing over is what counts.
                Some(Outcome::Crashed(why)) if why.starts_with("3 processes ended before") => {
                    assert!(self.times_handed(name) >= 3, "{name} was not lost three times");
                }
                Some(Outcome::Crashed(_)) => assert!(self.started_at.contains_key(&name), "{name} is innocent"),
                Some(Outcome::Cancelled) => assert!(self.cancelled.contains(&name)),
                Some(Outcome::TimedOut) => assert!(self.expired.contains(&name)),
                Some(Outcome::Failed { kind: FailureKind::Exception | FailureKind::Output, .. }) => {
                    assert!(self.failed.contains(&name), "{name} has not failed");
                }
                Some(Outcome::Result(body)) => {
                    assert_eq!(heard.started, 1);
                    let known = !self.since.contains_key(&name);
                    assert!(known || *body == *name.to_string().as_bytes(), "{name} got the result of another");
                }
                Some(other) => panic!("{name} ended as {other:?}"),
                None => (),
            }
        }
    }
}

fn settings(read_ahead: usize, grouping: Option<(usize, u64)>, rerun: bool) -> LaneSettings {
    let grouping = grouping.map(|(size, wait)| Grouping { size, wait: Duration::from_millis(wait), rerun });
    let begin_limit = Duration::from_millis(BEGIN_LIMIT);
    LaneSettings { max_queue: 12, read_ahead, grouping, begin_limit, ..LaneSettings::default() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_history_keeps_the_rules(
        known: bool,
        grouping in grouping(),
        rerun: bool,
        steps in prop::collection::vec(step(), 1..150),
    ) {
        let mut watch = Watch::new(known, grouping, rerun);
        for step in &steps {
            let was_quick = watch.quick();
            watch.take(step);
            watch.check(was_quick);
        }
        for (seat, _) in &watch.yard.seats {
            watch.yard.lane.seat_gone(*seat, "the end");
        }
        watch.yard.lane.refuse_waiting("the end");
        for name in 0..watch.yard.ids.len() {
            let ends = usize::from(watch.ranks.contains_key(&name));
            prop_assert_eq!(watch.yard.outcomes(name).len(), ends, "job {} ends exactly once", name);
        }
    }
}
