//! The server: settings, the data folder, the first start, and the wiring of all parts. No decisions of the platform.

pub mod cli;
pub mod console;
#[cfg(feature = "failpoints")]
pub mod crash_points;
mod data_folder;
pub mod demo;
mod error;
mod files_store;
mod first_start;
pub mod host;
mod http;
pub mod logging;
mod metrics;
pub mod openapi;
mod running;
pub mod serve;
pub mod settings;
mod signals;
mod tools;
mod worker_files;

pub use error::{Result, StartError};
pub use first_start::{ADMINISTRATOR, DEFAULT};
pub use running::{Running, start};
