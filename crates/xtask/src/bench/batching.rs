//! `batching`: a vectorised model with and without dynamic batching, beside the floor, which calls it row by row.

use serde_json::json;

use super::build::Binaries;
use super::figures::{Figures, cell};
use super::floor::Floor;
use super::load::Aim;
use super::machine::Machine;
use super::ours::{Instances, Server, Wanted};
use super::python;
use super::report::{LoadRow, Report, Round, Target};
use super::work::Work;
use super::{Options, Result, interrupt};

/// The most requests of one call: half of the connections, so that one group is on its way while another is in work.
const SIZE: &str = "32";
/// How long a request waits for others, in milliseconds.
const WAIT: &str = "5";

const ALONE: &str = "alone";
const GROUP: &str = "group";

/// Measures the floor, ours without labels and ours with them, one right after the other.
pub fn run(options: &Options, binaries: &Binaries) -> Result<Report> {
    let machine = Machine::look(binaries.profile);
    let mut report = Report::new("batching", machine);
    let package = python::package(Work::Wine, &options.python, &binaries.home)?;
    let floor = Floor::start(&binaries.floor, &package)?;
    let floor = (floor.aim()?, floor.pid(), floor);
    let server = match options.floor_only {
        true => None,
        false => Some(Server::start_new(options, binaries)?),
    };
    let mut ours = vec![];
    if let Some(server) = &server {
        let labels = json!({ "modelyard-batch-size": SIZE, "modelyard-batch-wait-ms": WAIT });
        let alone = server.deploy(&package, Instances::One)?;
        let wanted = Wanted { labels, ..Wanted::new("bench-wine-batched", Instances::One) };
        let group = server.deploy_as(&package, &wanted)?;
        ours = vec![(ALONE, server.aim(&alone)?, server.pid()), (GROUP, server.aim(&group)?, server.pid())];
    }
    for connections in &options.connections {
        let mut rows = [ALONE, GROUP].map(|work| row(work, *connections));
        for round in 1..=options.rounds(3) {
            eprintln!("{connections} connections, round {round}");
            measure(options, (&floor.0, floor.1), &ours, &mut rows)?;
        }
        report.loads.extend(rows.into_iter().filter(|row| !row.rounds.is_empty() || !row.failures.is_empty()));
    }
    report.targets = targets(&report);
    Ok(report)
}

fn row(work: &'static str, connections: usize) -> LoadRow {
    LoadRow { work, connections, rounds: vec![], failures: vec![] }
}

/// One cell of the floor, and those of ours after it.
fn measure(options: &Options, floor: (&Aim, i32), ours: &[(&str, Aim, i32)], rows: &mut [LoadRow]) -> Result<()> {
    let figures = |aim: &Aim, pid, row: &LoadRow| cell(aim, pid, row.connections, options.seconds());
    let base = keep(figures(floor.0, floor.1, &rows[0]), "floor", &mut rows[0])?;
    let Some(base) = base else { return Ok(()) };
    if ours.is_empty() {
        rows[0].rounds.push(Round { floor: base, ours: None });
        return Ok(());
    }
    for ((name, aim, pid), row) in ours.iter().zip(rows) {
        let reached = keep(figures(aim, *pid, row), name, row)?;
        row.rounds.extend(reached.map(|ours| Round { floor: base.clone(), ours: Some(ours) }));
    }
    Ok(())
}

/// Figures, if they could be measured; why not stands in the row.
fn keep(figures: Result<Figures>, side: &str, row: &mut LoadRow) -> Result<Option<Figures>> {
    match figures {
        Ok(figures) => Ok(Some(figures)),
        Err(reason) => {
            interrupt::check()?;
            row.failures.push(format!("{side}: {reason}"));
            Ok(None)
        }
    }
}

fn targets(report: &Report) -> Vec<Target> {
    let row = report.loads.iter().find(|row| row.work == GROUP && row.connections == 64);
    let Some(row) = row else { return vec![] };
    let rate = row.paired(|floor, ours| ours.rate / floor.rate);
    vec![Target::at_least("grouped, 64 connections: requests/s", "at least 3 x floor".into(), 3.0, rate, "x")]
}
