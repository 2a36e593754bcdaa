//! Audit events: who changed what.

use modelyard_types::Timestamp;
use modelyard_types::audit::AuditAction;
use modelyard_types::ids::{AuditEventId, DeploymentId, OrganizationId, ProjectId};

use crate::db::Source;
use crate::error::Result;
use crate::sql::{row, statements};
use crate::tx::Tx;
use crate::value::values;

row! {
    /// An audit event.
    pub struct AuditEvent {
        /// Its id.
        pub id: AuditEventId,
        /// The project it happened in.
        pub project_id: Option<ProjectId>,
        /// The organization it happened in.
        pub organization_id: Option<OrganizationId>,
        /// The deployment it concerns.
        pub deployment_id: Option<DeploymentId>,
        /// What was done.
        pub action: AuditAction,
        /// The address of who did it.
        pub user_email: String,
        /// What was done, in a sentence.
        pub event: String,
        /// The kind of object.
        pub object_type: String,
        /// The object's name.
        pub object_name: String,
        /// When it happened.
        pub created_at: Timestamp,
    }
}

/// Whose events.
#[derive(Clone, Copy, Debug)]
pub enum AuditScope {
    /// Those of a project, its deployments included.
    Project(ProjectId),
    /// Those of a deployment.
    Deployment(DeploymentId),
    /// Those of an organization.
    Organization(OrganizationId),
}

statements! {
    INSERT = "INSERT INTO audit_events (", AuditEvent::COLUMNS, ") VALUES (", AuditEvent::MARKS, ")";
    OF_PROJECT = "SELECT ", AuditEvent::COLUMNS, " FROM audit_events WHERE project_id = $1", PAGE;
    OF_DEPLOYMENT = "SELECT ", AuditEvent::COLUMNS, " FROM audit_events WHERE deployment_id = $1", PAGE;
    OF_ORGANIZATION = "SELECT ", AuditEvent::COLUMNS, " FROM audit_events WHERE organization_id = $1", PAGE;
    FORGET_DEPLOYMENT = "UPDATE audit_events SET object_name = '' WHERE deployment_id = $1";
    FORGET_VERSION = "UPDATE audit_events SET object_name = ''
        WHERE deployment_id = $1 AND object_type = 'deployment_version' AND object_name = $2";
    FORGET_IN_PROJECT = "UPDATE audit_events SET object_name = ''
        WHERE project_id = $1 AND object_type = $2 AND object_name = $3";
    DELETE_OF_PROJECT = "DELETE FROM audit_events WHERE id IN
        (SELECT id FROM audit_events WHERE project_id = $1 ORDER BY id LIMIT $2)";
}

const PAGE: &str = " AND ($2 = '' OR action = $2) ORDER BY id DESC LIMIT $3 OFFSET $4";

/// Adds an event; belongs into the transaction of the change it tells of.
pub async fn insert(tx: &mut Tx, event: &AuditEvent) -> Result<()> {
    tx.run(INSERT, event.values()).await.map(drop)
}

/// Events, newest first.
pub async fn list(
    on: impl Source<'_>,
    scope: AuditScope,
    action: Option<AuditAction>,
    limit: i64,
    offset: i64,
) -> Result<Vec<AuditEvent>> {
    let action = action.map_or("", AuditAction::as_str);
    match scope {
        AuditScope::Project(id) => on.all(OF_PROJECT, values![id, action, limit, offset]).await,
        AuditScope::Deployment(id) => on.all(OF_DEPLOYMENT, values![id, action, limit, offset]).await,
        AuditScope::Organization(id) => on.all(OF_ORGANIZATION, values![id, action, limit, offset]).await,
    }
}

/// Empties the names in the events of a deployment that is deleted, its versions' included, as the contract has it.
pub async fn forget_deployment(tx: &mut Tx, id: DeploymentId) -> Result<()> {
    tx.run(FORGET_DEPLOYMENT, values![id]).await.map(drop)
}

/// Empties the name in the events of a version that is deleted, as the contract has it.
pub async fn forget_version(tx: &mut Tx, deployment: DeploymentId, name: &str) -> Result<()> {
    tx.run(FORGET_VERSION, values![deployment, name]).await.map(drop)
}

/// Empties the name in the events of an object of a project that is deleted, as the contract has it.
pub async fn forget_in_project(tx: &mut Tx, project: ProjectId, kind: &str, name: &str) -> Result<()> {
    tx.run(FORGET_IN_PROJECT, values![project, kind, name]).await.map(drop)
}

/// Removes some events of a project that is gone; tells how many.
pub async fn delete_of_project(tx: &mut Tx, project: ProjectId, limit: i64) -> Result<u64> {
    tx.run(DELETE_OF_PROJECT, values![project, limit]).await
}
