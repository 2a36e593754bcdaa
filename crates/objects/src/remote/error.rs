//! What can go wrong at a provider, in sentences that a user can act on. None holds a credential.

use std::net::IpAddr;

/// What can go wrong with files at a provider.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// The provider does not accept the credentials, or they may not do this.
    #[error("the provider refused {doing}: {answer}; check the credentials and what they permit")]
    Refused {
        /// What was asked.
        doing: &'static str,
        /// What the provider said.
        answer: String,
    },
    /// There is no such bucket or container.
    #[error("there is no bucket or container '{0}' at the provider")]
    NoBucket(String),
    /// There is no file of this name.
    #[error("there is no file '{0}'")]
    Missing(String),
    /// The provider does not answer.
    #[error("{host} cannot be reached: {reason}")]
    Unreachable {
        /// Whom we tried to reach.
        host: String,
        /// Why it failed.
        reason: String,
    },
    /// The address is in a network that is not allowed.
    #[error(
        "{host} has the address {address}, which is in a network that this installation does not reach; \
         its operator can allow the network"
    )]
    Forbidden {
        /// Whom we were asked to reach.
        host: String,
        /// The address that is not allowed.
        address: IpAddr,
    },
    /// The name of a file, or a range of its bytes, cannot be.
    #[error("{0}")]
    BadName(String),
    /// The place or its credentials cannot be as they are given.
    #[error("{0}")]
    BadPlace(String),
    /// An upload in parts cannot be continued or completed like this.
    #[error("{0}")]
    BadUpload(String),
    /// The provider does not accept what was asked: it has rules that we do not know of.
    #[error("the provider does not accept {doing}: {answer}")]
    NotAccepted {
        /// What was asked.
        doing: &'static str,
        /// What the provider said.
        answer: String,
    },
    /// Those who send the bytes of a file broke off.
    #[error("the bytes of the file broke off: {0}")]
    Broken(String),
    /// Everything else.
    #[error("{doing} failed at the provider: {reason}")]
    Failed {
        /// What was asked.
        doing: &'static str,
        /// What went wrong.
        reason: String,
    },
}

impl RemoteError {
    pub(super) fn failed(doing: &'static str, reason: impl Into<String>) -> Self {
        RemoteError::Failed { doing, reason: reason.into() }
    }

    pub(super) fn place(sentence: impl Into<String>) -> Self {
        RemoteError::BadPlace(sentence.into())
    }
}

/// What a provider wrote, fit for a sentence: a line of bounded length.
pub(super) fn short(text: &str) -> String {
    const LONGEST: usize = 300;
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST).collect();
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}
