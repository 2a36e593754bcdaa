//! Measures what a lane costs: nanoseconds for submit, started and finished of one job, with 1 and 4 threads.
//!
//! `cargo run --release -p modelyard-dispatch --example lane_speed`

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use bytes::Bytes;
use modelyard_dispatch::{Call, Class, Job, Lane, LaneSettings, Outcome, Seat, SeatId, Waiter};
use modelyard_types::RequestId;

const JOBS: usize = 400_000;

/// A process that remembers the tickets it was handed.
#[derive(Default)]
struct Process(Mutex<VecDeque<u64>>);

impl Process {
    fn next(&self) -> Option<u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

impl Seat for Process {
    fn hand_over(&self, ticket: u64, _: &Call) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(ticket);
    }
    fn cancel(&self, _: u64) {}
    fn kill(&self, _: &str) {}
}

/// A caller that counts.
#[derive(Default)]
struct Caller(AtomicUsize);

impl Waiter for Caller {
    fn started(&self) {}
    fn update(&self, _: Bytes) {}
    fn finish(&self, _: Outcome) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn job(caller: &Arc<Caller>) -> Job {
    let call = Call { context: Bytes::from_static(b"{}"), body: Bytes::from_static(b"{\"a\":1}"), ..Call::default() };
    Job { id: RequestId::new(), class: Class::Direct, priority: 1, call, waiter: caller.clone() }
}

/// One thread submits so many jobs at a time, and plays a process for whatever jobs come its way until all are done.
fn work(lane: &Lane, in_flight: usize, mut jobs: Vec<Job>, mine: &Caller, all: &[Arc<Caller>]) {
    let (seat, process, total) = (SeatId::new(), Arc::new(Process::default()), jobs.len());
    lane.seat_ready(seat, process.clone());
    while all.iter().any(|caller| caller.0.load(Ordering::Relaxed) < total) {
        let done = mine.0.load(Ordering::Relaxed);
        while total - jobs.len() < done + in_flight
            && let Some(job) = jobs.pop()
        {
            let _ = lane.submit(job);
        }
        let mut answered = false;
        while let Some(ticket) = process.next() {
            lane.started(seat, ticket);
            lane.finished(seat, ticket, Outcome::Result(Bytes::new()));
            answered = true;
        }
        if !answered {
            thread::yield_now();
        }
    }
}

fn measure(name: &str, threads: usize, in_flight: usize) {
    let lane = Lane::new(LaneSettings::default(), Arc::new(|| ()), Arc::new(|_| ()));
    let callers: Vec<Arc<Caller>> = (0..threads).map(|_| Arc::new(Caller::default())).collect();
    let prepare = |caller: &Arc<Caller>| (0..JOBS / threads).map(|_| job(caller)).collect::<Vec<_>>();
    let prepared: Vec<Vec<Job>> = callers.iter().map(prepare).collect();
    let start = Instant::now();
    thread::scope(|scope| {
        for (jobs, caller) in prepared.into_iter().zip(&callers) {
            scope.spawn(|| work(&lane, in_flight, jobs, caller, &callers));
        }
    });
    println!("{name:<44} {:>7.0} ns a job", start.elapsed().as_nanos() as f64 / JOBS as f64);
}

fn main() {
    measure("1 thread, 1 job at a time", 1, 1);
    measure("1 thread, 16 at a time, handed ahead", 1, 16);
    measure("4 threads, one lane, 1 job at a time each", 4, 1);
    measure("4 threads, one lane, 16 at a time each", 4, 16);
}
