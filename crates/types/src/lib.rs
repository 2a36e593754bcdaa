//! What clients send and receive: names, ids, bodies in the contract's words, and the one error. No I/O.

pub mod audit;
pub mod batching;
pub mod blobs;
pub mod buckets;
pub mod deployments;
pub mod environments;
pub mod error;
pub mod fields;
pub mod files;
pub mod ids;
pub mod instance_type_groups;
pub mod instance_types;
pub mod instances;
pub mod json;
pub mod labels;
pub mod language;
pub mod logs;
pub mod names;
pub mod network;
pub mod organizations;
pub mod patch;
pub mod permissions;
pub mod projects;
pub mod release;
pub mod requests;
pub mod revisions;
pub mod service;
pub mod time;
pub mod users;
pub mod variables;
pub mod versions;
pub mod walls;

pub use error::{Error, Kind, Result};
pub use ids::*;
pub use patch::Patch;
pub use time::Timestamp;
