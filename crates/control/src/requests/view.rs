//! What get shows: rows of requests that ended, and those that have not from the live table.

use std::collections::HashMap;
use std::sync::Arc;

use modelyard_store::requests;
use modelyard_store::{Request, RequestData};
use modelyard_types::versions::RetentionMode;
use modelyard_types::{DeploymentId, Error, Kind, RequestId, Result, VersionId};

use super::cancel::Among;
use super::data::Data;
use crate::catalogue::ProjectSnapshot;
use crate::{Control, Inner};

/// A request as it is shown.
pub struct RequestView {
    /// What is known of it.
    pub request: Request,
    /// The name of its deployment.
    pub deployment: String,
    /// The name of its version.
    pub version: String,
    /// What went in: the bytes as they were sent.
    pub request_data: Option<Data>,
    /// What came out: JSON text.
    pub result: Option<Data>,
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
    ) -> Result<Option<Data>> {
        let (request, data) = self.find_request(id, false).await?;
        if !among.holds(project, &request) || named(project, request.clone()).is_none() {
            return Err(Error::NotFound(Kind::Request));
        }
        if request.retention_mode != RetentionMode::Full {
            return Ok(None);
        }
        self.data_of(data.result, data.result_key).await
    }

    /// A request with its data, as far as its retention keeps it: while it waits the row holds more.
    async fn with_data(
        &self,
        project: &Arc<ProjectSnapshot>,
        request: Request,
        data: RequestData,
    ) -> Result<RequestView> {
        let data = if request.retention_mode == RetentionMode::Full { data } else { RequestData::default() };
        let request_data = self.data_of(data.request_data, data.request_key).await?;
        let result = self.data_of(data.result, data.result_key).await?;
        let view = named(project, request).ok_or(Error::NotFound(Kind::Request))?;
        Ok(RequestView { request_data, result, ..view })
    }

    async fn find_request(&self, id: RequestId, metadata_only: bool) -> Result<(Request, RequestData)> {
        if let Some(live) = self.0.live.shown(id) {
            return Ok(live.row());
        }
        let mut found = requests::get(self.store(), id).await?;
        if found.as_ref().is_none_or(|row| self.0.may_be_behind(row)) {
            self.0.recorder.catch_up().await?;
            found = requests::get(self.store(), id).await?;
        }
        let request = found.ok_or(Error::NotFound(Kind::Request))?;
        let data = if metadata_only { None } else { requests::get_data(self.store(), id).await? };
        Ok((request, data.unwrap_or_default()))
    }
}

impl Inner {
    /// Whether this server may have ended a request, or put it back, and not written that yet.
    fn may_be_behind(&self, row: &Request) -> bool {
        let life = self.settings.life;
        !row.status.is_final() && (row.server_id, row.life) == (life.server, life.number)
    }
}

/// Gives a request the names of its deployment and version; nothing when these are gone.
pub(super) fn named(project: &ProjectSnapshot, request: Request) -> Option<RequestView> {
    let (deployment, version) = project.version(request.version_id)?;
    Some(RequestView {
        deployment: deployment.name.to_string(),
        version: version.name.to_string(),
        request,
        request_data: None,
        result: None,
    })
}
