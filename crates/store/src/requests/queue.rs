//! The queue of batch requests: rows that no server has claimed.

use modelyard_types::ids::{RequestId, ServerId, VersionId};
use uuid::Uuid;

use super::{Both, Request, RequestData};
use crate::Store;
use crate::bulk::BulkUpdate;
use crate::db::Source;
use crate::error::Result;
use crate::servers::Life;
use crate::sql::statements;
use crate::tx::Tx;
use crate::value::{Type, values};

/// The server of requests that nobody has claimed.
pub const NOBODY: ServerId = ServerId(Uuid::nil());

statements! {
    CLAIM_LITE = "UPDATE requests SET server_id = $1, life = $2, epoch = epoch + 1 WHERE id IN
            (SELECT id FROM (SELECT id, input_size,
                SUM(CASE WHEN input_size <= $6 THEN input_size ELSE 0 END) OVER ordered AS small,
                SUM(CASE WHEN input_size > $6 THEN input_size ELSE 0 END) OVER ordered AS large
                FROM (SELECT id, priority, input_size FROM requests
                    WHERE version_id = $3 AND priority <= $4 AND kind = 1 AND status = 0 AND life = 0
                    ORDER BY priority, id LIMIT $5) AS first
                WINDOW ordered AS (ORDER BY priority, id)) AS summed
            WHERE input_size <= $6 AND small - input_size < $7 OR input_size > $6 AND large - input_size < $8)
        RETURNING ", Request::COLUMNS, ", ", RequestData::COLUMNS;
    CLAIM_PG = "UPDATE requests SET server_id = $1, life = $2, epoch = epoch + 1 WHERE id IN
            (SELECT id FROM (SELECT id, input_size,
                SUM(CASE WHEN input_size <= $6 THEN input_size ELSE 0 END) OVER ordered AS small,
                SUM(CASE WHEN input_size > $6 THEN input_size ELSE 0 END) OVER ordered AS large
                FROM (SELECT id, priority, input_size FROM requests
                    WHERE version_id = $3 AND priority <= $4 AND kind = 1 AND status = 0 AND life = 0
                    ORDER BY priority, id LIMIT $5 FOR UPDATE SKIP LOCKED) AS first
                WINDOW ordered AS (ORDER BY priority, id)) AS summed
            WHERE input_size <= $6 AND small - input_size < $7 OR input_size > $6 AND large - input_size < $8)
        RETURNING ", Request::COLUMNS, ", ", RequestData::COLUMNS;
    TAKE = "UPDATE requests SET server_id = $1, life = $2, epoch = epoch + 1
        WHERE id = $3 AND kind = 1 AND status = 0 AND life = 0
        RETURNING ", Request::COLUMNS, ", ", RequestData::COLUMNS;
    WAITING = "SELECT version_id, COUNT(*), COUNT(*) FILTER (WHERE priority = 0) FROM requests
        WHERE kind = 1 AND status = 0 AND life = 0 GROUP BY version_id";
    CLAIMED_BY = "SELECT id FROM requests WHERE server_id = $1 AND life = $2 AND status < 3";
    TO_CANCEL = "SELECT id FROM requests WHERE server_id = $1 AND life = $2 AND status < 3 AND status = 2";
    ASK_TO_CANCEL = "UPDATE requests SET status = 2 WHERE id = $1 AND status < 2 AND life > 0";
}

/// What is claimed at once.
#[derive(Clone, Copy, Debug)]
pub struct Portion {
    /// So many requests at the most.
    pub count: usize,
    /// Only those of priority 0.
    pub urgent: bool,
    /// Data of up to so many bytes is small.
    pub small: usize,
    /// The small data reaches or passes so many bytes only with the last of it; with 0 there is none.
    pub small_bytes: usize,
    /// The same of all other data. What finds no room here does not hold up small requests behind it.
    pub large_bytes: usize,
}

impl Portion {
    /// So many requests, whatever their data.
    pub fn of(count: usize) -> Self {
        Self { count, urgent: false, small: 0, small_bytes: usize::MAX, large_bytes: usize::MAX }
    }
}

