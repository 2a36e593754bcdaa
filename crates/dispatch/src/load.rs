//! What a lane tells about itself, for scaling and for metrics.

use std::time::Duration;

use crate::seat::SeatId;

/// A lane at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaneLoad {
    /// Direct jobs that wait for a seat.
    pub waiting_direct: usize,
    /// Batch jobs that wait for a seat.
    pub waiting_batch: usize,
    /// Those of them that have priority 0.
    pub waiting_urgent: usize,
    /// How many calls the jobs that wait would make: as many, unless they are grouped.
    pub waiting_calls: usize,
    /// Batch requests that were accepted and have not come in.
    pub outside: u64,
    /// Whether the recent run times are short.
    pub is_quick: bool,
    /// How long the oldest of those that wait here has been in the lane.
    pub oldest_wait: Option<Duration>,
    /// Calls that run, or are first at their process and about to.
    pub running: usize,
    /// Calls handed ahead behind those.
    pub ahead: usize,
    /// The seats, in the order they came.
    pub seats: Vec<SeatLoad>,
}

/// A seat at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeatLoad {
    /// Which seat.
    pub id: SeatId,
    /// How many calls it holds, the one in work included.
    pub calls: usize,
    /// How long it has had nothing to do; nothing while it has.
    pub idle_for: Option<Duration>,
    /// Whether it takes calls: it is neither retired nor killed.
    pub open: bool,
}
