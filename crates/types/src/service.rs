//! The service's own status.

use serde::Serialize;

/// The answer of `service_status`.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Status {
    /// `ok`: the command line client wants exactly this.
    pub status: &'static str,
}
