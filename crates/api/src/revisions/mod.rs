//! Revisions of a version's code.

mod upload;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::Response;
use modelyard_store::{Revision, revisions};
use modelyard_types::permissions::can;
use modelyard_types::revisions::{RevisionDetail, RevisionRebuild};
use modelyard_types::time::ObjectTime;
use modelyard_types::{Kind, VersionId};
use utoipa_axum::routes;

use crate::App;
use crate::access::OnVersion;
use crate::error::{Result, not_found};
use crate::json::Json;
use crate::path::PathValues;
use crate::routing::Operations;

pub(crate) fn add(all: &mut Operations) {
    all.add(routes!(revisions_list), revisions_list);
    all.add(routes!(upload::revisions_file_upload), upload::revisions_file_upload);
    all.add(routes!(revisions_get), revisions_get);
    all.add(routes!(revisions_file_download), revisions_file_download);
    all.add(routes!(revisions_rebuild), revisions_rebuild);
}

fn shown(revision: Revision, version: &str) -> RevisionDetail {
    RevisionDetail {
        id: revision.id,
        version: version.to_owned(),
        creation_date: ObjectTime(revision.created_at),
        created_by: revision.created_by,
        status: revision.status,
        error_message: revision.error_message,
        has_request_method: revision.has_request_method,
        has_requests_method: revision.has_requests_method,
        empty: false,
    }
}

/// The revision in the path, if it is one of this version.
pub(crate) async fn find(app: &App, version: VersionId, path: &PathValues, noun: &str, kind: Kind) -> Result<Revision> {
    let revision = revisions::get(app.control().store(), path.id(noun, kind)?).await?;
    revision.filter(|revision| revision.version_id == version).ok_or_else(|| not_found(kind))
}

/// List the revisions of a version.
#[utoipa::path(get, path = "/projects/{project_name}/deployments/{deployment_name}/versions/{version}/revisions",
    tag = "Revisions", responses((status = 200, body = Vec<RevisionDetail>)))]
async fn revisions_list(
    State(app): State<App>,
    on: OnVersion<can::RevisionsList>,
) -> Result<Json<Vec<RevisionDetail>>> {
    let all = revisions::list(app.control().store(), on.version.id).await?;
    app.control().catch_up().await?;
    Ok(Json(all.into_iter().map(|revision| shown(revision, &on.version.name)).collect()))
}

/// Show a revision.
#[utoipa::path(get,
    path = "/projects/{project_name}/deployments/{deployment_name}/versions/{version}/revisions/{revision_id}",
    tag = "Revisions", responses((status = 200, body = RevisionDetail)))]
async fn revisions_get(
    State(app): State<App>,
    on: OnVersion<can::RevisionsGet>,
    path: PathValues,
) -> Result<Json<RevisionDetail>> {
    let revision = find(&app, on.version.id, &path, "revisions", Kind::Revision).await?;
    app.control().catch_up().await?;
    Ok(Json(shown(revision, &on.version.name)))
}

/// Download the package of a revision.
#[utoipa::path(get,
    path = "/projects/{project_name}/deployments/{deployment_name}/versions/{version}/revisions/{revision_id}/download",
    tag = "Revisions", responses((status = 200, content_type = "application/zip", body = Vec<u8>)))]
async fn revisions_file_download(
    State(app): State<App>,
    on: OnVersion<can::RevisionsGet>,
    path: PathValues,
) -> Result<Response> {
    let revision = find(&app, on.version.id, &path, "revisions", Kind::Revision).await?;
    let (size, pieces) = app.control().objects().open(&revision.package_key).await?;
    let mut answer = Response::new(Body::from_stream(pieces));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/zip"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(size));
    headers.insert(CONTENT_DISPOSITION, disposition(&on.deployment.name, &on.version.name, &revision)?);
    Ok(answer)
}

/// Readers of all ages look for `filename=` and stop at the first blank: names are made of what names may be made of.
fn disposition(deployment: &str, version: &str, revision: &Revision) -> Result<HeaderValue> {
    let name = format!("attachment; filename=\"{deployment}_{version}_{}.zip\"", revision.id);
    Ok(HeaderValue::from_str(&name).map_err(|cause| modelyard_types::Error::internal("naming a download", cause))?)
}

/// Build a revision again.
#[utoipa::path(post,
    path = "/projects/{project_name}/deployments/{deployment_name}/versions/{version}/revisions/{revision_id}/rebuild",
    tag = "Revisions", responses((status = 200, body = RevisionRebuild)))]
async fn revisions_rebuild(
    State(app): State<App>,
    on: OnVersion<can::RevisionsCreate>,
    path: PathValues,
) -> Result<Json<RevisionRebuild>> {
    let revision = find(&app, on.version.id, &path, "revisions", Kind::Revision).await?;
    let (project, deployment) = (on.project.id, on.deployment.id);
    let control = app.control();
    let revision = control.rebuild_revision(&on.actor, project, deployment, on.version.id, revision.id).await?;
    let (id, trigger) = (revision.id, revision.build_trigger.clone());
    Ok(Json(RevisionRebuild { detail: shown(revision, &on.version.name), revision: id, trigger }))
}
