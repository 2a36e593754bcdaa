//! `queue`: batch requests, accepted in groups of 250, and accepted, run and stored by one process.
//!
//! The floor are rows that a Python program inserts into SQLite in groups, each commit on the disk: no server, no run.

use std::process::Command;
use std::time::{Duration, Instant};

use super::build::Binaries;
use super::child::output;
use super::load::{Aim, Load};
use super::machine::Machine;
use super::ours::{Deployed, Instances, Server, Wanted};
use super::python::{self, Package};
use super::report::{RateRow, Report, Target};
use super::work::Work;
use super::{Options, Result, interrupt};

/// Requests of one call.
const GROUP: usize = 250;
/// Calls at the same time.
const CONNECTIONS: usize = 4;
/// How long what was accepted may take to be run.
const LIMIT: Duration = Duration::from_secs(120);
/// The floor: inserts for so many seconds in groups of so many, and prints rows by second.
const INSERTS: &str = include_str!("floor/inserts.py");

/// Measures the floor, accepting alone, and the whole way.
pub fn run(options: &Options, binaries: &Binaries) -> Result<Report> {
    let mut report = Report::new("queue", Machine::look(binaries.profile));
    let server = match options.floor_only {
        true => None,
        false => Some(Server::start_new(options, binaries)?),
    };
    let package = |work| python::package(work, &options.python, &binaries.home);
    let (echo, sleeper) = (package(Work::Echo)?, package(Work::Sleeper)?);
    let mut accepted = RateRow::new("accepted, in groups of 250 (no process free)");
    let mut stored = RateRow::new("accepted, run and stored by one process");
    let ours = match &server {
        None => None,
        Some(server) => Some((server, queues(server, &echo, &sleeper)?)),
    };
    for round in 1..=options.rounds(3) {
        eprintln!("queue, round {round}");
        accepted.floor.push(inserts(options, &echo, binaries, GROUP)?);
        if let Some((server, (_, full))) = &ours {
            accepted.ours.push(accept(&server.batch_aim(full, GROUP)?, options.seconds())?);
        }
        stored.floor.push(inserts(options, &echo, binaries, 100)?);
        if let Some((server, (free, _))) = &ours {
            stored.ours.push(run_and_store(server, free, options.seconds())?);
        }
    }
    report.targets = vec![
        Target::at_least("accepted", "at least 40,000/s".into(), 40_000.0, accepted.reached(), "/s"),
        Target::at_least("accepted, run and stored", "at least 10,000/s".into(), 10_000.0, stored.reached(), "/s"),
    ];
    report.rates = vec![accepted, stored];
    Ok(report)
}

/// A deployment with a free process, and one whose only process is taken for good.
fn queues(server: &Server, echo: &Package, sleeper: &Package) -> Result<(Deployed, Deployed)> {
    let full = server.make_available(sleeper, &Wanted::new("bench-full", Instances::One))?;
    accept_one(&server.batch_aim(&full, 1)?)?;
    Ok((server.deploy_as(echo, &Wanted::new("bench-free", Instances::One))?, full))
}

fn accept_one(aim: &Aim) -> Result<()> {
    let stretch = Load::open(aim, 1)?.drive(Duration::ZERO)?;
    stretch.sample.map_or(Ok(()), |answer| Err(format!("a batch request was refused: {answer}")))
}

/// Rows by second of the floor.
fn inserts(options: &Options, package: &Package, binaries: &Binaries, group: usize) -> Result<f64> {
    interrupt::check()?;
    let folder = tempfile::tempdir_in(&binaries.home).map_err(|e| format!("no folder for the floor: {e}"))?;
    let mut command = Command::new(&package.python);
    command.args(["-c", INSERTS]).arg(folder.path().join("floor.db"));
    command.args([group.to_string(), options.seconds().to_string()]);
    let said = output("the floor's inserts", &mut command, LIMIT)?;
    said.trim().parse().map_err(|_| format!("the floor's inserts did not give a number: {said}"))
}

/// Requests accepted by second.
fn accept(aim: &Aim, seconds: f64) -> Result<f64> {
    let (count, took) = send(aim, seconds)?;
    Ok(count as f64 / took.as_secs_f64())
}

/// How many requests were accepted within about so many seconds, and what it took.
fn send(aim: &Aim, seconds: f64) -> Result<(usize, Duration)> {
    let stretch = Load::open(aim, CONNECTIONS)?.drive(Duration::from_secs_f64(seconds))?;
    match stretch.sample {
        Some(answer) => Err(format!("{} calls were refused, the first: {answer}", stretch.bad)),
        None => Ok((stretch.latencies.len() * GROUP, stretch.elapsed)),
    }
}

/// Requests by second from the first call to the last stored result.
fn run_and_store(server: &Server, deployed: &Deployed, seconds: f64) -> Result<f64> {
    let from = Instant::now();
    let (count, _) = send(&server.batch_aim(deployed, GROUP)?, seconds)?;
    while server.has_requests(deployed, "pending", 0)? || server.has_requests(deployed, "processing", 0)? {
        interrupt::check()?;
        if from.elapsed() > LIMIT {
            return Err(format!("{count} requests were not all run within {} s", LIMIT.as_secs()));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let took = from.elapsed();
    match server.has_requests(deployed, "completed", count - 1)? {
        true => Ok(count as f64 / took.as_secs_f64()),
        false => Err(format!("of {count} requests not all completed")),
    }
}
