//! The program as people run it: its command line, its start and its end, and every command of the documents.
#![expect(clippy::unwrap_used, reason = "tests")]

mod config;
mod demo;
mod documents;
mod program;
mod serve;
