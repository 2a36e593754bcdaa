//! Lists of requests: of a deployment, of a version, of a project.

use axum::extract::State;
use modelyard_control::{RequestFilter, RequestView};
use modelyard_types::permissions::can;
use modelyard_types::requests::{DeploymentRequestList, RequestStatus, RequestsOverview};
use modelyard_types::time::RequestTime;

use crate::App;
use crate::access::{InProject, OnDeployment, OnVersion};
use crate::error::{Refusal, Result, invalid};
use crate::json::Json;
use crate::query::{FromQuery, Query, Values};

/// The most requests in one list.
const MAX_LIMIT: i64 = 1000;

/// Where a request may stand, for who asked for something else.
const KNOWN: &str = "pending, processing, completed, failed, cancelled, cancelled_pending";

/// Which requests to list.
#[derive(Debug, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Where they stand, several with commas: `completed` when absent. `pending` and `processing` stand alone.
    #[param(value_type = Option<String>)]
    status: Vec<RequestStatus>,
    /// Made at this time or later.
    #[param(value_type = Option<String>)]
    start_date: Option<modelyard_types::Timestamp>,
    /// Made before this time.
    #[param(value_type = Option<String>)]
    end_date: Option<modelyard_types::Timestamp>,
    /// A part of the id.
    search_id: Option<String>,
    /// `desc`, the newest first, or `asc`.
    #[param(value_type = Option<String>)]
    sort: bool,
    /// How many to give: 50, up to 1000.
    #[param(value_type = Option<i64>)]
    limit: i64,
    /// How many to leave out at the beginning: 0.
    #[param(value_type = Option<i64>)]
    offset: i64,
    /// Nothing can pass: requests of pipelines are asked for, and there are none, or no status fits `success`.
    #[param(ignore)]
    nothing: bool,
}

impl FromQuery for Wanted {
    fn read(values: &Values<'_>) -> Result<Self, Refusal> {
        if let Some(schedule) = values.text("request_schedule") {
            return Err(invalid(format!("Request schedule '{schedule}' was not found")));
        }
        let success = values.flag("success")?;
        let kinds = [("deployment", false), ("pipeline", true)];
        let of_pipelines = values.word("object_type", &kinds)?.unwrap_or(false);
        let mut status = match (values.given("status"), success) {
            (Some(text), _) => statuses(&text)?,
            (None, Some(false)) => vec![RequestStatus::Failed, RequestStatus::Cancelled],
            (None, _) => vec![RequestStatus::Completed],
        };
        status.retain(|status| success.is_none() || status.success() == success);
        Ok(Self {
            start_date: values.time("start_date")?,
            end_date: values.time("end_date")?,
            search_id: values.text("search_id").map(|part| part.into_owned()),
            sort: values.word("sort", &[("asc", true), ("desc", false)])?.unwrap_or(false),
            limit: values.int("limit", 1..=MAX_LIMIT)?.unwrap_or(50),
            offset: values.int("offset", 0..=i64::from(i32::MAX))?.unwrap_or(0),
            // An empty list of statuses would mean all.
            nothing: status.is_empty() || of_pipelines || values.flag("pipeline")?.unwrap_or(false),
            status,
        })
    }
}

fn statuses(text: &str) -> Result<Vec<RequestStatus>> {
    let mut found = Vec::new();
    for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        let status = RequestStatus::parse(&word.to_ascii_lowercase());
        let status = status.ok_or_else(|| invalid(format!("status must be one of {KNOWN}, but got '{word}'")))?;
        if !found.contains(&status) {
            found.push(status);
        }
    }
    if found.is_empty() {
        return Err(invalid(format!("status must be one of {KNOWN}, but it is empty")));
    }
    let alone = [RequestStatus::Pending, RequestStatus::Processing];
    if found.len() > 1 && found.iter().any(|status| alone.contains(status)) {
        return Err(invalid("status: pending and processing cannot be combined with others"));
    }
    Ok(found)
}

impl Wanted {
    fn filter(self) -> RequestFilter {
        RequestFilter {
            version: None,
            statuses: self.status,
            from: self.start_date,
            until: self.end_date,
            oldest_first: self.sort,
            offset: self.offset,
            limit: self.limit,
            search_id: self.search_id,
        }
    }
}

fn listed(view: RequestView) -> DeploymentRequestList {
    let request = view.request;
    DeploymentRequestList {
        id: request.id,
        deployment: view.deployment,
        version: view.version,
        status: request.status,
        success: request.status.success(),
        time_created: RequestTime(request.created_at()),
        time_started: request.started_at.map(RequestTime),
        time_completed: request.completed_at.map(RequestTime),
        input_size: request.input_size,
        output_size: request.output_size,
    }
}

/// List the requests of a deployment's default version.
#[utoipa::path(get, path = "/projects/{project_name}/deployments/{deployment_name}/requests", tag = "Requests",
    params(Wanted), responses((status = 200, body = Vec<DeploymentRequestList>)))]
pub(super) async fn deployment_requests_list(
    State(app): State<App>,
    on: OnDeployment<can::RequestsList>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Vec<DeploymentRequestList>>> {
    if wanted.nothing {
        return Ok(Json(Vec::new()));
    }
    let default = on.deployment.default_version.as_ref().and_then(|name| on.deployment.versions.get(name));
    let Some(default) = default else {
        return Ok(Json(Vec::new()));
    };
    let filter = RequestFilter { version: Some(default.id), ..wanted.filter() };
    let found = app.control().list_requests(&on.project, &filter).await?;
    Ok(Json(found.into_iter().map(listed).collect()))
}

/// List the requests of a version.
#[utoipa::path(get, path = "/projects/{project_name}/deployments/{deployment_name}/versions/{version}/requests",
    tag = "Requests", params(Wanted), responses((status = 200, body = Vec<DeploymentRequestList>)))]
pub(super) async fn deployment_version_requests_list(
    State(app): State<App>,
    on: OnVersion<can::RequestsList>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Vec<DeploymentRequestList>>> {
    if wanted.nothing {
        return Ok(Json(Vec::new()));
    }
    let filter = RequestFilter { version: Some(on.version.id), ..wanted.filter() };
    let found = app.control().list_requests(&on.project, &filter).await?;
    Ok(Json(found.into_iter().map(listed).collect()))
}

/// List the requests of a project.
#[utoipa::path(get, path = "/projects/{project_name}/requests", tag = "Requests", params(Wanted),
    responses((status = 200, body = Vec<RequestsOverview>)))]
pub(super) async fn project_requests_list(
    State(app): State<App>,
    on: InProject<can::ProjectsRequestsList>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Vec<RequestsOverview>>> {
    if wanted.nothing {
        return Ok(Json(Vec::new()));
    }
    let found = app.control().list_requests(&on.project, &wanted.filter()).await?;
    Ok(Json(found.into_iter().map(|view| RequestsOverview { request: listed(view), pipeline: None }).collect()))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn statuses_may_be_combined_but_for_those_that_stand_alone() {
        use RequestStatus::{Completed, Failed, Pending};
        assert_eq!(statuses("completed,Failed,completed").unwrap(), [Completed, Failed]);
        assert_eq!(statuses("pending").unwrap(), [Pending]);
        insta::assert_snapshot!(statuses("pending,failed").unwrap_err().0, @"status: pending and processing cannot be combined with others");
        insta::assert_snapshot!(statuses("done").unwrap_err().0, @"status must be one of pending, processing, completed, failed, cancelled, cancelled_pending, but got 'done'");
    }
}
