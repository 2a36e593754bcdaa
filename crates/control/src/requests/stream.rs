//! Requests whose updates are read while they run, or after.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use modelyard_store::requests;
use modelyard_types::{Error, Kind, RequestId, Result};
use tokio::sync::oneshot;

use super::cancel::Among;
use super::data::Data;
use super::direct::Begun;
use super::feeding::LiveParts;
use super::request::{Ended, LiveRequest};
use super::room::Permit;
use super::updates::{self, Reader};
use super::{Answer, DirectRequest, place, ready};
use crate::Control;
use crate::access::Actor;
use crate::catalogue::ProjectSnapshot;

/// How often to look for a request that is not here.
const PAUSE: Duration = Duration::from_millis(200);

/// The updates of a request as they come, then its end.
pub struct Streamed {
    source: Source,
    id: RequestId,
    deployment: Arc<str>,
    version: Arc<str>,
    timeout: i64,
}

enum Source {
    Live {
        live: Arc<LiveRequest>,
        reader: Reader,
        end: Option<oneshot::Receiver<Ended>>,
        owed: u32,
    },
    Kept {
        updates: VecDeque<String>,
        ended: Ended,
        result: Option<Data>,
        /// That of the updates.
        _room: Permit,
    },
    /// It waits in its row, or runs on another server.
    Absent(Control),
    Over,
}

/// A piece of a stream.
pub enum Updating {
    /// What the request told.
    Update(Bytes),
    /// How it ended: the last piece.
    End(Answer),
}

impl Streamed {
    /// The next piece; nothing after the end. A caller that comes back for the next has dealt with the last.
    pub async fn next(&mut self) -> Result<Option<Updating>> {
        while let Source::Absent(control) = &self.source {
            let control = control.clone();
            tokio::time::sleep(PAUSE).await;
            self.source = control.source_of(self.id).await?;
        }
        Ok(self.next_here().await)
    }

    async fn next_here(&mut self) -> Option<Updating> {
        match &mut self.source {
            Source::Live { live, reader, end, owed } => {
                live.version.lane.credit(live.id, std::mem::take(owed));
                if let Some(text) = reader.next().await {
                    *owed = u32::from(reader.leads());
                    return Some(Updating::Update(text));
                }
                let ended = match end.take() {
                    Some(end) => end.await.ok(),
                    None => None,
                };
                self.end(ended, None)
            }
            Source::Kept { updates, ended, result, .. } => match updates.pop_front() {
                Some(text) => Some(Updating::Update(text.into())),
                None => {
                    let (ended, result) = (ended.clone(), result.take());
                    self.end(Some(ended), result)
                }
            },
            Source::Absent(_) | Source::Over => None,
        }
    }

    fn end(&mut self, ended: Option<Ended>, kept: Option<Data>) -> Option<Updating> {
        self.leave();
        let ended = ended.unwrap_or_else(|| super::request::ending::failed("The server is stopping".into()));
        Some(Updating::End(Answer {
            id: self.id,
            deployment: self.deployment.clone(),
            version: self.version.clone(),
            ended,
            kept,
            timeout: self.timeout,
        }))
    }

    /// The request goes on as if nobody had ever listened.
    fn leave(&mut self) {
        if let Source::Live { live, reader, owed, .. } = &mut self.source {
            let owed = std::mem::take(owed) + reader.leave();
            live.version.lane.credit(live.id, owed);
        }
        self.source = Source::Over;
    }
}

impl Drop for Streamed {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Control {
    /// Begins a direct request whose updates the caller reads. It goes on when the caller stops reading.
    pub async fn stream_request(
        &self,
        actor: &Arc<Actor>,
        project: &Arc<ProjectSnapshot>,
        deployment: &str,
        version: Option<&str>,
        new: DirectRequest,
    ) -> Result<Streamed> {
        let (deployment, version) = place(project, deployment, version)?;
        ready(project, &deployment, &version)?;
        let timeout = new.timeout;
        let parts = LiveParts { deployment: deployment.clone(), version: version.clone() };
        let Begun { live, end } = self.begin(actor, project, &parts, new).await?;
        let (id, reader) = (live.id, live.reader(true));
        let source = Source::Live { live, reader, end: Some(end), owed: 0 };
        Ok(Streamed { source, id, deployment: deployment.name.clone(), version: version.name.clone(), timeout })
    }

    /// Follows a request that was made before: what is kept of its updates, those that come, and its end.
    pub async fn follow_request(
        &self,
        project: &Arc<ProjectSnapshot>,
        among: Among,
        id: RequestId,
    ) -> Result<Streamed> {
        let (request, _) = self.find_requests(project, among, &[id]).await?.remove(0);
        let (deployment, version) = project.version(request.version_id).ok_or(Error::NotFound(Kind::Request))?;
        let source = self.source_of(id).await?;
        let (deployment, version) = (deployment.name.clone(), version.name.clone());
        Ok(Streamed { source, id, deployment, version, timeout: request.timeout })
    }

    fn live_source(&self, id: RequestId) -> Option<Source> {
        let live = self.0.live.shown(id)?;
        let (reader, end) = (live.reader(false), live.listen()?);
        Some(Source::Live { live, reader, end: Some(end), owed: 0 })
    }

    async fn source_of(&self, id: RequestId) -> Result<Source> {
        if let Some(live) = self.live_source(id) {
            return Ok(live);
        }
        self.0.recorder.catch_up().await?;
        let request = requests::get(self.store(), id).await?.ok_or(Error::NotFound(Kind::Request))?;
        if !request.status.is_final() {
            return Ok(Source::Absent(self.clone()));
        }
        let data = requests::get_data(self.store(), id).await?.unwrap_or_default();
        let result = self.data_of(data.result, data.result_key).await?;
        let (updates, _room) = self.kept_updates(data.updates, data.updates_key).await?;
        let ended = Ended { status: request.status, result: None, error_message: request.error_message };
        Ok(Source::Kept { updates, ended, result, _room })
    }

    /// Updates that are kept, with the room that they take when they are many.
    async fn kept_updates(&self, text: Option<Bytes>, key: Option<String>) -> Result<(VecDeque<String>, Permit)> {
        let (text, room) = match (text, key) {
            (None, Some(key)) => {
                let size = self.objects().size(&key).await?;
                let room = self.room(usize::try_from(size).unwrap_or(usize::MAX)).await?;
                (Some(self.objects().get(&key).await?), room)
            }
            (text, _) => (text, Permit::default()),
        };
        Ok((text.map(|text| updates::from_json(&text)).unwrap_or_default().into(), room))
    }
}
