//! What deleted objects left behind, for loops to clear away in small steps.

use modelyard_types::Timestamp;
use modelyard_types::ids::{ContainerId, DeploymentId, ProjectId, VersionId};

use crate::db::Source;
use crate::error::{Result, StoreError};
use crate::sql::statements;
use crate::tx::Tx;
use crate::value::values;

/// Something to clear away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leftover {
    /// The requests and instances of a deleted version: `delete_of_version` of `requests` and `instances`.
    Version(VersionId),
    /// What is left of a deleted project: `delete_of_project` of `requests`, `instances`, `audit` and `LogStore`.
    Project(ProjectId),
    /// A container and the files in it.
    Container(ContainerId),
    /// Stored bytes that no row refers to any more.
    Object(String),
}

impl Leftover {
    fn what(&self) -> &'static str {
        match self {
            Leftover::Version(_) => "version",
            Leftover::Project(_) => "project",
            Leftover::Container(_) => "container",
            Leftover::Object(_) => "object",
        }
    }

    fn name(&self) -> String {
        match self {
            Leftover::Version(id) => id.to_string(),
            Leftover::Project(id) => id.to_string(),
            Leftover::Container(id) => id.to_string(),
            Leftover::Object(key) => key.clone(),
        }
    }

    fn read(what: &str, name: String) -> Result<Self> {
        let unreadable = |cause| StoreError::internal("a leftover cannot be read", cause);
        Ok(match what {
            "version" => Leftover::Version(name.parse().map_err(unreadable)?),
            "project" => Leftover::Project(name.parse().map_err(unreadable)?),
            "container" => Leftover::Container(name.parse().map_err(unreadable)?),
            _ => Leftover::Object(name),
        })
    }
}

statements! {
    NOTE = "INSERT INTO leftovers (what, name, created_at) VALUES ($1, $2, $3) ON CONFLICT (what, name) DO NOTHING";
    NOTE_OBJECTS = "INSERT INTO leftovers (what, name, created_at)
        SELECT DISTINCT 'object', package_key, CAST($2 AS BIGINT) FROM revisions WHERE version_id IN
            (SELECT id FROM versions WHERE id = $1 OR deployment_id = $1 OR project_id = $1)
        ON CONFLICT (what, name) DO NOTHING";
    NOTE_ENVIRONMENT_OBJECTS = "INSERT INTO leftovers (what, name, created_at)
        SELECT DISTINCT 'object', package_key, CAST($2 AS BIGINT) FROM environment_revisions
        WHERE package_key IS NOT NULL AND tag_id IN (SELECT id FROM environment_tags WHERE environment_id IN
            (SELECT id FROM environments WHERE id = $1 OR project_id = $1))
        ON CONFLICT (what, name) DO NOTHING";
    VERSIONS_OF = "SELECT id FROM versions WHERE deployment_id = $1";
    NEXT = "SELECT what, name FROM leftovers WHERE what <> 'object' OR name NOT LIKE $2 ORDER BY created_at, what, name LIMIT $1";
    NEXT_AWAY = "SELECT name FROM leftovers WHERE what = 'object' AND name LIKE $2 AND created_at < $3 ORDER BY created_at, name LIMIT $1";
    REMOVE = "DELETE FROM leftovers WHERE what = $1 AND name = $2";
    LIVING_OF_VERSION = "SELECT COUNT(*) FROM instances WHERE version_id = $1 AND ended_at IS NULL";
    LIVING_OF_PROJECT = "SELECT COUNT(*) FROM instances WHERE project_id = $1 AND ended_at IS NULL";
    USED = "SELECT (SELECT COUNT(*) FROM revisions WHERE package_key = $1)
        + (SELECT COUNT(*) FROM environment_revisions WHERE package_key = $1)
        + (SELECT COUNT(*) FROM files WHERE object_key = $1) + (SELECT COUNT(*) FROM file_parts WHERE object_key = $1)";
}

/// Notes something to clear away.
pub async fn note(tx: &mut Tx, leftover: Leftover) -> Result<()> {
    let values = values![leftover.what(), leftover.name(), Timestamp::now()];
    tx.run(NOTE, values).await.map(drop)
}

pub(crate) async fn note_all_of_version(tx: &mut Tx, id: VersionId) -> Result<()> {
    tx.run(NOTE_OBJECTS, values![id, Timestamp::now()]).await?;
    note(tx, Leftover::Version(id)).await
}

pub(crate) async fn note_all_of_deployment(tx: &mut Tx, id: DeploymentId) -> Result<()> {
    tx.run(NOTE_OBJECTS, values![id, Timestamp::now()]).await?;
    let versions: Vec<(VersionId,)> = tx.all(VERSIONS_OF, values![id]).await?;
    for (version,) in versions {
        note(tx, Leftover::Version(version)).await?;
    }
    Ok(())
}

pub(crate) async fn note_objects_of_project(tx: &mut Tx, id: ProjectId) -> Result<()> {
    tx.run(NOTE_OBJECTS, values![id, Timestamp::now()]).await?;
    tx.run(NOTE_ENVIRONMENT_OBJECTS, values![id, Timestamp::now()]).await.map(drop)
}

pub(crate) async fn note_objects_of_environment(tx: &mut Tx, id: modelyard_types::ids::EnvironmentId) -> Result<()> {
    tx.run(NOTE_ENVIRONMENT_OBJECTS, values![id, Timestamp::now()]).await.map(drop)
}

/// The oldest leftovers, but for bytes whose keys begin with `away`.
pub async fn next(on: impl Source<'_>, away: &str, limit: i64) -> Result<Vec<Leftover>> {
    let rows: Vec<(String, String)> = on.all(NEXT, values![limit, format!("{away}%")]).await?;
    rows.into_iter().map(|(what, name)| Leftover::read(&what, name)).collect()
}

/// The keys of the oldest of those bytes whose keys begin with `away`, and which were left before a time.
pub async fn next_away(on: impl Source<'_>, away: &str, before: Timestamp, limit: i64) -> Result<Vec<String>> {
    let rows: Vec<(String,)> = on.all(NEXT_AWAY, values![limit, format!("{away}%"), before]).await?;
    Ok(rows.into_iter().map(|(key,)| key).collect())
}

/// Whether an object is referred to again, or still: revisions copied from each other share their package.
pub async fn is_object_used(on: impl Source<'_>, key: &str) -> Result<bool> {
    let (uses,): (i64,) = on.one(USED, values![key]).await?;
    Ok(uses > 0)
}

/// Whether no instance of what was deleted lives any more: one writes its row until its end.
pub async fn is_at_rest(on: impl Source<'_>, leftover: &Leftover) -> Result<bool> {
    let (living,): (i64,) = match leftover {
        Leftover::Version(id) => on.one(LIVING_OF_VERSION, values![id]).await?,
        Leftover::Project(id) => on.one(LIVING_OF_PROJECT, values![id]).await?,
        Leftover::Container(_) | Leftover::Object(_) => return Ok(true),
    };
    Ok(living == 0)
}

/// Strikes a leftover off, once it is cleared away.
pub async fn remove(tx: &mut Tx, leftover: &Leftover) -> Result<()> {
    tx.run(REMOVE, values![leftover.what(), leftover.name()]).await.map(drop)
}
