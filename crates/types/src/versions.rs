//! Deployment versions: code, environment and how it is scaled.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::deployments::check_description;
use crate::ids::{InstanceTypeGroupId, RevisionId, VersionId};
use crate::labels::Labels;
use crate::names::VersionName;
use crate::patch::Patch;
use crate::time::ObjectTime;

/// How eagerly instances are added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ScalingStrategy {
    /// As soon as a request finds no free process.
    #[default]
    Default,
    /// When requests have waited a while.
    Moderate,
}

/// What is kept of a request once it ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RetentionMode {
    /// Nothing.
    None,
    /// Everything but request data and result.
    Metadata,
    /// Everything.
    #[default]
    Full,
}

/// Where a version stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum VersionStatus {
    /// It has no code yet.
    #[default]
    Unavailable,
    /// Its first code is being built.
    Building,
    /// It takes requests.
    Available,
    /// Its code could not be built.
    Failed,
}

macro_rules! words {
    ($type:ident { $($variant:ident = $word:literal),* }) => {
        impl $type {
            /// The contract's word.
            pub fn as_str(self) -> &'static str {
                match self { $($type::$variant => $word),* }
            }

            /// Reads the contract's word.
            pub fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some($type::$variant),)* _ => None }
            }
        }
    };
}
words!(ScalingStrategy { Default = "default", Moderate = "moderate" });
words!(RetentionMode { None = "none", Metadata = "metadata", Full = "full" });
words!(VersionStatus {
    Unavailable = "unavailable",
    Building = "building",
    Available = "available",
    Failed = "failed"
});

/// What both creation and update of a version may say of how it is scaled and kept.
///
/// The defaults are those of semantics 1.10 and 4.4.
pub mod defaults {
    /// Instances kept running without requests.
    pub const MINIMUM_INSTANCES: i64 = 0;
    /// Instances at the most.
    pub const MAXIMUM_INSTANCES: i64 = 5;
    /// Seconds without a request after which an instance is stopped.
    pub const MAXIMUM_IDLE_TIME: i64 = 300;
    /// Worker processes of an instance.
    pub const INSTANCE_PROCESSES: i64 = 1;
    /// Seconds that an ended request is kept.
    pub const RETENTION_TIME: i64 = 604_800;
    /// Requests that may wait.
    pub const MAXIMUM_QUEUE_SIZE: i64 = 100_000;
    /// The kind of instance.
    pub const INSTANCE_TYPE: &str = "2048mb";
}

/// The body of `deployment_versions_create`: the union over all client releases.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the contract's words; the defaults stand in `defaults`")]
pub struct DeploymentVersionCreate {
    #[schema(value_type = String)]
    pub version: Option<VersionName>,
    pub language: Option<String>,
    pub environment: Option<String>,
    pub environment_name: Option<String>,
    pub environment_tag: Option<String>,
    pub memory_allocation: Option<i64>,
    pub instance_type: Option<String>,
    pub instance_type_group_id: Option<String>,
    pub instance_type_group_name: Option<String>,
    pub minimum_instances: Option<i64>,
    pub maximum_instances: Option<i64>,
    pub maximum_idle_time: Option<i64>,
    pub instance_processes: Option<i64>,
    pub scaling_strategy: Option<ScalingStrategy>,
    pub description: Option<String>,
    pub labels: Option<Labels>,
    pub request_retention_mode: Option<RetentionMode>,
    pub request_retention_time: Option<i64>,
    pub maximum_queue_size: Option<i64>,
    pub maximum_queue_size_express: Option<i64>,
    pub maximum_queue_size_batch: Option<i64>,
    pub restart_request_interruption: Option<bool>,
    pub monitoring: Option<String>,
    pub default_notification_group: Option<String>,
    pub static_ip: Option<bool>,
    #[schema(value_type = Option<Vec<Object>>)]
    pub ports: Option<Vec<Value>>,
    #[schema(value_type = Option<Object>)]
    pub health_check: Option<Value>,
    #[schema(value_type = Option<Object>)]
    pub command: Option<Value>,
    #[schema(value_type = Option<Object>)]
    pub args: Option<Value>,
}

