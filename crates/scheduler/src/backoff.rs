//! When to try again after instances failed to start, and when to give up on what waits.

use std::time::Duration;

use modelyard_types::Timestamp;

use crate::load::VersionLoad;

/// After how many failed starts in a row what waits is refused.
pub const ATTEMPTS: u32 = 3;

/// How long to wait after that many failed starts in a row.
pub fn delay_after(failures: u32) -> Duration {
    Duration::from_secs(match failures {
        0 => 0,
        1 => 1,
        2 => 5,
        3 => 30,
        _ => 60,
    })
}

/// Whether another start may be tried now: after the delay, and once it was given up only for a request.
pub(crate) fn may_start(version: &VersionLoad, now: Timestamp) -> bool {
    let Some(failed) = version.last_failure.filter(|_| version.failures > 0) else { return true };
    let wanted = version.failures < ATTEMPTS || version.waiting > 0;
    wanted && now >= failed.plus(delay_after(version.failures))
}

/// Whether what waits has seen the start fail for good. What came after the last failure gets another attempt.
pub(crate) fn gives_up(version: &VersionLoad, now: Timestamp) -> bool {
    let (Some(failed), Some(oldest)) = (version.last_failure, version.oldest_wait) else { return false };
    version.failures >= ATTEMPTS
        && version.waiting > 0
        && now.minus(oldest) <= failed
        && version.running() == 0
        && version.alive() == 0
}
