//! One test binary, a file per noun. Each test has a server of its own: a real process, on SQLite or on PostgreSQL.
#![allow(clippy::unwrap_used, reason = "tests")]

#[macro_use]
mod kit;

mod access;
mod audit;
mod bad_input;
mod batch;
mod batching;
mod blobs;
mod bounds;
mod buckets;
mod cancel;
mod crash;
mod crash_batch;
mod deployments;
mod environments;
mod files;
mod giving_up;
mod idempotency;
mod instance_type_groups;
mod instances;
mod large_files;
mod logs;
mod network;
mod organizations;
mod priority;
mod projects;
mod providers;
mod r;
mod requests;
mod retention;
mod revisions;
mod room;
mod scaling;
mod service;
mod stopping;
mod stream;
mod stuck;
mod user_code;
mod variables;
mod versions;
