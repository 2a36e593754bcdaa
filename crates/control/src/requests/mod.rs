//! Direct requests: the hot path, and what get and list show of requests.

mod inputs;
mod live;
mod outputs;
mod recorder;
mod request;
mod view;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use modelyard_dispatch::Refusal;
use modelyard_types::versions::VersionStatus;
use modelyard_types::{Error, Kind, RequestId, Result};
use tokio::sync::oneshot;

use crate::Control;
use crate::access::Actor;
use crate::catalogue::{DeploymentSnapshot, ProjectSnapshot, VersionSnapshot};

pub(crate) use live::Live;
pub(crate) use recorder::Recorder;
pub use request::Ended;
use request::{LiveRequest, NewRequest};
pub use view::{RequestFilter, RequestView};

/// A direct request as it comes in.
pub struct DirectRequest {
    /// The body as it was sent.
    pub body: Bytes,
    /// Whether the content type says that it is not JSON.
    pub text: bool,
    /// Its time limit in seconds, queueing and cold start included; in range.
    pub timeout: i64,
    /// 0 before 1.
    pub priority: u8,
}

/// The answer to a direct request.
pub struct Answer {
    /// The request's id.
    pub id: RequestId,
    /// The name of the deployment.
    pub deployment: Arc<str>,
    /// The name of the version that ran it.
    pub version: Arc<str>,
    /// How it ended, with what came out.
    pub ended: Ended,
    /// The time limit it had, in seconds.
    pub timeout: i64,
}

/// How long a request waits for room to be recorded before it is refused.
const ROOM_WITHIN: Duration = Duration::from_secs(10);
/// After how many seconds a full queue is worth another try.
const RETRY_AFTER: u32 = 1;

impl Control {
    /// Runs a request and waits for its end. It goes on when the caller stops waiting.
    pub async fn direct_request(
        &self,
        actor: &Arc<Actor>,
        project: &Arc<ProjectSnapshot>,
        deployment: &str,
        version: Option<&str>,
        new: DirectRequest,
    ) -> Result<Answer> {
        let (deployment, version) = place(project, deployment, version)?;
        if let Some(reason) = &project.suspended {
            return Err(Error::Suspended(reason.clone()));
        }
        if version.code.is_none() || version.status != VersionStatus::Available {
            return Err(Error::Invalid(format!(
                "Version '{}' of deployment '{}' is not available: its status is {}",
                version.name,
                deployment.name,
                version.status.as_str()
            )));
        }
        if version.maximum_instances == 0 {
            return Err(Error::Invalid(no_instances(&deployment, &version)));
        }
        let (body, flags) = inputs::check(&deployment, new.body, new.text)?;
        let permit = self.0.recorder.permit(body.len(), ROOM_WITHIN).await?;
        let (sender, ended) = oneshot::channel();
        let new = NewRequest {
            project: project.id,
            deployment: deployment.clone(),
            version: version.clone(),
            actor: actor.clone(),
            body,
            flags,
            priority: new.priority,
            timeout: new.timeout,
            permit: Some(permit),
        };
        let request = LiveRequest::new(new, &self.0, sender);
        let (id, timeout) = (request.id, request.timeout);
        self.0.live.insert(request.clone());
        if let Err(refusal) = version.lane.submit(request.job()) {
            self.0.live.remove(id);
            return Err(refused(refusal));
        }
        drop(request);
        let ended = ended.await.map_err(|_| Error::Unavailable("The server is stopping".into()))?;
        Ok(Answer { id, deployment: deployment.name.clone(), version: version.name.clone(), ended, timeout })
    }
}

/// The deployment and version that a request names, or the default version.
fn place(
    project: &ProjectSnapshot,
    deployment: &str,
    version: Option<&str>,
) -> Result<(Arc<DeploymentSnapshot>, Arc<VersionSnapshot>)> {
    let deployment = project.deployments.get(deployment).ok_or(Error::NotFound(Kind::Deployment))?;
    let version = match version.or(deployment.default_version.as_deref()) {
        Some(version) => deployment.versions.get(version).ok_or(Error::NotFound(Kind::DeploymentVersion))?,
        None => {
            return Err(Error::Invalid(format!(
                "Deployment '{}' has no default version: name a version, or set default_version",
                deployment.name
            )));
        }
    };
    Ok((deployment.clone(), version.clone()))
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
        Refusal::Closed(reason) => Error::Invalid(reason),
        Refusal::Duplicate => Error::internal("submitting a request", refusal),
    }
}

#[cfg(test)]
mod tests;
