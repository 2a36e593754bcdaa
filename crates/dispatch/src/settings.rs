//! What can be set on a lane.

use std::time::Duration;

use crate::group::Grouping;

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
    /// How long a process may have a call next and not begin with it, before [`Lane::sweep`](crate::Lane::sweep) ends it. Longer
    /// than the grace, because threads of user code may keep it from beginning for a while.
    pub begin_limit: Duration,
    /// How single requests are put together, if they are.
    pub grouping: Option<Grouping>,
}

impl LaneSettings {
    /// How many calls may be handed ahead: a group is worth many, so one of them keeps a process busy.
    pub(crate) fn calls_ahead(&self) -> usize {
        match self.grouping {
            Some(_) => self.read_ahead.min(1),
            None => self.read_ahead,
        }
    }
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
            begin_limit: Duration::from_secs(30),
            grouping: None,
        }
    }
}
