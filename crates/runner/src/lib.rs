//! Modelyard: runner.

pub mod cgroup;
pub mod check;
pub mod environments;
mod init;
pub mod interpreters;
pub mod local;
pub mod netlink;
pub mod package;
pub mod packed;
pub mod process;
pub mod protocol;
mod rights;
pub mod runner;
pub mod ubiops_yaml;
pub mod uv;
pub mod walls;

pub use init::{ARGUMENT as INIT_ARGUMENT, run_init_if_asked};
