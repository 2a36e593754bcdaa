//! Organizations: who owns projects.

use serde::{Deserialize, Serialize};

use crate::ids::OrganizationId;
use crate::names::ResourceName;
use crate::patch::Patch;
use crate::time::ObjectTime;

/// The body of `organizations_create`.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OrganizationCreate {
    /// Its name, unique in the installation.
    pub name: ResourceName,
    /// The name of a subscription, kept as it is; `free` when absent.
    pub subscription: Option<String>,
    /// The last day of the subscription, `YYYY-MM-DD`.
    pub subscription_end_date: Option<String>,
    /// Vouchers are not offered: refused when given.
    pub voucher: Option<String>,
    /// A second factor cannot be forced yet: refused when true.
    pub two_factor_authentication_forced: Option<bool>,
}

/// The body of `organizations_update`.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OrganizationUpdate {
    /// A new name.
    pub name: Patch<ResourceName>,
    /// Another subscription.
    pub subscription: Patch<String>,
    /// The first day of the subscription, `YYYY-MM-DD`.
    pub subscription_start_date: Patch<String>,
    /// The last day of the subscription, `YYYY-MM-DD`.
    pub subscription_end_date: Patch<String>,
    /// A second factor cannot be forced yet: refused when true.
    pub two_factor_authentication_forced: Patch<bool>,
}

/// An organization in lists.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct OrganizationList {
    /// The organization's id.
    pub id: OrganizationId,
    /// Its name.
    pub name: String,
    /// When it was made.
    pub creation_date: ObjectTime,
    /// `active`.
    pub status: String,
    /// Whether users need a second factor.
    pub two_factor_authentication_forced: bool,
}

/// An organization in answers about it.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct OrganizationDetail {
    /// The organization's id.
    pub id: OrganizationId,
    /// Its name.
    pub name: String,
    /// When it was made.
    pub creation_date: ObjectTime,
    /// The name of its subscription.
    pub subscription: String,
    /// `active`.
    pub status: String,
    /// Whether the organization manages its subscription itself.
    pub subscription_self_service: bool,
    /// Whether users need a second factor.
    pub two_factor_authentication_forced: bool,
    /// Whether usage past the subscription is allowed.
    pub overage_usage: bool,
}

/// What an organization holds.
#[derive(Clone, Debug, Default, Serialize, utoipa::ToSchema)]
#[expect(missing_docs, reason = "each is a count of the noun it names")]
pub struct ResourceUsage {
    pub projects: i64,
    pub users: i64,
    pub deployments: i64,
    pub deployment_versions: i64,
    pub pipelines: i64,
    pub pipeline_versions: i64,
    pub gpus: i64,
    pub buckets: i64,
    pub environments: i64,
}
