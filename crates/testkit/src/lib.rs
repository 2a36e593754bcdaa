//! For tests: starts a whole server, and a private PostgreSQL.

pub mod postgres;
