//! Log lines: a store of their own, since they need no transaction with anything else.
//!
//! No two lines of a project have the same time, and a line written later has a later time: so a reader that goes on
//! from the last time it has seen misses nothing.

mod filter;
mod lines;
mod search;

use std::collections::HashMap;
use std::panic::Location;

use modelyard_types::ids::ProjectId;
use tokio::sync::Mutex;

pub use filter::{Filter, Label, LabelTest, LineTest};
pub use lines::{Level, LineId, LogLabels, LogLine};
pub use search::{LogPage, LogQuery};

use crate::bulk::Bulk;
use crate::db::{Db, Durability, Source};
use crate::error::{Result, StoreError};
use crate::migrate;
use crate::sql::statements;
use crate::tx::Tx;
use crate::value::{Value, values};

const MIGRATIONS: &[migrate::Migration] = migrate::migrations!["logs/0001_initial.sql"];

statements! {
    LAST = "SELECT at FROM log_lines WHERE project_id = $1 ORDER BY at DESC LIMIT 1";
    GET = "SELECT ", lines::COLUMNS, " FROM log_lines WHERE project_id = $1 AND at = $2";
    PROJECTS = "WITH RECURSIVE found (id) AS (
            SELECT (SELECT project_id FROM log_lines ORDER BY project_id LIMIT 1)
            UNION ALL
            SELECT (SELECT project_id FROM log_lines WHERE project_id > found.id ORDER BY project_id LIMIT 1)
            FROM found WHERE found.id IS NOT NULL)
        SELECT id FROM found WHERE id IS NOT NULL";
    DELETE_BEFORE = "DELETE FROM log_lines WHERE project_id = $1 AND at < $2 AND at < COALESCE(
        (SELECT at FROM log_lines WHERE project_id = $1 ORDER BY at LIMIT 1 OFFSET $3), 9223372036854775807)";
}

const INSERT: Bulk = Bulk { table: "log_lines", columns: lines::COLUMNS, types: lines::TYPES, suffix: "" };

/// The open store of log lines.
pub struct LogStore {
    db: Db,
    /// The time of the last line of each project. Held while lines are written, so that times follow commits.
    last: Mutex<HashMap<ProjectId, i64>>,
}

impl LogStore {
    /// Opens the lines and migrates them: a `postgres://` URL, or the path of a SQLite file of their own.
    pub async fn open(place: &str) -> Result<Self> {
        let db = Db::open(place, Durability::Normal).await?;
        migrate::migrate(&db, "logs", MIGRATIONS).await?;
        Ok(Self { db, last: Mutex::default() })
    }

    /// Waits for running statements and closes all connections.
    pub async fn close(&self) {
        self.db.close().await;
    }

    /// Writes lines. Their times are moved behind those already there, by as little as it takes.
    pub async fn append(&self, lines: &[LogLine]) -> Result<()> {
        let mut last = self.last.lock().await;
        match self.try_append(lines, &mut last).await {
            // Another server wrote to the same project at the same nanosecond: look again where the lines end.
            Err(StoreError::Taken(_)) => {
                last.clear();
                self.try_append(lines, &mut last).await
            }
            other => other,
        }
    }

    async fn try_append(&self, lines: &[LogLine], last: &mut HashMap<ProjectId, i64>) -> Result<()> {
        let mut values = Vec::with_capacity(lines.len() * lines::TYPES.len());
        let mut ends = HashMap::new();
        for line in lines {
            let end = match ends.get(&line.project_id).or(last.get(&line.project_id)) {
                Some(end) => *end,
                None => self.end_of(line.project_id).await?,
            };
            let at = line.at_ns.max(end + 1);
            ends.insert(line.project_id, at);
            line.write(at, &mut values);
        }
        let mut tx = Tx::begin(&self.db, Location::caller()).await?;
        INSERT.insert(&mut tx, lines.len(), values.into_iter()).await?;
        tx.commit().await?;
        last.extend(ends);
        Ok(())
    }

    async fn end_of(&self, project: ProjectId) -> Result<i64> {
        let last: Option<(i64,)> = self.db.first(LAST, values![project]).await?;
        Ok(last.map_or(0, |(at,)| at))
    }

    /// The line of a project that has this time.
    pub async fn get(&self, project: ProjectId, at_ns: i64) -> Result<Option<LogLine>> {
        self.db.first(GET, values![project, at_ns]).await
    }

    /// Lines of a project that pass a filter.
    pub async fn search(&self, project: ProjectId, query: &LogQuery) -> Result<LogPage> {
        search::search(&self.db, project, query).await
    }

    /// Removes lines older than a time, of each project `limit` at the most; tells how many.
    pub async fn delete_before(&self, until_ns: i64, limit: i64) -> Result<u64> {
        let projects: Vec<(ProjectId,)> = self.db.all(PROJECTS, values![]).await?;
        let mut deleted = 0;
        for (project,) in projects {
            deleted += self.delete(values![project, until_ns, limit]).await?;
        }
        Ok(deleted)
    }

    /// Removes lines of a project that is gone, `limit` at the most; tells how many.
    pub async fn delete_of_project(&self, project: ProjectId, limit: i64) -> Result<u64> {
        self.delete(values![project, i64::MAX, limit]).await
    }

    async fn delete(&self, values: Vec<Value>) -> Result<u64> {
        let mut tx = Tx::begin(&self.db, Location::caller()).await?;
        let deleted = tx.run(DELETE_BEFORE, values).await?;
        tx.commit().await?;
        Ok(deleted)
    }
}

/// The texts of this noun that are put together for the occasion, in examples.
pub(crate) fn built_texts(postgres: bool) -> Vec<(String, String)> {
    let insert = match postgres {
        true => INSERT.text_for_pg(),
        false => INSERT.text_for_lite(5),
    };
    let mut texts = vec![("logs::append".into(), insert)];
    texts.extend(search::built_texts(postgres));
    texts
}
