//! Revisions of a version's code, and their builds as older clients know them.

use serde::{Deserialize, Serialize};

use crate::ids::RevisionId;
use crate::time::ObjectTime;

/// Where a build stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum BuildStatus {
    /// Waiting for the builder.
    #[default]
    Queued,
    /// In work.
    Building,
    /// Done.
    Success,
    /// Could not be built.
    Failed,
    /// Called off; environments only.
    Cancelled,
}

impl BuildStatus {
    /// The contract's word.
    pub fn as_str(self) -> &'static str {
        match self {
            BuildStatus::Queued => "queued",
            BuildStatus::Building => "building",
            BuildStatus::Success => "success",
            BuildStatus::Failed => "failed",
            BuildStatus::Cancelled => "cancelled",
        }
    }

    /// Reads the contract's word.
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "queued" => BuildStatus::Queued,
            "building" => BuildStatus::Building,
            "success" => BuildStatus::Success,
            "failed" => BuildStatus::Failed,
            "cancelled" => BuildStatus::Cancelled,
            _ => return None,
        })
    }
}

/// The answer of an upload.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct RevisionCreate {
    /// Always true: a refused upload answers an error.
    pub success: bool,
    /// The new revision.
    pub revision: RevisionId,
    /// The same id, for clients that follow builds.
    pub build: RevisionId,
}

/// A revision.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct RevisionDetail {
    /// The revision's id.
    pub id: RevisionId,
    /// The name of its version.
    pub version: String,
    /// When it was uploaded.
    pub creation_date: ObjectTime,
    /// The e-mail address of who uploaded it.
    pub created_by: String,
    /// Where its build stands.
    pub status: BuildStatus,
    /// Why it failed.
    pub error_message: Option<String>,
    /// Whether the code has a `request` method.
    pub has_request_method: Option<bool>,
    /// Whether the code has a `requests` method.
    pub has_requests_method: Option<bool>,
    /// Whether it has no code.
    pub empty: bool,
}

/// A build of a revision, for clients that know builds.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct BuildDetail {
    /// The build's id: the revision's.
    pub id: RevisionId,
    /// The revision that was built.
    pub revision: RevisionId,
    /// When the build was asked for.
    pub creation_date: ObjectTime,
    /// Where it stands.
    pub status: BuildStatus,
    /// Why it failed.
    pub error_message: Option<String>,
    /// What asked for it.
    pub trigger: String,
    /// Whether the code has a `request` method.
    pub has_request_method: Option<bool>,
    /// Whether the code has a `requests` method.
    pub has_requests_method: Option<bool>,
}

/// The body of `builds_update`.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BuildUpdate {
    /// Only `cancelled`.
    pub status: String,
}

impl BuildUpdate {
    /// A build can be called off, and nothing else.
    pub fn check(&self) -> Result<(), String> {
        crate::environments::check_called_off(&self.status)
    }
}

/// The answer of a rebuild: the revision, and what clients of builds read.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct RevisionRebuild {
    /// The revision.
    #[serde(flatten)]
    pub detail: RevisionDetail,
    /// The revision that is built.
    pub revision: RevisionId,
    /// What asked for it.
    pub trigger: String,
}
