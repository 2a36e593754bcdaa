//! The lane under real threads: every job ends once, and processes that die at random lose none.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use modelyard_types::RequestId;

use crate::{Call, Class, FailureKind, Job, Lane, LaneSettings, Outcome, Seat, SeatId, Waiter};

enum Told {
    Call(u64),
    Cancel(u64),
    End,
}

/// A process whose thread answers what it is told.
struct Process(Mutex<mpsc::Sender<Told>>);

impl Process {
    fn tell(&self, told: Told) {
        let _ = self.0.lock().unwrap().send(told);
    }
}

impl Seat for Process {
    fn hand_over(&self, ticket: u64, _: &Call) {
        self.tell(Told::Call(ticket));
    }
    fn cancel(&self, ticket: u64) {
        self.tell(Told::Cancel(ticket));
    }
    fn kill(&self, _: &str) {
        self.tell(Told::End);
    }
}

#[derive(Default)]
struct Ends {
    of_jobs: Vec<AtomicUsize>,
    all: AtomicUsize,
}

struct Caller(usize, Arc<Ends>);

impl Waiter for Caller {
    fn started(&self) {}
    fn update(&self, _: Bytes) {}
    fn finish(&self, _: Outcome) {
        self.1.of_jobs[self.0].fetch_add(1, Ordering::SeqCst);
        self.1.all.fetch_add(1, Ordering::SeqCst);
    }
}

/// Serves calls; every 50th it starts ends the process, and another takes its place.
fn serve(lane: &Lane, served: &AtomicU64, ends: &Ends) {
    while ends.all.load(Ordering::SeqCst) < ends.of_jobs.len() {
        let (sender, inbox) = mpsc::channel();
        let seat = SeatId::new();
        lane.seat_ready(seat, Arc::new(Process(Mutex::new(sender))));
        while ends.all.load(Ordering::SeqCst) < ends.of_jobs.len() {
            let Ok(told) = inbox.recv_timeout(Duration::from_millis(5)) else { continue };
            let dropped = Outcome::Failed { message: String::new(), public: None, kind: FailureKind::Cancelled };
            match told {
                Told::Call(ticket) => {
                    assert!(lane.started(seat, ticket));
                    if served.fetch_add(1, Ordering::SeqCst) % 50 == 49 {
                        break;
                    }
                    assert!(lane.finished(seat, ticket, Outcome::Result(Bytes::new())));
                }
                Told::Cancel(ticket) => drop(lane.finished(seat, ticket, dropped)),
                Told::End => break,
            }
        }
        lane.seat_gone(seat, "gone");
    }
}

#[test]
fn every_job_ends_once_whatever_dies() {
    const JOBS: usize = 4_000;
    let ends = Arc::new(Ends { of_jobs: (0..JOBS).map(|_| AtomicUsize::new(0)).collect(), all: AtomicUsize::new(0) });
    let lane = Lane::new(LaneSettings::default(), Arc::new(|| ()), Arc::new(|_| ()));
    let (served, ids) = (AtomicU64::new(0), (0..JOBS).map(|_| RequestId::new()).collect::<Vec<_>>());
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| serve(&lane, &served, &ends));
        }
        for part in 0..2 {
            let (lane, ids, ends) = (&lane, &ids, &ends);
            scope.spawn(move || {
                for name in (0..JOBS).filter(|name| name % 2 == part) {
                    let class = if name % 3 == 0 { Class::Batch } else { Class::Direct };
                    let waiter = Arc::new(Caller(name, ends.clone()));
                    lane.submit(Job { id: ids[name], class, priority: 1, call: Call::default(), waiter }).unwrap();
                    match name % 40 {
                        7 => lane.expire(ids[name]),
                        9 => drop(lane.cancel(ids[name])),
                        _ => (),
                    }
                }
            });
        }
    });
    assert!(ends.of_jobs.iter().all(|ended| ended.load(Ordering::SeqCst) == 1));
}
