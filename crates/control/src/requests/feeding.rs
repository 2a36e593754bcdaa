//! Batch requests on their way from their rows into the lanes: claimed in groups while a lane is hungry.

use std::sync::Arc;

use bytes::Bytes;
use modelyard_dispatch::{LaneLoad, Refusal};
use modelyard_store::requests;
use modelyard_types::Result;

use super::recorder::{Permit, Row};
use super::request::{LiveRequest, NewRequest};
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
        let wanted = appetite(&load);
        if project.suspended.is_some() || !version.takes_requests() || load.waiting_batch * 2 > wanted {
            return Ok(false);
        }
        if self.recorder.spare_permit(0).is_none() {
            // Woken again when something ends.
            return Ok(false);
        }
        let limit = i64::try_from(wanted - load.waiting_batch).unwrap_or(0);
        let mut tx = self.store.begin().await?;
        let claimed = requests::claim(&mut tx, version.id, self.settings.life, limit).await?;
        fail::fail_point!("claim-before-commit");
        tx.commit().await?;
        fail::fail_point!("claim-after-commit");
        let more = claimed.len() as i64 == limit;
        let parts = LiveParts { deployment: deployment.clone(), version: version.clone() };
        self.arriving.add(claimed.iter().map(|(request, _)| request.id));
        for row in claimed {
            let id = row.0.id;
            self.bring_in_with_data(&parts, row).await;
            self.arriving.remove(id);
        }
        Ok(more)
    }

    async fn bring_in_with_data(self: &Arc<Self>, parts: &LiveParts, mut row: Row) {
        let data = &mut row.1;
        if let (None, Some(key)) = (&data.request_data, &data.request_key) {
            match self.objects.get(key).await {
                Ok(bytes) => data.request_data = Some(bytes),
                Err(cause) => {
                    tracing::error!(request = %row.0.id, %cause, "the data of a request cannot be read");
                    let live = self.live_of(parts, row, None);
                    parts.version.lane.come_in(1);
                    self.show(&live);
                    return live.fail("The data of the request cannot be read".into());
                }
            }
        }
        self.bring_in(parts, row);
    }

    /// Brings a claimed row into its lane.
    pub(super) fn bring_in(self: &Arc<Self>, parts: &LiveParts, row: Row) {
        let permit = self.recorder.spare_permit(row.1.request_data.as_ref().map_or(0, Bytes::len));
        let live = self.live_of(parts, row, permit);
        parts.version.lane.come_in(1);
        self.show(&live);
        match parts.version.lane.submit(live.job()) {
            Ok(()) => {}
            Err(Refusal::Closed(reason)) => live.fail(reason),
            Err(refusal) => live.fail(refusal.to_string()),
        }
    }

    /// Adds a claimed request to those that are shown. When this server was silent for long, another may have put back what
    /// still runs here: then what is left of the earlier claim ends.
    fn show(&self, live: &Arc<LiveRequest>) {
        if let Some(earlier) = self.live.get(live.id) {
            earlier.lose_claim();
        }
        self.live.insert(live.clone());
    }

    fn live_of(self: &Arc<Self>, parts: &LiveParts, (request, data): Row, permit: Option<Permit>) -> Arc<LiveRequest> {
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
