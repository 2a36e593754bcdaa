//! Direct requests: the hot path, and what of it is written down before when a key is given.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use modelyard_store::{Request, RequestData, idempotency};
use modelyard_types::{Error, RequestId, Result};
use tokio::sync::oneshot;

use super::acceptor::{Accepted, Run, Wish};
use super::feeding::LiveParts;
use super::idempotency::Repeatable;
use super::inputs::{self, TEXT};
use super::request::{Ended, LiveRequest, NewRequest};
use super::{idempotency as keys, place, ready, refused};
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

/// How long a request waits for room to be recorded before it is refused.
const ROOM_WITHIN: Duration = Duration::from_secs(10);

impl Control {
    /// Runs a request and waits for its end. It goes on when the caller stops waiting.
    pub async fn direct_request(
        &self,
        actor: &Arc<Actor>,
        project: &Arc<ProjectSnapshot>,
        deployment: &str,
        version: Option<&str>,
        new: DirectRequest,
    ) -> Result<Answer> {
        let named = version;
        let (deployment, version) = place(project, deployment, version)?;
        ready(project, &deployment, &version)?;
        let repeatable = Repeatable::of(actor, project, &deployment, named, &new);
        let timeout = new.timeout;
        let parts = LiveParts { deployment: deployment.clone(), version: version.clone() };
        let (id, ended) = match self.begin_once(actor, project, &parts, new, repeatable, false).await? {
            Beginning::Now(Begun { live, end }) => {
                let id = live.id;
                drop(live);
                (id, end.await.map_err(|_| Error::Unavailable("The server is stopping".into()))?)
            }
            Beginning::Before(key) => self.first_end(&key, Duration::from_secs(timeout.unsigned_abs())).await?,
        };
        Ok(Answer { id, deployment: deployment.name.clone(), version: version.name.clone(), ended, timeout })
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
        let permit = self.0.recorder.permit(body.len(), ROOM_WITHIN).await?;
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
            permit: Some(permit),
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
        if let Err(refusal) = parts.version.lane.submit(live.job()) {
            self.0.live.remove(live.id);
            return Err(refused(refusal));
        }
        Ok(Beginning::Now(Begun { live, end }))
    }

    /// Writes the row of a request under its key, and then runs it, also when its caller has gone by then; gives the key when
    /// it was taken.
    async fn write_first(&self, repeatable: &Repeatable, live: &Arc<LiveRequest>) -> Result<Option<idempotency::Key>> {
        if let Some(before) = repeatable.find(self).await? {
            return Ok(Some(before));
        }
        let key = repeatable.key(std::iter::once(live.id));
        // The data follows with its end, or when it runs long.
        let rows = vec![(live.request.clone(), RequestData::default())];
        let wish = Wish { rows, run: Run::Direct(live.clone()), reserved: None, key: Some(key) };
        match self.0.acceptor.accept(wish).await? {
            Accepted::New(_) => Ok(None),
            Accepted::KeyTaken => Ok(Some(repeatable.find(self).await?.ok_or_else(keys::vanished)?)),
        }
    }
}

impl Inner {
    /// Runs a direct request whose row is there.
    pub(super) fn run_written(&self, live: &Arc<LiveRequest>) {
        self.live.insert(live.clone());
        if let Err(refusal) = live.version.lane.submit(live.job()) {
            live.fail(refusal.to_string());
        }
    }
}
