//! Every statement is understood by both databases.

use modelyard_store::{LogStore, statements};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, SqlSafeStr as _};

use crate::both::{Place, places};

#[tokio::test]
async fn every_statement_can_be_prepared_on_both() {
    for place in places() {
        place.open().await.close().await;
        let postgres = modelyard_store::is_postgres(&place.address());
        // The lines have a file of their own in earnest; here they share one, so that one connection knows all tables.
        LogStore::open(&place.address()).await.unwrap().close().await;
        let mut failures = Vec::new();
        let all = statements(postgres);
        assert!(all.len() > 100);
        if postgres {
            let mut on = sqlx::PgConnection::connect(&place.address()).await.unwrap();
            for (name, text) in all {
                let locks = name.ends_with("::GET");
                for text in [text.clone(), format!("{text} FOR UPDATE")].into_iter().take(1 + usize::from(locks)) {
                    if let Err(cause) = on.prepare(AssertSqlSafe(text.clone()).into_sql_str()).await {
                        failures.push(format!("{name}: {cause}: {text}"));
                    }
                }
            }
        } else {
            let mut on = sqlx::SqliteConnection::connect(&place.address()).await.unwrap();
            for (name, text) in all {
                if let Err(cause) = on.prepare(AssertSqlSafe(text.clone()).into_sql_str()).await {
                    failures.push(format!("{name}: {cause}: {text}"));
                }
            }
        }
        assert!(failures.is_empty(), "{}", failures.join("\n"));
    }
}

#[tokio::test]
async fn no_statement_looks_through_a_large_table() {
    let place = Place::lite();
    place.open().await.close().await;
    LogStore::open(&place.address()).await.unwrap().close().await;
    let mut on = sqlx::SqliteConnection::connect(&place.address()).await.unwrap();
    for (name, text) in statements(false) {
        // Steps over the index from project to project.
        if name.ends_with("logs::PROJECTS") {
            continue;
        }
        let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {text}"));
        let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(explain).fetch_all(&mut on).await.unwrap();
        let steps: Vec<_> = plan.into_iter().map(|(_, _, _, step)| step).collect();
        // The index of waiting requests holds only those.
        let small = |step: &&String| !step.ends_with("USING COVERING INDEX requests_queue");
        let scans = |table: &str| steps.iter().filter(small).any(|step| step.starts_with(&format!("SCAN {table}")));
        assert!(!["requests", "log_lines", "audit_events"].into_iter().any(scans), "{name}: {steps:?}");
        if name.starts_with("requests::list") {
            assert!(steps.iter().any(|step| step.contains("COVERING INDEX")), "{name}: {steps:?}");
        }
        if name.starts_with("requests::list") {
            assert!(!steps.iter().any(|step| step.contains("TEMP B-TREE")), "{name}: {steps:?}");
        }
        if name.starts_with("logs::search Label") {
            assert!(steps.iter().any(|step| step.contains("INDEX log_lines_")), "{name}: {steps:?}");
        }
    }
}
