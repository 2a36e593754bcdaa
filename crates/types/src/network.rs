//! How far the code of a project reaches into the network.

use serde::{Deserialize, Serialize};

use crate::patch::Patch;

/// What the instances of a project may reach beside the platform itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Egress {
    /// The internet, but no private networks.
    Public,
    /// Private networks too. Addresses that give away the host's credentials stay closed.
    Open,
    /// Nothing.
    None,
}

impl Egress {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Public, Self::Open, Self::None];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Open => "open",
            Self::None => "none",
        }
    }

    /// Reads it as it is written.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|egress| egress.as_str() == word)
    }
}

/// How far the instances of a project reach into the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ProjectNetwork {
    /// What they may reach: `public`, `open` or `none`; null where nothing was chosen and the server gives them the network
    /// of its host.
    pub egress: Option<Egress>,
    /// What was chosen for the project; null when nothing was.
    pub chosen: Option<Egress>,
    /// What this server does for instances: `filtered`, `all` or `none`.
    pub server: String,
    /// Why instances do not start, when what was chosen cannot be had on this server.
    pub problem: Option<String>,
}

/// The body of `project_network_update`.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProjectNetworkUpdate {
    /// What instances may reach: `public`, the internet but no private networks; `open`, private networks too; `none`,
    /// nothing but the platform. Null gives the choice back to the server.
    pub egress: Patch<Egress>,
}
