//! Limits and counters of the kernel for a group of processes: a small writer for both versions of cgroups.
//!
//! All groups of an installation lie below one parent, `modelyard-<installation>`, next to which nothing is touched.

mod find;
mod group;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub use find::Cgroups;
pub use group::{Group, Limits};

/// The kinds of limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Controller {
    /// Bytes of memory.
    Memory,
    /// Number of processes and threads.
    Pids,
    /// Share of the processors.
    Cpu,
}

impl Controller {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Memory, Self::Pids, Self::Cpu];

    /// The kernel's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Pids => "pids",
            Self::Cpu => "cpu",
        }
    }
}

/// A folder in which groups of ours may be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// Version 1: one tree for a controller.
    V1(Controller, PathBuf),
    /// Version 2: one tree for all of these.
    V2(Vec<Controller>, PathBuf),
}

impl Place {
    fn folder(&self) -> &PathBuf {
        match self {
            Self::V1(_, folder) | Self::V2(_, folder) => folder,
        }
    }
}
