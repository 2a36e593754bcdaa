//! Uploads of code: streamed to disk as they come, never held in memory.

use axum::body::HttpBody;
use axum::extract::multipart::Field;
use axum::extract::{FromRequest, Multipart, Request, State};
use axum::http::header::CONTENT_TYPE;
use modelyard_objects::Staged;
use modelyard_store::Revision;
use modelyard_types::Error;
use modelyard_types::permissions::can;
use modelyard_types::revisions::RevisionCreate;

use crate::App;
use crate::access::OnVersion;
use crate::answer::Created;
use crate::error::{Refusal, Result, invalid};

/// The longest value of a field that is not the file.
const MAX_TEXT: usize = 1024;

const NO_FORM: &str = "The body must be a form of the type multipart/form-data, with its boundary";

/// What a form asks to be the code.
#[derive(Default)]
struct Form {
    file: Option<(Staged, String)>,
    source_deployment: Option<String>,
    source_version: Option<String>,
}

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
    let form = read(&app, request).await?;
    let revision = make(&app, &on, form).await?;
    Ok(Created(RevisionCreate { success: true, revision: revision.id, build: revision.id }))
}

async fn make(app: &App, on: &OnVersion<can::RevisionsCreate>, form: Form) -> Result<Revision> {
    let control = app.control();
    let (project, deployment, version) = (on.project.id, on.deployment.id, on.version.id);
    match (form.file, form.source_deployment, form.source_version) {
        (Some((staged, name)), None, None) => {
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

async fn read(app: &App, request: Request) -> Result<Form> {
    let mut form = Form::default();
    let is_form = request.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"multipart/"));
    if !is_form {
        // Old clients with nothing to send send no form either.
        return if request.body().is_end_stream() { Ok(form) } else { Err(invalid(NO_FORM)) };
    }
    let parts = Multipart::from_request(with_own_limit(request), &()).await;
    let mut parts = parts.map_err(|_| invalid(NO_FORM))?;
    while let Some(part) = parts.next_field().await.map_err(broken)? {
        let name = part.name().unwrap_or_default().to_owned();
        match name.as_str() {
            "file" if form.file.is_some() => return Err(invalid("The form has two files; one revision takes one")),
            "file" => form.file = Some(stage(app, part).await?),
            "source_deployment" => form.source_deployment = text(part, &name).await?,
            "source_version" => form.source_version = text(part, &name).await?,
            "template_deployment_id" => {
                if text(part, &name).await?.is_some() {
                    return Err(invalid("template_deployment_id: deployment templates are not offered yet"));
                }
            }
            _ => return Err(invalid(format!("The field '{name}' is not known here"))),
        }
    }
    Ok(form)
}

/// Files have a limit of their own, checked while they are written to disk.
fn with_own_limit(mut request: Request) -> Request {
    use axum::extract::DefaultBodyLimit;
    DefaultBodyLimit::disable().apply(&mut request);
    request
}

fn broken(cause: axum::extract::multipart::MultipartError) -> Refusal {
    invalid(format!("The form cannot be read: {}", cause.body_text()))
}

/// Writes a file to disk as it comes; nothing of it stays when that fails or is refused later.
async fn stage(app: &App, mut part: Field<'_>) -> Result<(Staged, String)> {
    let name = part.file_name().unwrap_or("deployment.zip").chars().take(MAX_TEXT).collect();
    let mut staging = app.control().objects().stage(app.settings().max_package).await?;
    while let Some(bytes) = part.chunk().await.map_err(broken)? {
        staging.write(&bytes).await?;
    }
    Ok((staging.finish().await?, name))
}

/// A short text. Some clients write `None` for what they do not want to say.
async fn text(mut part: Field<'_>, name: &str) -> Result<Option<String>> {
    let mut bytes = Vec::new();
    while let Some(piece) = part.chunk().await.map_err(broken)? {
        bytes.extend_from_slice(&piece);
        if bytes.len() > MAX_TEXT {
            return Err(invalid(format!("{name} must have at most {MAX_TEXT} characters")));
        }
    }
    let text = String::from_utf8(bytes).map_err(|_| Error::invalid(format!("{name} is not valid UTF-8 text")))?;
    Ok(Some(text).filter(|text| !text.is_empty() && text != "None"))
}
