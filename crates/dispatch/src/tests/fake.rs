//! A lane on a clock turned by hand, with workers and callers that only remember.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use bytes::Bytes;
use modelyard_types::RequestId;

use crate::clock::Clock;
use crate::{Call, Class, FailureKind, Job, Lane, LaneSettings, Outcome, Refusal, Seat, SeatId, Waiter};

/// What a process has been told and not yet dealt with.
#[derive(Default)]
pub(super) struct Told {
    /// Calls in its buffer, by ticket and the name in the body.
    pub(super) buffer: VecDeque<(u64, usize)>,
    /// Cancels and recalls it has not answered.
    pub(super) cancels: Vec<u64>,
    pub(super) recalls: Vec<u64>,
    pub(super) killed: bool,
    /// Whether the first of the buffer is in work.
    pub(super) working: bool,
    /// Calls as they came, with what the buffer held before.
    pub(super) history: Vec<(usize, usize)>,
    pub(super) credit: u32,
}

/// A process that does nothing by itself.
#[derive(Default)]
pub(super) struct Process(pub(super) Mutex<Told>);

impl Seat for Process {
    fn hand_over(&self, ticket: u64, call: &Call) {
        let mut told = self.0.lock().unwrap();
        let name = std::str::from_utf8(&call.body).unwrap().parse().unwrap();
        let before = told.buffer.len();
        told.history.push((name, before));
        told.buffer.push_back((ticket, name));
    }
    fn cancel(&self, ticket: u64) {
        self.0.lock().unwrap().cancels.push(ticket);
    }
    fn recall(&self, ticket: u64) {
        self.0.lock().unwrap().recalls.push(ticket);
    }
    fn credit(&self, _: u64, updates: u32) {
        self.0.lock().unwrap().credit += updates;
    }
    fn kill(&self) {
        self.0.lock().unwrap().killed = true;
    }
}

/// What a caller was told.
#[derive(Default)]
pub(super) struct Heard {
    pub(super) started: usize,
    pub(super) updates: Vec<Bytes>,
    pub(super) outcomes: Vec<Outcome>,
}

struct Caller(Arc<Mutex<Heard>>);

impl Waiter for Caller {
    fn started(&self) {
        self.0.lock().unwrap().started += 1;
    }
    fn update(&self, text: Bytes) {
        self.0.lock().unwrap().updates.push(text);
    }
    fn finish(&self, outcome: Outcome) {
        self.0.lock().unwrap().outcomes.push(outcome);
    }
}

/// A lane with everything around it.
pub(super) struct Yard {
    pub(super) lane: Lane,
    pub(super) nudges: Arc<AtomicUsize>,
    pub(super) seats: Vec<(SeatId, Arc<Process>)>,
    pub(super) heard: Vec<Arc<Mutex<Heard>>>,
    pub(super) ids: Vec<RequestId>,
    clock: Arc<AtomicU64>,
}

impl Yard {
    pub(super) fn new(settings: LaneSettings) -> Self {
        let (nudges, clock) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicU64::new(0)));
        let counted = nudges.clone();
        let nudge = Arc::new(move || {
            counted.fetch_add(1, Ordering::SeqCst);
        });
        let lane = Lane::with_clock(settings, nudge, Clock::Manual(Instant::now(), clock.clone()));
        Self { lane, nudges, seats: vec![], heard: vec![], ids: vec![], clock }
    }

    /// A lane whose version is known to be quick, with so many idle seats.
    pub(super) fn quick(read_ahead: usize, seats: usize) -> Self {
        let mut yard = Self::new(LaneSettings { read_ahead, ..LaneSettings::default() });
        yard.seat();
        for _ in 0..8 {
            yard.submit(Class::Direct, 1).unwrap();
            yard.run(0);
        }
        for _ in 1..seats {
            yard.seat();
        }
        yard
    }

    pub(super) fn turn(&self, millis: u64) {
        self.clock.fetch_add(millis, Ordering::SeqCst);
    }

    pub(super) fn millis(&self) -> u64 {
        self.clock.load(Ordering::SeqCst)
    }

    pub(super) fn seat(&mut self) -> usize {
        let (id, process) = (SeatId::new(), Arc::new(Process::default()));
        self.seats.push((id, process.clone()));
        self.lane.seat_ready(id, process);
        self.seats.len() - 1
    }

    pub(super) fn submit(&mut self, class: Class, priority: u8) -> Result<usize, Refusal> {
        let (id, name) = (RequestId::new(), self.ids.len());
        let heard = Arc::new(Mutex::new(Heard::default()));
        let call = Call { flags: 0, context: Bytes::new(), body: name.to_string().into() };
        let taken = self.lane.submit(Job { id, class, priority, call, waiter: Arc::new(Caller(heard.clone())) });
        self.heard.push(heard);
        self.ids.push(id);
        taken.map(|()| name)
    }

    pub(super) fn direct(&mut self) -> usize {
        self.submit(Class::Direct, 1).unwrap()
    }

    /// The names of the calls in a process's buffer.
    pub(super) fn buffer(&self, seat: usize) -> Vec<usize> {
        self.seats[seat].1.0.lock().unwrap().buffer.iter().map(|(_, name)| *name).collect()
    }

    /// The ticket of the call at that place of a buffer.
    pub(super) fn ticket(&self, seat: usize, place: usize) -> u64 {
        self.seats[seat].1.0.lock().unwrap().buffer[place].0
    }

    /// The process begins with the first call of its buffer.
    pub(super) fn start(&self, seat: usize) -> bool {
        let (id, process) = &self.seats[seat];
        let ticket = {
            let mut told = process.0.lock().unwrap();
            told.working = true;
            told.buffer[0].0
        };
        self.lane.started(*id, ticket)
    }

    /// The process ends the first call of its buffer.
    pub(super) fn end(&self, seat: usize, outcome: Outcome) -> bool {
        let (id, process) = &self.seats[seat];
        let ticket = {
            let mut told = process.0.lock().unwrap();
            told.working = false;
            let (ticket, _) = told.buffer.pop_front().unwrap();
            told.cancels.retain(|cancelled| *cancelled != ticket);
            told.recalls.retain(|recalled| *recalled != ticket);
            ticket
        };
        self.lane.finished(*id, ticket, outcome)
    }

    /// The process answers that it dropped a call.
    pub(super) fn drop_call(&self, seat: usize, ticket: u64) -> bool {
        let (id, process) = &self.seats[seat];
        {
            let mut told = process.0.lock().unwrap();
            told.buffer.retain(|(held, _)| *held != ticket);
            told.cancels.retain(|cancelled| *cancelled != ticket);
            told.recalls.retain(|recalled| *recalled != ticket);
        }
        self.lane.finished(*id, ticket, interrupted())
    }

    /// The process runs the first call of its buffer to its end.
    pub(super) fn run(&self, seat: usize) {
        self.start(seat);
        self.end(seat, answer());
    }

    pub(super) fn outcomes(&self, name: usize) -> Vec<Outcome> {
        self.heard[name].lock().unwrap().outcomes.clone()
    }

    pub(super) fn told<T>(&self, seat: usize, look: impl FnOnce(&Told) -> T) -> T {
        look(&self.seats[seat].1.0.lock().unwrap())
    }
}

pub(super) fn answer() -> Outcome {
    Outcome::Result(Bytes::from_static(b"{}"))
}

pub(super) fn interrupted() -> Outcome {
    Outcome::Failed { message: "dropped".into(), public: None, kind: FailureKind::Cancelled }
}
