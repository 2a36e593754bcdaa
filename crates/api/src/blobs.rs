//! Blobs: sent in a form, fetched by their ids.

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use modelyard_control::NewBlob;
use modelyard_types::blobs::{BlobList, MAX_RANGE, MAX_TTL, USUAL_RANGE, USUAL_TTL};
use modelyard_types::permissions::can;
use modelyard_types::{BlobId, Kind, Timestamp};
use utoipa_axum::routes;

use crate::App;
use crate::access::InProject;
use crate::answer::{Created, Done};
use crate::error::{Refusal, Result, invalid};
use crate::form::Form;
use crate::json::Json;
use crate::path::PathValues;
use crate::query::{FromQuery, Query, Values};
use crate::routing::Operations;
use crate::signed;

pub(crate) fn add(all: &mut Operations) {
    all.add(routes!(blobs_list), blobs_list);
    all.add(routes!(blobs_create), blobs_create);
    all.add(routes!(blobs_get), blobs_get);
    all.add(routes!(blobs_update), blobs_update);
    all.add(routes!(blobs_delete), blobs_delete);
}

/// The header that says how long a blob lives.
const TTL: &str = "blob-ttl";

/// The form of an upload, in the document.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "only describes the form")]
struct BlobForm {
    /// The content.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

/// Which blobs to list.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// How many, from `creation_date` on towards the present; towards the past, the latest first, when negative: -50 unless
    /// given, up to 1000 in each direction.
    #[param(value_type = Option<i64>)]
    range: i64,
    /// Where to begin; at the first blob, or with a negative range at the latest, when absent.
    #[param(value_type = Option<String>)]
    creation_date: Option<Timestamp>,
}

impl FromQuery for Wanted {
    fn read(values: &Values<'_>) -> Result<Self, Refusal> {
        let range = values.int("range", -MAX_RANGE..=MAX_RANGE)?.unwrap_or(USUAL_RANGE);
        if range == 0 {
            return Err(invalid("range must not be 0: it says how many blobs to list, and in which direction"));
        }
        Ok(Self { range, creation_date: values.time("creation_date")? })
    }
}

/// List the blobs of a project.
#[utoipa::path(get, path = "/projects/{project_name}/blobs", tag = "Files", params(Wanted),
    responses((status = 200, body = Vec<BlobList>)))]
async fn blobs_list(
    State(app): State<App>,
    on: InProject<can::BlobsList>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Vec<BlobList>>> {
    Ok(Json(app.control().list_blobs(on.project.id, wanted.range, wanted.creation_date).await?))
}

/// Upload a blob.
#[utoipa::path(post, path = "/projects/{project_name}/blobs", tag = "Files",
    params(("blob-ttl" = Option<i64>, Header, description = "Seconds after which the blob is deleted: a day unless given.")),
    request_body(content = BlobForm, content_type = "multipart/form-data"),
    responses((status = 201, body = BlobList)))]
async fn blobs_create(
    State(app): State<App>,
    on: InProject<can::BlobsCreate>,
    request: Request,
) -> Result<Created<BlobList>> {
    let new = read(&app, request).await?;
    Ok(Created(app.control().create_blob(&on.actor.email, on.project.id, new).await?))
}

/// Download a blob.
#[utoipa::path(get, path = "/projects/{project_name}/blobs/{blob_id}", tag = "Files",
    responses((status = 200, content_type = "application/octet-stream", body = Vec<u8>)))]
async fn blobs_get(
    State(app): State<App>,
    on: InProject<can::BlobsGet>,
    path: PathValues,
    headers: HeaderMap,
) -> Result<Response> {
    let (filename, opened) = app.control().open_blob(on.project.id, id_in(&path)?).await?;
    signed::answer(opened, &filename, &headers).await
}

/// Give a blob new content.
#[utoipa::path(put, path = "/projects/{project_name}/blobs/{blob_id}", tag = "Files",
    params(("blob-ttl" = Option<i64>, Header, description = "Seconds after which the blob is deleted: a day unless given.")),
    request_body(content = BlobForm, content_type = "multipart/form-data"),
    responses((status = 200, body = BlobList)))]
async fn blobs_update(
    State(app): State<App>,
    on: InProject<can::BlobsUpdate>,
    path: PathValues,
    request: Request,
) -> Result<Json<BlobList>> {
    let id = id_in(&path)?;
    let new = read(&app, request).await?;
    Ok(Json(app.control().update_blob(on.project.id, id, new).await?))
}

/// Delete a blob.
#[utoipa::path(delete, path = "/projects/{project_name}/blobs/{blob_id}", tag = "Files",
    responses((status = 204)))]
async fn blobs_delete(State(app): State<App>, on: InProject<can::BlobsDelete>, path: PathValues) -> Result<Done> {
    app.control().delete_blob(on.project.id, id_in(&path)?).await?;
    Ok(Done)
}

fn id_in(path: &PathValues) -> Result<BlobId> {
    path.id("blobs", Kind::Blob)
}

/// Takes a blob as it comes.
async fn read(app: &App, request: Request) -> Result<NewBlob> {
    let ttl = ttl(request.headers())?;
    let form = Form::read(app, request, "blob", &[], app.control().files().limit()).await?;
    let sent = form.file.ok_or_else(|| invalid("Give the content of the blob as the file of the form"))?;
    Ok(NewBlob { staged: sent.staged, filename: sent.name, content_type: sent.content_type, ttl })
}

/// How long the sender wants a blob to live.
fn ttl(headers: &HeaderMap) -> Result<i64, Refusal> {
    let Some(given) = headers.get(TTL) else { return Ok(USUAL_TTL) };
    let seconds = given.to_str().ok().and_then(|text| text.trim().parse().ok());
    seconds
        .filter(|seconds| (1..=MAX_TTL).contains(seconds))
        .ok_or_else(|| invalid(format!("The header {TTL} must be a whole number of seconds from 1 to {MAX_TTL}")))
}
