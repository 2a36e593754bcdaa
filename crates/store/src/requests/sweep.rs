//! Deleting requests in bounded steps.

use modelyard_types::Timestamp;
use modelyard_types::ids::{ProjectId, RequestId, VersionId};

use crate::db::Source;
use crate::error::Result;
use crate::sql::statements;
use crate::tx::Tx;
use crate::value::values;

statements! {
    DELETE = "DELETE FROM requests WHERE id = $1 RETURNING request_key, result_key, updates_key";
    DELETE_EXPIRED = "DELETE FROM requests WHERE id IN
            (SELECT id FROM requests WHERE expires_at < $1 AND status >= 3 ORDER BY expires_at LIMIT $2)
        RETURNING request_key, result_key, updates_key";
    DELETE_OF_VERSION = "DELETE FROM requests WHERE id IN
            (SELECT id FROM requests WHERE version_id = $1 LIMIT $2)
        RETURNING request_key, result_key, updates_key";
    DELETE_OF_PROJECT = "DELETE FROM requests WHERE id IN
            (SELECT id FROM requests WHERE project_id = $1 LIMIT $2)
        RETURNING request_key, result_key, updates_key";
}

/// What a step deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    /// How many requests.
    pub count: usize,
    /// The objects that held their data and results.
    pub objects: Vec<String>,
}

/// Deletes a request, wherever it stands.
pub async fn delete(tx: &mut Tx, id: RequestId) -> Result<Deleted> {
    tx.all(DELETE, values![id]).await.map(deleted)
}

/// Deletes some requests that have ended and whose time is over.
pub async fn delete_expired(tx: &mut Tx, now: Timestamp, limit: i64) -> Result<Deleted> {
    tx.all(DELETE_EXPIRED, values![now, limit]).await.map(deleted)
}

/// Deletes some requests of a version that is gone.
pub async fn delete_of_version(tx: &mut Tx, version: VersionId, limit: i64) -> Result<Deleted> {
    tx.all(DELETE_OF_VERSION, values![version, limit]).await.map(deleted)
}

/// Deletes some requests of a project that is gone.
pub async fn delete_of_project(tx: &mut Tx, project: ProjectId, limit: i64) -> Result<Deleted> {
    tx.all(DELETE_OF_PROJECT, values![project, limit]).await.map(deleted)
}

pub(super) fn deleted(rows: Vec<(Option<String>, Option<String>, Option<String>)>) -> Deleted {
    Deleted {
        count: rows.len(),
        objects: rows.into_iter().flat_map(|(data, result, updates)| [data, result, updates]).flatten().collect(),
    }
}
