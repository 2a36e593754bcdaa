//! The floor: the least that any server must spend between an HTTP request and a Python function.
//!
//! An axum server on one thread hands the body in a frame to one blocking Python loop over a Unix socket, and back.
//! No sign-in, no checks, no records, no log. It runs as a process of its own, so that its cost can be read.

mod server;
mod start;
mod stream;

pub use server::serve;
pub use start::{Floor, cold};

/// The Python side.
const LOOP: &str = include_str!("loop.py");
/// The Python side of streams.
const STREAM: &str = include_str!("stream.py");
