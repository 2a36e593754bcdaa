//! Files of buckets: what they are called, and signed addresses for their bytes.

use axum::extract::State;
use modelyard_control::Entry;
use modelyard_types::files::{
    FileCompleteMultipartUpload, FileDetail, FileItem, FileMultipartUpload, FileName, FileUploadResponse, MAX_LISTED,
    MAX_PARTS,
};
use modelyard_types::permissions::can;
use modelyard_types::time::ObjectTime;
use modelyard_types::{Error, Kind};
use utoipa_axum::routes;

use crate::App;
use crate::access::OnBucket;
use crate::answer::{Created, Done};
use crate::base::Base;
use crate::error::{Refusal, Result};
use crate::json::Json;
use crate::path::PathValues;
use crate::query::{FromQuery, Query, Values};
use crate::routing::Operations;

pub(crate) fn add(all: &mut Operations) {
    all.add(routes!(files_list), files_list);
    all.add(routes!(files_get), files_get);
    all.add(routes!(files_upload), files_upload);
    all.add(routes!(files_delete), files_delete);
    all.add(routes!(files_download), files_download);
    all.add(routes!(files_start_multipart_upload), files_start_multipart_upload);
    all.add(routes!(files_complete_multipart_upload), files_complete_multipart_upload);
}

/// Files of a list unless the caller wants more or fewer.
const USUAL: i64 = 100;

fn name_in(path: &PathValues) -> Result<FileName> {
    Ok(FileName::parse(&path.name("files", Kind::File)?).map_err(Error::Invalid)?)
}

fn item(entry: Entry) -> FileItem {
    FileItem { file: entry.name, size: entry.size, time_created: ObjectTime(entry.created_at) }
}

/// Which files to list.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Those whose names begin with this.
    prefix: Option<String>,
    /// Names that have this behind the prefix are given once, up to it, as prefixes.
    delimiter: Option<String>,
    /// Where the page begins, as the page before told it.
    continuation_token: Option<String>,
    /// Files and prefixes at the most: 100, up to 1000.
    #[param(value_type = Option<i64>)]
    limit: usize,
}

impl FromQuery for Wanted {
    fn read(values: &Values<'_>) -> Result<Self, Refusal> {
        let text = |name| values.text(name).map(String::from);
        let limit = values.int("limit", 1..=MAX_LISTED)?.unwrap_or(USUAL);
        Ok(Self {
            prefix: text("prefix"),
            delimiter: text("delimiter"),
            continuation_token: text("continuation_token"),
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
        })
    }
}

/// Which part of an upload is to be sent.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct PartOf {
    /// The upload; the file as a whole when absent.
    upload_id: Option<String>,
    /// The number of the part, from 1.
    part_number: Option<i64>,
}

impl FromQuery for PartOf {
    fn read(values: &Values<'_>) -> Result<Self, Refusal> {
        let upload_id = values.text("upload_id").map(String::from);
        let part_number = values.int("part_number", 1..=MAX_PARTS)?;
        if upload_id.is_none() && part_number.is_some() {
            return Err(crate::error::invalid("upload_id is required with part_number"));
        }
        Ok(Self { upload_id, part_number })
    }
}

/// List the files of a bucket.
#[utoipa::path(get, path = "/projects/{project_name}/buckets/{bucket_name}/files", tag = "Files", params(Wanted),
    responses((status = 200, body = FileDetail)))]
async fn files_list(
    State(app): State<App>,
    on: OnBucket<can::FilesList>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<FileDetail>> {
    let control = app.control();
    let prefix = wanted.prefix.unwrap_or_default();
    // As in names, a slash at the beginning means nothing.
    let prefix = prefix.strip_prefix('/').unwrap_or(&prefix);
    let (delimiter, token) = (wanted.delimiter.as_deref(), wanted.continuation_token.as_deref());
    let storage = control.storage(on.bucket).await?;
    let listed = control.list_files(&storage, prefix, delimiter, wanted.limit, token).await?;
    Ok(Json(FileDetail {
        continuation_token: listed.next,
        files: listed.files.into_iter().map(item).collect(),
        prefixes: listed.prefixes,
    }))
}

/// Show a file.
#[utoipa::path(get, path = "/projects/{project_name}/buckets/{bucket_name}/files/{file}", tag = "Files",
    responses((status = 200, body = FileItem)))]
