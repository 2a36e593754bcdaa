//! Modelyard: runner.
