//! Uploads of code.

use axum::extract::{Request, State};
use modelyard_store::Revision;
use modelyard_types::permissions::can;
use modelyard_types::revisions::RevisionCreate;

use crate::App;
use crate::access::OnVersion;
use crate::answer::Created;
use crate::error::{Result, invalid};
use crate::form::{Form, Sent};

/// The form of an upload, in the document.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "only describes the form")]
pub(super) struct RevisionForm {
    /// A zip with the code.
    #[schema(value_type = Option<String>, format = Binary)]
    file: Option<Vec<u8>>,
    /// Instead of a file: the deployment whose code to take …
    source_deployment: Option<String>,
    /// … and its version.
    source_version: Option<String>,
}

/// Upload code for a version, or take that of another version.
#[utoipa::path(post, path = "/projects/{project_name}/deployments/{deployment_name}/versions/{version}/revisions",
    tag = "Revisions", request_body(content = RevisionForm, content_type = "multipart/form-data"),
    responses((status = 201, body = RevisionCreate)))]
pub(super) async fn revisions_file_upload(
    State(app): State<App>,
    on: OnVersion<can::RevisionsCreate>,
    request: Request,
) -> Result<Created<RevisionCreate>> {
    let known = ["source_deployment", "source_version", "template_deployment_id"];
    let form = Form::read(&app, request, "deployment.zip", &known, app.settings().max_package).await?;
    let revision = make(&app, &on, form).await?;
    Ok(Created(RevisionCreate { success: true, revision: revision.id, build: revision.id }))
}

async fn make(app: &App, on: &OnVersion<can::RevisionsCreate>, form: Form) -> Result<Revision> {
    if form.text("template_deployment_id").is_some() {
        return Err(invalid("template_deployment_id: deployment templates are not offered yet"));
    }
    let control = app.control();
    let text = |name: &str| form.text(name).map(str::to_owned);
    let (from, of) = (text("source_deployment"), text("source_version"));
    let (project, deployment, version) = (on.project.id, on.deployment.id, on.version.id);
    match (form.file, from, of) {
        (Some(Sent { staged, name, .. }), None, None) => {
            Ok(control.upload_revision(&on.actor, project, deployment, version, staged, &name).await?)
        }
        (None, Some(from), Some(of)) => {
            Ok(control.copy_revision(&on.actor, project, deployment, version, &from, &of).await?)
        }
        (Some(_), ..) => Err(invalid("Give either a file, or source_deployment and source_version, not both")),
        (None, None, None) => Err(invalid(
            "Give a file with the code, or source_deployment and source_version to take the code of another version",
        )),
        (None, ..) => Err(invalid("source_deployment and source_version must be given together")),
    }
}
