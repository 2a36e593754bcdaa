//! Buckets.

use axum::extract::State;
use modelyard_control::access::Scope;
use modelyard_control::catalogue::ProjectSnapshot;
use modelyard_store::{Bucket, buckets};
use modelyard_types::Kind;
use modelyard_types::buckets::{BucketCreate, BucketDetail, BucketList, BucketUpdate, Settings};
use modelyard_types::labels::LabelFilter;
use modelyard_types::permissions::can;
use modelyard_types::time::ObjectTime;
use utoipa_axum::routes;

use crate::App;
use crate::access::{InProject, OnBucket, VisibleInProject};
use crate::answer::{Created, Done};
use crate::error::{Refusal, Result, not_found};
use crate::json::Json;
use crate::query::{FromQuery, Query, Values};
use crate::routing::Operations;

pub(crate) fn add(all: &mut Operations) {
    all.add(routes!(buckets_list), buckets_list);
    all.add(routes!(buckets_create), buckets_create);
    all.add(routes!(buckets_get), buckets_get);
    all.add(routes!(buckets_update), buckets_update);
    all.add(routes!(buckets_delete), buckets_delete);
}

fn shown(project: &ProjectSnapshot, bucket: Bucket) -> BucketList {
    BucketList {
        id: bucket.id,
        name: bucket.name.into(),
        project: project.name.clone(),
        provider: bucket.provider,
        credentials: Settings::new(),
        configuration: bucket.configuration,
        creation_date: ObjectTime(bucket.created_at),
        last_updated: ObjectTime(bucket.updated_at),
        description: bucket.description,
        labels: bucket.labels,
        ttl: bucket.ttl,
    }
}

fn detail(project: &ProjectSnapshot, bucket: Bucket) -> BucketDetail {
    let (size, measured_at) = (bucket.size, bucket.measured_at);
    BucketDetail { bucket: shown(project, bucket), size, size_measurement_date: measured_at.map(ObjectTime) }
}

/// Which buckets to list.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Those with at least one of these labels: `key:value,key:value`.
    #[param(value_type = Option<String>)]
    labels: LabelFilter,
}

impl FromQuery for Wanted {
    fn read(values: &Values<'_>) -> Result<Self, Refusal> {
        Ok(Self { labels: values.labels()? })
    }
}

/// List the buckets of a project.
#[utoipa::path(get, path = "/projects/{project_name}/buckets", tag = "Files", params(Wanted),
    responses((status = 200, body = Vec<BucketList>)))]
async fn buckets_list(
    State(app): State<App>,
    on: VisibleInProject<can::BucketsList>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Vec<BucketList>>> {
    let mut found = buckets::list(app.control().store(), on.project.id).await?;
    found.retain(|it| on.sees(Scope::Bucket(on.project.id, it.id)) && wanted.labels.matches(&it.labels));
    Ok(Json(found.into_iter().map(|bucket| shown(&on.project, bucket)).collect()))
}

/// Create a bucket.
#[utoipa::path(post, path = "/projects/{project_name}/buckets", tag = "Files", request_body = BucketCreate,
    responses((status = 201, body = BucketList)))]
async fn buckets_create(
    State(app): State<App>,
    on: InProject<can::BucketsCreate>,
    Json(new): Json<BucketCreate>,
) -> Result<Created<BucketList>> {
    let bucket = app.control().create_bucket(&on.actor, on.project.id, new).await?;
    Ok(Created(shown(&on.project, bucket)))
}

/// Show a bucket.
#[utoipa::path(get, path = "/projects/{project_name}/buckets/{bucket_name}", tag = "Files",
    responses((status = 200, body = BucketDetail)))]
async fn buckets_get(State(app): State<App>, on: OnBucket<can::BucketsGet>) -> Result<Json<BucketDetail>> {
    let found = buckets::get(app.control().store(), on.bucket.id).await?;
    Ok(Json(detail(&on.project, found.ok_or_else(|| not_found(Kind::Bucket))?)))
}

/// Change a bucket.
#[utoipa::path(patch, path = "/projects/{project_name}/buckets/{bucket_name}", tag = "Files",
    request_body = BucketUpdate, responses((status = 200, body = BucketDetail)))]
async fn buckets_update(
    State(app): State<App>,
    on: OnBucket<can::BucketsUpdate>,
    Json(change): Json<BucketUpdate>,
) -> Result<Json<BucketDetail>> {
    let bucket = app.control().update_bucket(&on.actor, on.project.id, on.bucket.id, change).await?;
    Ok(Json(detail(&on.project, bucket)))
}

/// Delete a bucket, and its files if the installation keeps them.
#[utoipa::path(delete, path = "/projects/{project_name}/buckets/{bucket_name}", tag = "Files",
    responses((status = 204)))]
async fn buckets_delete(State(app): State<App>, on: OnBucket<can::BucketsDelete>) -> Result<Done> {
    app.control().delete_bucket(&on.actor, on.project.id, on.bucket.id).await?;
    Ok(Done)
}
