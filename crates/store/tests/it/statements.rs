//! Every statement is understood by both databases.

use modelyard_store::{LogStore, statements};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, SqlSafeStr as _};

use crate::both::places;

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
