//! What the database refuses, in words the callers can pass on.

use modelyard_types::Error;

/// Why a statement did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another row has the same name or id.
    #[error("{0}")]
    Taken(String),
    /// Other rows refer to the one that was to go.
    #[error("{0}")]
    InUse(String),
    /// The row that was referred to is gone.
    #[error("{0}")]
    Missing(String),
    /// A value that no database can keep.
    #[error("{0}")]
    Invalid(String),
    /// All else.
    #[error("the database failed: {0}")]
    Internal(String),
}

/// The result of everything in this crate.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

impl StoreError {
    /// A failure of ours, with what was being done.
    pub fn internal(doing: &str, cause: impl std::fmt::Display) -> Self {
        StoreError::Internal(format!("{doing}: {cause}"))
    }

    pub(crate) fn unreadable(at: usize, cause: impl std::fmt::Display) -> Self {
        StoreError::Internal(format!("column {at} cannot be read: {cause}"))
    }

    /// Reads a refusal of a statement: which rule was broken shows in the code, its direction in the statement.
    pub(crate) fn of(statement: &str, cause: sqlx::Error) -> Self {
        use sqlx::error::ErrorKind;
        let Some(refusal) = cause.as_database_error() else {
            return cause.into();
        };
        let deletes = statement.trim_start().starts_with("DELETE");
        match refusal.kind() {
            ErrorKind::UniqueViolation => StoreError::Taken("The name is taken".into()),
            ErrorKind::ForeignKeyViolation if deletes => StoreError::InUse("The object is in use".into()),
            ErrorKind::ForeignKeyViolation => StoreError::Missing("An object that is referred to was not found".into()),
            _ => StoreError::Internal(format!("{cause}, in: {statement:.200}")),
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(cause: sqlx::Error) -> Self {
        StoreError::Internal(cause.to_string())
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Taken(sentence) | StoreError::InUse(sentence) => Error::Conflict(sentence),
            StoreError::Missing(sentence) | StoreError::Invalid(sentence) => Error::Invalid(sentence),
            StoreError::Internal(cause) => Error::Internal(cause),
        }
    }
}

/// Gives refusals the caller's sentence; anything else passes unchanged.
pub trait Refusal: Sized {
    /// What to say when the name is taken.
    fn taken(self, sentence: impl Into<String>) -> Self;
    /// What to say when the object is in use.
    fn in_use(self, sentence: impl Into<String>) -> Self;
    /// What to say when an object that is referred to is gone.
    fn missing(self, sentence: impl Into<String>) -> Self;
}

impl<T> Refusal for Result<T> {
    fn taken(self, sentence: impl Into<String>) -> Self {
        match self {
            Err(StoreError::Taken(_)) => Err(StoreError::Taken(sentence.into())),
            other => other,
        }
    }

    fn in_use(self, sentence: impl Into<String>) -> Self {
        match self {
            Err(StoreError::InUse(_)) => Err(StoreError::InUse(sentence.into())),
            other => other,
        }
    }

    fn missing(self, sentence: impl Into<String>) -> Self {
        match self {
            Err(StoreError::Missing(_)) => Err(StoreError::Missing(sentence.into())),
            other => other,
        }
    }
}
