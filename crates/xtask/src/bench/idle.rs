//! `idle`: the memory of a server at rest, with no deployment and with 10,000.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::build::Binaries;
use super::machine::Machine;
use super::ours::Server;
use super::report::{MemoryRow, Report, Target};
use super::{Options, Result, interrupt, processes};

const EMPTY: &str = "idle server, no deployment";
const MANY: &str = "idle server, 10,000 deployments known";

const DEPLOYMENTS: usize = 10_000;
/// Calls at the same time.
const CALLERS: usize = 8;
/// How long a server rests before it is measured.
const REST: Duration = Duration::from_secs(2);

/// Measures a new server, and one that knows many deployments, started anew.
pub fn run(options: &Options, binaries: &Binaries) -> Result<Report> {
    if options.floor_only {
        return Err("memory has no floor".into());
    }
    let mut report = Report::new("idle", Machine::look(binaries.profile));
    let mut server = Server::start_new(options, binaries)?;
    report.memory.push(memory(&server, EMPTY)?);
    let count = if options.quick { DEPLOYMENTS / 100 } else { DEPLOYMENTS };
    create(&server, count)?;
    server.restart()?;
    let what = if options.quick { format!("idle server, {count} deployments known") } else { MANY.into() };
    report.memory.push(memory(&server, &what)?);
    report.targets = targets(&report);
    Ok(report)
}

/// Makes so many deployments, each with a version.
fn create(server: &Server, count: usize) -> Result<()> {
    let (next, from) = (AtomicUsize::new(0), Instant::now());
    let work = || -> Result<()> {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return Ok(());
            }
            interrupt::check()?;
            server.create_empty(&format!("deployment-{number}"))?;
            if number % 1_000 == 999 {
                eprintln!("{} deployments after {:.0} s", number + 1, from.elapsed().as_secs_f64());
            }
        }
    };
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS).map(|_| scope.spawn(work)).collect();
        callers.into_iter().try_for_each(|caller| caller.join().map_err(|_| "a caller panicked".to_owned())?)
    })
}

fn memory(server: &Server, what: &str) -> Result<MemoryRow> {
    sleep(REST);
    Ok(MemoryRow { what: what.into(), memory: processes::memory(server.pid())? })
}

fn targets(report: &Report) -> Vec<Target> {
    let memory = |what: &str| report.memory.iter().find(|r| r.what == what).map_or(f64::NAN, |r| r.memory.pss_mib);
    vec![
        Target::at_most(EMPTY, "at most 40 MiB".into(), 40.0, memory(EMPTY), "MiB"),
        Target::at_most(MANY, "at most 200 MiB".into(), 200.0, memory(MANY), "MiB"),
    ]
}
