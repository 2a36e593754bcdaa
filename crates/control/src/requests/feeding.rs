//! Batch requests on their way from their rows into the lanes: claimed in groups while a lane is hungry.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use modelyard_dispatch::{LaneLoad, Refusal};
use modelyard_objects::ObjectError;
use modelyard_store::requests::{self, Portion, Release};
use modelyard_store::{Life, Request};
use modelyard_types::{Result, VersionId};

use super::recorder::{Record, Row};
use super::request::{LiveRequest, NewRequest};
use super::room::Permit;
use crate::Inner;
use crate::catalogue::{DeploymentSnapshot, Place, VersionSnapshot};

/// A lane of a quick version with fewer batch requests than this gets more.
pub(super) const HUNGRY: usize = 500;
/// So many of a version that is not quick, beside those its processes can take.
const HUNGRY_SLOW: usize = 32;

/// What a request of a version needs to run, beside its row.
#[derive(Clone)]
pub(super) struct LiveParts {
    pub(super) deployment: Arc<DeploymentSnapshot>,
    pub(super) version: Arc<VersionSnapshot>,
}

/// How many batch requests should wait in a lane.
fn appetite(load: &LaneLoad) -> usize {
    if load.is_quick { 2 * HUNGRY } else { HUNGRY_SLOW + 2 * load.seats.len() }
}

/// The versions of which requests of priority 0 may wait in their rows: these need not wait for those that stand in the lane.
#[derive(Default)]
pub(crate) struct Urgent(Mutex<HashSet<VersionId>>);

impl Urgent {
    /// Some may wait.
    pub(crate) fn add(&self, version: VersionId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(version);
    }

    /// Whether some may wait; asked by who goes to look.
    pub(super) fn take(&self, version: VersionId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&version)
    }
}

impl Inner {
    /// Wakes the feeder if a lane could do with more.
    pub(crate) fn feed_after_end(&self, version: &VersionSnapshot) {
        if version.lane.is_hungry(HUNGRY) {
            self.nudges.feeding.notify_one();
        }
    }

    /// Claims what a version's lane has room for; says whether there may be more.
    pub(crate) async fn feed(self: &Arc<Self>, place: &Place) -> Result<bool> {
        let (project, deployment, version) = place;
        let load = version.lane.load();
        if project.suspended.is_some() || !version.takes_requests() {
            return Ok(false);
        }
        if self.fleet.is_giving_up(version.id) {
            // They end in their rows.
            return Ok(false);
        }
        let Some(portion) = self.portion(version.id, &load) else {
            // This is called again when something ends.
            return Ok(false);
        };
        let mut tx = self.store.begin().await?;
        let claimed = requests::claim(&mut tx, version.id, self.settings.life, portion).await?;
        fail::fail_point!("claim-before-commit");
        // Before anybody sees the claim: who calls one of them off finds it here.
        self.arriving.add(claimed.iter().map(|(request, _)| request.id));
        if let Err(cause) = tx.commit().await {
            claimed.iter().for_each(|(request, _)| self.arriving.remove(request.id));
            return Err(cause.into());
        }
        fail::fail_point!("claim-after-commit");
        let more = claimed.len() == portion.count;
        if more && claimed.last().is_some_and(|(request, _)| request.priority == 0) {
            self.urgent.add(version.id);
        }
        let parts = LiveParts { deployment: deployment.clone(), version: version.clone() };
        for row in claimed {
            let id = row.0.id;
            self.bring_in_with_data(&parts, row).await;
            self.arriving.remove(id);
        }
        Ok(more)
    }

    /// What a lane may claim, if it needs more. Requests of priority 0 come in though others wait there.
    fn portion(&self, version: VersionId, load: &LaneLoad) -> Option<Portion> {
        let (wanted, spare) = (appetite(load), self.room.spare());
        let is_hungry = load.waiting_batch * 2 <= wanted;
        let urgent = self.urgent.take(version);
        let count = match (is_hungry, urgent) {
            (true, _) => wanted - load.waiting_batch,
            (false, true) => wanted.saturating_sub(load.waiting_urgent),
            (false, false) => 0,
        };
        let count = count.min(spare.count);
        if count > 0 && spare.small_bytes.max(spare.large_bytes) > 0 {
            return Some(Portion { count, urgent: !is_hungry, ..spare });
        }
        if urgent {
            self.urgent.add(version);
        }
        None
    }

    async fn bring_in_with_data(self: &Arc<Self>, parts: &LiveParts, mut row: Row) {
        let (id, data) = (row.0.id, &mut row.1);
        if let (None, Some(key), false) = (&data.request_data, &data.request_key, self.arriving.is_called_off(id)) {
            match self.objects.get(key).await {
                Ok(bytes) => data.request_data = Some(bytes),
                // Its data may be gone with it.
                Err(_) if self.arriving.is_called_off(id) => {}
                Err(ObjectError::Failed { doing, cause }) => {
                    tracing::error!(request = %row.0.id, doing, cause, "the data of a request cannot be read now; it waits on");
                    let Request { id, server_id: server, life: number, epoch, retries, .. } = row.0;
                    let release = Release { id, life: Life { server, number }, epoch, retries };
                    return self.recorder.push(Record::Release(release, Permit::default()));
                }
                Err(cause) => {
                    tracing::error!(request = %row.0.id, %cause, "the data of a request cannot be read");
                    let live = self.live_of(parts, row, Permit::default());
                    parts.version.lane.come_in(1);
                    return match self.show(&live) {
                        true => live.fail("The data of the request cannot be read".into()),
                        false => live.end_cancelled(),
                    };
                }
            }
        }
        self.bring_in(parts, row);
    }

    /// Brings a claimed row into its lane.
    pub(super) fn bring_in(self: &Arc<Self>, parts: &LiveParts, row: Row) {
        let permit = self.room.rest_for(row.1.request_data.as_ref().map_or(0, Bytes::len));
        let live = self.live_of(parts, row, permit);
        parts.version.lane.come_in(1);
        if !self.show(&live) {
            return live.end_cancelled();
        }
        match live.come_into_lane() {
            Ok(()) => {}
            Err(Refusal::Closed(reason)) => live.fail(reason),
            Err(refusal) => live.fail(refusal.to_string()),
        }
    }

    /// Adds a claimed request to those that are shown, unless it was called off on its way; says whether it did. When this
    /// server was silent for long, another may have put back what still runs here: then what is left of the earlier claim ends.
    fn show(&self, live: &Arc<LiveRequest>) -> bool {
        if let Some(earlier) = self.live.get(live.id) {
            earlier.lose_claim();
        }
        self.arriving.leave(live.id, || self.live.insert(live.clone()))
    }

    fn live_of(self: &Arc<Self>, parts: &LiveParts, (request, data): Row, permit: Permit) -> Arc<LiveRequest> {
        let new = NewRequest {
            request,
            deployment: parts.deployment.clone(),
            version: parts.version.clone(),
            body: data.request_data.unwrap_or_default(),
            request_key: data.request_key,
            key_hash: None,
            recorded: true,
            answer: None,
            permit,
        };
        LiveRequest::new(new, self)
    }
}
