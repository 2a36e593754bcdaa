//! Calling requests off, and deleting them: wherever they stand.

use std::sync::Arc;

use modelyard_store::leftovers::{self, Leftover};
use modelyard_store::requests::{self, Ending, Portion};
use modelyard_store::{Life, Request, Tx};
use modelyard_types::audit::AuditAction;
use modelyard_types::requests::{RequestKind, RequestStatus};
use modelyard_types::{DeploymentId, Error, Kind, RequestId, Result, Timestamp, VersionId};

use crate::access::Actor;
use crate::audit;
use crate::catalogue::{DeploymentSnapshot, ProjectSnapshot};
use crate::{Control, Inner};

/// Waiting requests that are called off in one transaction.
const STEP: usize = 1_000;

/// Where requests are looked for: those of a deployment, or of one of its versions.
#[derive(Clone, Copy, Debug)]
pub struct Among {
    /// The deployment.
    pub deployment: DeploymentId,
    /// The version, if one is named.
    pub version: Option<VersionId>,
}

impl Among {
    pub(super) fn holds(&self, project: &ProjectSnapshot, request: &Request) -> bool {
        request.project_id == project.id
            && request.deployment_id == self.deployment
            && self.version.is_none_or(|version| request.version_id == version)
    }
}

impl Control {
    /// Calls requests off: those that wait at once, those that run once their process gave way. All or none: one that is
    /// not there, or has ended, refuses the call. When this returns the database knows.
    pub async fn cancel_requests(&self, project: &Arc<ProjectSnapshot>, among: Among, ids: &[RequestId]) -> Result<()> {
        for (request, _) in self.find_requests(project, among, ids).await? {
            if request.status.is_final() {
                return Err(Error::Invalid(format!(
                    "Request {} cannot be cancelled: it is {}",
                    request.id,
                    request.status.as_str()
                )));
            }
        }
        for id in ids {
            self.cancel_one(*id).await?;
        }
        self.0.recorder.catch_up().await
    }

    /// Calls off all requests of a version that stand at a status: `pending` or `processing`. When this returns the database
    /// knows.
    pub async fn cancel_all(&self, version: VersionId, status: RequestStatus) -> Result<()> {
        if status == RequestStatus::Pending {
            while self.cancel_waiting(version).await? {}
        }
        let standing = |request: &super::LiveRequest| request.version.id == version && request.status() == status;
        for live in self.0.live.filter(standing) {
            live.cancel();
        }
        // Those that other servers have.
        let filter = requests::RequestFilter {
            statuses: vec![status],
            limit: i64::from(i32::MAX),
            ..requests::RequestFilter::of(requests::Scope::Version(version))
        };
        self.0.recorder.catch_up().await?;
        for request in requests::list(self.store(), &filter).await? {
            if self.0.live.get(request.id).is_none() {
                self.cancel_one(request.id).await?;
            }
        }
        self.0.recorder.catch_up().await
    }

    /// Calls off some requests of a version that no server has claimed; says whether there may be more.
    async fn cancel_waiting(&self, version: VersionId) -> Result<bool> {
        let life = self.0.settings.life;
        let mut tx = self.store().begin().await?;
        let claimed = requests::claim(&mut tx, version, life, Portion::of(STEP)).await?;
        end_cancelled(&mut tx, claimed.iter().map(|(request, data)| ending(request, data, life))).await?;
        tx.commit().await?;
        if let Some(lane) = self.0.lanes.get(version) {
            lane.come_in(claimed.len());
        }
        Ok(claimed.len() == STEP)
    }

    async fn cancel_one(&self, id: RequestId) -> Result<()> {
        if self.0.live.get(id).is_some_and(|live| live.cancel()) {
            return Ok(());
        }
        let life = self.0.settings.life;
        let mut tx = self.store().begin().await?;
        let taken = requests::claim_one(&mut tx, id, life).await?;
        match &taken {
            Some((request, data)) => end_cancelled(&mut tx, [ending(request, data, life)]).await?,
            // Another server has it, or it came into its lane this moment, or has ended.
            None => drop(requests::ask_to_cancel(&mut tx, id).await?),
        }
        tx.commit().await?;
        if let Some((request, _)) = taken
            && let Some(lane) = self.0.lanes.get(request.version_id)
        {
            lane.come_in(1);
        }
        if !self.0.arriving.call_off(id)
            && let Some(live) = self.0.live.get(id)
        {
            live.cancel();
        }
        Ok(())
    }

