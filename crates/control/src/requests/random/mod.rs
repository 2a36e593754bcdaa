//! Random histories of requests over the whole of control: real rows, lanes, acceptor, feeder, recorder and takeovers, with
//! processes that do what a script says, servers that die, hang and fall silent, and a clock that the script turns.
//!
//! After every step the rows are held against a small model, see [`books`].
#![expect(clippy::unwrap_used, reason = "tests")]

mod books;
mod node;
mod process;
mod steps;
mod yard;

use modelyard_testkit::postgres::PrivatePostgres;
use proptest::prelude::*;

use steps::{Step, step};
use yard::Yard;

/// Time limits, in seconds: some requests have little time, some much.
const SHORT: i64 = 20;
const LONG: i64 = 3_600;
/// How many requests may wait.
const QUEUE: usize = 1_000;

fn history(restarts: bool, steps: &[(usize, Step)], database: Option<&str>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut yard = Yard::new(restarts, database).await;
        for (at, step) in steps {
            yard.take(*at, step).await;
        }
        yard.end().await;
    });
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        max_shrink_iters: 300,
        max_shrink_time: 60_000,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config(80))]

    #[test]
    fn every_history_keeps_the_rules(restarts: bool, steps in prop::collection::vec(step(), 1..80)) {
        history(restarts, &steps, None);
    }
}

proptest! {
    #![proptest_config(config(12))]

    #[test]
    fn every_history_keeps_the_rules_on_postgres(restarts: bool, steps in prop::collection::vec(step(), 1..80)) {
        let database = PrivatePostgres::shared().database();
        history(restarts, &steps, Some(&database.url()));
    }
}
