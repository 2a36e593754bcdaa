//! Files in containers: what they are called, how large they are and where their bytes lie. Knows nothing of what a container is
//! for.

pub mod expiry;
pub mod listing;
pub mod uploads;

use modelyard_types::Timestamp;
use modelyard_types::ids::{ContainerId, FileId, TicketId};
use serde_json::{Map, Value};

use crate::db::Source;
use crate::error::Result;
use crate::leftovers::{self, Leftover};
use crate::sql::{row, statements};
use crate::tx::Tx;
use crate::value::values;

row! {
    /// A file as it was written once; overwritten it is another.
    pub struct File {
        /// Its id.
        pub id: FileId,
        /// Where it is.
        pub container_id: ContainerId,
        /// Its name, unique in the container.
        pub name: String,
        /// Its bytes.
        pub size: i64,
        /// Names its content, without quotes.
        pub etag: String,
        /// What kind of content it is, if whoever sent it said so.
        pub content_type: Option<String>,
        /// The object with its bytes; none when it came in parts.
        pub object_key: Option<String>,
        /// What its door keeps of it.
        pub metadata: Map<String, Value>,
        /// When it was written.
        pub created_at: Timestamp,
        /// When it expires by itself.
        pub expires_at: Option<Timestamp>,
    }
}

row! {
    /// A part of a file, or of an upload that is not complete.
    pub struct Part {
        /// The file or upload.
        pub file_id: FileId,
        /// Its number; parts are in this order.
        pub number: i64,
        /// The object with its bytes.
        pub object_key: String,
        /// Its bytes.
        pub size: i64,
        /// Names its content, without quotes.
        pub etag: String,
    }
}

statements! {
    ADD_CONTAINER = "INSERT INTO containers (id, closed, created_at) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING";
    CLOSE_CONTAINER = "UPDATE containers SET closed = $2 WHERE id = $1";
    HAS_CONTAINER = "SELECT COUNT(*) FROM containers WHERE id = $1 AND NOT closed";
    INSERT = "INSERT INTO files (", File::COLUMNS, ") VALUES (", File::MARKS, ")";
    GET = "SELECT ", File::COLUMNS, " FROM files WHERE container_id = $1 AND name = $2";
    REPLACE = "UPDATE files SET id = $1, ", File::ASSIGNMENTS, " WHERE id = $11";
    DELETE = "DELETE FROM files WHERE id = $1";
    PARTS = "SELECT ", Part::COLUMNS, " FROM file_parts WHERE file_id = $1 ORDER BY number";
    DELETE_PARTS = "DELETE FROM file_parts WHERE file_id = $1";
    SPEND = "INSERT INTO spent_tickets (id, etag, expires_at) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING";
    SPENT = "SELECT etag FROM spent_tickets WHERE id = $1";
    IS_KEPT = "SELECT (SELECT COUNT(*) FROM files WHERE object_key = $1) + (SELECT COUNT(*) FROM file_parts WHERE object_key = $1)
        + (SELECT COUNT(*) FROM leftovers WHERE what = 'object' AND name = $1)";
}

/// Adds a container, unless it is there.
pub async fn add_container(tx: &mut Tx, id: ContainerId) -> Result<()> {
    tx.run(ADD_CONTAINER, values![id, false, Timestamp::now()]).await.map(drop)
}

/// Closes a container: its files cannot be reached any more, and are cleared away with it.
pub async fn close_container(tx: &mut Tx, id: ContainerId) -> Result<()> {
    tx.run(CLOSE_CONTAINER, values![id, true]).await?;
    leftovers::note(tx, Leftover::Container(id)).await
}

/// Whether there is a container that is not closed.
pub async fn has_container(on: impl Source<'_>, id: ContainerId) -> Result<bool> {
    let (count,): (i64,) = on.one(HAS_CONTAINER, values![id]).await?;
    Ok(count > 0)
}

/// The file of a name.
pub async fn get(on: impl Source<'_>, container: ContainerId, name: &str) -> Result<Option<File>> {
    on.first(GET, values![container, name]).await
}

/// The file of a name, kept from other changes until the transaction has ended.
pub async fn lock(tx: &mut Tx, container: ContainerId, name: &str) -> Result<Option<File>> {
    tx.locked(GET, values![container, name]).await
}

/// The parts of a file that has no object of its own, or of an upload.
pub async fn parts(on: impl Source<'_>, id: FileId) -> Result<Vec<Part>> {
    on.all(PARTS, values![id]).await
}

/// Puts a file in the place of the one of its name, whose bytes become leftovers. Refused as taken when somebody else adds the first
/// one of that name at the same time, and as missing when the container is gone.
pub async fn put(tx: &mut Tx, file: &File) -> Result<()> {
    let Some(old) = tx.locked::<File>(GET, values![file.container_id, file.name.as_str()]).await? else {
        return tx.run(INSERT, file.values()).await.map(drop);
    };
    drop_bytes(tx, &old).await?;
    // The row is changed rather than replaced, so that those who wait for it find it again.
    let mut values = file.values();
    values.extend(values![old.id]);
    tx.run(REPLACE, values).await.map(drop)
}

/// Removes the file of a name; its bytes become leftovers. False when it is gone.
pub async fn delete(tx: &mut Tx, container: ContainerId, name: &str) -> Result<bool> {
    match tx.locked(GET, values![container, name]).await? {
        Some(file) => remove(tx, &file).await,
        None => Ok(false),
    }
}

async fn drop_bytes(tx: &mut Tx, file: &File) -> Result<()> {
    match &file.object_key {
        Some(key) => leftovers::note(tx, Leftover::Object(key.clone())).await,
        None => drop_parts(tx, file.id).await,
    }
}

async fn remove(tx: &mut Tx, file: &File) -> Result<bool> {
    drop_bytes(tx, file).await?;
    Ok(tx.run(DELETE, values![file.id]).await? == 1)
}

async fn drop_parts(tx: &mut Tx, id: FileId) -> Result<()> {
    for part in parts(&mut *tx, id).await? {
        leftovers::note(tx, Leftover::Object(part.object_key)).await?;
    }
    tx.run(DELETE_PARTS, values![id]).await.map(drop)
}

/// Notes that an upload came by a signed address, until that expires. If one did before: what it was, by its etag.
pub async fn spend(tx: &mut Tx, ticket: TicketId, etag: &str, expires_at: Timestamp) -> Result<Option<String>> {
    if tx.run(SPEND, values![ticket, etag, expires_at]).await? == 1 {
        return Ok(None);
    }
    let spent: Option<(String,)> = tx.first(SPENT, values![ticket]).await?;
    Ok(spent.map(|(etag,)| etag))
}

/// Whether a file or a part has these bytes, or had them and they are removed in their time.
pub async fn is_kept(on: impl Source<'_>, object_key: &str) -> Result<bool> {
    let (count,): (i64,) = on.one(IS_KEPT, values![object_key]).await?;
    Ok(count > 0)
}
