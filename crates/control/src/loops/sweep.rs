//! Looks through the live requests: ends those whose time is over, and writes a row of those that take long.

use std::sync::Arc;
use std::time::Duration;

use modelyard_types::{Result, Timestamp};

use crate::Inner;

/// How long a request runs before it gets a row of its own.
const WORTH_A_ROW: Duration = Duration::from_secs(1);

pub(super) async fn step(control: Arc<Inner>) -> Result<()> {
    look(&control, Timestamp::now());
    Ok(())
}

/// What has to happen by a time.
pub(super) fn look(control: &Inner, now: Timestamp) {
    let old = now.minus(WORTH_A_ROW);
    for request in control.live.filter(|request| request.id.made_at() <= old) {
        request.insist_on_cancel(now);
        if request.deadline().is_some_and(|deadline| deadline <= now) {
            request.expire(now);
        } else if !request.is_batch() {
            request.record_unended();
        }
    }
    for lane in control.fleet.lanes() {
        lane.sweep();
    }
}
