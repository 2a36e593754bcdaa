//! A lane on a clock turned by hand, with workers and callers that only remember.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use modelyard_types::RequestId;

use crate::clock::Clock;
use crate::{Call, Class, FailureKind, Job, Lane, LaneSettings, Outcome, Refusal, Seat, SeatId, Waiter};

/// What a process has been told and not yet dealt with.
#[derive(Default)]
pub(super) struct Told {
    /// Calls in its buffer, by ticket and the names in the body: several if it is a list.
    pub(super) buffer: VecDeque<(u64, Vec<usize>)>,
    /// Cancels and recalls it has not answered.
    pub(super) cancels: Vec<u64>,
    pub(super) recalls: Vec<u64>,
    /// Why it was killed.
    pub(super) killed: Option<String>,
    /// Whether the first of the buffer is in work.
    pub(super) working: bool,
    /// Calls as they came, with what the buffer held before.
    pub(super) history: Vec<(Vec<usize>, usize)>,
    pub(super) credit: u32,
}

/// A process that does nothing by itself.
#[derive(Default)]
pub(super) struct Process(pub(super) Mutex<Told>);

impl Seat for Process {
    fn hand_over(&self, ticket: u64, call: &Call) {
        let mut told = self.0.lock().unwrap();
        let body = std::str::from_utf8(&call.body).unwrap();
        assert_eq!(body.starts_with('['), call.flags == 2, "a list is a list");
        let names: Vec<usize> = body.trim_matches(['[', ']']).split(',').map(|name| name.parse().unwrap()).collect();
        assert_eq!(call.context, names[0].to_string(), "the context is that of the first");
        let before = told.buffer.len();
        told.history.push((names.clone(), before));
        told.buffer.push_back((ticket, names));
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
    fn kill(&self, why: &str) {
        self.0.lock().unwrap().killed = Some(why.to_owned());
    }
}

/// What a caller was told.
#[derive(Default)]
pub(super) struct Heard {
    pub(super) started: usize,
    pub(super) updates: Vec<Bytes>,
    pub(super) outcomes: Vec<Outcome>,
}

/// How a job is submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Plain,
    /// As text, which is no item of a list.
    Text,
    Alone,
    /// To the place that was kept for it.
    Reserved,
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
    /// For when the lane asked to be woken.
    wakes: Arc<Mutex<Vec<Instant>>>,
    start: Instant,
}

impl Yard {
    pub(super) fn new(settings: LaneSettings) -> Self {
        let (nudges, clock) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicU64::new(0)));
        let counted = nudges.clone();
        let nudge = Arc::new(move || {
            counted.fetch_add(1, Ordering::SeqCst);
        });
        let (start, wakes) = (Instant::now(), Arc::new(Mutex::new(vec![])));
        let asked = wakes.clone();
        let waker = Arc::new(move |at| asked.lock().unwrap().push(at));
        let lane = Lane::with_clock(settings, nudge, waker, Clock::Manual(start, clock.clone()));
        Self { lane, nudges, seats: vec![], heard: vec![], ids: vec![], clock, wakes, start }
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

    /// Time goes on, and the lane is woken if it asked for it.
    pub(super) fn turn(&self, millis: u64) {
        self.clock.fetch_add(millis, Ordering::SeqCst);
        while let Some(at) = self.due_wake() {
            self.wakes.lock().unwrap().retain(|asked| *asked != at);
            self.lane.woken();
        }
    }

    /// Whoever should wake the lane does not.
    pub(super) fn lose_wakes(&self) {
        self.wakes.lock().unwrap().clear();
    }

    fn due_wake(&self) -> Option<Instant> {
        let now = self.start + Duration::from_millis(self.millis());
        self.wakes.lock().unwrap().iter().copied().find(|at| *at <= now)
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
        self.submit_as(class, priority, Way::Plain)
    }

    pub(super) fn submit_as(&mut self, class: Class, priority: u8, way: Way) -> Result<usize, Refusal> {
        let (id, name) = (RequestId::new(), self.ids.len());
        let heard = Arc::new(Mutex::new(Heard::default()));
        let (body, flags) = (Bytes::from(name.to_string()), u8::from(way == Way::Text));
        let call = Call { flags, context: body.clone(), body, ..Call::default() };
        let job = Job { id, class, priority, call, waiter: Arc::new(Caller(heard.clone())) };
        let taken = match way {
            Way::Alone => self.lane.submit_alone(job),
            Way::Reserved => self.lane.submit_reserved(job),
            Way::Plain | Way::Text => self.lane.submit(job),
        };
        self.heard.push(heard);
        self.ids.push(id);
        taken.map(|()| name)
    }

    pub(super) fn direct(&mut self) -> usize {
        self.submit(Class::Direct, 1).unwrap()
    }

    /// The names in a process's buffer.
    pub(super) fn buffer(&self, seat: usize) -> Vec<usize> {
        self.calls(seat).concat()
    }

    /// The names of each call in a process's buffer.
    pub(super) fn calls(&self, seat: usize) -> Vec<Vec<usize>> {
        self.told(seat, |told| told.buffer.iter().map(|(_, names)| names.clone()).collect())
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
        let names = self.calls(seat).swap_remove(0);
        self.end(seat, if names.len() > 1 { own(&names) } else { answer() });
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

/// What a process answers that gives each request its own name back.
pub(super) fn own(names: &[usize]) -> Outcome {
    let text = names.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
    Outcome::Result(if names.len() == 1 { text } else { format!("[{text}]") }.into())
}

pub(super) fn raised() -> Outcome {
    Outcome::Failed { message: "raised".into(), public: None, kind: FailureKind::Exception }
}
