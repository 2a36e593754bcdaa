//! A look into a server's database, and users that no operation can make yet.

use std::collections::BTreeMap;
use std::fs;

use modelyard_store::{Store, Token, User, catalogue, requests, tokens, users};
use modelyard_types::{Timestamp, TokenId, UserId};
use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, PgPool, SqlitePool};

use super::TestServer;

/// What a server keeps: how many rows each table has, and the names of its files.
#[derive(Debug)]
pub struct Kept {
    rows: BTreeMap<String, i64>,
    files: Vec<String>,
}

const TABLES: [&str; 2] = [
    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'",
    "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'",
];

/// What is written behind everybody's back, a moment after it happened, is not compared.
impl PartialEq for Kept {
    fn eq(&self, other: &Self) -> bool {
        let compared = |(table, _): &(&String, &i64)| !["instances", "instance_events"].contains(&table.as_str());
        self.files == other.files && self.rows.iter().filter(compared).eq(other.rows.iter().filter(compared))
    }
}

impl Kept {
    /// How many rows a table has.
    pub fn rows(&self, table: &str) -> i64 {
        self.rows[table]
    }
}

impl TestServer {
    /// What is kept right now.
    pub async fn kept(&self) -> Kept {
        let place = self.database();
        let rows = if place.starts_with("postgres") {
            let pool = PgPool::connect(&place).await.unwrap();
            let tables: Vec<String> = sqlx::query_scalar(TABLES[1]).fetch_all(&pool).await.unwrap();
            let mut rows = BTreeMap::new();
            for table in tables {
                let count = sqlx::query_scalar(AssertSqlSafe(count_of(&table))).fetch_one(&pool).await.unwrap();
                rows.insert(table, count);
            }
            pool.close().await;
            rows
        } else {
            let pool = SqlitePool::connect(&place).await.unwrap();
            let tables: Vec<String> = sqlx::query_scalar(TABLES[0]).fetch_all(&pool).await.unwrap();
            let mut rows = BTreeMap::new();
            for table in tables {
                let count = sqlx::query_scalar(AssertSqlSafe(count_of(&table))).fetch_one(&pool).await.unwrap();
                rows.insert(table, count);
            }
            pool.close().await;
            rows
        };
        let mut files: Vec<_> = ["objects", "packages"].into_iter().flat_map(|folder| self.files(folder)).collect();
        files.sort();
        Kept { rows, files }
    }

    /// The files below a folder of the data folder.
    pub fn files(&self, folder: &str) -> Vec<String> {
        let (mut found, mut folders) = (Vec::new(), vec![self.data().join(folder)]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                    _ => found.push(entry.path().display().to_string()),
                }
            }
        }
        found
    }

    /// Its database. The test has to close it.
    pub async fn store(&self) -> Store {
        Store::open(&self.database()).await.unwrap()
    }

    /// When some requests may be deleted, in microseconds.
    pub async fn expiry_of(&self, ids: &[&str]) -> Vec<i64> {
        let store = self.store().await;
        let mut found = Vec::new();
        for id in ids {
            let request = requests::get(&store, id.parse().unwrap()).await.unwrap().unwrap();
            found.push(request.expires_at.0);
        }
        store.close().await;
        found
    }

    /// What a statement counts.
    pub async fn count(&self, statement: &str) -> i64 {
        let (place, statement) = (self.database(), AssertSqlSafe(statement));
        if place.starts_with("postgres") {
            let pool = PgPool::connect(&place).await.unwrap();
            let count = sqlx::query_scalar(statement).fetch_one(&pool).await.unwrap();
            pool.close().await;
            count
        } else {
            let pool = SqlitePool::connect(&place).await.unwrap();
            let count = sqlx::query_scalar(statement).fetch_one(&pool).await.unwrap();
            pool.close().await;
            count
        }
    }

    /// The tables and files with this text in them, as it is: rows of PostgreSQL, bytes of all files in the data folder.
    pub async fn rows_with(&self, text: &str) -> Vec<String> {
        let mut found = Vec::new();
        let place = self.database();
        if place.starts_with("postgres") {
            let pool = PgPool::connect(&place).await.unwrap();
            let tables: Vec<String> = sqlx::query_scalar(TABLES[1]).fetch_all(&pool).await.unwrap();
            let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
            for table in tables {
                let count = format!(
                    "SELECT count(*) FROM {table} AS it WHERE it::text LIKE '%{text}%' OR it::text LIKE '%{hex}%'"
                );
                let count: i64 = sqlx::query_scalar(AssertSqlSafe(count)).fetch_one(&pool).await.unwrap();
                found.extend((count > 0).then_some(table));
            }
            pool.close().await;
        }
        let holds = |file: &String| {
            let bytes = fs::read(file).unwrap_or_default();
            bytes.windows(text.len()).any(|part| part == text.as_bytes())
        };
        let files: Vec<_> = self.files("").into_iter().filter(holds).collect();
        // A file of SQLite and its log are one place.
        let names = files.iter().map(|file| file.trim_end_matches("-wal").to_owned());
        found.extend(names.collect::<std::collections::BTreeSet<_>>());
        found
    }

    /// Changes rows behind the server's back, to bring about what would take hours.
    pub async fn change(&self, statement: &str) {
        let place = self.database();
        let statement = AssertSqlSafe(statement);
        let changed = if place.starts_with("postgres") {
            let pool = PgPool::connect(&place).await.unwrap();
            let done = sqlx::query(statement).execute(&pool).await.unwrap();
            pool.close().await;
            done.rows_affected()
        } else {
            let pool = SqlitePool::connect(&place).await.unwrap();
            let done = sqlx::query(statement).execute(&pool).await.unwrap();
            pool.close().await;
            done.rows_affected()
        };
        assert!(changed > 0, "nothing was changed");
    }

    /// Ends all connections of the server to its PostgreSQL database.
    pub async fn break_connections(&self) {
        let pool = PgPool::connect(&self.database()).await.unwrap();
        let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()";
        let ended: i64 = sqlx::query_scalar(end).fetch_one(&pool).await.unwrap();
        assert!(ended > 0);
        pool.close().await;
    }

    /// Makes a user that is no administrator, and gives its id and a token.
    pub async fn user(&self, email: &str) -> (UserId, String) {
        let store = self.store().await;
        let mut tx = store.begin().await.unwrap();
        let now = Timestamp::now();
        let user = User {
            id: UserId::new(),
            email: email.to_owned(),
            name: String::new(),
            surname: String::new(),
            password_hash: None,
            is_admin: false,
            active: true,
            created_at: now,
        };
        users::insert(&mut tx, &user).await.unwrap();
        let text = format!("{:040x}", user.id.0.as_u128());
        let hash = Sha256::digest(text.as_bytes()).into();
        let token = Token {
            id: TokenId::new(),
            user_id: user.id,
            hash,
            label: String::new(),
            created_at: now,
            expires_at: None,
        };
        tokens::insert(&mut tx, &token).await.unwrap();
        catalogue::touch(&mut tx, None).await.unwrap();
        tx.commit().await.unwrap();
        store.close().await;
        (user.id, text)
    }

    /// Deletes a user.
    pub async fn delete_user(&self, id: UserId) {
        let store = self.store().await;
        let mut tx = store.begin().await.unwrap();
        users::delete(&mut tx, id).await.unwrap();
        catalogue::touch(&mut tx, None).await.unwrap();
        tx.commit().await.unwrap();
        store.close().await;
    }
}

fn count_of(table: &str) -> String {
    format!("SELECT count(*) FROM {table}")
}
