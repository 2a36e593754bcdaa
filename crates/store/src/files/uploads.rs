//! Uploads in parts: begun, filled in any order, and then one file, or nothing.

use modelyard_types::Timestamp;
use modelyard_types::ids::{ContainerId, FileId};

use super::{File, Part, drop_parts, put};
use crate::db::Source;
use crate::error::Result;
use crate::leftovers::{self, Leftover};
use crate::sql::{row, statements};
use crate::tx::Tx;
use crate::value::values;

row! {
    /// An upload that is not complete.
    pub struct Upload {
        /// Its id, and that of the file it becomes.
        pub id: FileId,
        /// Where the file will be.
        pub container_id: ContainerId,
        /// What it will be called.
        pub name: String,
        /// When it was begun.
        pub created_at: Timestamp,
    }
}

statements! {
    INSERT = "INSERT INTO uploads (", Upload::COLUMNS, ") VALUES (", Upload::MARKS, ")";
    GET = "SELECT ", Upload::COLUMNS, " FROM uploads WHERE id = $1";
    OLD = "SELECT ", Upload::COLUMNS, " FROM uploads WHERE created_at < $1 ORDER BY created_at LIMIT $2";
    OF_CONTAINER = "SELECT ", Upload::COLUMNS, " FROM uploads WHERE container_id = $1 LIMIT $2";
    OPEN = "SELECT COUNT(*) FROM uploads WHERE container_id = $1";
    DELETE = "DELETE FROM uploads WHERE id = $1";
    PART = "SELECT ", Part::COLUMNS, " FROM file_parts WHERE file_id = $1 AND number = $2";
    SET_PART = "INSERT INTO file_parts (", Part::COLUMNS, ") VALUES (", Part::MARKS, ") ON CONFLICT (file_id, number)
        DO UPDATE SET object_key = excluded.object_key, size = excluded.size, etag = excluded.etag";
    DELETE_PART = "DELETE FROM file_parts WHERE file_id = $1 AND number = $2";
}

/// Begins an upload; refused as missing when the container is gone.
pub async fn begin(tx: &mut Tx, upload: &Upload) -> Result<()> {
    tx.run(INSERT, upload.values()).await.map(drop)
}

/// The upload of an id.
pub async fn get(on: impl Source<'_>, id: FileId) -> Result<Option<Upload>> {
    on.first(GET, values![id]).await
}

/// The upload of an id, kept from other changes until the transaction has ended.
pub async fn lock(tx: &mut Tx, id: FileId) -> Result<Option<Upload>> {
    tx.locked(GET, values![id]).await
}

/// How many uploads of a container are not complete.
pub async fn count(on: impl Source<'_>, container: ContainerId) -> Result<i64> {
    let (count,) = on.one(OPEN, values![container]).await?;
    Ok(count)
}

/// Uploads that were begun before a time, the oldest first.
pub async fn begun_before(on: impl Source<'_>, time: Timestamp, limit: i64) -> Result<Vec<Upload>> {
    on.all(OLD, values![time, limit]).await
}

/// Some uploads of a container.
pub async fn of_container(on: impl Source<'_>, container: ContainerId, limit: i64) -> Result<Vec<Upload>> {
    on.all(OF_CONTAINER, values![container, limit]).await
}

/// Puts a part in the place of the one of its number, whose bytes become leftovers. The upload is locked.
pub async fn set_part(tx: &mut Tx, part: &Part) -> Result<()> {
    let old: Option<Part> = (&mut *tx).first(PART, values![part.file_id, part.number]).await?;
    if let Some(old) = old {
        leftovers::note(tx, Leftover::Object(old.object_key)).await?;
    }
    tx.run(SET_PART, part.values()).await.map(drop)
}

/// Removes a part; its bytes become leftovers.
pub async fn drop_part(tx: &mut Tx, part: &Part) -> Result<()> {
    leftovers::note(tx, Leftover::Object(part.object_key.clone())).await?;
    tx.run(DELETE_PART, values![part.file_id, part.number]).await.map(drop)
}

/// Makes an upload the file it was begun for.
pub async fn complete(tx: &mut Tx, file: &File) -> Result<()> {
    tx.run(DELETE, values![file.id]).await?;
    put(tx, file).await
}

/// Gives an upload up; its parts become leftovers. One that was completed meanwhile stays the file it is.
pub async fn abandon(tx: &mut Tx, id: FileId) -> Result<()> {
    if lock(tx, id).await?.is_none() {
        return Ok(());
    }
    drop_parts(tx, id).await?;
    tx.run(DELETE, values![id]).await.map(drop)
}
