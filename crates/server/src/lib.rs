//! Modelyard: server.
