//! Modelyard: scheduler.
