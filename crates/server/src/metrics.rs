//! The figures of all parts for `/metrics`, and those of the process itself.

use std::fmt::Write;
use std::fs;
use std::sync::OnceLock;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

static FIGURES: OnceLock<PrometheusHandle> = OnceLock::new();

/// Begins to collect. There is one collection a process, however many servers it holds.
pub(crate) fn start() {
    FIGURES.get_or_init(|| {
        let recorder = PrometheusBuilder::new().build_recorder();
        let figures = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("figures are collected elsewhere already; /metrics shows less");
        }
        figures
    });
}

/// All figures, as Prometheus reads them.
pub(crate) fn render() -> String {
    let mut text = FIGURES.get().map(PrometheusHandle::render).unwrap_or_default();
    let mut gauge = |name: &str, value: Option<u64>| {
        if let Some(value) = value {
            let _ = writeln!(text, "# TYPE {name} gauge\n{name} {value}");
        }
    };
    gauge("process_resident_memory_bytes", resident_memory());
    gauge("process_open_fds", fs::read_dir("/proc/self/fd").ok().map(|open| open.count() as u64));
    gauge("process_threads", fs::read_dir("/proc/self/task").ok().map(|threads| threads.count() as u64));
    text
}

fn resident_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_figures_of_the_parts_and_of_the_process() {
        start();
        start();
        metrics::counter!("modelyard_test_total").increment(3);
        let text = render();
        assert!(text.contains("modelyard_test_total 3"), "{text}");
        assert!(text.contains("\nprocess_resident_memory_bytes "), "{text}");
    }
}
