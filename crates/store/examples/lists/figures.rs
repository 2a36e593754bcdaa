//! What was measured, as a table or as JSON.

use std::fmt::{self, Display};
use std::time::{Duration, Instant};

use modelyard_store::Result;
use serde_json::{Value, json};

/// What a list may take (milliseconds).
const TARGET: f64 = 50.0;
/// How often each question is asked.
const TIMES: usize = 50;
/// Unless that takes longer than this.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long one question took.
pub struct Figure {
    name: &'static str,
    /// Milliseconds, the shortest first.
    took: Vec<f64>,
    /// Of the last answer.
    rows: usize,
}

impl Figure {
    /// Asks again and again; an answer is its number of rows.
    pub async fn of(name: &'static str, mut ask: impl AsyncFnMut() -> Result<usize>) -> Result<Self> {
        let since = Instant::now();
        let mut figure = Self { name, took: Vec::with_capacity(TIMES), rows: 0 };
        while figure.took.is_empty() || figure.took.len() < TIMES && since.elapsed() < PATIENCE {
            let asked = Instant::now();
            figure.rows = ask().await?;
            figure.took.push(asked.elapsed().as_secs_f64() * 1e3);
        }
        figure.took.sort_by(f64::total_cmp);
        eprintln!("{figure}");
        Ok(figure)
    }

    /// What so many percent of the answers did not exceed.
    fn percentile(&self, percent: usize) -> f64 {
        self.took[(self.took.len() * percent / 100).min(self.took.len() - 1)]
    }

    fn json(&self) -> Value {
        json!({
            "name": self.name,
            "median_ms": self.percentile(50),
            "p99_ms": self.percentile(99),
            "times": self.took.len(),
            "rows": self.rows,
            "met": self.percentile(50) <= TARGET,
        })
    }
}

impl Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (median, p99) = (self.percentile(50), self.percentile(99));
        let missed = if median > TARGET { "  above 50 ms" } else { "" };
        write!(f, "{:<58} {median:>9.2} {p99:>9.2} {:>6} {:>6}{missed}", self.name, self.rows, self.took.len())
    }
}

/// What one database gave.
pub struct Report {
    pub database: &'static str,
    pub requests: u64,
    /// Requests stored a second while it was filled.
    pub per_second: f64,
    pub figures: Vec<Figure>,
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { database, requests, per_second, figures } = self;
        writeln!(f, "{database}, {requests} requests, stored at {per_second:.0} a second\n")?;
        writeln!(f, "{:<58} {:>9} {:>9} {:>6} {:>6}", "milliseconds", "median", "p99", "rows", "times")?;
        figures.iter().try_for_each(|figure| writeln!(f, "{figure}"))
    }
}

/// All of it as one document.
pub fn json(reports: &[Report]) -> Value {
    let of = |report: &Report| {
        json!({
            "database": report.database,
            "requests": report.requests,
            "stored_per_second": report.per_second,
            "figures": report.figures.iter().map(Figure::json).collect::<Vec<_>>(),
        })
    };
    json!({ "databases": reports.iter().map(of).collect::<Vec<_>>() })
}
