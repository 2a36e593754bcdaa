//! Lanes: requests waiting for a process, their order, and what is handed ahead. No SQL, no processes, no I/O.
//!
//! A version has one [`Lane`]. Callers [`submit`](Lane::submit) a [`Job`]; each ready process is a [`Seat`] of the lane and
//! reports what its process says. The lane decides who runs where, and tells each job's [`Waiter`] exactly once how it ended.

mod clock;
mod effects;
mod group;
mod job;
mod lane;
mod load;
mod pace;
mod port;
mod queue;
mod seat;
mod settings;
mod state;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests;

pub use group::Grouping;
pub use job::{Call, Cancel, Class, FailureKind, Job, Outcome, Refusal, Waiter};
pub use lane::{Lane, Retired};
pub use load::{LaneLoad, SeatLoad};
pub use seat::{Seat, SeatId};
pub use settings::LaneSettings;
