//! Creations that may be repeated: within a day the same key finds the requests that were made first.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use modelyard_store::idempotency::{self, Key};
use modelyard_store::{Request, requests};
use modelyard_types::requests::RequestStatus;
use modelyard_types::versions::RetentionMode;
use modelyard_types::{Error, ProjectId, RequestId, Result, Timestamp, VersionId};
use sha2::{Digest, Sha256};

use super::acceptor::KEY_LIFE;
use super::{BatchRequest, Data, DirectRequest, Ended, version_of};
use crate::Control;
use crate::access::Actor;
use crate::catalogue::{DeploymentSnapshot, ProjectSnapshot};

/// How often to look for the end of a request that runs on another server.
const PAUSE: Duration = Duration::from_millis(200);
/// How often to look whether a large result is stored, and for how long.
const GLANCE: Duration = Duration::from_millis(2);
const STORED_WITHIN: Duration = Duration::from_secs(10);

/// A creation under a key.
pub(super) struct Repeatable {
    project: ProjectId,
    key_hash: [u8; 32],
    body_hash: [u8; 32],
}

/// What a creation asks for, as far as a repetition has to be the same.
pub(super) trait Asked {
    fn key(&self) -> Option<&str>;
    fn kind(&self) -> &'static str;
    fn settings(&self) -> (i64, u8, bool);
    fn body(&self) -> &Bytes;
}

macro_rules! asked {
    ($($type:ty: $kind:literal),*) => {$(
        impl Asked for $type {
            fn key(&self) -> Option<&str> {
                self.key.as_deref()
            }
            fn kind(&self) -> &'static str {
                $kind
            }
            fn settings(&self) -> (i64, u8, bool) {
                (self.timeout, self.priority, self.text)
            }
            fn body(&self) -> &Bytes {
                &self.body
            }
        }
    )*};
}
asked!(DirectRequest: "direct", BatchRequest: "batch");

impl Repeatable {
    /// The creation, if it has a key. A key belongs to the user who gives it.
    pub(super) fn of(
        actor: &Actor,
        project: &ProjectSnapshot,
        deployment: &DeploymentSnapshot,
        version: Option<&str>,
        asked: &impl Asked,
    ) -> Option<Self> {
        let key = asked.key()?;
        let (timeout, priority, text) = asked.settings();
        let settings =
            format!("{}/{}/{}/{timeout}/{priority}/{text}/", asked.kind(), deployment.id, version.unwrap_or_default());
        let hash = |parts: [&[u8]; 2]| Sha256::new().chain_update(parts[0]).chain_update(parts[1]).finalize().into();
        Some(Self {
            project: project.id,
            key_hash: hash([actor.user.0.as_bytes(), key.as_bytes()]),
            body_hash: hash([settings.as_bytes(), asked.body()]),
        })
    }

    /// What is kept of the key when it makes a request that runs at once.
    ///
    /// A request of which nothing is kept counts as failed until its end is noted: when its server dies, its row goes with
    /// nothing noted. The key is as old as the request, which finds it by that.
    pub(super) fn key_of_direct(&self, request: &Request) -> Key {
        let keeps_nothing = request.retention_mode == RetentionMode::None;
        Key {
            status: keeps_nothing.then_some(RequestStatus::Failed),
            created_at: request.created_at(),
            ..self.key(request.version_id, std::iter::once(request.id))
        }
    }

    /// What is kept of the key when it makes these requests.
    pub(super) fn key(&self, version: VersionId, ids: impl Iterator<Item = RequestId>) -> Key {
        Key {
            project_id: self.project,
            key_hash: self.key_hash,
            body_hash: self.body_hash,
            request_ids: ids.map(|id| id.to_string()).collect(),
            version_id: Some(version),
            status: None,
            created_at: Timestamp::now(),
        }
    }

    pub(super) fn key_hash(&self) -> [u8; 32] {
        self.key_hash
    }

    /// The first creation under the key, if there was one; refused when it asked for something else.
    pub(super) async fn find(&self, control: &Control) -> Result<Option<Key>> {
        let found = idempotency::get(control.store(), self.project, self.key_hash).await?;
        let Some(key) = found.filter(|key| Timestamp::now().since(key.created_at) < KEY_LIFE) else {
            return Ok(None);
        };
        if key.body_hash != self.body_hash {
            return Err(Error::conflict(
                "The Idempotency-Key was used for a different request before; use a new key for a new request",
            ));
        }
        Ok(Some(key))
    }
}

