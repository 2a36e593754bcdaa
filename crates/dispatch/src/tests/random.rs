//! Random histories against what must always hold, told from what processes and callers saw.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::fake::{Yard, answer, interrupted};
use crate::{Class, LaneSettings, Outcome};

#[derive(Clone, Debug)]
enum Step {
    Submit(Class, u8),
    Seat,
    Start(usize),
    End(usize),
    Answer(usize),
    Gone(usize),
    Retire(usize),
    Cancel(usize),
    Expire(usize),
    Turn(u64),
    Sweep,
    Set(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let class = prop_oneof![Just(Class::Direct), Just(Class::Batch)];
    prop_oneof![
        8 => (class, 0u8..3).prop_map(|(class, priority)| Step::Submit(class, priority)),
        1 => Just(Step::Seat),
        6 => (0usize..8).prop_map(Step::Start),
        6 => (0usize..8).prop_map(Step::End),
        3 => (0usize..8).prop_map(Step::Answer),
        1 => (0usize..8).prop_map(Step::Gone),
        1 => (0usize..8).prop_map(Step::Retire),
        2 => (0usize..16).prop_map(Step::Cancel),
        1 => (0usize..16).prop_map(Step::Expire),
        3 => (0u64..9).prop_map(Step::Turn),
        1 => Just(Step::Sweep),
        1 => Just(Step::Turn(3_000)),
        1 => (0usize..4).prop_map(Step::Set),
    ]
}

type Rank = (Class, u8, usize);

/// The yard, and what the test itself knows of it.
struct Watch {
    yard: Yard,
    read_ahead: usize,
    ranks: HashMap<usize, Rank>,
    runs: Vec<u64>,
    started_at: HashMap<usize, u64>,
    cancelled: HashSet<usize>,
    expired: HashSet<usize>,
    /// Seats the lane still knows, by number, and whether they are open.
    open: HashMap<usize, bool>,
    seen: Vec<usize>,
}

impl Watch {
    /// A lane that knows nothing of its version, or knows it to be quick.
    fn new(known: bool) -> Self {
        let read_ahead = 2;
        let settings = LaneSettings { max_queue: 12, read_ahead, ..LaneSettings::default() };
        let yard = if known { Yard::quick(read_ahead, 1) } else { Yard::new(settings) };
        yard.lane.set(settings);
        let before = 0..yard.ids.len();
        let open = yard.seats.iter().enumerate().map(|(seat, _)| (seat, true)).collect();
        let seen = yard.seats.iter().map(|(_, process)| process.0.lock().unwrap().history.len()).collect();
        Self {
            read_ahead,
            ranks: before.clone().map(|name| (name, (Class::Direct, 1, name))).collect(),
            runs: before.map(|_| 0).collect(),
            started_at: HashMap::new(),
            cancelled: HashSet::new(),
            expired: HashSet::new(),
            open,
            seen,
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

    fn head(&self, seat: usize) -> Option<(usize, bool)> {
        self.yard.told(seat, |told| told.buffer.front().map(|(_, name)| (*name, told.working)))
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Submit(class, priority) => {
                let name = self.yard.ids.len();
                if self.yard.submit(*class, *priority).is_ok() {
                    self.ranks.insert(name, (*class, *priority, name));
                }
            }
            Step::Seat => drop(self.yard.seat()),
            Step::Turn(millis) => self.yard.turn(*millis),
            Step::Sweep => self.yard.lane.sweep(),
            Step::Set(read_ahead) => {
                self.read_ahead = *read_ahead;
                self.yard.lane.set(LaneSettings { max_queue: 12, read_ahead: *read_ahead, ..LaneSettings::default() });
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
            Step::Start(n) | Step::End(n) | Step::Answer(n) | Step::Gone(n) | Step::Retire(n) => {
                if let Some(seat) = self.pick(*n) {
                    self.at_seat(step, seat);
                }
            }
        }
    }

    fn at_seat(&mut self, step: &Step, seat: usize) {
        let id = self.yard.seats[seat].0;
        match (step, self.head(seat)) {
            (Step::Start(_), Some((name, false))) => {
                self.started_at.insert(name, self.yard.millis());
                assert!(self.yard.start(seat));
            }
            (Step::End(_), Some((name, true))) => {
                self.runs.push(self.yard.millis() - self.started_at[&name]);
                assert!(self.yard.end(seat, answer()));
            }
            (Step::Answer(_), head) => self.answer(seat, head),
            (Step::Gone(_), _) => {
                assert!(self.yard.lane.seat_gone(id, "gone"));
            }
            (Step::Retire(_), _) => drop(self.yard.lane.retire(id)),
            _ => (),
        }
    }

    /// The process obeys a cancel, or a recall of a call it has not started.
    fn answer(&mut self, seat: usize, head: Option<(usize, bool)>) {
        let (cancels, recalls) = self.yard.told(seat, |told| (told.cancels.clone(), told.recalls.clone()));
        let working = head.filter(|(_, working)| *working).map(|(name, _)| (name, self.yard.ticket(seat, 0)));
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
    fn handed(&mut self) -> Vec<(usize, usize, usize)> {
        let mut handed = vec![];
        self.seen.resize(self.yard.seats.len(), 0);
        for (seat, seen) in self.seen.iter_mut().enumerate() {
            let new = self.yard.told(seat, |told| told.history[*seen..].to_vec());
            *seen += new.len();
            handed.extend(new.into_iter().map(|(name, before)| (seat, name, before)));
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
        let handed = self.handed();
        let waiting = self.waiting();
        let idle = self.open.iter().any(|(seat, open)| *open && self.yard.buffer(*seat).is_empty());

        let all = self.ranks.keys().filter(|name| self.yard.outcomes(**name).is_empty()).count();
        assert_eq!(load.waiting_direct + load.waiting_batch, waiting.len(), "what waits is counted");
        assert_eq!(load.running + load.ahead, all - waiting.len(), "and so is what processes hold");
        assert!(waiting.is_empty() || !idle, "nothing waits while a seat is idle");
        for (_, name, before) in &handed {
            let overtaken = waiting.iter().any(|other| self.ranks[other] < self.ranks[name]);
            assert!(!overtaken, "{name} was handed over before its turn");
            if *before > 0 {
                assert!(*before <= self.read_ahead, "no more is handed ahead than may be");
                assert!(was_quick || self.quick(), "nothing is handed ahead for a slow version");
                assert!(!idle, "nothing is handed ahead while a seat is idle");
            }
        }
        for pair in handed.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
            assert!(self.ranks[&pair[0].1] < self.ranks[&pair[1].1], "a seat gets calls in order");
        }
        self.check_ends();
    }

    fn times_handed(&self, name: usize) -> usize {
        let of = |seat| self.yard.told(seat, |told| told.history.iter().filter(|(handed, _)| *handed == name).count());
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
                Some(Outcome::Result(_)) => assert_eq!(heard.started, 1),
                Some(other) => panic!("{name} ended as {other:?}"),
                None => (),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_history_keeps_the_rules(known: bool, steps in prop::collection::vec(step(), 1..150)) {
        let mut watch = Watch::new(known);
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
