//! Stores of files as providers have them, for tests: S3 and a stand-in for Google Cloud Storage in this process.

mod files;
mod gcs;
mod s3;
mod server;

pub use gcs::GcsServer;
pub use s3::S3Server;
pub use server::Fault;
