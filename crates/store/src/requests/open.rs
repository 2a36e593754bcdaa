//! Open requests that nobody runs, as far as their ends need them.

use modelyard_types::Timestamp;
use modelyard_types::ids::{DeploymentId, ProjectId, RequestId, ServerId, VersionId};
use modelyard_types::requests::{RequestKind, RequestStatus};
use modelyard_types::versions::RetentionMode;

use super::ends::Ending;
use crate::servers::Life;
use crate::sql::row;

row! {
    /// An open request.
    pub struct Open {
        /// Its id.
        pub id: RequestId,
        /// Its project.
        pub project_id: ProjectId,
        /// Its deployment.
        pub deployment_id: DeploymentId,
        /// Its version.
        pub version_id: VersionId,
        /// Whether a caller waits for it.
        pub kind: RequestKind,
        /// Where it stands.
        pub status: RequestStatus,
        /// When its work began.
        pub started_at: Option<Timestamp>,
        /// How often it was run again.
        pub retries: i64,
        /// What is kept of it.
        pub retention_mode: RetentionMode,
        /// The object that holds what went in.
        pub request_key: Option<String>,
        /// The server that has it, or had it.
        pub server_id: ServerId,
        /// The life of that server.
        pub life: i64,
        /// The claim under which it ran.
        pub epoch: i64,
    }
}

/// The columns of an open request, also beside those of its version.
pub(super) const COLUMNS: &str = "requests.id, requests.project_id, requests.deployment_id, version_id, kind,
    requests.status, started_at, retries, retention_mode, request_key, server_id, life, epoch";

impl Open {
    pub(super) fn owner(&self) -> Life {
        Life { server: self.server_id, number: self.life }
    }

    /// Its end without a result.
    pub(super) fn ending(&self, status: RequestStatus, now: Timestamp, reason: &str) -> Ending {
        Ending {
            id: self.id,
            project_id: self.project_id,
            deployment_id: self.deployment_id,
            version_id: self.version_id,
            kind: self.kind,
            life: self.owner(),
            epoch: self.epoch,
            status,
            started_at: self.started_at,
            completed_at: now,
            error_message: (status == RequestStatus::Failed).then(|| reason.to_owned()),
            retries: self.retries,
            retention_mode: self.retention_mode,
            request_key: self.request_key.clone(),
            output_size: 0,
            result: None,
            result_key: None,
            updates: None,
            updates_key: None,
        }
    }
}
