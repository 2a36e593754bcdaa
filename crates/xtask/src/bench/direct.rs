//! `direct`: requests that wait for their answer, with 1, 8 and 64 connections.

use super::build::Binaries;
use super::floor::Floor;
use super::load::Aim;
use super::machine::Machine;
use super::ours::{Deployed, Instances, Server, Wanted};
use super::python::{self, Package};
use super::report::{LoadRow, MemoryRow, Report, Round, Target};
use super::work::Work;
use super::{Options, Result, figures, interrupt, processes};

/// Measures every work with every number of connections, each cell of ours right after one of the floor.
pub fn run(options: &Options, binaries: &Binaries) -> Result<Report> {
    let mut report = beside_floor("direct", &options.work, "full", options, binaries)?;
    report.targets = targets(&report);
    Ok(report)
}

/// The cells of some works, whose requests are kept as `retention` says.
pub fn beside_floor(
    name: &'static str,
    works: &[Work],
    retention: &str,
    options: &Options,
    binaries: &Binaries,
) -> Result<Report> {
    let mut report = Report::new(name, Machine::look(binaries.profile));
    let server = match options.floor_only {
        true => None,
        false => Some(Server::start_new(options, binaries)?),
    };
    for work in works {
        let package = python::package(*work, &options.python, &binaries.home)?;
        let floor = Floor::start(&binaries.floor, &package)?;
        let deployment = format!("bench-{}", work.name());
        let wanted = Wanted { retention, ..Wanted::new(&deployment, Instances::One) };
        let ours = match &server {
            None => None,
            Some(server) => Some((server, server.deploy_as(&package, &wanted)?)),
        };
        measure(options, &package, &floor, ours.as_ref(), &mut report)?;
    }
    Ok(report)
}

fn measure(
    options: &Options,
    package: &Package,
    floor: &Floor,
    ours: Option<&(&Server, Deployed)>,
    report: &mut Report,
) -> Result<()> {
    let work = package.work.name();
    let floor_side = (floor.aim()?, floor.pid());
    let our_side = match ours {
        None => None,
        Some((server, deployed)) => Some((server.aim(deployed)?, server.pid())),
    };
    let mut rows: Vec<LoadRow> = options
        .connections
        .iter()
        .map(|n| LoadRow { work, connections: *n, rounds: vec![], failures: vec![] })
        .collect();
    for round in 1..=options.rounds(3) {
        for row in &mut rows {
            eprintln!("{work}, {} connections, round {round}", row.connections);
            match pair(&floor_side, our_side.as_ref(), row.connections, options.seconds()) {
                Ok(round) => row.rounds.push(round),
                Err(reason) => {
                    interrupt::check()?;
                    row.failures.push(reason);
                }
            }
        }
    }
    report.loads.extend(rows);
    let memory = |what: String, pid| -> Result<MemoryRow> { Ok(MemoryRow { what, memory: processes::memory(pid)? }) };
    report.memory.push(memory(format!("floor and its {work} loop, after load"), floor_side.1)?);
    if let Some((_, pid)) = our_side {
        let workers = report.memory.len().div_ceil(2);
        report.memory.push(memory(format!("ours with {workers} workers, after load"), pid)?);
    }
    Ok(())
}

fn pair(floor: &(Aim, i32), ours: Option<&(Aim, i32)>, connections: usize, seconds: f64) -> Result<Round> {
    let said = |side: &'static str| move |e: String| format!("{side}: {e}");
    let floor = figures::cell(&floor.0, floor.1, connections, seconds).map_err(said("floor"))?;
    let ours = match ours {
        None => None,
        Some((aim, pid)) => Some(figures::cell(aim, *pid, connections, seconds).map_err(said("ours"))?),
    };
    Ok(Round { floor, ours })
}

fn targets(report: &Report) -> Vec<Target> {
    let row = |work: Work, connections| {
        report.loads.iter().find(move |r| r.work == work.name() && r.connections == connections)
    };
    let mut targets = vec![];
    if let Some(row) = row(Work::Echo, 64) {
        let rate = row.paired(|f, o| o.rate / f.rate);
        let cpu = row.paired(|f, o| o.cpu_us / f.cpu_us);
        targets.push(Target::at_least(
            "echo, 64 connections: requests/s",
            "at least 0.5 x floor".into(),
            0.5,
            rate,
            "x",
        ));
        targets.push(Target::at_most(
            "echo, 64 connections: cpu per request",
            "at most 2 x floor".into(),
            2.0,
            cpu,
            "x",
        ));
    }
    if let Some(row) = row(Work::Echo, 1) {
        let more = row.paired(|f, o| o.p50_us - f.p50_us);
        targets.push(Target::at_most(
            "echo, one connection: p50",
            "at most floor + 60 us".into(),
            60.0,
            more,
            "us more",
        ));
    }
    if let Some(row) = row(Work::Iris, 8) {
        let rate = row.paired(|f, o| o.rate / f.rate);
        targets.push(Target::at_least(
            "iris, 8 connections: requests/s",
            "at least 0.9 x floor".into(),
            0.9,
            rate,
            "x",
        ));
    }
    targets
}
