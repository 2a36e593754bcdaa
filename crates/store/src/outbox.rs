//! The outbox: ends of batch requests, written in the transaction of the end, for those who tell others of them.

use modelyard_types::Timestamp;
use modelyard_types::ids::{DeploymentId, OutboxId, ProjectId, RequestId, VersionId};
use modelyard_types::requests::RequestStatus;
use uuid::Uuid;

use crate::bulk::Bulk;
use crate::db::Source;
use crate::error::Result;
use crate::sql::{row, statements};
use crate::tx::Tx;
use crate::value::values;

row! {
    /// The end of a request. Its id carries the time.
    pub struct Message {
        /// Its id.
        pub id: OutboxId,
        /// The project of the request.
        pub project_id: ProjectId,
        /// The deployment of the request.
        pub deployment_id: DeploymentId,
        /// The version of the request.
        pub version_id: VersionId,
        /// The request.
        pub request_id: RequestId,
        /// How it ended.
        pub status: RequestStatus,
    }
}

statements! {
    LIST = "SELECT ", Message::COLUMNS, " FROM outbox WHERE id > $1 ORDER BY id LIMIT $2";
    DELETE_BEFORE = "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE id < $1 ORDER BY id LIMIT $2)";
}

const INSERT: Bulk = Bulk { table: "outbox", columns: Message::COLUMNS, types: Message::TYPES, suffix: "" };

/// Adds messages.
pub async fn insert_many(tx: &mut Tx, messages: &[Message]) -> Result<()> {
    INSERT.insert(tx, messages.len(), messages.iter().flat_map(Message::values)).await.map(drop)
}

/// The messages after one, the oldest first.
pub async fn list_after(on: impl Source<'_>, after: Uuid, limit: i64) -> Result<Vec<Message>> {
    on.all(LIST, values![after, limit]).await
}

/// Deletes some messages written before a time; tells how many.
pub async fn delete_before(tx: &mut Tx, until: Timestamp, limit: i64) -> Result<u64> {
    tx.run(DELETE_BEFORE, values![crate::requests::first_id_of(until), limit]).await
}

pub(crate) fn built_texts(postgres: bool) -> Vec<(String, String)> {
    let text = if postgres { INSERT.text_for_pg() } else { INSERT.text_for_lite(5) };
    vec![("outbox::insert_many".into(), text)]
}
