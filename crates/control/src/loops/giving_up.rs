//! Ends the batch requests of versions whose instances do not start.

use std::sync::Arc;
use std::time::Duration;

use modelyard_types::Result;

use crate::Inner;

/// How often to look without a nudge.
const PAUSE: Duration = Duration::from_secs(1);
/// Between two steps others write.
const BREATH: Duration = Duration::from_millis(2);

/// Ends what was given up, a step of each version at a time, for ever.
pub(super) async fn run(control: Arc<Inner>) {
    loop {
        match step(&control).await {
            Ok(true) => tokio::time::sleep(BREATH).await,
            // Woken or not, the step is the same.
            Ok(false) => drop(tokio::time::timeout(PAUSE, control.nudges.giving_up.notified()).await),
            Err(cause) => {
                tracing::error!(%cause, "waiting requests could not be ended; it is tried again");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Says whether there may be more.
pub(super) async fn step(control: &Inner) -> Result<bool> {
    let mut more = false;
    for (version, given_up) in control.fleet.given_up() {
        more |= control.end_given_up(version, &given_up).await?;
    }
    Ok(more)
}
