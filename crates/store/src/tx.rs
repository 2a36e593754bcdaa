//! Transactions. Between begin and commit only their own statements are awaited.

use std::panic::Location;
use std::time::{Duration, Instant};

use sqlx::{PgPool, Postgres, Sqlite, Transaction};

use crate::db::{self, Db, Reading, Source, Sql};
use crate::error::{Result, StoreError};
use crate::value::{Record, Row, Value};

/// A transaction held longer than this is logged.
const LONG: Duration = Duration::from_secs(1);

/// A transaction. Dropped without [`Tx::commit`], it never happened.
pub struct Tx {
    pub(crate) on: On,
    held: Held,
}

pub(crate) enum On {
    Lite(Transaction<'static, Sqlite>),
    Pg(Transaction<'static, Postgres>),
}

struct Held {
    since: Instant,
    place: &'static Location<'static>,
}

impl Drop for Held {
    fn drop(&mut self) {
        let held = self.since.elapsed();
        if held > LONG {
            tracing::warn!(
                place = %self.place,
                milliseconds = held.as_millis() as u64,
                "a database transaction was held for long"
            );
        }
    }
}

/// Begins a transaction of PostgreSQL in a task of its own, which goes on when the caller goes away: the driver would put
/// a connection whose `BEGIN` nobody waits for back into the pool, with the transaction open.
async fn begun(pool: PgPool, text: Option<&'static str>) -> Result<Transaction<'static, Postgres>> {
    let begin = async move {
        match text {
            Some(text) => pool.begin_with(text).await,
            None => pool.begin().await,
        }
    };
    let begun = tokio::spawn(begin).await;
    Ok(begun.map_err(|cause| StoreError::internal("a transaction could not begin", cause))??)
}

impl Tx {
    /// Begins a transaction that writes; on SQLite it waits until it is the only one.
    pub(crate) async fn begin(db: &Db, place: &'static Location<'static>) -> Result<Self> {
        let on = match db {
            Db::Lite { write, .. } => On::Lite(write.begin_with("BEGIN IMMEDIATE").await?),
            Db::Pg(pool) => On::Pg(begun(pool.clone(), None).await?),
        };
        Ok(Self::on(on, place))
    }

    /// Begins a transaction that reads one state of the database with several statements.
    pub(crate) async fn snapshot(db: &Db, place: &'static Location<'static>) -> Result<Self> {
        const READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        let on = match db {
            Db::Lite { read, .. } => On::Lite(read.begin().await?),
            Db::Pg(pool) => On::Pg(begun(pool.clone(), Some(READ)).await?),
        };
        Ok(Self::on(on, place))
    }

    fn on(on: On, place: &'static Location<'static>) -> Self {
        let since = Instant::now();
        Self { on, held: Held { since, place } }
    }

    /// Makes everything done in it last.
    pub async fn commit(self) -> Result<()> {
        let Self { on, held } = self;
        match on {
            On::Lite(tx) => tx.commit().await?,
            On::Pg(tx) => tx.commit().await?,
        }
        drop(held);
        Ok(())
    }

    /// Runs a text that gives no rows; tells how many rows it wrote.
    pub(crate) async fn run(&mut self, text: impl Into<Sql>, values: Vec<Value>) -> Result<u64> {
        match &mut self.on {
            On::Lite(tx) => db::lite_run(&mut **tx, text.into(), values).await,
            On::Pg(tx) => db::pg_run(&mut **tx, text.into(), db::for_pg(values)?).await,
        }
    }

    /// Reads a row that nobody else may change until this transaction has ended.
    pub(crate) async fn locked<R: Record>(&mut self, text: &'static str, values: Vec<Value>) -> Result<Option<R>> {
        let text: Sql = match &self.on {
            On::Lite(_) => text.into(),
            On::Pg(_) => format!("{text} FOR UPDATE").into(),
        };
        self.first(text, values).await
    }

    /// The text for the database at hand, for the few statements that need two.
    pub(crate) fn text(&self, lite: &'static str, pg: &'static str) -> &'static str {
        match &self.on {
            On::Lite(_) => lite,
            On::Pg(_) => pg,
        }
    }
}

impl<'a> Source<'a> for &'a mut Tx {
    fn rows(self, text: impl Into<Sql>, values: Vec<Value>) -> Reading<'a, Vec<Row>> {
        let text = text.into();
        match &mut self.on {
            On::Lite(tx) => Box::pin(db::lite_rows(&mut **tx, text, values)),
            On::Pg(tx) => Box::pin(db::pg_rows(&mut **tx, text, values)),
        }
    }
}
