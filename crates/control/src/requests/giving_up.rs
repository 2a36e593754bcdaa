//! Requests of versions whose instances do not start: after the limit of attempts all that wait end with the reason.

use modelyard_store::leftovers::{self, Leftover};
use modelyard_store::{instances, requests};
use modelyard_types::{Result, Timestamp, VersionId};

use super::request::ending::failed;
use crate::Inner;
use crate::running::GivenUp;

/// Waiting requests that end in one transaction.
const STEP: i64 = 1_000;

impl Inner {
    /// Ends what stands in the lane of a version; what waits in its rows follows, in steps.
    pub(crate) fn give_up(&self, version: VersionId) {
        let Some(lane) = self.lanes.get(version) else { return };
        // Noted first: from now on no rows come into the lane, which would wait for another attempt there.
        let Some(reason) = self.fleet.give_up(version) else { return };
        let count = lane.refuse_waiting(&reason);
        self.fleet.gave_up(version, count);
        self.nudges.giving_up.notify_one();
    }

    /// Ends some of the rows that were given up and that no server has claimed; says whether there may be more.
    pub(crate) async fn end_given_up(&self, version: VersionId, given_up: &GivenUp) -> Result<bool> {
        let count = match instances::runs_elsewhere(&self.store, version, self.settings.life).await? {
            // Another server runs what waits.
            true => 0,
            false => self.end_waiting(version, given_up).await?,
        };
        self.fleet.gave_up(version, count);
        if count as i64 == STEP {
            return Ok(true);
        }
        if let Some(requests) = self.fleet.all_given_up(version, given_up.before) {
            let reason = &given_up.reason;
            tracing::warn!(%version, requests, reason, "instances do not start: what waited for one has ended as failed");
        }
        self.nudges.feeding.notify_one();
        Ok(false)
    }

    async fn end_waiting(&self, version: VersionId, given_up: &GivenUp) -> Result<usize> {
        let reason = failed(given_up.reason.clone()).error_message.unwrap_or_default();
        let mut tx = self.store.begin().await?;
        let now = Timestamp::now();
        let (count, ended) = requests::end_waiting(&mut tx, version, given_up.before, now, &reason, STEP).await?;
        let left = !ended.objects.is_empty();
        for object in ended.objects {
            leftovers::note(&mut tx, Leftover::Object(object)).await?;
        }
        fail::fail_point!("giving-up-before-commit");
        tx.commit().await?;
        fail::fail_point!("giving-up-after-commit");
        if let Some(lane) = self.lanes.get(version) {
            lane.come_in(count);
        }
        if left {
            self.nudges.cleaning.notify_one();
        }
        Ok(count)
    }
}
