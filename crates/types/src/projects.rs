//! Projects: what everything else lives in.

use serde::{Deserialize, Serialize};

use crate::ids::ProjectId;
use crate::labels::Labels;
use crate::names::ResourceName;
use crate::patch::Patch;
use crate::time::ObjectTime;

/// The body of `projects_create`.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProjectCreate {
    /// Its name, unique in the installation.
    pub name: ResourceName,
    /// The organization that owns it.
    pub organization_name: String,
    /// Whether roles may be assigned on single objects.
    pub advanced_permissions: Option<bool>,
    /// A limit of credits cannot be enforced yet: refused when given.
    pub credits: Option<f64>,
    /// Origins whose pages may call the API cannot be honoured yet: refused when any is given.
    pub cors_origins: Option<Vec<String>>,
    /// Labels.
    pub labels: Option<Labels>,
}

/// The body of `projects_update`.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProjectUpdate {
    /// A new name.
    pub name: Patch<ResourceName>,
    /// Whether roles may be assigned on single objects.
    pub advanced_permissions: Patch<bool>,
    /// A limit of credits cannot be enforced yet: refused when given; null is taken.
    pub credits: Patch<f64>,
    /// Suspends the project (no requests) or lets it run again.
    pub suspend: Patch<bool>,
    /// Origins whose pages may call the API cannot be honoured yet: refused when any is given.
    pub cors_origins: Patch<Vec<String>>,
    /// Labels; replace the old ones.
    pub labels: Patch<Labels>,
}

/// A project in lists.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct ProjectList {
    /// The project's id.
    pub id: ProjectId,
    /// Its name.
    pub name: String,
    /// When it was made.
    pub creation_date: ObjectTime,
    /// Whether roles may be assigned on single objects.
    pub advanced_permissions: bool,
    /// The limit of credits; null is none.
    pub credits: Option<f64>,
    /// The organization that owns it.
    pub organization_name: String,
    /// Labels.
    pub labels: Labels,
}

/// A project in answers about it.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct ProjectDetail {
    /// The project's id.
    pub id: ProjectId,
    /// Its name.
    pub name: String,
    /// When it was made.
    pub creation_date: ObjectTime,
    /// The organization that owns it.
    pub organization_name: String,
    /// Whether roles may be assigned on single objects.
    pub advanced_permissions: bool,
    /// The limit of credits; null is none.
    pub credits: Option<f64>,
    /// Whether it is suspended.
    pub suspended: bool,
    /// Why it is suspended.
    pub suspended_reason: Option<String>,
    /// Origins whose pages may call the API.
    pub cors_origins: Vec<String>,
    /// Labels.
    pub labels: Labels,
}

/// What a project holds.
#[derive(Clone, Debug, Default, Serialize, utoipa::ToSchema)]
#[expect(missing_docs, reason = "each is a count of the noun it names")]
pub struct ProjectResourceUsage {
    pub deployments: i64,
    pub deployment_versions: i64,
    pub pipelines: i64,
    pub pipeline_versions: i64,
    pub gpus: i64,
    pub buckets: i64,
    pub environments: i64,
}
