//! Direct requests: the hot path, and what of it is written down before when a key is given.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use modelyard_store::{Request, RequestData, idempotency};
use modelyard_types::{Error, RequestId, Result};
use tokio::sync::oneshot;

use super::acceptor::{Accepted, Reserved, Run, Wish};
use super::data::Data;
use super::feeding::LiveParts;
use super::idempotency::Repeatable;
use super::inputs::{self, TEXT};
use super::request::{Ended, LiveRequest, NewRequest};
use super::room::Permit;
use super::{deployment_of, idempotency as keys, ready, refused, version_of};
use crate::access::Actor;
use crate::catalogue::ProjectSnapshot;
use crate::{Control, Inner};

/// A direct request as it comes in.
pub struct DirectRequest {
    /// The body as it was sent.
    pub body: Bytes,
    /// Whether the content type says that it is not JSON.
    pub text: bool,
    /// Its time limit in seconds, queueing and cold start included; in range.
    pub timeout: i64,
    /// 0 before 1.
    pub priority: u8,
    /// By which a repeated call finds the first.
    pub key: Option<String>,
    /// Its room in memory, from [`Control::room`].
    pub permit: Permit,
}

/// The answer to a direct request.
pub struct Answer {
    /// The request's id.
    pub id: RequestId,
    /// The name of the deployment.
    pub deployment: Arc<str>,
    /// The name of the version that ran it.
    pub version: Arc<str>,
    /// How it ended, with what came out.
    pub ended: Ended,
    /// What came out, when that has to be read from where it is kept; `ended` has no result then.
    pub kept: Option<Data>,
    /// The time limit it had, in seconds.
    pub timeout: i64,
}

/// A direct request that was begun.
pub(super) struct Begun {
    pub(super) live: Arc<LiveRequest>,
    pub(super) end: oneshot::Receiver<Ended>,
}

/// How a direct request may begin.
enum Beginning {
    Now(Begun),
    /// It was made before under its key.
    Before(idempotency::Key),
}

impl Control {
    /// Room in memory for a direct request or a call that makes batch requests, with a body of that many bytes: to be taken
    /// before the body is read. Refused when there is none for 10 seconds.
    pub async fn room(&self, body: usize) -> Result<Permit> {
        self.0.room.permit(body).await
    }

    /// Runs a request and waits for its end. It goes on when the caller stops waiting.
    pub async fn direct_request(
        &self,
        actor: &Arc<Actor>,
        project: &Arc<ProjectSnapshot>,
        deployment: &str,
        version: Option<&str>,
        new: DirectRequest,
    ) -> Result<Answer> {
        let deployment = deployment_of(project, deployment)?;
        let repeatable = Repeatable::of(actor, project, &deployment, version, &new);
        let (timeout, has_key) = (new.timeout, repeatable.is_some());
        // Before anything is checked: a repeat gets the first answer, whatever has changed since.
        let before = match &repeatable {
            Some(repeatable) => repeatable.find(self).await?,
            None => None,
        };
        let beginning = match before {
            Some(key) => {
                // The first has room of its own, and may run for long.
                drop(new);
                Beginning::Before(key)
            }
            None => {
                let version = version_of(&deployment, version)?;
                ready(project, &deployment, &version)?;
                let parts = LiveParts { deployment: deployment.clone(), version };
                self.begin_once(actor, project, &parts, new, repeatable, false).await?
            }
        };
        let (id, version, ended, kept) = match beginning {
            Beginning::Now(Begun { live, end }) => {
                let (id, version) = (live.id, live.version.name.clone());
                drop(live);
                let ended = end.await.map_err(|_| Error::Unavailable("The server is stopping".into()))?;
                if has_key {
                    self.end_is_kept(id).await?;
                }
                (id, version, ended, None)
            }
            Beginning::Before(key) => {
                let version = keys::version_then(project, &deployment, version, &key)?;
                let (id, ended, kept) = self.first_end(&key, Duration::from_secs(timeout.unsigned_abs())).await?;
                (id, version, ended, kept)
            }
        };
        Ok(Answer { id, deployment: deployment.name.clone(), version, ended, kept, timeout })
    }

    /// Begins a request whose updates the caller reads, if it `leads`.
    pub(super) async fn begin(
        &self,
        actor: &Arc<Actor>,
        project: &Arc<ProjectSnapshot>,
        parts: &LiveParts,
        new: DirectRequest,
    ) -> Result<Begun> {
        match self.begin_once(actor, project, parts, new, None, true).await? {
            Beginning::Now(begun) => Ok(begun),
            Beginning::Before(_) => Err(keys::vanished()),
        }
    }

    async fn begin_once(
        &self,
        actor: &Arc<Actor>,
        project: &Arc<ProjectSnapshot>,
        parts: &LiveParts,
        new: DirectRequest,
        repeatable: Option<Repeatable>,
        leads: bool,
    ) -> Result<Beginning> {
        let (body, flags) = inputs::check(&parts.deployment, new.body, new.text)?;
        self.0.room.is_fair(&parts.version.lane)?;
        if parts.deployment.has_input_files {
            self.may_read_files(actor, project, &parts.deployment, &body, true).await?;
        }
        let request = Request {
            timeout: new.timeout,
            input_plain: flags & TEXT != 0,
            input_size: body.len() as i64,
            priority: i64::from(new.priority),
            ..self.0.blank(actor, project, parts)
        };
        let (sender, end) = oneshot::channel();
        let new = NewRequest {
            request,
            deployment: parts.deployment.clone(),
            version: parts.version.clone(),
            body,
            request_key: None,
            key_hash: repeatable.as_ref().map(Repeatable::key_hash),
            recorded: repeatable.is_some(),
            answer: Some(sender),
            permit: new.permit,
        };
        let live = LiveRequest::new(new, &self.0);
        if leads {
            live.be_read();
        }
        if let Some(repeatable) = &repeatable {
            let before = self.write_first(repeatable, &live).await?;
            return Ok(before.map_or(Beginning::Now(Begun { live, end }), Beginning::Before));
        }
        self.0.live.insert(live.clone());
        if let Err(refusal) = live.come_into_lane() {
            self.0.live.remove(live.id);
            return Err(refused(refusal));
        }
        Ok(Beginning::Now(Begun { live, end }))
    }

    /// Writes the row of a request under its key, and then runs it, also when its caller has gone by then; gives the key when
    /// it was taken.
    async fn write_first(&self, repeatable: &Repeatable, live: &Arc<LiveRequest>) -> Result<Option<idempotency::Key>> {
        // Refused before there is a row: a key stands only for what was accepted.
        let reserved = Reserved::direct(&live.version.lane)?;
        let key = repeatable.key_of_direct(&live.request);
        // The data follows with its end, or when it runs long.
        let rows = vec![(live.request.clone(), RequestData::default())];
        let wish = Wish { rows, run: Run::Direct(live.clone()), reserved, key: Some(key), permit: Permit::default() };
        match self.0.acceptor.accept(wish).await? {
            Accepted::New(_) => Ok(None),
            Accepted::KeyTaken => Ok(Some(repeatable.find(self).await?.ok_or_else(keys::vanished)?)),
        }
    }
}

impl Inner {
    /// Runs a direct request whose row is there, in the place that was kept for it.
    pub(super) fn run_written(&self, live: &Arc<LiveRequest>, place: Reserved) {
        self.live.insert(live.clone());
        if let Err(refusal) = live.come_to_place(place) {
            live.fail(refusal.to_string());
        }
    }
}
