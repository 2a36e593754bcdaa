//! For tests of several crates: a private PostgreSQL. Whole servers start in `tests/it/kit`, beside the tests that speak to them.

pub mod postgres;
