//! Modelyard: testkit.
