//! For tests of several crates: a private PostgreSQL, and stores of files as providers have them. Whole servers start in
//! `tests/it/kit`, beside the tests that speak to them.

pub mod azurite;
mod folders;
pub mod postgres;
#[cfg(feature = "stores")]
pub mod stores;
