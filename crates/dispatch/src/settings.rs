//! What can be set on a lane.

use std::time::Duration;

/// How a lane behaves; may be replaced while it works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneSettings {
    /// How many requests may wait for a seat, here or outside; one more is refused.
    pub max_queue: usize,
    /// How many of them may be direct.
    pub max_direct: usize,
    /// How many of them may be batch requests.
    pub max_batch: usize,
    /// How many calls a seat may hold beside the one in work.
    pub read_ahead: usize,
    /// The median run time up to which calls are handed ahead.
    pub quick: Duration,
    /// How long a process may leave a kill or a taken-back call unanswered before [`Lane::sweep`](crate::Lane::sweep) acts.
    pub grace: Duration,
}

impl Default for LaneSettings {
    fn default() -> Self {
        Self {
            max_queue: 100_000,
            max_direct: 100_000,
            max_batch: 100_000,
            read_ahead: 16,
            quick: Duration::from_millis(5),
            grace: Duration::from_secs(5),
        }
    }
}
