//! Instances of versions and what happened to them.

use serde::{Deserialize, Serialize};

use crate::ids::{InstanceEventId, InstanceId, InstanceTypeId};
use crate::time::ObjectTime;

/// Where an instance stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum InstanceStatus {
    /// It is to be, and nothing of it is there yet.
    Pending,
    /// It is being started.
    Initialising,
    /// It takes requests.
    Running,
    /// It finishes what it began, and goes.
    Stopping,
}

impl InstanceStatus {
    /// All there are, in the order of a life.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Initialising, Self::Running, Self::Stopping];

    /// The contract's word.
    pub fn as_str(self) -> &'static str {
        match self {
            InstanceStatus::Pending => "pending",
            InstanceStatus::Initialising => "initialising",
            InstanceStatus::Running => "running",
            InstanceStatus::Stopping => "stopping",
        }
    }

    /// Reads the contract's word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }
}

/// The kind of an instance.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[expect(missing_docs, reason = "the contract's words")]
pub struct InstanceInstanceTypeDetail {
    pub id: InstanceTypeId,
    pub name: String,
    pub display_name: String,
}

/// The addresses of the host of an instance.
#[derive(Clone, Debug, Default, Serialize, utoipa::ToSchema)]
#[expect(missing_docs, reason = "the contract's words")]
pub struct Node {
    pub ipv4_address: Option<String>,
    pub ipv6_address: Option<String>,
}

/// An instance in the list of its version.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[expect(missing_docs, reason = "the contract's words")]
pub struct InstanceList {
    pub id: InstanceId,
    pub status: InstanceStatus,
    pub time_created: ObjectTime,
    pub time_updated: ObjectTime,
    pub instance_type: InstanceInstanceTypeDetail,
}

/// An instance in the list of its project.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[expect(missing_docs, reason = "the contract's words")]
pub struct ProjectInstanceList {
    #[serde(flatten)]
    pub instance: InstanceList,
    pub deployment: Option<String>,
    pub version: Option<String>,
}

/// An instance.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[expect(missing_docs, reason = "the contract's words")]
pub struct InstanceDetail {
    #[serde(flatten)]
    pub instance: ProjectInstanceList,
    pub node: Node,
    #[schema(value_type = Object)]
    pub node_pool: serde_json::Value,
}

/// Something that happened to an instance.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[expect(missing_docs, reason = "the contract's words")]
pub struct InstanceEvent {
    pub id: InstanceEventId,
    pub time_created: ObjectTime,
    pub description: String,
}

macro_rules! pages {
    ($($(#[$doc:meta])* $name:ident of $item:ty;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
        pub struct $name {
            /// The cursor of the next page.
            pub next: Option<String>,
            /// The cursor of the page before.
            pub previous: Option<String>,
            /// What is on the page.
            pub results: Vec<$item>,
        }
    )+};
}
pages! {
    /// A page of a version's instances.
    InstanceListPaginated of InstanceList;
    /// A page of a project's instances.
    ProjectInstanceListPaginated of ProjectInstanceList;
    /// A page of an instance's events.
    InstanceEventPaginated of InstanceEvent;
}

/// What an instance is to become.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InstanceUpdate {
    /// Always `stopped`.
    #[serde(default)]
    pub status: Option<String>,
}

impl InstanceUpdate {
    /// Refuses all but stopping, in a sentence.
    pub fn check(&self) -> Result<(), String> {
        match self.status.as_deref() {
            Some("stopped") => Ok(()),
            Some(other) => Err(format!("status must be 'stopped', but got '{other}': an instance can only be stopped")),
            None => Err("status is required, and must be 'stopped': an instance can only be stopped".to_owned()),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn an_instance_can_only_be_stopped() {
        let told = |body| serde_json::from_str::<InstanceUpdate>(body).unwrap().check().err().unwrap_or_default();
        assert_eq!(told(r#"{"status":"stopped"}"#), "");
        assert_eq!(
            told(r#"{"status":"running"}"#),
            "status must be 'stopped', but got 'running': an instance can only be stopped"
        );
        assert_eq!(told("{}"), "status is required, and must be 'stopped': an instance can only be stopped");
    }
}
