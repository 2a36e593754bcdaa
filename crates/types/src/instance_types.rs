//! Kinds of instances: how much memory and processor one gets.

use serde::Serialize;

use crate::ids::{InstanceTypeGroupId, InstanceTypeId};

/// The sizes on offer, in MB of memory (semantics 6.4).
pub const SIZES: [i64; 8] = [256, 512, 1024, 2048, 4096, 8192, 12288, 16384];

/// A kind of instance: everything follows from its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InstanceType {
    /// Memory in MB.
    pub memory_mb: i64,
}

impl InstanceType {
    /// All kinds on offer, the smallest first.
    pub fn all() -> impl Iterator<Item = Self> {
        SIZES.into_iter().map(|memory_mb| Self { memory_mb })
    }

    /// Reads a name such as `512mb`; refuses what is not on offer with the list of what is.
    pub fn parse(name: &str) -> Result<Self, String> {
        Self::all().find(|kind| kind.name() == name).ok_or_else(|| {
            let known: Vec<_> = Self::all().map(Self::name).collect();
            format!("instance_type '{name}' is not offered; there are {}", known.join(", "))
        })
    }

    /// The kind of that name; of one that is no longer offered, the smallest.
    pub fn of_name(name: &str) -> Self {
        Self::parse(name).unwrap_or(Self { memory_mb: SIZES[0] })
    }

    /// Its id. Kinds have no rows, so that ids are made from names: the same on every server.
    pub fn id(self) -> InstanceTypeId {
        let mut bytes = [0; 16];
        for (at, byte) in bytes.iter_mut().zip(self.name().bytes()) {
            *at = byte;
        }
        InstanceTypeId(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }

    /// The id of the group that every project has for this kind alone: below all ids that are made, in the order of memory.
    pub fn group_id(self) -> InstanceTypeGroupId {
        let memory = u128::from(self.memory_mb.unsigned_abs());
        InstanceTypeGroupId(uuid::Builder::from_custom_bytes((memory << 80).to_be_bytes()).into_uuid())
    }

    /// The name of that group, such as `512 MB + 0.125 vCPU`.
    pub fn group_name(self) -> String {
        format!("{} MB + {} vCPU", self.memory_mb, self.cpu())
    }

    /// The kind whose group has this id.
    pub fn of_group(id: InstanceTypeGroupId) -> Option<Self> {
        Self::all().find(|kind| kind.group_id() == id)
    }

    /// Its name, such as `512mb`.
    pub fn name(self) -> String {
        format!("{}mb", self.memory_mb)
    }

    /// Its name for people, such as `512 MB`.
    pub fn display_name(self) -> String {
        format!("{} MB", self.memory_mb)
    }

    /// Its memory in bytes.
    pub fn memory_bytes(self) -> u64 {
        self.memory_mb.unsigned_abs() << 20
    }

    /// Its share of processors: a whole one per 4 GB.
    pub fn cpu(self) -> f64 {
        self.memory_mb as f64 / 4096.0
    }

    /// Its disk space in MB.
    pub fn storage_mb(self) -> i64 {
        self.memory_mb * 4
    }

    /// Credits an hour.
    pub fn credit_rate(self) -> f64 {
        self.memory_mb as f64 / 1024.0
    }
}

/// A kind of instance for clients from 4.6.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[expect(missing_docs, reason = "the contract's words")]
pub struct InstanceTypeList {
    pub id: InstanceTypeId,
    pub name: String,
    pub display_name: String,
    pub cpu: f64,
    pub memory: f64,
    pub storage: f64,
    pub accelerator: f64,
    pub credit_rate: f64,
    pub dedicated_node: bool,
    #[schema(value_type = Object)]
    pub node_pool: serde_json::Value,
}

/// A page of kinds of instances.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct InstanceTypePage {
    /// The cursor of the next page.
    pub next: Option<String>,
    /// The cursor of the page before.
    pub previous: Option<String>,
    /// The kinds.
    pub results: Vec<InstanceTypeList>,
}

/// A kind of instance for clients up to 4.4.1.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[expect(missing_docs, reason = "the contract's words")]
pub struct DeploymentInstanceType {
    pub id: InstanceTypeId,
    pub name: String,
    pub display_name: String,
    pub memory_allocation: i64,
    pub cpu_allocation: i64,
    pub gpu_allocation: i64,
    pub storage_allocation: i64,
    pub credit_rate: f64,
    pub accelerator: bool,
    pub dedicated_node: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_groups_of_kinds_have_ids_of_their_own_below_all_that_are_made() {
        let mut ids: Vec<_> = InstanceType::all().map(InstanceType::group_id).collect();
        assert!(ids.is_sorted_by(|one, other| one < other), "{ids:?}");
        assert!(ids.iter().all(|id| *id < InstanceTypeGroupId::new() && !id.0.is_nil()));
        ids.retain(|id| InstanceType::all().any(|kind| kind.id().0 == id.0));
        assert!(ids.is_empty());
        let names: Vec<_> = InstanceType::all().map(InstanceType::group_name).collect();
        assert_eq!(names[0], "256 MB + 0.0625 vCPU");
        assert_eq!(names[1], "512 MB + 0.125 vCPU");
        assert_eq!(names[4], "4096 MB + 1 vCPU");
    }
}
