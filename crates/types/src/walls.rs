//! The walls around user code.

use serde::Serialize;

/// The walls around the user code that this server runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct WallsDetail {
    /// The level they reach: 3 is the strongest, 1 a plain process, 0 nothing that may run user code.
    pub level: u8,
    /// The level below which user code is refused.
    pub required_level: u8,
    /// Whether user code runs on this server.
    pub runs_user_code: bool,
    /// Each wall that a host can offer.
    pub walls: Vec<WallDetail>,
}

/// One wall.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct WallDetail {
    /// Its name.
    pub name: String,
    /// Whether this host offers it.
    pub offered: bool,
    /// Whether it stands around instances.
    pub used: bool,
    /// Why it is not offered or not used; how it is used, where that is not plain. Empty when there is nothing to say.
    pub detail: String,
}
