//! Pure decisions: given the load, what to start and stop. No I/O, no clock, no async.
//!
//! [`plan`] is the whole of it. `load` has what it is told and `action` what it answers; `need` says how many instances a
//! version should have, `retire` which of them go, `choice` what a new one may take now, and `place` what of the rest fits on the host.

mod action;
mod backoff;
mod choice;
mod load;
mod need;
mod place;
mod plan;
mod retire;
mod room;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests;

pub use action::{Action, StopReason};
pub use backoff::{ATTEMPTS, delay_after};
pub use load::{Capacity, Choice, InstanceLoad, InstanceState, Strategy, VersionLoad};
pub use plan::plan;