    /// Deletes requests with all that is kept of them; those that have not ended are called off first. All or none.
    pub async fn delete_requests(
        &self,
        by: &Actor,
        project: &Arc<ProjectSnapshot>,
        deployment: &DeploymentSnapshot,
        among: Among,
        ids: &[RequestId],
    ) -> Result<()> {
        self.find_requests(project, among, ids).await?;
        for id in ids {
            if self.0.live.get(*id).is_some_and(|live| live.delete()) {
                continue;
            }
            self.cancel_one(*id).await?;
            if let Some(live) = self.0.live.get(*id) {
                // It came in meanwhile.
                live.delete();
            }
        }
        self.0.recorder.catch_up().await?;
        let mut tx = self.store().begin().await?;
        for id in ids {
            for object in requests::delete(&mut tx, *id).await?.objects {
                leftovers::note(&mut tx, Leftover::Object(object)).await?;
            }
        }
        let what = match ids {
            [id] => format!("request {id}"),
            ids => format!("{} requests", ids.len()),
        };
        let event = format!("Deleted {what} of deployment {}", deployment.name);
        let place = audit::Place::deployment(project.id, deployment.id);
        let name = if let [id] = ids { id.to_string() } else { String::new() };
        audit::record(&mut tx, by, place, AuditAction::Delete, ("deployment_request", &name), event).await?;
        tx.commit().await?;
        self.nudge_cleaning();
        Ok(())
    }

    /// The rows of requests, live ones as they stand; one that is not there refuses all.
    pub(super) async fn find_requests(
        &self,
        project: &Arc<ProjectSnapshot>,
        among: Among,
        ids: &[RequestId],
    ) -> Result<Vec<(Request, modelyard_store::RequestData)>> {
        let (mut found, mut missing) = (Vec::with_capacity(ids.len()), Vec::new());
        for id in ids {
            match self.0.live.shown(*id) {
                Some(live) => found.push(live.row()),
                None => missing.push(*id),
            }
        }
        if !missing.is_empty() {
            self.0.recorder.catch_up().await?;
            found.extend(requests::get_many(self.store(), &missing).await?);
        }
        let there = found.iter().filter(|(request, _)| among.holds(project, request)).count();
        let wanted: std::collections::HashSet<_> = ids.iter().collect();
        if there < wanted.len() {
            return Err(Error::NotFound(Kind::Request));
        }
        Ok(found)
    }
}

impl Inner {
    /// Ends batch requests that this life has claimed, that are not here any more, and that somebody called off.
    pub(crate) async fn end_called_off(&self, ids: &[RequestId]) -> Result<()> {
        let life = self.settings.life;
        let rows = requests::get_many(&self.store, ids).await?;
        let abandoned = |request: &Request| {
            request.kind == RequestKind::Batch
                && request.status == RequestStatus::CancelledPending
                && (request.server_id, request.life) == (life.server, life.number)
        };
        let endings = rows.iter().filter(|(it, _)| abandoned(it)).map(|(request, data)| ending(request, data, life));
        let mut tx = self.store.begin().await?;
        end_cancelled(&mut tx, endings).await?;
        Ok(tx.commit().await?)
    }
}

/// Ends requests as cancelled.
async fn end_cancelled(tx: &mut Tx, endings: impl IntoIterator<Item = Ending>) -> Result<()> {
    let endings: Vec<Ending> = endings.into_iter().collect();
    for object in requests::end_many(tx, &endings).await?.objects {
        leftovers::note(tx, Leftover::Object(object)).await?;
    }
    Ok(())
}

/// The end of a request that was called off and runs nowhere.
fn ending(request: &Request, data: &modelyard_store::RequestData, life: Life) -> Ending {
    Ending {
        id: request.id,
        project_id: request.project_id,
        deployment_id: request.deployment_id,
        version_id: request.version_id,
        kind: request.kind,
        life,
        epoch: request.epoch,
        status: RequestStatus::Cancelled,
        started_at: request.started_at,
        completed_at: Timestamp::now(),
        error_message: None,
        retries: request.retries,
        retention_mode: request.retention_mode,
        request_key: data.request_key.clone(),
        output_size: 0,
        result: None,
        result_key: None,
        updates: None,
        updates_key: None,
    }
}
