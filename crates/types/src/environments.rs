//! Environments: an interpreter and what is installed for it.

use serde::Serialize;

use crate::ids::{EnvironmentBuildId, EnvironmentId, EnvironmentRevisionId};
use crate::labels::Labels;
use crate::time::ObjectTime;
use crate::versions::VersionStatus;

/// An environment, in lists and in answers about it.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct EnvironmentDetail {
    /// The environment's id.
    pub id: EnvironmentId,
    /// Its name.
    pub name: String,
    /// Its name for people.
    pub display_name: String,
    /// The environment it builds on; null for base environments.
    pub base_environment: Option<String>,
    /// The name for people of the one it builds on.
    pub base_environment_display_name: Option<String>,
    /// Its project; null for base environments.
    pub project: Option<String>,
    /// When it was made.
    pub creation_date: ObjectTime,
    /// When it was last changed.
    pub last_updated: ObjectTime,
    /// What it is for.
    pub description: String,
    /// Labels.
    pub labels: Labels,
    /// Whether it needs an accelerator.
    pub gpu_required: bool,
    /// Where it stands.
    pub status: VersionStatus,
    /// Whether it was made from the dependency files of a deployment package.
    pub implicit: bool,
    /// Whether interfaces leave it out.
    pub hidden: bool,
    /// Whether it should no longer be chosen.
    pub deprecated: bool,
    /// Whether it is a base environment.
    pub system: bool,
    /// Whether deployments that take requests can use it.
    pub supports_request_format: bool,
    /// The revision in use.
    pub active_revision: Option<EnvironmentRevisionId>,
    /// The build in use.
    pub active_build: Option<EnvironmentBuildId>,
    /// The last revision.
    pub latest_revision: Option<EnvironmentRevisionId>,
    /// The last build.
    pub latest_build: Option<EnvironmentBuildId>,
}

/// A build of an environment.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct EnvironmentBuildDetail {
    /// The build's id.
    pub id: EnvironmentBuildId,
    /// The revision that is built.
    pub revision: EnvironmentRevisionId,
    /// When the build was asked for.
    pub creation_date: ObjectTime,
    /// Where it stands.
    pub status: crate::revisions::BuildStatus,
    /// Why it failed.
    pub error_message: Option<String>,
    /// What asked for it.
    pub trigger: String,
    /// The size of what was built, in bytes.
    pub size: Option<i64>,
}

/// A revision of an environment: what was uploaded to be built.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct EnvironmentRevisionDetail {
    /// The revision's id.
    pub id: EnvironmentRevisionId,
    /// The name of its environment.
    pub environment: String,
    /// When it was uploaded.
    pub creation_date: ObjectTime,
    /// The e-mail address of who uploaded it, or `UbiOps`.
    pub created_by: String,
    /// Whether its file is no longer stored.
    pub expired: bool,
}