async fn files_get(State(app): State<App>, on: OnBucket<can::FilesGet>, path: PathValues) -> Result<Json<FileItem>> {
    let name = name_in(&path)?;
    let storage = app.control().storage(on.bucket).await?;
    Ok(Json(item(app.control().get_file(&storage, &name).await?)))
}

/// Get an address to which a file, or a part of one, can be sent by PUT.
#[utoipa::path(post, path = "/projects/{project_name}/buckets/{bucket_name}/files/{file}", tag = "Files",
    params(PartOf), responses((status = 200, body = FileUploadResponse)))]
async fn files_upload(
    State(app): State<App>,
    on: OnBucket<can::FilesCreate>,
    path: PathValues,
    Query(part): Query<PartOf>,
    Base(base): Base,
) -> Result<Json<FileUploadResponse>> {
    let (control, name) = (app.control(), name_in(&path)?);
    let storage = control.storage(on.bucket).await?;
    let url = match &part.upload_id {
        Some(upload) => control.part_url(&storage, &name, upload, part.part_number, &base).await?,
        None => control.upload_url(&storage, &name, &base).await?,
    };
    Ok(Json(FileUploadResponse { url, provider: on.bucket.provider.as_str().into() }))
}

/// Delete a file.
#[utoipa::path(delete, path = "/projects/{project_name}/buckets/{bucket_name}/files/{file}", tag = "Files",
    responses((status = 204)))]
async fn files_delete(State(app): State<App>, on: OnBucket<can::FilesDelete>, path: PathValues) -> Result<Done> {
    let name = name_in(&path)?;
    let storage = app.control().storage(on.bucket).await?;
    app.control().delete_file(&storage, &name).await?;
    Ok(Done)
}

/// Get an address from which a file can be fetched.
#[utoipa::path(get, path = "/projects/{project_name}/buckets/{bucket_name}/files/{file}/download", tag = "Files",
    responses((status = 200, body = FileUploadResponse)))]
async fn files_download(
    State(app): State<App>,
    on: OnBucket<can::FilesGet>,
    path: PathValues,
    Base(base): Base,
) -> Result<Json<FileUploadResponse>> {
    let name = name_in(&path)?;
    let storage = app.control().storage(on.bucket).await?;
    let url = app.control().download_url(&storage, &name, &base).await?;
    Ok(Json(FileUploadResponse { url, provider: on.bucket.provider.as_str().into() }))
}

/// Begin to upload a file in parts.
#[utoipa::path(post, path = "/projects/{project_name}/buckets/{bucket_name}/files/{file}/start-multipart-upload",
    tag = "Files", responses((status = 201, body = FileMultipartUpload)))]
async fn files_start_multipart_upload(
    State(app): State<App>,
    on: OnBucket<can::FilesCreate>,
    path: PathValues,
) -> Result<Created<FileMultipartUpload>> {
    let name = name_in(&path)?;
    let storage = app.control().storage(on.bucket).await?;
    let upload_id = app.control().begin_upload(&storage, &name).await?;
    Ok(Created(FileMultipartUpload { upload_id: Some(upload_id), provider: on.bucket.provider.as_str().into() }))
}

/// Make the parts of an upload one file.
#[utoipa::path(post, path = "/projects/{project_name}/buckets/{bucket_name}/files/{file}/complete-multipart-upload",
    tag = "Files", request_body = FileCompleteMultipartUpload,
    responses((status = 201, body = FileMultipartUpload)))]
async fn files_complete_multipart_upload(
    State(app): State<App>,
    on: OnBucket<can::FilesCreate>,
    path: PathValues,
    Json(whole): Json<FileCompleteMultipartUpload>,
) -> Result<Created<FileMultipartUpload>> {
    let name = name_in(&path)?;
    let storage = app.control().storage(on.bucket).await?;
    let upload = whole.upload_id.as_deref().unwrap_or_default();
    app.control().complete_upload(&storage, &name, upload, &whole.parts).await?;
    Ok(Created(FileMultipartUpload { upload_id: whole.upload_id, provider: on.bucket.provider.as_str().into() }))
}
