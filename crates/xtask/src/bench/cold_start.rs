//! `cold-start`: from a request to its answer when no instance runs, from start to ready, and memory.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::build::Binaries;
use super::figures::median;
use super::floor;
use super::machine::Machine;
use super::ours::{Deployed, Instances, Server};
use super::python::{self, Package};
use super::report::{MemoryRow, Report, Target, TimeRow};
use super::work::Work;
use super::{Options, Result, interrupt, processes};

const IDLE: &str = "idle server";
const WITH_WORKER: &str = "server and one echo worker";
const USED: &str = "server after cold starts, no instance";
const START: &str = "start to ready, existing data folder";

/// How long an idle instance may go on beyond its idle time before we give up.
const UNTIL_IDLE: Duration = Duration::from_secs(60);

/// Measures cold starts of every work, starts of the server on its own data, and memory.
pub fn run(options: &Options, binaries: &Binaries) -> Result<Report> {
    let mut report = Report::new("cold-start", Machine::look(binaries.profile));
    let packages = options
        .work
        .iter()
        .map(|work| python::package(*work, &options.python, &binaries.home))
        .collect::<Result<Vec<_>>>()?;
    let mut rows: Vec<TimeRow> = packages.iter().map(|p| row(what(p.work))).collect();
    if options.floor_only {
        for round in 0..=options.rounds(5) {
            for (package, row) in packages.iter().zip(&mut rows) {
                record(round, &mut row.floor_ms, &mut row.failures, floor::cold(package))?;
            }
        }
        report.times = rows;
        return Ok(report);
    }
    let mut server = Server::start_new(options, binaries)?;
    let deployed = packages.iter().map(|p| server.deploy(p, Instances::None)).collect::<Result<Vec<_>>>()?;
    cold_starts(options, &server, &packages, &deployed, &mut rows)?;
    report.times = rows;
    no_instance(&server)?;
    report.memory.push(memory(&server, USED)?);
    report.times.push(starts(options, &mut server)?);
    // Started anew, so nothing is left over from earlier requests.
    no_instance(&server)?;
    report.memory.push(memory(&server, IDLE)?);
    for (package, deployed) in packages.iter().zip(&deployed) {
        if package.work == Work::Echo {
            first_answer(&server, deployed)?;
            report.memory.push(memory(&server, WITH_WORKER)?);
        }
    }
    report.targets = targets(&report);
    Ok(report)
}

fn row(what: String) -> TimeRow {
    TimeRow { what, floor_ms: vec![], ours_ms: vec![], failures: vec![] }
}

fn what(work: Work) -> String {
    match work {
        Work::Echo => "cold start, nothing imported".into(),
        Work::Iris => "cold start, scikit-learn".into(),
        Work::Wine => "cold start, scikit-learn with a scaler".into(),
        other => format!("cold start, {}", other.name()),
    }
}

/// Round 0 fills caches of the disk and does not count.
fn record(round: usize, into: &mut Vec<f64>, failures: &mut Vec<String>, took: Result<Duration>) -> Result<()> {
    interrupt::check()?;
    match took {
        Ok(took) if round > 0 => into.push(took.as_secs_f64() * 1e3),
        Ok(_) => {}
        Err(reason) => failures.push(reason),
    }
    Ok(())
}

fn cold_starts(
    options: &Options,
    server: &Server,
    packages: &[Package],
    deployed: &[Deployed],
    rows: &mut [TimeRow],
) -> Result<()> {
    for round in 0..=options.rounds(5) {
        eprintln!("cold starts, round {round}: waiting until no instance runs");
        no_instance(server)?;
        for ((package, deployed), row) in packages.iter().zip(deployed).zip(rows.iter_mut()) {
            record(round, &mut row.floor_ms, &mut row.failures, floor::cold(package))?;
            record(round, &mut row.ours_ms, &mut row.failures, first_answer(server, deployed))?;
        }
    }
    Ok(())
}

/// The time of one request that finds no worker of its own; that it got one is checked.
fn first_answer(server: &Server, deployed: &Deployed) -> Result<Duration> {
    let before = processes::pythons(server.pid());
    let from = Instant::now();
    server.ask(deployed)?;
    let took = from.elapsed();
    if processes::pythons(server.pid()) > before {
        return Ok(took);
    }
    Err("the request was answered without a new worker, so this was no cold start".into())
}

fn no_instance(server: &Server) -> Result<()> {
    let from = Instant::now();
    while processes::pythons(server.pid()) > 0 {
        interrupt::check()?;
        if from.elapsed() > UNTIL_IDLE {
            return Err(format!("an idle instance still runs after {} s", UNTIL_IDLE.as_secs()));
        }
        sleep(Duration::from_millis(50));
    }
    Ok(())
}

fn starts(options: &Options, server: &mut Server) -> Result<TimeRow> {
    let mut row = row(START.into());
    for round in 0..=options.rounds(5) {
        let took = server.restart()?;
        record(round, &mut row.ours_ms, &mut row.failures, Ok(took))?;
    }
    Ok(row)
}

fn memory(server: &Server, what: &str) -> Result<MemoryRow> {
    Ok(MemoryRow { what: what.into(), memory: processes::memory(server.pid())? })
}

fn targets(report: &Report) -> Vec<Target> {
    let time = |what: &str| report.times.iter().find(|r| r.what == what);
    let ours = |what: &str| time(what).map_or(f64::NAN, |r| median(r.ours_ms.iter().copied()));
    let more = time(&what(Work::Iris))
        .map_or(f64::NAN, |r| median(r.floor_ms.iter().zip(&r.ours_ms).map(|(floor, ours)| ours - floor)));
    let memory = |what: &str| report.memory.iter().find(|r| r.what == what).map_or(f64::NAN, |r| r.memory.pss_mib);
    let most = |what, wanted: &str, bound, reached, unit| Target::at_most(what, wanted.into(), bound, reached, unit);
    vec![
        most("cold start, nothing imported", "at most 100 ms", 100.0, ours(&what(Work::Echo)), "ms"),
        most("cold start, scikit-learn", "at most floor + 50 ms", 50.0, more, "ms more"),
        most(START, "at most 300 ms", 300.0, ours(START), "ms"),
        most(IDLE, "at most 40 MiB", 40.0, memory(IDLE), "MiB"),
        most(WITH_WORKER, "at most 50 MiB", 50.0, memory(WITH_WORKER), "MiB"),
    ]
}
