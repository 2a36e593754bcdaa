//! Keys by which a repeated creation of requests finds the first one.

use modelyard_types::Timestamp;
use modelyard_types::ids::{ProjectId, RequestId, VersionId};
use modelyard_types::requests::RequestStatus;

use crate::db::Source;
use crate::error::{Result, StoreError};
use crate::sql::{row, statements};
use crate::tx::Tx;
use crate::value::values;

row! {
    /// A creation that may be repeated.
    pub struct Key {
        /// The project it happened in.
        pub project_id: ProjectId,
        /// SHA-256 of the key and of who used it.
        pub key_hash: [u8; 32],
        /// SHA-256 of what was asked for.
        pub body_hash: [u8; 32],
        /// The requests that were made.
        pub request_ids: Vec<String>,
        /// The version they were made for; nothing when the server that made them did not note it.
        pub version_id: Option<VersionId>,
        /// How the only one ended, when nothing else is kept of it; read when its row is gone.
        pub status: Option<RequestStatus>,
        /// When that was; of a single direct request, when it was made.
        pub created_at: Timestamp,
    }
}

statements! {
    INSERT = "INSERT INTO idempotency_keys (", Key::COLUMNS, ") VALUES (", Key::MARKS, ")
        ON CONFLICT (project_id, key_hash) DO NOTHING";
    GET = "SELECT ", Key::COLUMNS, " FROM idempotency_keys WHERE project_id = $1 AND key_hash = $2";
    SET_STATUS = "UPDATE idempotency_keys SET status = $3 WHERE project_id = $1 AND key_hash = $2";
    DELETE = "DELETE FROM idempotency_keys WHERE project_id = $1 AND key_hash = $2 AND created_at < $3";
    DELETE_OF_REQUEST = "DELETE FROM idempotency_keys WHERE created_at = $1 AND request_ids = $2";
    DELETE_BEFORE = "DELETE FROM idempotency_keys WHERE (project_id, key_hash) IN
        (SELECT project_id, key_hash FROM idempotency_keys WHERE created_at < $1 ORDER BY created_at LIMIT $2)";
    DELETE_OF_PROJECT = "DELETE FROM idempotency_keys WHERE (project_id, key_hash) IN
        (SELECT project_id, key_hash FROM idempotency_keys WHERE project_id = $1 LIMIT $2)";
}

impl Key {
    /// The requests that were made.
    pub fn requests(&self) -> Result<Vec<RequestId>> {
        let parse = |id: &String| id.parse().map_err(|cause| StoreError::internal("a kept request id", cause));
        self.request_ids.iter().map(parse).collect()
    }
}

/// Adds a key, unless it is there and not older than `valid_since`; says whether it did.
pub async fn insert(tx: &mut Tx, key: &Key, valid_since: Timestamp) -> Result<bool> {
    tx.run(DELETE, values![key.project_id, key.key_hash, valid_since]).await?;
    Ok(tx.run(INSERT, key.values()).await? == 1)
}

/// The key of a project.
pub async fn get(on: impl Source<'_>, project: ProjectId, key_hash: [u8; 32]) -> Result<Option<Key>> {
    on.first(GET, values![project, key_hash]).await
}

/// Notes how the only request of a key ended, because nothing else is kept of it.
pub async fn set_status(tx: &mut Tx, project: ProjectId, key_hash: [u8; 32], status: RequestStatus) -> Result<()> {
    tx.run(SET_STATUS, values![project, key_hash, status]).await.map(drop)
}

/// Deletes the key of a project.
pub async fn delete(tx: &mut Tx, project: ProjectId, key_hash: [u8; 32]) -> Result<()> {
    tx.run(DELETE, values![project, key_hash, Timestamp(i64::MAX)]).await.map(drop)
}

/// Deletes the key that made a direct request; says whether there was one.
pub async fn delete_of_request(tx: &mut Tx, id: RequestId) -> Result<bool> {
    // Found by its age, for which there is an index.
    let values = values![id.made_at(), vec![id.to_string()]];
    Ok(tx.run(DELETE_OF_REQUEST, values).await? > 0)
}

/// Deletes some keys made before a time; tells how many.
pub async fn delete_before(tx: &mut Tx, until: Timestamp, limit: i64) -> Result<u64> {
    tx.run(DELETE_BEFORE, values![until, limit]).await
}

/// Deletes some keys of a project that is gone; tells how many.
pub async fn delete_of_project(tx: &mut Tx, project: ProjectId, limit: i64) -> Result<u64> {
    tx.run(DELETE_OF_PROJECT, values![project, limit]).await
}
