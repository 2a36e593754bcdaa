//! What servers that are gone left open: each request ends or goes back to the queue, decided by its row and the clock alone.

use modelyard_types::Timestamp;
use modelyard_types::ids::{DeploymentId, ProjectId, RequestId, ServerId, VersionId};
use modelyard_types::requests::{RequestKind, RequestStatus};
use modelyard_types::versions::RetentionMode;

use super::ends::{Ended, Ending, end_many};
use super::queue::{Release, release_many};
use crate::db::Source;
use crate::error::Result;
use crate::servers::Life;
use crate::sql::{row, statements};
use crate::tx::Tx;
use crate::value::values;

/// How often an interrupted request of a version with `restart_request_interruption` is run again (semantics 1.9).
pub const MAX_RETRIES: i64 = 3;

row! {
    /// An open request of a life that is over.
    pub struct Orphan {
        /// Its id.
        pub id: RequestId,
        /// Its project.
        pub project_id: ProjectId,
        /// Its deployment.
        pub deployment_id: DeploymentId,
        /// Its version.
        pub version_id: VersionId,
        /// Whether a caller waits for it.
        pub kind: RequestKind,
        /// Where it stands.
        pub status: RequestStatus,
        /// When its work began.
        pub started_at: Option<Timestamp>,
        /// How often it was run again.
        pub retries: i64,
        /// What is kept of it.
        pub retention_mode: RetentionMode,
        /// The object that holds what went in.
        pub request_key: Option<String>,
        /// The server that had it.
        pub server_id: ServerId,
        /// The life of that server.
        pub life: i64,
        /// The claim under which it ran.
        pub epoch: i64,
        /// Whether its version wants interrupted requests to be run again; nothing when the version is gone.
        pub restarts: Option<bool>,
    }
}

/// The columns of an orphan, but for the last.
const COLUMNS: &str = "requests.id, requests.project_id, requests.deployment_id, version_id, kind, requests.status,
    started_at, retries, retention_mode, request_key, server_id, life, epoch";

statements! {
    ORPHANS_LITE = "SELECT ", COLUMNS, ", restart_request_interruption
        FROM requests LEFT JOIN versions ON versions.id = requests.version_id
        WHERE requests.status < 3 AND life > 0 AND ((server_id = $1 AND life < $2)
            OR server_id <> $1 AND server_id IN (SELECT servers.id FROM servers WHERE heartbeat_at < $3)) LIMIT $4";
    ORPHANS_PG = ORPHANS_LITE, " FOR UPDATE OF requests SKIP LOCKED";
    LOST = "SELECT ", COLUMNS, ", restart_request_interruption
        FROM requests LEFT JOIN versions ON versions.id = requests.version_id
        WHERE requests.id = $1 AND server_id = $2 AND life = $3 AND requests.status < 3";
}

/// What becomes of an orphan.
enum Fate {
    Waits { again: bool },
    Ends(RequestStatus),
}

impl Orphan {
    /// A request that had not begun waits again if it is one that can; one in work is run again if its version wants that.
    fn fate(&self) -> Fate {
        let batch = self.kind == RequestKind::Batch;
        match self.status {
            RequestStatus::CancelledPending => Fate::Ends(RequestStatus::Cancelled),
            RequestStatus::Pending if batch => Fate::Waits { again: false },
            _ if batch && self.restarts == Some(true) && self.retries < MAX_RETRIES => Fate::Waits { again: true },
            _ => Fate::Ends(RequestStatus::Failed),
        }
    }

    fn owner(&self) -> Life {
        Life { server: self.server_id, number: self.life }
    }

    fn release(&self, again: bool) -> Release {
        let retries = self.retries + i64::from(again);
        Release { id: self.id, life: self.owner(), epoch: self.epoch, retries }
    }

    fn ending(&self, status: RequestStatus, now: Timestamp, reason: &str) -> Ending {
        Ending {
            id: self.id,
            project_id: self.project_id,
            deployment_id: self.deployment_id,
            version_id: self.version_id,
            kind: self.kind,
            life: self.owner(),
            epoch: self.epoch,
            status,
            started_at: self.started_at,
            completed_at: now,
            error_message: (status == RequestStatus::Failed).then(|| reason.to_owned()),
            retries: self.retries,
            retention_mode: self.retention_mode,
            request_key: self.request_key.clone(),
            output_size: 0,
            result: None,
            result_key: None,
            updates: None,
            updates_key: None,
        }
    }
}

/// Settles at most `limit` requests that earlier lives of this server, or servers silent since `dead_since`, left open.
///
/// Batch requests that had not begun wait again, and so do those in work whose version wants that, at most
/// [`MAX_RETRIES`] times. Those being cancelled are cancelled; all others failed, for the reason given. Tells how many
/// were settled, and which objects nothing refers to any more.
pub async fn end_orphans(
    tx: &mut Tx,
    life: Life,
    dead_since: Timestamp,
    now: Timestamp,
    reason: &str,
    limit: i64,
) -> Result<(usize, Ended)> {
    let text = tx.text(ORPHANS_LITE, ORPHANS_PG);
    let orphans: Vec<Orphan> = tx.all(text, values![life.server, life.number, dead_since, limit]).await?;
    Ok((orphans.len(), settle(tx, &orphans, now, reason).await?))
}

/// Settles requests that this life has and does not run, in the way of [`end_orphans`].
pub async fn end_lost(
    tx: &mut Tx,
    life: Life,
    ids: impl IntoIterator<Item = RequestId>,
    now: Timestamp,
    reason: &str,
) -> Result<Ended> {
    let mut lost: Vec<Orphan> = Vec::new();
    for id in ids {
        lost.extend(tx.first::<Orphan>(LOST, values![id, life.server, life.number]).await?);
    }
    settle(tx, &lost, now, reason).await
}

async fn settle(tx: &mut Tx, orphans: &[Orphan], now: Timestamp, reason: &str) -> Result<Ended> {
    let (mut endings, mut releases) = (Vec::new(), Vec::new());
    for orphan in orphans {
        match orphan.fate() {
            Fate::Waits { again } => releases.push(orphan.release(again)),
            Fate::Ends(status) => endings.push(orphan.ending(status, now, reason)),
        }
    }
    release_many(tx, &releases).await?;
    end_many(tx, &endings).await
}
