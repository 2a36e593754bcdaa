//! One test binary, a file per noun. Each test has a server of its own: a real process, on SQLite or on PostgreSQL.
#![allow(clippy::unwrap_used, reason = "tests")]

#[macro_use]
mod kit;

mod access;
mod audit;
mod bad_input;
mod batch;
mod batching;
mod bounds;
mod cancel;
mod crash;
mod crash_batch;
mod deployments;
mod environments;
mod idempotency;
mod instances;
mod logs;
mod organizations;
mod projects;
mod requests;
mod retention;
mod revisions;
mod scaling;
mod service;
mod stream;
mod user_code;
mod versions;
