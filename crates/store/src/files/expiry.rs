//! Files past their time, containers that are to go, and how much there is.

use modelyard_types::Timestamp;
use modelyard_types::ids::ContainerId;

use super::{File, remove, uploads};
use crate::db::Source;
use crate::error::Result;
use crate::sql::statements;
use crate::tx::Tx;
use crate::value::values;

statements! {
    OLDER = "SELECT ", File::COLUMNS, " FROM files WHERE container_id = $1 AND created_at <= $2
        ORDER BY created_at LIMIT $3";
    OVER = "SELECT ", File::COLUMNS, " FROM files WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2";
    SIZE = "SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM files WHERE container_id = $1";
    DELETE_CONTAINER = "DELETE FROM containers WHERE id = $1";
    FORGET_TICKETS = "DELETE FROM spent_tickets WHERE id IN
        (SELECT id FROM spent_tickets WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)";
}

/// Removes some files of a container that were written at a time or before; tells how many.
pub async fn delete_older(tx: &mut Tx, container: ContainerId, than: Timestamp, limit: i64) -> Result<usize> {
    let old: Vec<File> = (&mut *tx).all(OLDER, values![container, than, limit]).await?;
    remove_all(tx, &old).await
}

/// Removes some files whose own time is over; tells how many.
pub async fn delete_over(tx: &mut Tx, now: Timestamp, limit: i64) -> Result<usize> {
    let over: Vec<File> = (&mut *tx).all(OVER, values![now, limit]).await?;
    remove_all(tx, &over).await
}

/// Empties a container that nobody uses any more, step by step, and then removes it; tells whether it is gone.
pub async fn delete_container(tx: &mut Tx, id: ContainerId, limit: i64) -> Result<bool> {
    let open = uploads::of_container(&mut *tx, id, limit).await?;
    for upload in &open {
        uploads::abandon(tx, upload.id).await?;
    }
    if !open.is_empty() || delete_older(tx, id, Timestamp(i64::MAX), limit).await? > 0 {
        return Ok(false);
    }
    tx.run(DELETE_CONTAINER, values![id]).await?;
    Ok(true)
}

async fn remove_all(tx: &mut Tx, files: &[File]) -> Result<usize> {
    for file in files {
        remove(tx, file).await?;
    }
    Ok(files.len())
}

/// Bytes of all files of a container.
pub async fn size(on: impl Source<'_>, container: ContainerId) -> Result<i64> {
    let (size,) = on.one(SIZE, values![container]).await?;
    Ok(size)
}

/// Forgets signed addresses that expired before a time; tells how many.
pub async fn forget_tickets(tx: &mut Tx, before: Timestamp, limit: i64) -> Result<u64> {
    tx.run(FORGET_TICKETS, values![before, limit]).await
}
