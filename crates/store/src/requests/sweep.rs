//! Ending and deleting requests in bounded steps.

use modelyard_types::Timestamp;
use modelyard_types::ids::{ProjectId, RequestId, VersionId};

use crate::db::Source;
use crate::error::Result;
use crate::servers::Life;
use crate::sql::statements;
use crate::tx::Tx;
use crate::value::values;

statements! {
    END_ORPHANS = "UPDATE requests SET completed_at = $4, error_message = CASE status WHEN 2 THEN error_message ELSE $5 END,
            status = CASE status WHEN 2 THEN 5 ELSE 4 END
        WHERE status < 3 AND kind = 0 AND ((server_id = $1 AND life < $2)
            OR server_id IN (SELECT id FROM servers WHERE heartbeat_at < $3))";
    DELETE = "DELETE FROM requests WHERE id = $1 RETURNING request_key, result_key";
    DELETE_EXPIRED = "DELETE FROM requests WHERE id IN
            (SELECT id FROM requests WHERE expires_at < $1 AND status >= 3 ORDER BY expires_at LIMIT $2)
        RETURNING request_key, result_key";
    DELETE_OF_VERSION = "DELETE FROM requests WHERE id IN
            (SELECT id FROM requests WHERE version_id = $1 LIMIT $2)
        RETURNING request_key, result_key";
    DELETE_OF_PROJECT = "DELETE FROM requests WHERE id IN
            (SELECT id FROM requests WHERE project_id = $1 LIMIT $2)
        RETURNING request_key, result_key";
}

/// Ends the direct requests that earlier lives of this server, or servers silent since `dead_since`, left open: they
/// failed, for the reason given; those being cancelled are cancelled. Tells how many.
pub async fn end_orphans(tx: &mut Tx, life: Life, dead_since: Timestamp, now: Timestamp, reason: &str) -> Result<u64> {
    let values = values![life.server, life.number, dead_since, now, reason];
    tx.run(END_ORPHANS, values).await
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

fn deleted(rows: Vec<(Option<String>, Option<String>)>) -> Deleted {
    Deleted {
        count: rows.len(),
        objects: rows.into_iter().flat_map(|(data, result)| [data, result]).flatten().collect(),
    }
}
