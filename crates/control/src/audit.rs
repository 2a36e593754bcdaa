//! Audit events: recorded in the transaction of the change they tell of.

use modelyard_store::{AuditEvent, Tx};
use modelyard_types::audit::AuditAction;
use modelyard_types::{AuditEventId, DeploymentId, OrganizationId, ProjectId, Result, Timestamp};

use crate::access::Actor;

/// Where something happened, for those who may read of it.
#[derive(Clone, Copy, Default)]
pub(crate) struct Place {
    pub(crate) organization: Option<OrganizationId>,
    pub(crate) project: Option<ProjectId>,
    pub(crate) deployment: Option<DeploymentId>,
}

impl Place {
    pub(crate) fn organization(id: OrganizationId) -> Self {
        Self { organization: Some(id), ..Self::default() }
    }

    pub(crate) fn project(id: ProjectId) -> Self {
        Self { project: Some(id), ..Self::default() }
    }

    pub(crate) fn deployment(project: ProjectId, id: DeploymentId) -> Self {
        Self { project: Some(project), deployment: Some(id), ..Self::default() }
    }
}

/// Records that `by` did something to the object of kind `kind` named `name`; `event` is a sentence.
pub(crate) async fn record(
    tx: &mut Tx,
    by: &Actor,
    place: Place,
    action: AuditAction,
    (kind, name): (&str, &str),
    event: String,
) -> Result<()> {
    let event = AuditEvent {
        id: AuditEventId::new(),
        project_id: place.project,
        organization_id: place.organization,
        deployment_id: place.deployment,
        action,
        user_email: by.email.clone(),
        event,
        object_type: kind.to_owned(),
        object_name: name.to_owned(),
        created_at: Timestamp::now(),
    };
    Ok(modelyard_store::audit::insert(tx, &event).await?)
}

/// Collects what an update changes, for its event: `description from 'a' to 'b'`.
#[derive(Default)]
pub(crate) struct Changes(Vec<String>);

impl Changes {
    /// Notes an attribute when it changed; long values are named only.
    pub(crate) fn note(&mut self, what: &str, from: impl ToString, to: impl ToString) {
        let (from, to) = (from.to_string(), to.to_string());
        if from == to {
            return;
        }
        if from.len() + to.len() > 400 {
            self.0.push(what.to_owned());
        } else {
            self.0.push(format!("{what} from '{from}' to '{to}'"));
        }
    }

    /// Notes that an attribute changed whose values are nobody's business.
    pub(crate) fn name(&mut self, what: &str) {
        self.0.push(what.to_owned());
    }

    /// Notes a JSON-like attribute when it changed.
    pub(crate) fn note_json<T: serde::Serialize>(&mut self, what: &str, from: &T, to: &T) {
        // Our own types always serialize.
        let text = |value: &T| serde_json::to_string(value).unwrap_or_default();
        self.note(what, text(from), text(to));
    }

    /// Whether nothing changed.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The sentence of the event.
    pub(crate) fn sentence(&self, object: &str) -> String {
        format!("Updated {object}: {}", self.0.join(", "))
    }
}
