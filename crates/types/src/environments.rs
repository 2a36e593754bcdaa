//! Environments: an interpreter and what is installed for it.

use serde::{Deserialize, Serialize};

use crate::deployments::check_description;
use crate::ids::{EnvironmentBuildId, EnvironmentId, EnvironmentRevisionId, VersionId};
use crate::labels::Labels;
use crate::names::EnvironmentName;
use crate::patch::Patch;
use crate::revisions::BuildStatus;
use crate::time::ObjectTime;
use crate::versions::VersionStatus;

/// The longest name for people, in characters.
const MAX_DISPLAY_NAME: usize = 1024;

/// The body of `environments_create`.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnvironmentCreate {
    /// Its name, unique in the project and among the base environments.
    pub name: EnvironmentName,
    /// The base environment it builds on.
    #[schema(value_type = String)]
    pub base_environment: Option<String>,
    /// Its name for people; without it the name.
    pub display_name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// Labels.
    pub labels: Option<Labels>,
    /// Environments for deployments without requests are not offered yet: refused when false.
    pub supports_request_format: Option<bool>,
}

impl EnvironmentCreate {
    /// The rules between fields.
    pub fn check(&self) -> Result<(), String> {
        check_description(self.description.as_deref())?;
        check_display_name(self.display_name.as_deref())?;
        if self.supports_request_format == Some(false) {
            return Err(
                "supports_request_format: environments for deployments without requests are not offered yet".into()
            );
        }
        match self.base_environment.as_deref() {
            None | Some("") => Err("base_environment is required: environments made from Docker images are not \
                offered; name the base environment to build on"
                .into()),
            Some(_) => Ok(()),
        }
    }
}

fn check_display_name(text: Option<&str>) -> Result<(), String> {
    match text {
        Some("") => Err("display_name must not be empty".into()),
        Some(text) if text.chars().count() > MAX_DISPLAY_NAME => {
            Err(format!("display_name must have at most {MAX_DISPLAY_NAME} characters"))
        }
        _ => Ok(()),
    }
}

/// The body of `environments_update`. What an environment builds on cannot be changed.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EnvironmentUpdate {
    /// A new name.
    pub name: Patch<EnvironmentName>,
    /// A new name for people; null makes it the name.
    pub display_name: Patch<String>,
    /// A new description; null empties it.
    pub description: Patch<String>,
    /// Labels; replace the old ones, null removes them.
    pub labels: Patch<Labels>,
}

impl EnvironmentUpdate {
    /// The rules between fields.
    pub fn check(&self) -> Result<(), String> {
        check_description(self.description.value().map(String::as_str))?;
        check_display_name(self.display_name.value().map(String::as_str))
    }
}

/// The body of `environment_builds_update`.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnvironmentBuildUpdate {
    /// Only `cancelled`.
    pub status: String,
}

impl EnvironmentBuildUpdate {
    /// A build can be called off, and nothing else.
    pub fn check(&self) -> Result<(), String> {
        check_called_off(&self.status)
    }
}

/// The only status that a user can give a build.
pub(crate) fn check_called_off(status: &str) -> Result<(), String> {
    if status == BuildStatus::Cancelled.as_str() {
        return Ok(());
    }
    Err(format!("status can only be set to cancelled, but got '{}'", status.chars().take(64).collect::<String>()))
}

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
    pub status: BuildStatus,
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

/// The answer of an upload.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct EnvironmentRevisionCreate {
    /// Always true: a refused upload answers an error.
    pub success: bool,
    /// The new revision.
    pub revision: EnvironmentRevisionId,
    /// Its build.
    pub build: EnvironmentBuildId,
}

/// A file that says what an environment needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct EnvironmentBuildDependency {
    /// Its name, without a folder.
    pub name: String,
    /// Its text.
    pub content: String,
}

/// A version that uses an environment.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct EnvironmentUsage {
    /// The version's id.
    pub id: VersionId,
    /// The name of its deployment.
    pub deployment: String,
    /// Its name.
    pub version: String,
    /// The environment it runs in: this one, or one made of its own requirements on top.
    pub environment: String,
    /// The name for people of that environment.
    pub environment_display_name: String,
    /// Where the version stands.
    pub status: VersionStatus,
}
