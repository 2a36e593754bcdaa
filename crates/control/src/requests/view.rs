//! What get and list show: rows of requests that ended, and those that have not from the live table.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use modelyard_store::requests::{self, Scope};
use modelyard_store::{Request, RequestData};
use modelyard_types::requests::RequestStatus;
use modelyard_types::versions::RetentionMode;
use modelyard_types::{DeploymentId, Error, Kind, RequestId, Result, Timestamp, VersionId};

use super::cancel::Among;
use super::request::LiveRequest;
use crate::Control;
use crate::catalogue::ProjectSnapshot;

/// A request that is younger may still be on its way to the database: a get waits for the recorder.
const YOUNG: Duration = Duration::from_secs(5);

/// How much data of several requests is given at once, in bytes.
const MOST_COLLECTED: u64 = 256 << 20;

/// What came out of a request: JSON text.
pub enum Output {
    /// All of it.
    Whole(Bytes),
    /// So many bytes, as they are read.
    Pieces(u64, BoxStream<'static, Result<Bytes>>),
}

/// A request as it is shown.
pub struct RequestView {
    /// What is known of it.
    pub request: Request,
    /// The name of its deployment.
    pub deployment: String,
    /// The name of its version.
    pub version: String,
    /// What went in: the bytes as they were sent.
    pub request_data: Option<Bytes>,
    /// What came out: JSON text.
    pub result: Option<Bytes>,
}

/// Which requests to list.
#[derive(Clone, Debug, Default)]
pub struct RequestFilter {
    /// Those of a version; those of the whole project without one.
    pub version: Option<VersionId>,
    /// Where they stand.
    pub statuses: Vec<RequestStatus>,
    /// Made at this time or later.
    pub from: Option<Timestamp>,
    /// Made before this time.
    pub until: Option<Timestamp>,
    /// The oldest first instead of the newest.
    pub oldest_first: bool,
    /// How many to leave out at the beginning.
    pub offset: i64,
    /// How many to give.
    pub limit: i64,
    /// A part of the id.
    pub search_id: Option<String>,
}

impl RequestFilter {
    /// Whether a request passes, its project aside.
    fn passes(&self, request: &LiveRequest) -> bool {
        let status = request.status();
        self.version.is_none_or(|id| id == request.version.id)
            && (self.statuses.is_empty() || self.statuses.contains(&status))
            && self.from.is_none_or(|from| request.id.made_at() >= from)
            && self.until.is_none_or(|until| request.id.made_at() < until)
            && self.search_id.as_ref().is_none_or(|part| request.id.to_string().contains(&part.to_lowercase()))
    }
}

impl Control {
    /// A request of a deployment, and of a version of it when one is named. Its data unless only metadata is wanted.
    pub async fn get_request(
        &self,
        project: &Arc<ProjectSnapshot>,
        deployment: DeploymentId,
        version: Option<VersionId>,
        id: RequestId,
        metadata_only: bool,
    ) -> Result<RequestView> {
        let (request, data) = self.find_request(id, metadata_only).await?;
        if !(Among { deployment, version }).holds(project, &request) {
            return Err(Error::NotFound(Kind::Request));
        }
        self.with_data(project, request, data).await
    }

    /// Some requests of a deployment with their data, in the order they were asked for; one that is not there refuses all.
    pub async fn collect_requests(
        &self,
        project: &Arc<ProjectSnapshot>,
        among: Among,
        ids: &[RequestId],
    ) -> Result<Vec<RequestView>> {
        let found = self.find_requests(project, among, ids).await?;
        refuse_if_too_large(&found)?;
        let mut views = HashMap::with_capacity(found.len());
        for (request, data) in found {
            views.insert(request.id, self.with_data(project, request, data).await?);
        }
        Ok(ids.iter().filter_map(|id| views.remove(id)).collect())
    }

    /// What came out of a request, if something did and is kept.
    pub async fn request_output(
        &self,
        project: &Arc<ProjectSnapshot>,
        among: Among,
        id: RequestId,
    ) -> Result<Option<Output>> {
        let (request, data) = self.find_request(id, false).await?;
        if !among.holds(project, &request) || named(project, request.clone()).is_none() {
            return Err(Error::NotFound(Kind::Request));
        }
        if request.retention_mode != RetentionMode::Full {
            return Ok(None);
        }
        let Some(key) = data.result_key else { return Ok(data.result.map(Output::Whole)) };
        let (size, pieces) = self.objects().open(&key).await?;
        Ok(Some(Output::Pieces(size, pieces.map_err(Error::from).boxed())))
    }

