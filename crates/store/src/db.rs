//! The two kinds of databases behind one face: opening, reading, and running a text with values on either.

use std::borrow::Cow;
use std::path::Path;
use std::pin::Pin;
use std::time::{Duration, Instant};

use sqlx::postgres::{PgArguments, PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Arguments as _, AssertSqlSafe};

use crate::error::{Result, StoreError};
use crate::value::{Record, Row, Type, Value};

/// A text to run: a constant, or one put together for the occasion.
pub type Sql = Cow<'static, str>;

/// An open database.
pub(crate) enum Db {
    /// SQLite: one connection writes, a few others read.
    Lite { write: SqlitePool, read: SqlitePool },
    /// PostgreSQL.
    Pg(PgPool),
}

/// How sure a commit has to be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// On the disk when `commit` returns.
    Full,
    /// The last commits may be lost with the power, never with the process.
    Normal,
}

/// Readers of a SQLite file at the same time.
const READERS: u32 = 4;
/// Connections to PostgreSQL at the most.
const PG_CONNECTIONS: u32 = 16;
/// How long a call waits for its turn.
const PATIENCE: Duration = Duration::from_secs(30);

impl Db {
    /// Opens a PostgreSQL database by its URL, or a SQLite file by its path, made when missing.
    pub(crate) async fn open(place: &str, durability: Durability) -> Result<Self> {
        if is_postgres(place) {
            return open_postgres(place).await;
        }
        open_file(Path::new(place.strip_prefix("sqlite:").unwrap_or(place)), durability).await
    }

    pub(crate) fn is_postgres(&self) -> bool {
        matches!(self, Db::Pg(_))
    }

    /// Waits for running statements and closes all connections.
    pub(crate) async fn close(&self) {
        match self {
            Db::Lite { write, read } => {
                read.close().await;
                write.close().await;
            }
            Db::Pg(pool) => pool.close().await,
        }
    }
}

/// Whether a place is the URL of a PostgreSQL database.
pub fn is_postgres(place: &str) -> bool {
    place.starts_with("postgres://") || place.starts_with("postgresql://")
}

async fn open_postgres(url: &str) -> Result<Db> {
    let pool = PgPoolOptions::new()
        .max_connections(PG_CONNECTIONS)
        .acquire_timeout(PATIENCE)
        .connect(url)
        .await
        .map_err(|cause| StoreError::internal("PostgreSQL cannot be reached", cause))?;
    Ok(Db::Pg(pool))
}

async fn open_file(path: &Path, durability: Durability) -> Result<Db> {
    let failed = |cause| StoreError::internal(&format!("the database {} cannot be opened", path.display()), cause);
    let synchronous = match durability {
        Durability::Full => SqliteSynchronous::Full,
        Durability::Normal => SqliteSynchronous::Normal,
    };
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(synchronous)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(10))
        .statement_cache_capacity(256)
        .pragma("wal_autocheckpoint", "4000")
        .pragma("journal_size_limit", "67108864")
        .pragma("cache_size", "-8000")
        .pragma("temp_store", "memory");
    let pool = |size| {
        SqlitePoolOptions::new()
            .max_connections(size)
            .min_connections(1)
            .acquire_timeout(PATIENCE)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
    };
    let write = when_unlocked(|| pool(1).connect_with(options.clone())).await.map_err(failed)?;
    let readers = options.read_only(true).create_if_missing(false).pragma("cache_size", "-2000");
    let read = when_unlocked(|| pool(READERS).connect_with(readers.clone())).await.map_err(failed)?;
    Ok(Db::Lite { write, read })
}

/// Opens again while another process makes the file one with a write-ahead log: SQLite does not wait for that by itself.
async fn when_unlocked<F>(mut open: impl FnMut() -> F) -> Result<SqlitePool, sqlx::Error>
where
    F: Future<Output = Result<SqlitePool, sqlx::Error>>,
{
    let until = Instant::now() + PATIENCE;
    loop {
        match open().await {
            Err(cause) if is_busy(&cause) && Instant::now() < until => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            opened => return opened,
        }
    }
}

