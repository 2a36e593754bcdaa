//! A worker process as a seat of a lane, which does what a random script says.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, Weak};

use bytes::Bytes;
use modelyard_dispatch::{Call, FailureKind, Lane, Outcome, Seat, SeatId};
use modelyard_types::RequestId;

use super::books::{Books, Claim};
use crate::{Control, Inner};

/// What a process does next.
#[derive(Clone, Copy, Debug)]
pub(super) enum Deed {
    /// Begins with the first call it holds.
    Start,
    /// Answers the call in work, even when it was asked to end it.
    Finish,
    /// The user's code raises.
    Fail,
    /// Does as it was told: ends calls that were taken back.
    Obey,
    /// Ends, whatever it does.
    Crash,
}

/// A process: what it holds and was told.
pub(super) struct Process {
    pub(super) id: SeatId,
    lane: Arc<Lane>,
    control: Weak<Inner>,
    books: Arc<Mutex<Books>>,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    calls: VecDeque<(u64, RequestId, Claim)>,
    working: bool,
    taken_back: HashSet<u64>,
    recalled: HashSet<u64>,
    killed: bool,
    gone: bool,
}

impl Process {
    /// A process that takes calls of a lane from now on.
    pub(super) fn new(control: &Control, lane: &Arc<Lane>, books: &Arc<Mutex<Books>>) -> Arc<Self> {
        let process = Arc::new(Self {
            id: SeatId::new(),
            lane: lane.clone(),
            control: Arc::downgrade(&control.0),
            books: books.clone(),
            told: Mutex::default(),
        });
        lane.seat_ready(process.id, process.clone());
        process
    }

    /// Does something, if it can.
    pub(super) fn act(&self, deed: Deed) {
        match deed {
            Deed::Start => self.start(),
            Deed::Finish => self.finish(),
            Deed::Fail => self.answer(Outcome::Failed {
                message: "It was raised".into(),
                public: None,
                kind: FailureKind::Exception,
            }),
            Deed::Obey => self.obey(),
            Deed::Crash => self.crash(),
        }
    }

    /// Whether it holds no call, and takes some.
    pub(super) fn is_idle(&self) -> bool {
        let told = self.told.lock().unwrap();
        told.calls.is_empty() && !told.killed && !told.gone
    }

    pub(super) fn is_gone(&self) -> bool {
        self.told.lock().unwrap().gone
    }

    pub(super) fn is_killed(&self) -> bool {
        self.told.lock().unwrap().killed
    }

    fn start(&self) {
        let ticket = {
            let mut told = self.told.lock().unwrap();
            let Some((ticket, ..)) = told.calls.front().copied() else { return };
            if told.working || told.killed || told.taken_back.contains(&ticket) {
                return;
            }
            told.working = true;
            ticket
        };
        assert!(self.lane.started(self.id, ticket), "the first call of a process can start");
    }

    fn finish(&self) {
        let run = {
            let told = self.told.lock().unwrap();
            let Some((_, id, claim)) = told.calls.front().copied().filter(|_| told.working) else { return };
            self.books.lock().unwrap().run(id, claim)
        };
        self.answer(Outcome::Result(Bytes::from(format!(r#"{{"x":{run}}}"#))));
    }

    fn answer(&self, outcome: Outcome) {
        let ticket = {
            let mut told = self.told.lock().unwrap();
            if !told.working || told.gone {
                return;
            }
            told.working = false;
            told.calls.pop_front().unwrap().0
        };
        let counted = self.lane.finished(self.id, ticket, outcome.clone());
        assert!(counted || self.is_killed(), "the answer of a call in work counts");
        assert!(!self.lane.finished(self.id, ticket, outcome), "a call is answered once");
    }

    fn obey(&self) {
        let interrupted =
            || Outcome::Failed { message: "Cancelled".into(), public: None, kind: FailureKind::Cancelled };
        let (dropped, interrupts) = {
            let mut told = self.told.lock().unwrap();
            let working = told.calls.front().filter(|_| told.working).map(|(ticket, ..)| *ticket);
            let back = |told: &Told, ticket: &u64| told.taken_back.contains(ticket) || told.recalled.contains(ticket);
            let tickets = told.calls.iter().map(|(ticket, ..)| *ticket);
            let dropped: Vec<u64> = tickets.filter(|ticket| Some(*ticket) != working && back(&told, ticket)).collect();
            told.calls.retain(|(ticket, ..)| !dropped.contains(ticket));
            (dropped, working.is_some_and(|ticket| told.taken_back.contains(&ticket)))
        };
        for ticket in dropped {
            self.lane.finished(self.id, ticket, interrupted());
        }
        if interrupts {
            self.answer(interrupted());
        }
    }

    /// The process ends.
    pub(super) fn crash(&self) {
        {
            let mut told = self.told.lock().unwrap();
            told.gone = true;
            told.working = false;
            told.calls.clear();
        }
        self.lane.seat_gone(self.id, "The process ended");
    }
}

impl Seat for Process {
    fn hand_over(&self, ticket: u64, call: &Call) {
        let id: RequestId = std::str::from_utf8(&call.context[7..43]).unwrap().parse().unwrap();
        let Some(control) = self.control.upgrade() else { return };
        let live = control.live.get(id).expect("what runs is shown");
        let claim = Claim::of(&live.request);
        self.books.lock().unwrap().handed_over(id, claim);
        self.told.lock().unwrap().calls.push_back((ticket, id, claim));
    }

    fn cancel(&self, ticket: u64) {
        self.told.lock().unwrap().taken_back.insert(ticket);
    }

    fn recall(&self, ticket: u64) {
        self.told.lock().unwrap().recalled.insert(ticket);
    }

    fn kill(&self, _: &str) {
        self.told.lock().unwrap().killed = true;
    }
}
