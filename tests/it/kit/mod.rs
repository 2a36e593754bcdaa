//! What the tests share: a server process, places below its address, packages, and ways to wait.

mod at;
mod crash_points;
pub mod debian;
mod deployments;
mod files;
mod leftovers;
pub mod package;
mod reply;
mod rows;
mod server;
mod small_disk;
pub mod web;

pub use insta::assert_snapshot;
pub use serde_json::{Value, json};

pub use at::At;
pub use reply::Reply;
pub use rows::Kept;
pub use server::{Database, TestServer};

use std::time::{Duration, Instant};

/// How long a condition may take to come true before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until a condition holds.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < PATIENCE, "this never came true: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Runs one test on one database. Inline snapshots are met once for each database.
pub fn run(database: Database, test: impl AsyncFnOnce(TestServer)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    insta::allow_duplicates! {
        runtime.block_on(async { test(TestServer::start(database).await).await });
    }
}

/// Makes two tests of each function: one on SQLite and one on PostgreSQL.
macro_rules! both {
    ($($(#[$meta:meta])* async fn $name:ident($server:ident) $body:block)*) => {$(
        $(#[$meta])*
        mod $name {
            #[allow(unused_imports, reason = "not every test names something of its file")]
            use super::*;

            async fn check($server: $crate::kit::TestServer) $body

            #[test]
            fn sqlite() {
                $crate::kit::run($crate::kit::Database::Sqlite, check);
            }

            #[test]
            fn postgres() {
                $crate::kit::run($crate::kit::Database::Postgres, check);
            }
        }
    )*};
}
