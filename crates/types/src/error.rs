//! The one error: a variant for each thing a client can be told.

use std::fmt;

/// The kinds of things that can be missing, as error sentences name them (semantics of the API, "Errors").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the noun it names")]
pub enum Kind {
    Organization,
    Project,
    Deployment,
    DeploymentVersion,
    Revision,
    Build,
    Environment,
    EnvironmentVariable,
    Request,
    RequestInput,
    RequestOutput,
    Instance,
    InstanceTypeGroup,
    Bucket,
    File,
    Upload,
    Blob,
    User,
    Package,
    Operation,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Organization => "Organization",
            Kind::Project => "Project",
            Kind::Deployment => "Deployment",
            Kind::DeploymentVersion => "Deployment version",
            Kind::Revision => "Revision",
            Kind::Build => "Build",
            Kind::Environment => "Environment",
            Kind::EnvironmentVariable => "Environment variable",
            Kind::Request => "Request",
            Kind::RequestInput => "Request input",
            Kind::RequestOutput => "Request output",
            Kind::Instance => "Instance",
            Kind::InstanceTypeGroup => "Instance type group",
            Kind::Bucket => "Bucket",
            Kind::File => "File",
            Kind::Upload => "Upload",
            Kind::Blob => "Blob",
            Kind::User => "User",
            Kind::Package => "Deployment package",
            Kind::Operation => "Operation",
        })
    }
}

/// What can go wrong, as far as a client is concerned. `api` turns it into status and body.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// 400: a value that breaks a rule, or a state that does not allow the operation.
    #[error("{0}")]
    Invalid(String),
    /// 401: nobody is signed in, or the token is no good.
    #[error("{0}")]
    NotSignedIn(String),
    /// 403: signed in, but not allowed.
    #[error("You do not have permission to perform this action")]
    Forbidden,
    /// 403: the project does not take requests or changes now.
    #[error("{0}")]
    Suspended(String),
    /// 403: a signed address that is forged, over, or not for this.
    #[error("{0}")]
    Unsigned(String),
    /// 404: no such thing, or none that the caller may see.
    #[error("{0} was not found")]
    NotFound(Kind),
    /// 405: the address exists, but not with this method.
    #[error("Method {0} is not allowed here")]
    MethodNotAllowed(String),
    /// 409: the name is taken, or the thing is in use.
    #[error("{0}")]
    Conflict(String),
    /// 413: the body is larger than allowed.
    #[error("Request Entity Too Large")]
    TooLarge,
    /// 429: full for the moment; try again after the given seconds.
    #[error("{message}")]
    Busy {
        /// What is full.
        message: String,
        /// After how many seconds it is worth another try.
        retry_after: u32,
    },
    /// 507: there is no room on the disk or in the store.
    #[error("{0}")]
    NoRoom(String),
    /// 503: this server cannot answer now.
    #[error("{0}")]
    Unavailable(String),
    /// 500: all else. The cause is logged; the client is told nothing of it.
    #[error("{0}")]
    Internal(String),
}

/// The result of everything a client can ask for.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A broken rule, told in a sentence.
    pub fn invalid(sentence: impl Into<String>) -> Self {
        Error::Invalid(sentence.into())
    }

    /// A clash with what is there, told in a sentence.
    pub fn conflict(sentence: impl Into<String>) -> Self {
        Error::Conflict(sentence.into())
    }

    /// A failure of ours, with what was being done and its cause.
    pub fn internal(doing: &str, cause: impl fmt::Display) -> Self {
        Error::Internal(format!("{doing}: {cause}"))
    }
}
