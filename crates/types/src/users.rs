//! Users, as far as they see themselves.

use serde::Serialize;

use crate::ids::UserId;
use crate::time::ObjectTime;

/// The signed-in user.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct UserDetail {
    /// The user's id.
    pub id: UserId,
    /// The address the user signs in with.
    pub email: String,
    /// First name; absent when unset, since clients refuse an empty one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Family name; absent when unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub surname: Option<String>,
    /// When the user was made.
    pub registration_date: ObjectTime,
    /// How the user signs in: `token`.
    pub authentication: &'static str,
}
