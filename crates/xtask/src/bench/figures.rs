//! One cell: load on one server for some seconds, and what it cost.

use std::time::Duration;

use super::load::{Aim, Load, Stretch};
use super::{Result, processes};

/// What one cell reached.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Figures {
    /// Requests answered rightly.
    pub requests: usize,
    /// Requests per second.
    pub rate: f64,
    /// Median time of a request in microseconds.
    pub p50_us: f64,
    /// What 99 of 100 requests stay below, in microseconds.
    pub p99_us: f64,
    /// Processor time per request of the server and all its descendants, in microseconds.
    pub cpu_us: f64,
    /// Processor time per request of the load generator, in microseconds.
    pub generator_us: f64,
}

/// Loads one server with `connections` for `seconds`, after a short warm-up that does not count.
pub fn cell(aim: &Aim, pid: i32, connections: usize, seconds: f64) -> Result<Figures> {
    let mut load = Load::open(aim, connections)?;
    load.drive(Duration::from_secs_f64((seconds / 5.0).min(0.5))).and_then(refuse_bad)?;
    let before = processes::cpu_seconds(pid);
    let stretch = load.drive(Duration::from_secs_f64(seconds)).and_then(refuse_bad)?;
    let cpu = processes::cpu_seconds(pid) - before;
    let requests = stretch.latencies.len();
    let per_request = |seconds: f64| seconds * 1e6 / requests as f64;
    Ok(Figures {
        requests,
        rate: requests as f64 / stretch.elapsed.as_secs_f64(),
        p50_us: quantile(&stretch.latencies, 0.50),
        p99_us: quantile(&stretch.latencies, 0.99),
        cpu_us: per_request(cpu),
        generator_us: per_request(stretch.own_cpu.as_secs_f64()),
    })
}

/// A single wrong answer makes the cell worthless: speed of errors is no speed.
fn refuse_bad(stretch: Stretch) -> Result<Stretch> {
    match stretch.sample {
        None => Ok(stretch),
        Some(sample) => {
            let (bad, all) = (stretch.bad, stretch.latencies.len());
            let sample = sample.lines().collect::<Vec<_>>().join(" | ");
            Err(format!("{bad} of {all} answers were wrong, the first: {sample}"))
        }
    }
}

fn quantile(sorted: &[u64], q: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let at = (last as f64 * q).round() as usize;
    sorted.get(at).map_or(f64::NAN, |nanos| *nanos as f64 / 1e3)
}

/// The middle of some values; NaN without any.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_between_the_middles() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median([]).is_nan());
    }

    #[test]
    fn quantiles_are_taken_from_sorted_nanoseconds() {
        let nanos: Vec<u64> = (0..=100).map(|n| n * 1000).collect();
        assert_eq!((quantile(&nanos, 0.5), quantile(&nanos, 0.99)), (50.0, 99.0));
    }
}
