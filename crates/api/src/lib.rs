//! Modelyard: api.
