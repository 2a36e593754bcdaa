//! The server: settings, the data folder, the first start, and the wiring of all parts. No decisions of the platform.

mod data_folder;
mod error;
mod first_start;
pub mod host;
mod http;
pub mod settings;
mod worker_files;

pub use error::{Result, StartError};
