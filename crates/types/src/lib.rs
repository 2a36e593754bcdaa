//! Modelyard: types.
