//! What a benchmark found, as tables for people or JSON for programs.

use std::fmt::Write;

use super::Result;
use super::figures::{Figures, median};
use super::machine::Machine;
use super::processes::Memory;

/// One floor cell and the cell of ours right after it.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Round {
    /// The floor's figures.
    pub floor: Figures,
    /// Ours; none when only the floor was measured.
    pub ours: Option<Figures>,
}

/// All rounds of one load.
#[derive(Debug, serde::Serialize)]
pub struct LoadRow {
    /// The user code.
    pub work: &'static str,
    /// Connections.
    pub connections: usize,
    /// Those rounds in which every answer was right.
    pub rounds: Vec<Round>,
    /// Why the other rounds do not count.
    pub failures: Vec<String>,
}

/// All rounds of one duration, in milliseconds.
#[derive(Debug, serde::Serialize)]
pub struct TimeRow {
    /// What was timed.
    pub what: String,
    /// The floor's durations, if the thing has a floor.
    pub floor_ms: Vec<f64>,
    /// Ours.
    pub ours_ms: Vec<f64>,
    /// Why other rounds do not count.
    pub failures: Vec<String>,
}

/// All rounds of something of which more is better.
#[derive(Debug, serde::Serialize)]
pub struct RateRow {
    /// What was counted.
    pub what: &'static str,
    /// The floor's counts per second.
    pub floor: Vec<f64>,
    /// Ours, each measured right after the floor's of the same position.
    pub ours: Vec<f64>,
}

/// The memory of one tree of processes.
#[derive(Debug, serde::Serialize)]
pub struct MemoryRow {
    /// What was running.
    pub what: String,
    /// What it took.
    pub memory: Memory,
}

/// A line of the design's section on speed, and what was reached.
#[derive(Debug, serde::Serialize)]
pub struct Target {
    /// What is wanted of what.
    pub what: &'static str,
    /// The bound in words.
    pub wanted: String,
    /// What was reached; none when it could not be measured.
    pub reached: Option<f64>,
    /// Whether it was met.
    pub met: Option<bool>,
    /// The unit of `reached`.
    pub unit: &'static str,
}

/// The outcome of a benchmark.
#[derive(Debug, serde::Serialize)]
pub struct Report {
    /// Its name.
    pub benchmark: &'static str,
    /// Where it ran.
    pub machine: Machine,
    /// Loads.
    pub loads: Vec<LoadRow>,
    /// Rates.
    pub rates: Vec<RateRow>,
    /// Durations.
    pub times: Vec<TimeRow>,
    /// Memory.
    pub memory: Vec<MemoryRow>,
    /// The targets.
    pub targets: Vec<Target>,
}

impl LoadRow {
    /// The median over the rounds of something of both sides.
    pub fn paired(&self, of: impl Fn(&Figures, &Figures) -> f64) -> f64 {
        median(self.rounds.iter().filter_map(|r| Some(of(&r.floor, r.ours.as_ref()?))))
    }

    fn line(&self, side: &str, figures: &[&Figures], out: &mut String) {
        let middle = |of: fn(&Figures) -> f64| median(figures.iter().map(|f| of(f)));
        let _ = writeln!(
            out,
            "{:<6}{:>5}  {side:<6}{:>10.0}{:>10.0}{:>10.0}{:>10.1}{:>10.1}",
            self.work,
            self.connections,
            middle(|f| f.rate),
            middle(|f| f.p50_us),
            middle(|f| f.p99_us),
            middle(|f| f.cpu_us),
            middle(|f| f.generator_us),
        );
    }

    fn write(&self, out: &mut String) {
        let floor: Vec<_> = self.rounds.iter().map(|r| &r.floor).collect();
        let ours: Vec<_> = self.rounds.iter().filter_map(|r| r.ours.as_ref()).collect();
        if !floor.is_empty() {
            self.line("floor", &floor, out);
        }
        if !ours.is_empty() {
            self.line("ours", &ours, out);
            let _ = writeln!(
                out,
                "{:<6}{:>5}  {:<6}{:>10.3}{:>10.2}{:>10.2}{:>10.2}",
                "",
                "",
                "ratio",
                self.paired(|f, o| o.rate / f.rate),
                self.paired(|f, o| o.p50_us / f.p50_us),
                self.paired(|f, o| o.p99_us / f.p99_us),
                self.paired(|f, o| o.cpu_us / f.cpu_us),
            );
        }
        for failure in &self.failures {
            let _ = writeln!(out, "{:<6}{:>5}  failed: {failure}", self.work, self.connections);
        }
    }
}

impl RateRow {
    /// A row without rounds.
    pub fn new(what: &'static str) -> Self {
        Self { what, floor: vec![], ours: vec![] }
    }

    /// The median of ours.
    pub fn reached(&self) -> f64 {
        median(self.ours.iter().copied())
    }

    /// The median over the rounds of ours by the floor's.
    pub fn ratio(&self) -> f64 {
        median(self.floor.iter().zip(&self.ours).map(|(floor, ours)| ours / floor))
    }