/// SQLITE_BUSY, in one of its kinds.
fn is_busy(cause: &sqlx::Error) -> bool {
    let code = cause.as_database_error().and_then(|refusal| refusal.code()?.parse::<i32>().ok());
    code.is_some_and(|code| code & 0xff == 5)
}

/// What a read gives. Boxed, since the compiler cannot tell that unnamed futures of a generic source can be sent.
pub type Reading<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// Where a text can be run to read rows: a `&`[`Store`](crate::Store) (the latest committed state),
/// or a `&mut` [`Tx`](crate::Tx) (that transaction's state).
pub trait Source<'a>: Sized + Send {
    /// Runs a text and gives all its rows.
    fn rows(self, text: impl Into<Sql>, values: Vec<Value>) -> Reading<'a, Vec<Row>>;

    /// Runs a text and reads all its rows.
    fn all<R: Record + 'a>(self, text: impl Into<Sql>, values: Vec<Value>) -> Reading<'a, Vec<R>> {
        let rows = self.rows(text, values);
        Box::pin(async move { rows.await?.iter().map(|row| R::read(row, &mut 0)).collect() })
    }

    /// Runs a text and reads its first row.
    fn first<R: Record + 'a>(self, text: impl Into<Sql>, values: Vec<Value>) -> Reading<'a, Option<R>> {
        let rows = self.rows(text, values);
        Box::pin(async move { rows.await?.first().map(|row| R::read(row, &mut 0)).transpose() })
    }

    /// Runs a text that always gives a row, and reads it.
    fn one<R: Record + 'a>(self, text: impl Into<Sql>, values: Vec<Value>) -> Reading<'a, R> {
        let first = self.first(text, values);
        let none = || StoreError::Internal("a statement gave no row that always gives one".into());
        Box::pin(async move { first.await?.ok_or_else(none) })
    }
}

impl<'a> Source<'a> for &'a Db {
    fn rows(self, text: impl Into<Sql>, values: Vec<Value>) -> Reading<'a, Vec<Row>> {
        let text = text.into();
        match self {
            Db::Lite { read, .. } => Box::pin(lite_rows(read, text, values)),
            Db::Pg(pool) => Box::pin(pg_rows(pool, text, values)),
        }
    }
}

pub(crate) async fn lite_rows<'c>(
    on: impl sqlx::SqliteExecutor<'c>,
    text: Sql,
    values: Vec<Value>,
) -> Result<Vec<Row>> {
    let query = sqlx::query_with(AssertSqlSafe(text.clone()), for_lite(values.len(), values.into_iter())?);
    let rows = query.fetch_all(on).await.map_err(|cause| StoreError::of(&text, cause))?;
    Ok(rows.into_iter().map(Row::Lite).collect())
}

pub(crate) async fn pg_rows<'c>(on: impl sqlx::PgExecutor<'c>, text: Sql, values: Vec<Value>) -> Result<Vec<Row>> {
    pg_rows_of(on, text, for_pg(values)?).await
}

pub(crate) async fn pg_rows_of<'c>(
    on: impl sqlx::PgExecutor<'c>,
    text: Sql,
    arguments: PgArguments,
) -> Result<Vec<Row>> {
    let query = sqlx::query_with(AssertSqlSafe(text.clone()), arguments);
    let rows = query.fetch_all(on).await.map_err(|cause| StoreError::of(&text, cause))?;
    Ok(rows.into_iter().map(Row::Pg).collect())
}

pub(crate) async fn lite_run<'c>(on: impl sqlx::SqliteExecutor<'c>, text: Sql, values: Vec<Value>) -> Result<u64> {
    let arguments = for_lite(values.len(), values.into_iter())?;
    lite_run_with(on, text, arguments).await
}

