//! Modelyard: store.
