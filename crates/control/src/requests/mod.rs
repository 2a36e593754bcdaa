//! Requests: direct ones on the hot path, batch ones through their rows, and what is shown of both.

mod acceptor;
mod batch;
mod cancel;
mod data;
mod direct;
pub(crate) mod feeding;
pub(crate) mod files;
mod giving_up;
mod idempotency;
pub(crate) mod inputs;
mod lists;
mod live;
mod outputs;
mod recorder;
mod request;
mod room;
mod storing;
mod stream;
mod updates;
mod view;

use std::sync::Arc;

use modelyard_dispatch::Refusal;
use modelyard_types::versions::VersionStatus;
use modelyard_types::{Error, Kind, Result};

pub(crate) use acceptor::Acceptor;
pub use batch::{BatchAnswer, BatchRequest};
pub use cancel::Among;
pub use data::Data;
pub use direct::{Answer, DirectRequest};
pub use lists::RequestFilter;
pub(crate) use live::{Arriving, Live};
pub(crate) use outputs::MAX_RESULT;
pub(crate) use recorder::Recorder;
pub use request::Ended;
use request::LiveRequest;
pub use room::Permit;
pub(crate) use room::Room;
pub(crate) use storing::Storing;
pub use stream::{Streamed, Updating};
pub use view::RequestView;

use crate::catalogue::{DeploymentSnapshot, ProjectSnapshot, VersionSnapshot};

/// After how many seconds a full queue is worth another try.
const RETRY_AFTER: u32 = 1;

/// Refuses requests that could not run now.
fn ready(project: &ProjectSnapshot, deployment: &DeploymentSnapshot, version: &VersionSnapshot) -> Result<()> {
    if let Some(reason) = &project.suspended {
        return Err(Error::Suspended(reason.clone()));
    }
    if version.maximum_instances == 0 && version.code.is_some() && version.status == VersionStatus::Available {
        return Err(Error::Invalid(no_instances(deployment, version)));
    }
    if !version.takes_requests() {
        return Err(Error::Invalid(format!(
            "Version '{}' of deployment '{}' is not available: its status is {}",
            version.name,
            deployment.name,
            version.status.as_str()
        )));
    }
    Ok(())
}

/// The deployment and version that a request names, or the default version.
fn place(
    project: &ProjectSnapshot,
    deployment: &str,
    version: Option<&str>,
) -> Result<(Arc<DeploymentSnapshot>, Arc<VersionSnapshot>)> {
    let deployment = deployment_of(project, deployment)?;
    let version = version_of(&deployment, version)?;
    Ok((deployment, version))
}

fn deployment_of(project: &ProjectSnapshot, name: &str) -> Result<Arc<DeploymentSnapshot>> {
    Ok(project.deployments.get(name).ok_or(Error::NotFound(Kind::Deployment))?.clone())
}

fn version_of(deployment: &DeploymentSnapshot, version: Option<&str>) -> Result<Arc<VersionSnapshot>> {
    let version = match version.or(deployment.default_version.as_deref()) {
        Some(version) => deployment.versions.get(version).ok_or(Error::NotFound(Kind::DeploymentVersion))?,
        None => {
            return Err(Error::Invalid(format!(
                "Deployment '{}' has no default version: name a version, or set default_version",
                deployment.name
            )));
        }
    };
    Ok(version.clone())
}

/// What callers read of a version that may have no instance.
pub(crate) fn no_instances(deployment: &DeploymentSnapshot, version: &VersionSnapshot) -> String {
    format!(
        "Version '{}' of deployment '{}' takes no requests: its maximum_instances is 0",
        version.name, deployment.name
    )
}

fn refused(refusal: Refusal) -> Error {
    match refusal {
        Refusal::Full { .. } => Error::Busy { message: refusal.to_string(), retry_after: RETRY_AFTER },
        Refusal::Never { .. } => Error::Invalid(refusal.to_string()),
        Refusal::Closed(reason) => Error::Invalid(reason),
        Refusal::Duplicate => Error::internal("submitting a request", refusal),
    }
}

#[cfg(test)]
mod random;
#[cfg(test)]
mod tests;