/// The body of `deployment_versions_update`.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the contract's words")]
pub struct DeploymentVersionUpdate {
    pub version: Patch<VersionName>,
    pub environment: Patch<String>,
    pub environment_name: Patch<String>,
    pub environment_tag: Patch<String>,
    pub memory_allocation: Patch<i64>,
    pub instance_type: Patch<String>,
    pub instance_type_group_id: Patch<String>,
    pub instance_type_group_name: Patch<String>,
    pub minimum_instances: Patch<i64>,
    pub maximum_instances: Patch<i64>,
    pub maximum_idle_time: Patch<i64>,
    pub instance_processes: Patch<i64>,
    pub scaling_strategy: Patch<ScalingStrategy>,
    pub description: Patch<String>,
    pub labels: Patch<Labels>,
    pub request_retention_mode: Patch<RetentionMode>,
    pub request_retention_time: Patch<i64>,
    pub maximum_queue_size: Patch<i64>,
    pub maximum_queue_size_express: Patch<i64>,
    pub maximum_queue_size_batch: Patch<i64>,
    pub restart_request_interruption: Patch<bool>,
    pub monitoring: Patch<String>,
    pub default_notification_group: Patch<String>,
    pub static_ip: Patch<bool>,
    #[schema(value_type = Option<Vec<Object>>)]
    pub ports: Patch<Vec<Value>>,
    #[schema(value_type = Option<Object>)]
    pub health_check: Patch<Value>,
    #[schema(value_type = Option<Object>)]
    pub command: Patch<Value>,
    #[schema(value_type = Option<Object>)]
    pub args: Patch<Value>,
}

impl DeploymentVersionCreate {
    /// The rules that need nothing but the body.
    pub fn check(&self) -> Result<(), String> {
        if self.version.is_none() {
            return Err("version is required: the name of the version".into());
        }
        check_description(self.description.as_deref())?;
        refuse_unoffered(&Unoffered {
            static_ip: self.static_ip,
            groups: [self.monitoring.as_deref(), self.default_notification_group.as_deref()],
            ports: self.ports.as_deref(),
            container: [self.health_check.as_ref(), self.command.as_ref(), self.args.as_ref()],
        })
    }
}

impl DeploymentVersionUpdate {
    /// The rules that need nothing but the body.
    pub fn check(&self) -> Result<(), String> {
        check_description(self.description.value().map(String::as_str))?;
        let text = |patch: &'_ Patch<String>| patch.value().cloned();
        refuse_unoffered(&Unoffered {
            static_ip: self.static_ip.value().copied(),
            groups: [text(&self.monitoring).as_deref(), text(&self.default_notification_group).as_deref()],
            ports: self.ports.value().map(Vec::as_slice),
            container: [self.health_check.value(), self.command.value(), self.args.value()],
        })
    }
}

/// What we cannot honour yet: refused with a sentence, never ignored.
struct Unoffered<'a> {
    static_ip: Option<bool>,
    groups: [Option<&'a str>; 2],
    ports: Option<&'a [Value]>,
    container: [Option<&'a Value>; 3],
}

fn refuse_unoffered(asked: &Unoffered<'_>) -> Result<(), String> {
    if asked.static_ip == Some(true) {
        return Err("static_ip: static addresses are not offered; leave it out or set it to false".into());
    }
    if let Some(group) = asked.groups.iter().flatten().next() {
        return Err(format!("Notification group '{group}' was not found"));
    }
    if asked.ports.is_some_and(|ports| !ports.is_empty()) {
        return Err("ports: open ports are not offered yet; leave the list empty".into());
    }
    if asked.container.iter().any(Option::is_some) {
        return Err(
            "health_check, command and args belong to deployments without requests, which are not offered yet".into()
        );
    }
    Ok(())
}

/// A version in lists and in answers about it: the union of what all client releases read.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[expect(missing_docs, reason = "the contract's words")]
pub struct DeploymentVersionDetail {
    pub id: VersionId,
    pub deployment: String,
    pub version: String,
    pub description: String,
    pub language: String,
    pub language_description: String,
    pub status: VersionStatus,
    pub active_revision: Option<RevisionId>,
    pub latest_revision: Option<RevisionId>,
    pub latest_build: Option<RevisionId>,
    pub memory_allocation: i64,
    pub instance_type: String,
    pub instance_type_group_id: InstanceTypeGroupId,
    pub instance_type_group_name: String,
    pub minimum_instances: i64,
    pub maximum_instances: i64,
    pub maximum_idle_time: i64,
    pub instance_processes: i64,
    pub scaling_strategy: ScalingStrategy,
    pub labels: Labels,
    pub creation_date: ObjectTime,
    pub last_updated: ObjectTime,
    pub last_file_upload: Option<ObjectTime>,
    pub request_retention_time: i64,
    pub request_retention_mode: RetentionMode,
    pub monitoring: Option<String>,
    pub default_notification_group: Option<String>,
    pub maximum_queue_size: i64,
    pub maximum_queue_size_express: i64,
    pub maximum_queue_size_batch: i64,
    pub static_ip: bool,
    pub restart_request_interruption: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub has_request_method: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub has_requests_method: Option<bool>,
    pub environment: String,
    pub environment_display_name: String,
    pub environment_name: String,
    pub environment_tag: String,
    pub default: bool,
    #[schema(value_type = Vec<Object>)]
    pub ports: Vec<Value>,
    #[schema(value_type = Option<Object>)]
    pub health_check: Option<Value>,
    #[schema(value_type = Option<Object>)]
    pub command: Option<Value>,
    #[schema(value_type = Option<Object>)]
    pub args: Option<Value>,
}
