//! Stores of files as providers have them, for tests: S3 and Google Cloud Storage in this process.

mod files;
mod s3;
mod server;

pub use s3::S3Server;
pub use server::Fault;
