//! `big`: bodies of 1 MiB in and out, with 8 connections; of the requests the metadata is kept.

use super::build::Binaries;
use super::direct::beside_floor;
use super::report::{Report, Target};
use super::work::Work;
use super::{Options, Result};

/// Measures a text and a list of numbers, each cell of ours right after one of the floor, whose worker uses `json`.
pub fn run(options: &Options, binaries: &Binaries) -> Result<Report> {
    let options = Options { connections: vec![8], ..options.clone() };
    let mut report = beside_floor("big", &[Work::Text, Work::Numbers], "metadata", &options, binaries)?;
    let ratio = |work: Work| {
        let row = report.loads.iter().find(|row| row.work == work.name());
        row.map_or(f64::NAN, |row| row.paired(|floor, ours| ours.rate / floor.rate))
    };
    let target = |what, work| Target::at_least(what, "at least 2 x floor".into(), 2.0, ratio(work), "x");
    report.targets = vec![
        target("1 MiB of text, 8 connections: requests/s", Work::Text),
        target("1 MiB of numbers, 8 connections: requests/s", Work::Numbers),
    ];
    Ok(report)
}
