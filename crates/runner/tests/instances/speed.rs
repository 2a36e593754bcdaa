//! Figures to look at, with `--no-capture`. Nothing here asserts a time.

use std::time::Instant;

use modelyard_runner::process::ProcessEvent;
use serde_json::json;

use crate::harness::{Bench, hand};

#[tokio::test(flavor = "multi_thread")]
async fn a_cold_start_in_its_phases() {
    cold_starts(Bench::open()).await;
}

/// Eight starts, one after the other, and their stop together.
pub async fn cold_starts(bench: Bench) {
    for round in 0..8 {
        let spec = bench.spec("class Deployment:\n    def request(self, data): return data\n");
        let begun = Instant::now();
        let mut instance = bench.start(spec).await;
        let mut line = format!("cold start {round}:");
        let process = instance.wait(|_, event| match event {
            ProcessEvent::Phase { phase, took } => {
                line += &format!(" {} {:.1} ms", phase.name(), took.as_secs_f64() * 1e3);
                None
            }
            ProcessEvent::Ready { process, .. } => Some(process),
            _ => None,
        });
        assert_eq!(instance.ask(&process, 1, "x"), Ok(json!("x")));
        println!("{line}; answered after {:.1} ms", begun.elapsed().as_secs_f64() * 1e3);
    }
    let begun = Instant::now();
    bench.close().await;
    println!("eight instances stopped in {:.1} ms", begun.elapsed().as_secs_f64() * 1e3);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_calls_through_one_process() {
    let bench = Bench::open();
    let (mut instance, process) = bench.request("return data").await;
    const CALLS: u64 = 20_000;
    const AHEAD: u64 = 16;
    let begun = Instant::now();
    (1..=AHEAD).for_each(|call| hand(&process, call, "x"));
    let mut next = AHEAD + 1;
    instance.wait(|_, event| match event {
        ProcessEvent::Result(call, _, _) => {
            hand(&process, next, "x");
            next += 1;
            (call == CALLS).then_some(())
        }
        _ => None,
    });
    println!("{:.0} calls/s, {AHEAD} ahead", CALLS as f64 / begun.elapsed().as_secs_f64());
    bench.close().await;
}
