//! Files of environments: uploads, downloads, rebuilds.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::Response;
use modelyard_store::EnvironmentRevision;
use modelyard_types::environments::{EnvironmentBuildDetail, EnvironmentRevisionCreate};
use modelyard_types::permissions::can;

use super::builds::{revision, shown_build};
use super::find;
use crate::App;
use crate::access::InProject;
use crate::answer::Created;
use crate::error::{Result, invalid};
use crate::form::{Form, Sent};
use crate::json::Json;
use crate::path::PathValues;

/// The form of an upload, in the document.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "only describes the form")]
pub(super) struct EnvironmentRevisionForm {
    /// A zip with a requirements.txt, or the bare requirements.txt.
    #[schema(value_type = Option<String>, format = Binary)]
    file: Option<Vec<u8>>,
    /// Instead of a file: the environment whose latest file to take.
    source_environment: Option<String>,
}

/// Upload a file for an environment, or take that of another environment.
#[utoipa::path(post, path = "/projects/{project_name}/environments/{environment_name}/revisions", tag = "Environments",
    request_body(content = EnvironmentRevisionForm, content_type = "multipart/form-data"),
    responses((status = 201, body = EnvironmentRevisionCreate)))]
pub(super) async fn environment_revisions_file_upload(
    State(app): State<App>,
    on: InProject<can::EnvironmentRevisionsCreate>,
    path: PathValues,
    request: Request,
) -> Result<Created<EnvironmentRevisionCreate>> {
    let environment = find(&app, &on, &path).await?;
    let known = ["source_environment"];
    let mut form = Form::read(&app, request, "requirements.txt", &known, app.settings().max_package).await?;
    let (control, project) = (app.control(), on.project.id);
    let build = match (form.file.take(), form.text("source_environment")) {
        (Some(Sent { staged, name, .. }), None) => {
            control.upload_environment_file(&on.actor, project, environment.id, staged, &name).await?
        }
        (None, Some(source)) => control.copy_environment_file(&on.actor, project, environment.id, source).await?,
        (Some(_), Some(_)) => return Err(invalid("Give either a file or source_environment, not both")),
        (None, None) => {
            return Err(invalid("Give a file, or source_environment to take the file of another environment"));
        }
    };
    Ok(Created(EnvironmentRevisionCreate { success: true, revision: build.revision_id, build: build.id }))
}

/// Download the file of an environment's revision.
#[utoipa::path(get, path = "/projects/{project_name}/environments/{environment_name}/revisions/{revision_id}/download",
    tag = "Environments", responses((status = 200, content_type = "application/octet-stream", body = Vec<u8>)))]
pub(super) async fn environment_revisions_file_download(
    State(app): State<App>,
    on: InProject<can::EnvironmentRevisionsGet>,
    path: PathValues,
) -> Result<Response> {
    let (environment, revision) = revision(&app, &on, &path).await?;
    if revision.expired {
        return Err(modelyard_control::expired().into());
    }
    let (size, body) = match &revision.package_key {
        Some(key) => {
            let (size, pieces) = app.control().objects().open(key).await?;
            (size, Body::from_stream(pieces))
        }
        // What a deployment package asked for.
        None => (revision.requirements.len() as u64, Body::from(revision.requirements.clone())),
    };
    let mut answer = Response::new(body);
    let headers = answer.headers_mut();
    let (kind, ending) =
        if is_text(&revision) { ("text/plain; charset=utf-8", "txt") } else { ("application/zip", "zip") };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(size));
    headers.insert(CONTENT_DISPOSITION, disposition(&environment.name, &revision, ending)?);
    Ok(answer)
}

/// A zip may have any name, a bare file ends as one does.
fn is_text(revision: &EnvironmentRevision) -> bool {
    let name = revision.file_name.as_deref();
    name.is_none_or(|name| name.to_lowercase().ends_with(".txt"))
}

/// Readers of all ages look for `filename=` and stop at the first blank: names are made of what names may be made of.
fn disposition(environment: &str, revision: &EnvironmentRevision, ending: &str) -> Result<HeaderValue> {
    // File systems end at 255 bytes.
    let environment: String = environment.chars().take(200).collect();
    let name = format!("attachment; filename=\"{environment}_{}.{ending}\"", revision.id);
    Ok(HeaderValue::from_str(&name).map_err(|cause| modelyard_types::Error::internal("naming a download", cause))?)
}

/// Build a revision of an environment again.
#[utoipa::path(post, path = "/projects/{project_name}/environments/{environment_name}/revisions/{revision_id}/rebuild",
    tag = "Environments", responses((status = 200, body = EnvironmentBuildDetail)))]
pub(super) async fn environment_revisions_rebuild(
    State(app): State<App>,
    on: InProject<can::EnvironmentRevisionsCreate>,
    path: PathValues,
) -> Result<Json<EnvironmentBuildDetail>> {
    let (environment, revision) = revision(&app, &on, &path).await?;
    let build = app.control().rebuild_environment(&on.actor, on.project.id, environment.id, revision.id).await?;
    Ok(Json(shown_build(build)))
}