    fn write(&self, out: &mut String) {
        let floor = median(self.floor.iter().copied());
        let floor = if floor.is_nan() { "-".into() } else { format!("{floor:.0}") };
        let ratio = if self.ratio().is_nan() { "-".into() } else { format!("{:.3}", self.ratio()) };
        let ours = if self.ours.is_empty() { "-".into() } else { format!("{:.0}", self.reached()) };
        let rounds = self.ours.len().max(self.floor.len());
        let _ = writeln!(out, "{:<44}{floor:>10}{ours:>10}{ratio:>10}{rounds:>8}", self.what);
    }
}

impl TimeRow {
    fn write(&self, out: &mut String) {
        let list = |values: &[f64]| match values {
            [] => "-".into(),
            _ => format!("{:.1}", median(values.iter().copied())),
        };
        let worst = self.ours_ms.iter().copied().fold(f64::NAN, f64::max);
        let worst = if worst.is_nan() { "-".into() } else { format!("{worst:.1}") };
        let _ = writeln!(
            out,
            "{:<44}{:>10}{:>10}{:>10}{:>8}",
            self.what,
            list(&self.floor_ms),
            list(&self.ours_ms),
            worst,
            self.ours_ms.len().max(self.floor_ms.len()),
        );
        for failure in &self.failures {
            let _ = writeln!(out, "  failed: {failure}");
        }
    }
}

impl Target {
    /// A target that is met when `reached` is at most `bound`.
    pub fn at_most(what: &'static str, wanted: String, bound: f64, reached: f64, unit: &'static str) -> Target {
        Target::new(what, wanted, reached, reached <= bound, unit)
    }

    /// A target that is met when `reached` is at least `bound`.
    pub fn at_least(what: &'static str, wanted: String, bound: f64, reached: f64, unit: &'static str) -> Target {
        Target::new(what, wanted, reached, reached >= bound, unit)
    }

    fn new(what: &'static str, wanted: String, reached: f64, met: bool, unit: &'static str) -> Target {
        let measured = reached.is_finite();
        Target { what, wanted, reached: measured.then_some(reached), met: measured.then_some(met), unit }
    }

    fn write(&self, out: &mut String) {
        let reached = self.reached.map_or("-".into(), |r| format!("{r:.2} {}", self.unit));
        let verdict = match self.met {
            Some(true) => "met",
            Some(false) => "missed",
            None => "not measured",
        };
        let _ = writeln!(out, "{:<44}{:<22}{:>14}  {verdict}", self.what, self.wanted, reached.trim_end());
    }
}

impl Report {
    /// A report in which nothing stands yet.
    pub fn new(benchmark: &'static str, machine: Machine) -> Self {
        let (loads, rates, times) = (vec![], vec![], vec![]);
        Self { benchmark, machine, loads, rates, times, memory: vec![], targets: vec![] }
    }

    /// Measurements that could not be made.
    pub fn failures(&self) -> usize {
        let loads: usize = self.loads.iter().map(|r| r.failures.len()).sum();
        loads + self.times.iter().map(|r| r.failures.len()).sum::<usize>()
    }

    /// The report as one JSON document, with every round.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string_pretty(self).map_err(|e| format!("the report cannot be written: {e}"))
    }

    /// The report as tables of medians.
    pub fn to_text(&self) -> String {
        let machine = &self.machine;
        let mut out = format!(
            "{}: {} build, {} cores ({}), Linux {}, load {:.2} before\n",
            self.benchmark, machine.profile, machine.cores, machine.processor, machine.kernel, machine.load_before
        );
        if !self.loads.is_empty() {
            out += "\nwork   conn  side    requests/s    p50 us    p99 us    cpu us generator us, per request\n";
        }
        self.loads.iter().for_each(|r| r.write(&mut out));
        if !self.rates.is_empty() {
            let _ = writeln!(out, "\n{:<44}{:>10}{:>10}{:>10}{:>8}", "per second", "floor", "ours", "ratio", "rounds");
        }
        self.rates.iter().for_each(|r| r.write(&mut out));
        if !self.times.is_empty() {
            let _ = writeln!(out, "\n{:<44}{:>10}{:>10}{:>10}{:>8}", "ms", "floor", "ours", "worst", "rounds");
        }
        self.times.iter().for_each(|r| r.write(&mut out));
        if !self.memory.is_empty() {
            let _ = writeln!(out, "\n{:<44}{:>10}{:>10}", "memory (proportional set)", "MiB", "processes");
        }
        for row in &self.memory {
            let _ = writeln!(out, "{:<44}{:>10.1}{:>10}", row.what, row.memory.pss_mib, row.memory.processes);
        }
        if !self.targets.is_empty() {
            let _ = writeln!(out, "\n{:<44}{:<22}{:>14}", "target", "wanted", "reached");
        }
        self.targets.iter().for_each(|t| t.write(&mut out));
        out
    }
}
