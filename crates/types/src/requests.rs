//! Requests: what was asked, where it stands, what came out.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::ids::RequestId;
use crate::time::RequestTime;

/// Where a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RequestStatus {
    /// Waiting for a process.
    Pending,
    /// In a process.
    Processing,
    /// Ended well.
    Completed,
    /// Ended with an error.
    Failed,
    /// In a process that is being interrupted.
    CancelledPending,
    /// Called off.
    Cancelled,
}

impl RequestStatus {
    /// The contract's word.
    pub fn as_str(self) -> &'static str {
        match self {
            RequestStatus::Pending => "pending",
            RequestStatus::Processing => "processing",
            RequestStatus::Completed => "completed",
            RequestStatus::Failed => "failed",
            RequestStatus::CancelledPending => "cancelled_pending",
            RequestStatus::Cancelled => "cancelled",
        }
    }

    /// Reads the contract's word.
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "pending" => RequestStatus::Pending,
            "processing" => RequestStatus::Processing,
            "completed" => RequestStatus::Completed,
            "failed" => RequestStatus::Failed,
            "cancelled_pending" => RequestStatus::CancelledPending,
            "cancelled" => RequestStatus::Cancelled,
            _ => return None,
        })
    }

    /// Whether nothing will change any more.
    pub fn is_final(self) -> bool {
        matches!(self, RequestStatus::Completed | RequestStatus::Failed | RequestStatus::Cancelled)
    }

    /// `success` of the wire: unknown until the end.
    pub fn success(self) -> Option<bool> {
        self.is_final().then_some(self == RequestStatus::Completed)
    }
}

/// Whether the caller waits for the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RequestKind {
    /// The caller waits.
    Direct,
    /// The caller comes back for it.
    Batch,
}

impl RequestKind {
    /// The word the database keeps.
    pub fn as_str(self) -> &'static str {
        match self {
            RequestKind::Direct => "direct",
            RequestKind::Batch => "batch",
        }
    }
}

/// Timeouts of direct requests, in seconds (semantics 4.2).
pub mod direct_timeout {
    /// When none is given.
    pub const DEFAULT: i64 = 300;
    /// The shortest.
    pub const MINIMUM: i64 = 10;
    /// The longest.
    pub const MAXIMUM: i64 = 3600;
}

/// Timeouts of batch requests, in seconds, from the start of each (semantics 4.2).
pub mod batch_timeout {
    /// When none is given.
    pub const DEFAULT: i64 = 14_400;
    /// The shortest.
    pub const MINIMUM: i64 = 10;
    /// The longest.
    pub const MAXIMUM: i64 = 172_800;
}

/// The body of `deployment_requests_update`: all that can be changed is that it is called off.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeploymentRequestUpdate {
    /// `cancelled`
    pub status: String,
}

impl DeploymentRequestUpdate {
    /// The rules that need nothing but the body.
    pub fn check(&self) -> Result<(), String> {
        if self.status != RequestStatus::Cancelled.as_str() {
            return Err(format!("status can only be set to 'cancelled', but got '{}'", self.status));
        }
        Ok(())
    }
}

/// An accepted batch request.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[expect(missing_docs, reason = "the contract's words")]
pub struct DeploymentRequestBatchCreateResponse {
    pub id: RequestId,
    pub deployment: String,
    pub version: String,
    pub status: RequestStatus,
    pub time_created: RequestTime,
}

/// The answer of a direct request.
#[derive(Serialize, utoipa::ToSchema)]
pub struct DeploymentRequestCreateResponse<'a> {
    /// The request's id.
    pub id: RequestId,
    /// The name of the deployment.
    pub deployment: &'a str,
    /// The name of the version that ran it.
    pub version: &'a str,
    /// How it ended.
    pub status: RequestStatus,
    /// Whether it ended well.
    pub success: bool,
    /// What came out.
    #[schema(value_type = Object)]
    pub result: Option<&'a RawValue>,
    /// Why it failed.
    pub error_message: Option<&'a str>,
    /// The time limit it had, in seconds.
    pub timeout: i64,
}

/// A request in lists.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[expect(missing_docs, reason = "the contract's words")]
pub struct DeploymentRequestList {
    pub id: RequestId,
    pub deployment: String,
    pub version: String,
    pub status: RequestStatus,
    pub success: Option<bool>,
    pub time_created: RequestTime,
    pub time_started: Option<RequestTime>,
    pub time_completed: Option<RequestTime>,
    pub input_size: i64,
    pub output_size: i64,
}

/// A request in lists of a project.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct RequestsOverview {
    /// The request.
    #[serde(flatten)]
    pub request: DeploymentRequestList,
    /// The name of the pipeline, for requests of pipelines.
    pub pipeline: Option<String>,
}

/// A request in answers about it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[expect(missing_docs, reason = "the contract's words")]
pub struct DeploymentRequestDetail {
    pub id: RequestId,
    pub deployment: String,
    pub version: String,
    pub status: RequestStatus,
    pub success: Option<bool>,
    pub time_created: RequestTime,
    pub time_started: Option<RequestTime>,
    pub time_completed: Option<RequestTime>,
    pub error_message: Option<String>,
    pub retries: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object)]
    pub request_data: Option<Option<Box<RawValue>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object)]
    pub result: Option<Option<Box<RawValue>>>,
    pub notification_group: Option<String>,
    #[schema(value_type = Object)]
    pub origin: serde_json::Value,
    pub timeout: i64,
    pub input_size: i64,
    pub output_size: i64,
    /// What a call through a service carried; requests through this API have none.
    #[schema(value_type = Object)]
    pub additional_data: Option<serde_json::Value>,
}