/// The name of the version that the requests of a key were made for, when a call named `version` or none.
pub(super) fn version_then(
    project: &ProjectSnapshot,
    deployment: &DeploymentSnapshot,
    version: Option<&str>,
    key: &Key,
) -> Result<Arc<str>> {
    match key.version_id {
        Some(id) => Ok(project.version(id).ok_or_else(vanished)?.1.name.clone()),
        None => Ok(version_of(deployment, version)?.name.clone()),
    }
}

/// What is told of a key whose requests are gone.
pub(super) fn vanished() -> Error {
    Error::conflict("The request that was made first with this Idempotency-Key is no longer there; use a new key")
}

/// What is told of a key that became free while its request was waited for.
fn unbegun() -> Error {
    Error::Unavailable(
        "The server stopped before the request with this Idempotency-Key had begun; make it again".into(),
    )
}

impl Control {
    /// How the request of a key ended; waits while it runs, as long as `patience` lasts. What came out may have to be read.
    pub(super) async fn first_end(&self, key: &Key, patience: Duration) -> Result<(RequestId, Ended, Option<Data>)> {
        let id = *key.requests()?.first().ok_or_else(vanished)?;
        let ended = tokio::time::timeout(patience, self.end_of(id, key));
        match ended.await {
            Ok(ended) => {
                let (ended, kept) = ended?;
                Ok((id, ended, kept))
            }
            Err(_) => Err(Error::Unavailable(
                "The request that was made first with this Idempotency-Key still runs; ask for it again later".into(),
            )),
        }
    }

    /// Waits until the end of a request is on the disk: what one caller is told, every later one must be told too, whatever
    /// dies meanwhile.
    pub(super) async fn end_is_kept(&self, id: RequestId) -> Result<()> {
        // While its large data is stored it is live; then its record is with the recorder.
        let stored = async {
            while self.0.live.get(id).is_some() {
                tokio::time::sleep(GLANCE).await;
            }
        };
        let in_time = tokio::time::timeout(STORED_WITHIN, stored).await;
        in_time
            .map_err(|_| Error::Unavailable("The result is not stored yet; ask for it again with its key".into()))?;
        self.0.recorder.catch_up().await
    }

    async fn end_of(&self, id: RequestId, key: &Key) -> Result<(Ended, Option<Data>)> {
        loop {
            if let Some(live) = self.0.live.get(id)
                && let Some(end) = live.listen()
                && let Ok(ended) = end.await
            {
                self.end_is_kept(id).await?;
                return Ok((self.without_data(ended, &live), None));
            }
            self.0.recorder.catch_up().await?;
            match requests::get(self.store(), id).await? {
                Some(row) if row.status.is_final() => return self.end_in_row(id, row.error_message, row.status).await,
                Some(_) => {}
                None => return Ok((self.end_in_key(key).await?, None)),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Under retention `none` a repeat gets no more than the status, also when it waited.
    fn without_data(&self, ended: Ended, live: &Arc<super::LiveRequest>) -> Ended {
        match live.request.retention_mode {
            RetentionMode::None => status_only(ended.status),
            RetentionMode::Metadata => Ended { result: None, ..ended },
            RetentionMode::Full => ended,
        }
    }

    async fn end_in_row(
        &self,
        id: RequestId,
        error_message: Option<String>,
        status: RequestStatus,
    ) -> Result<(Ended, Option<Data>)> {
        let data = requests::get_data(self.store(), id).await?.unwrap_or_default();
        let (result, kept) = match self.data_of(data.result, data.result_key).await? {
            Some(Data::Whole(result)) => (Some(result), None),
            kept => (None, kept),
        };
        Ok((Ended { status, result, error_message }, kept))
    }

    async fn end_in_key(&self, key: &Key) -> Result<Ended> {
        let key = idempotency::get(self.store(), key.project_id, key.key_hash).await?;
        key.ok_or_else(unbegun)?.status.map(status_only).ok_or_else(vanished)
    }
}

fn status_only(status: RequestStatus) -> Ended {
    Ended { status, result: None, error_message: None }
}