    /// A request with its data, as far as its retention keeps it: while it waits the row holds more.
    async fn with_data(
        &self,
        project: &Arc<ProjectSnapshot>,
        request: Request,
        data: RequestData,
    ) -> Result<RequestView> {
        let data = if request.retention_mode == RetentionMode::Full { data } else { RequestData::default() };
        let request_data = self.bytes_of(data.request_data, data.request_key).await?;
        let result = self.bytes_of(data.result, data.result_key).await?;
        let view = named(project, request).ok_or(Error::NotFound(Kind::Request))?;
        Ok(RequestView { request_data, result, ..view })
    }

    async fn find_request(&self, id: RequestId, metadata_only: bool) -> Result<(Request, RequestData)> {
        if let Some(live) = self.0.live.shown(id) {
            return Ok(live.row());
        }
        if Timestamp::now().since(id.made_at()) < YOUNG {
            self.0.recorder.catch_up().await?;
        }
        let request = requests::get(self.store(), id).await?.ok_or(Error::NotFound(Kind::Request))?;
        let data = if metadata_only { None } else { requests::get_data(self.store(), id).await? };
        Ok((request, data.unwrap_or_default()))
    }

    pub(super) async fn bytes_of(&self, bytes: Option<Bytes>, key: Option<String>) -> Result<Option<Bytes>> {
        match (bytes, key) {
            (None, Some(key)) => Ok(Some(self.objects().get(&key).await?)),
            (bytes, _) => Ok(bytes),
        }
    }

    /// Requests of a project that pass a filter, without their data.
    pub async fn list_requests(
        &self,
        project: &Arc<ProjectSnapshot>,
        filter: &RequestFilter,
    ) -> Result<Vec<RequestView>> {
        let wanted = usize::try_from(filter.offset + filter.limit).unwrap_or(usize::MAX);
        let live = self.0.live.filter(|request| {
            request.request.project_id == project.id && !request.is_deleted() && filter.passes(request)
        });
        let mut found: Vec<Request> = live.iter().map(|live| live.row().0).collect();
        self.0.recorder.catch_up().await?;
        if found.is_empty() {
            let rows = requests::list(self.store(), &rows_wanted(project, filter, filter.offset, filter.limit)).await?;
            return Ok(rows.into_iter().filter_map(|request| named(project, request)).collect());
        }
        sort(&mut found, filter.oldest_first);
        found.truncate(wanted);
        // A request may stand in both; the live one is newer. So as many more rows as there are live ones are read.
        let enough = filter.offset + filter.limit + i64::try_from(found.len()).unwrap_or(0);
        let rows = requests::list(self.store(), &rows_wanted(project, filter, 0, enough)).await?;
        let live: HashSet<RequestId> = found.iter().map(|live| live.id).collect();
        found.extend(rows.into_iter().filter(|row| !live.contains(&row.id)));
        sort(&mut found, filter.oldest_first);
        found.truncate(wanted);
        let offset = usize::try_from(filter.offset).unwrap_or(0).min(found.len());
        Ok(found.drain(offset..).filter_map(|request| named(project, request)).collect())
    }
}

/// Data is put together in memory: much of it is fetched one by one.
fn refuse_if_too_large(found: &[(Request, RequestData)]) -> Result<()> {
    let size: u64 = found.iter().map(|(request, _)| (request.input_size + request.output_size).unsigned_abs()).sum();
    if found.len() > 1 && size > MOST_COLLECTED {
        return Err(Error::Invalid(format!(
            "The data of these requests has {} MiB, and at most {} MiB are given at once: ask for fewer",
            size >> 20,
            MOST_COLLECTED >> 20
        )));
    }
    Ok(())
}

/// Ids carry the time.
fn sort(found: &mut [Request], oldest_first: bool) {
    found.sort_unstable_by_key(|request| request.id);
    if !oldest_first {
        found.reverse();
    }
}

fn rows_wanted(project: &ProjectSnapshot, filter: &RequestFilter, offset: i64, limit: i64) -> requests::RequestFilter {
    requests::RequestFilter {
        scope: filter.version.map_or(Scope::Project(project.id), Scope::Version),
        statuses: filter.statuses.clone(),
        from: filter.from,
        until: filter.until,
        oldest_first: filter.oldest_first,
        offset,
        limit,
        search_id: filter.search_id.clone(),
    }
}

/// Gives a request the names of its deployment and version; nothing when these are gone.
fn named(project: &ProjectSnapshot, request: Request) -> Option<RequestView> {
    let (deployment, version) = project.version(request.version_id)?;
    Some(RequestView {
        deployment: deployment.name.to_string(),
        version: version.name.to_string(),
        request,
        request_data: None,
        result: None,
    })
}
