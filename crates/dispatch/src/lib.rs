//! Modelyard: dispatch.
