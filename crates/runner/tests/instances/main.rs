//! Whole instances: the real worker package, in whatever walls this host offers.
//!
//! Where a wall is not offered a test asserts what holds without it; nothing is skipped.
#![expect(clippy::unwrap_used, reason = "tests")]

mod attacks;
mod files;
mod harness;
mod levels;
mod life;
mod network;
mod r;
mod servers;
mod speed;
mod table;
mod walls;
