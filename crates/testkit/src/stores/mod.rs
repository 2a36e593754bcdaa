//! Stores of files as providers have them, for tests: S3 and a stand-in for Google Cloud Storage in this process, and
//! [`Stand`], which is any of them or Azurite.

mod files;
mod gcs;
mod s3;
mod server;
mod stand;

pub use gcs::GcsServer;
pub use s3::S3Server;
pub use server::Fault;
pub use stand::Stand;
