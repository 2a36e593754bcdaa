//! Modelyard: runner.

pub mod interpreters;
pub mod package;