/// Claims the first waiting requests of a version for a life; they come in their order.
pub async fn claim(
    tx: &mut Tx,
    version: VersionId,
    life: Life,
    portion: Portion,
) -> Result<Vec<(Request, RequestData)>> {
    let text = tx.text(CLAIM_LITE, CLAIM_PG);
    let bound = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    let priority = if portion.urgent { 0 } else { i64::MAX };
    let values = values![
        life.server,
        life.number,
        version,
        priority,
        bound(portion.count),
        bound(portion.small),
        bound(portion.small_bytes),
        bound(portion.large_bytes)
    ];
    let claimed: Vec<Both> = tx.all(text, values).await?;
    let mut claimed: Vec<_> = claimed.into_iter().map(|both| (both.request, both.data)).collect();
    claimed.sort_unstable_by_key(|(request, _)| (request.priority, request.id));
    Ok(claimed)
}

/// How many requests wait, and how many of those have priority 0, by version.
pub async fn waiting(store: &Store) -> Result<Vec<(VersionId, i64, i64)>> {
    store.all(WAITING, values![]).await
}

/// The open requests that a life has claimed, or made to run them itself.
pub async fn claimed_by(store: &Store, life: Life) -> Result<Vec<RequestId>> {
    let found: Vec<(RequestId,)> = store.all(CLAIMED_BY, values![life.server, life.number]).await?;
    Ok(found.into_iter().map(|(id,)| id).collect())
}

/// The requests of a life that somebody asked to cancel through another server.
pub async fn to_cancel(store: &Store, life: Life) -> Result<Vec<RequestId>> {
    let found: Vec<(RequestId,)> = store.all(TO_CANCEL, values![life.server, life.number]).await?;
    Ok(found.into_iter().map(|(id,)| id).collect())
}

/// Asks the server that has claimed a request to cancel it; says whether there was something to ask.
pub async fn ask_to_cancel(tx: &mut Tx, id: RequestId) -> Result<bool> {
    Ok(tx.run(ASK_TO_CANCEL, values![id]).await? == 1)
}

/// Claims one request for a life, if it waits.
pub async fn claim_one(tx: &mut Tx, id: RequestId, life: Life) -> Result<Option<(Request, RequestData)>> {
    let taken: Option<Both> = tx.first(TAKE, values![life.server, life.number, id]).await?;
    Ok(taken.map(|both| (both.request, both.data)))
}

/// A claimed request that goes back to the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release {
    /// Which one.
    pub id: RequestId,
    /// The life that has it.
    pub life: Life,
    /// Its claim.
    pub epoch: i64,
    /// How often it was run again, this time included if its work had begun.
    pub retries: i64,
}

const RELEASE: BulkUpdate = BulkUpdate {
    table: "requests",
    names: &["id", "server_id", "life", "epoch", "retries", "nobody"],
    types: &[Type::Id, Type::Id, Type::Int, Type::Int, Type::Int, Type::Id],
    set: "status = 0, server_id = v.nobody, life = 0, started_at = NULL, retries = v.retries",
    // One that somebody asked to cancel is not put back, but cancelled when its life is over.
    key: "id",
    guard: "requests.status < 2 AND requests.server_id = v.server_id
        AND requests.life = v.life AND requests.epoch = v.epoch",
    returning: "requests.id",
};

/// Puts requests back into the queue; tells how many were still their life's to put back.
pub async fn release_many(tx: &mut Tx, releases: &[Release]) -> Result<usize> {
    let of = |release: &Release| {
        values![release.id, release.life.server, release.life.number, release.epoch, release.retries, NOBODY]
    };
    let released: Vec<(RequestId,)> = RELEASE.update(tx, releases.iter().flat_map(of).collect()).await?;
    Ok(released.len())
}

pub(super) fn built_texts(postgres: bool) -> Vec<(String, String)> {
    let text = |bulk: &BulkUpdate| if postgres { bulk.text_for_pg() } else { bulk.text_for_lite(5) };
    vec![("requests::release_many".into(), text(&RELEASE))]
}
