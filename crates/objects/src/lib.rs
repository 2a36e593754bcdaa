//! Modelyard: objects.
