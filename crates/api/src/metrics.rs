//! How often each operation was called and how long it took: a few atomic additions a call, rendered on demand.
//!
//! Buckets are fixed and nothing is kept per call, so that nobody has to fetch the figures for memory to stay small.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use axum::http::StatusCode;

/// Upper bounds of the buckets, in microseconds.
const BOUNDS: [u64; 14] = [
    100,
    250,
    500,
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    100_000,
    500_000,
    1_000_000,
    10_000_000,
    60_000_000,
    600_000_000,
];

/// The figures of one operation.
pub struct Figures {
    operation: String,
    statuses: [AtomicU64; 5],
    buckets: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

impl Figures {
    pub(crate) fn new(operation: &str) -> Arc<Self> {
        Arc::new(Self {
            operation: operation.to_owned(),
            statuses: Default::default(),
            buckets: Default::default(),
            micros: AtomicU64::new(0),
        })
    }

    /// The operation's id.
    pub(crate) fn operation(&self) -> &str {
        &self.operation
    }

    /// Counts one answer.
    pub(crate) fn count(&self, status: StatusCode, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.iter().position(|bound| micros <= *bound).unwrap_or(BOUNDS.len());
        let class = usize::from(status.as_u16() / 100).clamp(1, 5) - 1;
        self.statuses[class].fetch_add(1, Relaxed);
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.micros.fetch_add(micros, Relaxed);
    }

    fn total(&self) -> u64 {
        self.buckets.iter().map(|count| count.load(Relaxed)).sum()
    }
}

/// The figures of all operations that were called, as Prometheus reads them.
pub(crate) fn render(all: &[Arc<Figures>]) -> String {
    let called: Vec<_> = all.iter().filter(|figures| figures.total() > 0).collect();
    let mut text = String::from("# TYPE modelyard_http_requests_total counter\n");
    for figures in &called {
        for (at, count) in figures.statuses.iter().enumerate() {
            let (count, class, operation) = (count.load(Relaxed), at + 1, &figures.operation);
            if count > 0 {
                let _ = writeln!(
                    text,
                    "modelyard_http_requests_total{{operation=\"{operation}\",status=\"{class}xx\"}} {count}"
                );
            }
        }
    }
    text.push_str("# TYPE modelyard_http_request_duration_seconds histogram\n");
    for figures in &called {
        render_times(&mut text, figures);
    }
    text
}

fn render_times(text: &mut String, figures: &Figures) {
    let name = "modelyard_http_request_duration_seconds";
    let operation = &figures.operation;
    let mut below = 0;
    for (at, count) in figures.buckets.iter().enumerate() {
        below += count.load(Relaxed);
        let bound = match BOUNDS.get(at) {
            Some(micros) => format!("{}", *micros as f64 / 1e6),
            None => "+Inf".to_owned(),
        };
        let _ = writeln!(text, "{name}_bucket{{operation=\"{operation}\",le=\"{bound}\"}} {below}");
    }
    let seconds = figures.micros.load(Relaxed) as f64 / 1e6;
    let _ = writeln!(text, "{name}_sum{{operation=\"{operation}\"}} {seconds}");
    let _ = writeln!(text, "{name}_count{{operation=\"{operation}\"}} {below}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_only_what_was_called() {
        let (called, quiet) = (Figures::new("user_get"), Figures::new("projects_get"));
        called.count(StatusCode::OK, Duration::from_micros(300));
        called.count(StatusCode::NOT_FOUND, Duration::from_secs(3_600));

        let text = render(&[called, quiet]);

        assert!(text.contains("modelyard_http_requests_total{operation=\"user_get\",status=\"4xx\"} 1\n"));
        assert!(text.contains("_bucket{operation=\"user_get\",le=\"0.0005\"} 1\n"));
        assert!(text.contains("_bucket{operation=\"user_get\",le=\"+Inf\"} 2\n"));
        assert!(text.contains("_count{operation=\"user_get\"} 2\n"));
        assert!(!text.contains("projects_get"));
    }
}
