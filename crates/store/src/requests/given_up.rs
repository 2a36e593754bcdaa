//! Requests that wait for a version whose instances do not start: their ends, in bounded steps.

use modelyard_types::Timestamp;
use modelyard_types::ids::VersionId;
use modelyard_types::requests::RequestStatus;

use super::ends::{Ended, end_many};
use super::list::first_id_of;
use super::open::{COLUMNS, Open};
use crate::db::Source;
use crate::error::Result;
use crate::sql::statements;
use crate::tx::Tx;
use crate::value::values;

// Read as claims are, in the order of the queue and by its index. What another server claims or cancels this moment is left
// to it.
statements! {
    WAITING_LITE = "SELECT ", COLUMNS, " FROM requests
        WHERE version_id = $1 AND kind = 1 AND status = 0 AND life = 0 AND id < $2 ORDER BY priority, id LIMIT $3";
    WAITING_PG = WAITING_LITE, " FOR UPDATE SKIP LOCKED";
}

/// Ends at most `limit` batch requests of a version as failed, of those that were made before a time and that no server has
/// claimed. Tells how many there were, and which objects nothing refers to any more.
pub async fn end_waiting(
    tx: &mut Tx,
    version: VersionId,
    before: Timestamp,
    now: Timestamp,
    reason: &str,
    limit: i64,
) -> Result<(usize, Ended)> {
    let text = tx.text(WAITING_LITE, WAITING_PG);
    let waiting: Vec<Open> = tx.all(text, values![version, first_id_of(before), limit]).await?;
    let endings: Vec<_> = waiting.iter().map(|open| open.ending(RequestStatus::Failed, now, reason)).collect();
    Ok((endings.len(), end_many(tx, &endings).await?))
}
