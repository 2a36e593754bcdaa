//! Migrations: forward only, one file each, the few differing types substituted, checksums kept.

use std::panic::Location;

use sha2::{Digest, Sha256};
use sqlx::AssertSqlSafe;

use crate::db::{Db, Source};
use crate::error::{Result, StoreError};
use crate::tx::{On, Tx};
use crate::value::values;

/// A migration: its file's name and text. One that has landed is never edited.
pub(crate) struct Migration {
    pub name: &'static str,
    pub text: &'static str,
}

/// Lists migration files of a folder, in order.
macro_rules! migrations {
    ($($file:literal),+ $(,)?) => {
        &[$($crate::migrate::Migration {
            name: $file,
            text: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/", $file)),
        }),+]
    };
}
pub(crate) use migrations;

/// What the words in braces stand for: SQLite, PostgreSQL.
const WORDS: [(&str, &str, &str); 9] = [
    ("{id}", "BLOB", "UUID"),
    ("{int}", "INTEGER", "BIGINT"),
    ("{float}", "REAL", "DOUBLE PRECISION"),
    ("{flag}", "INTEGER", "BOOLEAN"),
    ("{bytes}", "BLOB", "BYTEA"),
    ("{json}", "TEXT", "JSONB"),
    ("{strict}", "STRICT", ""),
    ("{clustered}", "STRICT, WITHOUT ROWID", ""),
    ("{bytewise}", "", "COLLATE \"C\""),
];

/// A migration's text for one of the databases.
pub(crate) fn substituted(text: &str, postgres: bool) -> String {
    WORDS.iter().fold(text.to_owned(), |text, (word, lite, pg)| text.replace(word, if postgres { pg } else { lite }))
}

/// Keeps servers that start at the same time from migrating at the same time.
const LOCK: i64 = 0x6d6f_6465_6c79_6172;

crate::sql::statements! {
    DONE = "SELECT number, name, checksum FROM migrations WHERE part = $1 ORDER BY number";
    NOTE = "INSERT INTO migrations (part, number, name, checksum, applied_at) VALUES ($1, $2, $3, $4, $5)";
}

const TABLE: &str = "CREATE TABLE IF NOT EXISTS migrations (
    part TEXT NOT NULL,
    number {int} NOT NULL,
    name TEXT NOT NULL,
    checksum {bytes} NOT NULL,
    applied_at {int} NOT NULL,
    PRIMARY KEY (part, number)
) {strict}";

/// Brings one part of the database (`store` or `logs`) to the state this binary knows.
///
/// Refuses a database that a newer binary has migrated further, or whose migrations differ from ours.
pub(crate) async fn migrate(db: &Db, part: &str, all: &[Migration]) -> Result<()> {
    let mut tx = Tx::begin(db, Location::caller()).await?;
    if db.is_postgres() {
        let lock = format!("SELECT pg_advisory_xact_lock({LOCK})");
        tx.rows(lock, values![]).await?;
    }
    raw(&mut tx, substituted(TABLE, db.is_postgres())).await?;
    let done: Vec<(i64, String, [u8; 32])> = (&mut tx).all(DONE, values![part]).await?;
    if done.len() > all.len() {
        return Err(StoreError::Invalid(format!(
            "The database was last used by a newer version of Modelyard: it has {} migrations of its {part}, this version knows {}",
            done.len(),
            all.len()
        )));
    }
    for ((_, name, checksum), ours) in done.iter().zip(all) {
        if *checksum != checksum_of(ours) {
            return Err(StoreError::Invalid(format!(
                "The database was made by a different version of Modelyard: its migration '{name}' is not our '{}'",
                ours.name
            )));
        }
    }
    for (number, migration) in all.iter().enumerate().skip(done.len()) {
        raw(&mut tx, substituted(migration.text, db.is_postgres())).await?;
        let number = i64::try_from(number + 1).unwrap_or(i64::MAX);
        let now = modelyard_types::Timestamp::now();
        let values = values![part, number, migration.name, checksum_of(migration), now];
        tx.run(NOTE, values).await?;
        tracing::info!(migration = migration.name, "migrated the database");
    }
    tx.commit().await
}

fn checksum_of(migration: &Migration) -> [u8; 32] {
    Sha256::digest(migration.text).into()
}

/// Runs a text of several statements, without values.
async fn raw(tx: &mut Tx, text: String) -> Result<()> {
    let query = sqlx::raw_sql(AssertSqlSafe(text));
    match &mut tx.on {
        On::Lite(tx) => query.execute(&mut **tx).await.map(drop),
        On::Pg(tx) => query.execute(&mut **tx).await.map(drop),
    }
    .map_err(|cause| StoreError::internal("a migration failed", cause))
}
