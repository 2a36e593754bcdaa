//! What runs of versions on this server: instances, their processes as seats of lanes, and what they log.

mod carrier;
mod fleet;
mod instance;
mod limits;
mod seat;
mod start;

pub(crate) use fleet::{Fleet, GivenUp, OfVersion, Phase, Running};
pub(crate) use start::{folder_of_package, labels};