pub(crate) async fn lite_run_with<'c>(
    on: impl sqlx::SqliteExecutor<'c>,
    text: Sql,
    arguments: SqliteArguments,
) -> Result<u64> {
    let query = sqlx::query_with(AssertSqlSafe(text.clone()), arguments);
    let done = query.execute(on).await.map_err(|cause| StoreError::of(&text, cause))?;
    Ok(done.rows_affected())
}

pub(crate) async fn pg_run<'c>(on: impl sqlx::PgExecutor<'c>, text: Sql, arguments: PgArguments) -> Result<u64> {
    let query = sqlx::query_with(AssertSqlSafe(text.clone()), arguments);
    let done = query.execute(on).await.map_err(|cause| StoreError::of(&text, cause))?;
    Ok(done.rows_affected())
}

/// PostgreSQL cannot keep U+0000 in text; refused alike everywhere.
pub(crate) fn check_text(text: &str) -> Result<()> {
    if text.contains('\0') {
        return Err(StoreError::Invalid("A text must not contain the character U+0000".into()));
    }
    Ok(())
}

fn check_json(text: &str) -> Result<()> {
    if text.contains("\\u0000") {
        return Err(StoreError::Invalid("A text must not contain the character U+0000".into()));
    }
    Ok(())
}

pub(crate) fn for_lite(count: usize, values: impl Iterator<Item = Value>) -> Result<SqliteArguments> {
    let mut arguments = SqliteArguments::default();
    arguments.reserve(count, 0);
    for value in values {
        let added = match value {
            Value::Null(_) => arguments.add(None::<i64>),
            Value::Int(number) => arguments.add(number),
            Value::Float(number) => arguments.add(number),
            Value::Flag(flag) => arguments.add(flag),
            Value::Text(text) => {
                check_text(&text)?;
                arguments.add(text)
            }
            Value::Bytes(bytes) => arguments.add(Vec::from(bytes)),
            Value::Id(id) => arguments.add(id),
            Value::Json(text) => {
                check_json(&text)?;
                arguments.add(text)
            }
        };
        added.map_err(unbindable)?;
    }
    Ok(arguments)
}

pub(crate) fn for_pg(values: Vec<Value>) -> Result<PgArguments> {
    let mut arguments = PgArguments::default();
    arguments.reserve(values.len(), 0);
    for value in values {
        let added = match value {
            Value::Null(kind) => add_null(&mut arguments, kind),
            Value::Int(number) => arguments.add(number),
            Value::Float(number) => arguments.add(number),
            Value::Flag(flag) => arguments.add(flag),
            Value::Text(text) => {
                check_text(&text)?;
                arguments.add(text)
            }
            Value::Bytes(bytes) => arguments.add(Vec::from(bytes)),
            Value::Id(id) => arguments.add(id),
            Value::Json(text) => {
                check_json(&text)?;
                let raw = serde_json::value::RawValue::from_string(text).map_err(|cause| unbindable(cause.into()))?;
                arguments.add(sqlx::types::Json(raw))
            }
        };
        added.map_err(unbindable)?;
    }
    Ok(arguments)
}

fn add_null(arguments: &mut PgArguments, kind: Type) -> Result<(), sqlx::error::BoxDynError> {
    match kind {
        Type::Int => arguments.add(None::<i64>),
        Type::Float => arguments.add(None::<f64>),
        Type::Flag => arguments.add(None::<bool>),
        Type::Text => arguments.add(None::<String>),
        Type::Bytes => arguments.add(None::<Vec<u8>>),
        Type::Id => arguments.add(None::<uuid::Uuid>),
        Type::Json => arguments.add(None::<sqlx::types::Json<()>>),
    }
}

pub(crate) fn unbindable(cause: sqlx::error::BoxDynError) -> StoreError {
    StoreError::internal("a value cannot be bound", cause)
}
