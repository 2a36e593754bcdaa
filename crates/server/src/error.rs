//! Why a server does not start: a sentence for whoever started it.

/// A sentence that says what is wrong and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartError(pub String);

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StartError {}

impl From<String> for StartError {
    fn from(sentence: String) -> Self {
        Self(sentence)
    }
}

/// The result of everything that happens at a start.
pub type Result<T, E = StartError> = std::result::Result<T, E>;
