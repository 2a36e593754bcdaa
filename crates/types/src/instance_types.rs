//! Kinds of instances: how much memory and processor one gets.

use serde::Serialize;

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

    /// Its name, such as `512mb`.
    pub fn name(self) -> String {
        format!("{}mb", self.memory_mb)
    }

    /// Its name for people, such as `512 MB`.
    pub fn display_name(self) -> String {
        format!("{} MB", self.memory_mb)
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
    pub id: String,
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
    pub id: String,
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
