//! Audit events: who changed what.

use axum::extract::State;
use modelyard_store::audit::{self, AuditScope};
use modelyard_types::audit::{AuditAction, AuditList};
use modelyard_types::permissions::can;
use modelyard_types::time::RequestTime;
use utoipa_axum::routes;

use crate::App;
use crate::access::{InProject, OnDeployment};
use crate::error::{Refusal, Result};
use crate::json::Json;
use crate::query::{FromQuery, Query, Values};
use crate::routing::Operations;

pub(crate) fn add(all: &mut Operations) {
    all.add(routes!(project_audit_events_list), project_audit_events_list);
    all.add(routes!(deployment_audit_events_list), deployment_audit_events_list);
}

/// Which events to list.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Only those of this action: `create`, `update`, `delete`, `info`.
    #[param(value_type = Option<String>)]
    action: Option<AuditAction>,
    /// How many to give: 50, up to 1000.
    #[param(value_type = Option<i64>)]
    limit: i64,
    /// How many to leave out at the beginning: 0.
    #[param(value_type = Option<i64>)]
    offset: i64,
}

impl FromQuery for Wanted {
    fn read(values: &Values<'_>) -> Result<Self, Refusal> {
        use AuditAction::{Create, Delete, Info, Update};
        let actions = [Create, Update, Delete, Info].map(|action| (action.as_str(), action));
        Ok(Self {
            action: values.word("action", &actions)?,
            limit: values.int("limit", 1..=1000)?.unwrap_or(50),
            offset: values.int("offset", 0..=i64::from(i32::MAX))?.unwrap_or(0),
        })
    }
}

async fn list(app: &App, scope: AuditScope, wanted: Wanted) -> Result<Json<Vec<AuditList>>> {
    let events = audit::list(app.control().store(), scope, wanted.action, wanted.limit, wanted.offset).await?;
    let shown = events.into_iter().map(|event| AuditList {
        id: event.id,
        date: RequestTime(event.created_at),
        action: event.action,
        user: event.user_email,
        event: event.event,
        object_type: event.object_type,
        object_name: event.object_name,
    });
    Ok(Json(shown.collect()))
}

/// List the audit events of a project.
#[utoipa::path(get, path = "/projects/{project_name}/audit", tag = "Audit", params(Wanted),
    responses((status = 200, body = Vec<AuditList>)))]
async fn project_audit_events_list(
    State(app): State<App>,
    on: InProject<can::ProjectsAudit>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Vec<AuditList>>> {
    list(&app, AuditScope::Project(on.project.id), wanted).await
}

/// List the audit events of a deployment.
#[utoipa::path(get, path = "/projects/{project_name}/deployments/{deployment_name}/audit", tag = "Audit",
    params(Wanted), responses((status = 200, body = Vec<AuditList>)))]
async fn deployment_audit_events_list(
    State(app): State<App>,
    on: OnDeployment<can::DeploymentsAudit>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Vec<AuditList>>> {
    list(&app, AuditScope::Deployment(on.deployment.id), wanted).await
}
