//! Modelyard: control.
