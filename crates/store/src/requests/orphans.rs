//! What servers that are gone left open: each request ends or goes back to the queue, decided by its row and the clock alone.

use modelyard_types::Timestamp;
use modelyard_types::ids::RequestId;
use modelyard_types::requests::{RequestKind, RequestStatus};

use super::ends::{Ended, end_many};
use super::open::{COLUMNS, Open};
use super::queue::{Release, release_many};
use super::sweep;
use crate::db::Source;
use crate::error::Result;
use crate::idempotency;
use crate::servers::Life;
use crate::sql::statements;
use crate::tx::Tx;
use crate::value::{Record, Row, next, values};

/// How often an interrupted request of a version with `restart_request_interruption` is run again (semantics 1.9).
pub const MAX_RETRIES: i64 = 3;

/// What is told of requests that cannot go on.
#[derive(Clone, Copy, Debug)]
pub struct Reason<'a> {
    /// Of those whose work had begun.
    pub begun: &'a str,
    /// Of those that waited.
    pub waited: &'a str,
}

impl<'a> From<&'a str> for Reason<'a> {
    fn from(reason: &'a str) -> Self {
        Self { begun: reason, waited: reason }
    }
}

/// An open request of a life that is over.
struct Orphan {
    open: Open,
    /// Whether its version wants interrupted requests to be run again; nothing when the version is gone.
    restarts: Option<bool>,
}

impl Record for Orphan {
    fn read(row: &Row, at: &mut usize) -> Result<Self> {
        Ok(Self { open: Open::read(row, at)?, restarts: next(row, at)? })
    }
}

// Servers stand in one list, so that their open requests are found by the index: there may be very many that wait.
statements! {
    ORPHANS_LITE = "SELECT ", COLUMNS, ", restart_request_interruption
        FROM requests LEFT JOIN versions ON versions.id = requests.version_id
        WHERE requests.status < 3 AND life > 0 AND (server_id <> $1 OR life < $2)
            AND server_id IN (SELECT $1 UNION ALL SELECT servers.id FROM servers WHERE heartbeat_at < $3) LIMIT $4";
    ORPHANS_PG = ORPHANS_LITE, " FOR UPDATE OF requests SKIP LOCKED";
    LOST = "SELECT ", COLUMNS, ", restart_request_interruption
        FROM requests LEFT JOIN versions ON versions.id = requests.version_id
        WHERE requests.id = $1 AND server_id = $2 AND life = $3 AND requests.status < 3";
}

/// What becomes of an orphan.
enum Fate {
    Waits {
        again: bool,
    },
    /// A direct request that had not begun: its caller has gone, but may come back with its key.
    Unbegun,
    Ends(RequestStatus),
}

impl Orphan {
    /// A request that had not begun waits again if it is one that can; one in work is run again if its version wants that.
    fn fate(&self) -> Fate {
        let batch = self.open.kind == RequestKind::Batch;
        match self.open.status {
            RequestStatus::CancelledPending => Fate::Ends(RequestStatus::Cancelled),
            RequestStatus::Pending if batch => Fate::Waits { again: false },
            RequestStatus::Pending if self.open.retries == 0 => Fate::Unbegun,
            _ if batch && self.restarts == Some(true) && self.open.retries < MAX_RETRIES => Fate::Waits { again: true },
            _ => Fate::Ends(RequestStatus::Failed),
        }
    }

    fn release(&self, again: bool) -> Release {
        let open = &self.open;
        let retries = open.retries + i64::from(again);
        Release { id: open.id, life: open.owner(), epoch: open.epoch, retries }
    }
}

/// Settles at most `limit` requests that earlier lives of this server, or servers silent since `dead_since`, left open.
///
/// Batch requests that had not begun wait again, and so do those in work whose version wants that, at most
/// [`MAX_RETRIES`] times. Those being cancelled are cancelled. A direct request that had not begun goes with its key, so that a
/// repeat makes it anew. All others failed, for the reason given. Tells how many were settled, and which objects nothing refers to any more.
pub async fn end_orphans(
    tx: &mut Tx,
    life: Life,
    dead_since: Timestamp,
    now: Timestamp,
    reason: impl Into<Reason<'_>>,
    limit: i64,
) -> Result<(usize, Ended)> {
    let text = tx.text(ORPHANS_LITE, ORPHANS_PG);
    let orphans: Vec<Orphan> = tx.all(text, values![life.server, life.number, dead_since, limit]).await?;
    Ok((orphans.len(), settle(tx, &orphans, now, reason.into()).await?))
}

/// Settles requests that this life has and does not run, in the way of [`end_orphans`].
pub async fn end_lost(
    tx: &mut Tx,
    life: Life,
    ids: impl IntoIterator<Item = RequestId>,
    now: Timestamp,
    reason: impl Into<Reason<'_>>,
) -> Result<Ended> {
    let mut lost: Vec<Orphan> = Vec::new();
    for id in ids {
        lost.extend(tx.first::<Orphan>(LOST, values![id, life.server, life.number]).await?);
    }
    settle(tx, &lost, now, reason.into()).await
}

async fn settle(tx: &mut Tx, orphans: &[Orphan], now: Timestamp, reason: Reason<'_>) -> Result<Ended> {
    let (mut endings, mut releases, mut objects) = (Vec::new(), Vec::new(), Vec::new());
    for orphan in orphans {
        match orphan.fate() {
            Fate::Waits { again } => releases.push(orphan.release(again)),
            Fate::Unbegun => {
                let open = &orphan.open;
                if idempotency::delete_of_request(tx, open.id).await? {
                    objects.extend(sweep::delete(tx, open.id).await?.objects);
                } else {
                    endings.push(open.ending(RequestStatus::Failed, now, reason.waited));
                }
            }
            Fate::Ends(status) => endings.push(orphan.open.ending(status, now, reason.begun)),
        }
    }
    release_many(tx, &releases).await?;
    let mut ended = end_many(tx, &endings).await?;
    ended.objects.extend(objects);
    Ok(ended)
}
