//! Batch requests: accepted all or none, durable before the answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use modelyard_store::idempotency::Key;
use modelyard_store::{Request, RequestData, requests};
use modelyard_types::fields::check_depth;
use modelyard_types::requests::{RequestKind, RequestStatus};
use modelyard_types::{Error, RequestId, Result};
use serde_json::value::RawValue;

use super::acceptor::{Accepted, Reserved, Run, Wish};
use super::feeding::LiveParts;
use super::idempotency::{Repeatable, version_then};
use super::inputs::{self, MAX_ITEMS, TEXT};
use super::recorder::Row;
use super::room::Permit;
use super::storing::spill;
use super::{deployment_of, ready, version_of};
use crate::access::Actor;
use crate::catalogue::ProjectSnapshot;
use crate::{Control, Inner};

/// How long storing the large data of a call may take before it is refused.
const STORED_WITHIN: Duration = Duration::from_secs(10);

/// Batch requests as they come in.
pub struct BatchRequest {
    /// The body as it was sent: a list of payloads, or one payload.
    pub body: Bytes,
    /// Whether the content type says that it is not JSON: then it is one payload.
    pub text: bool,
    /// The time limit of each in seconds, from its start; in range.
    pub timeout: i64,
    /// 0 before 1.
    pub priority: u8,
    /// By which a repeated call finds the first.
    pub key: Option<String>,
    /// Its room in memory, from [`Control::room`].
    pub permit: Permit,
}

/// Batch requests that were accepted.
pub struct BatchAnswer {
    /// The requests, in the order of their payloads.
    pub requests: Vec<RequestId>,
    /// The name of the deployment.
    pub deployment: Arc<str>,
    /// The name of the version.
    pub version: Arc<str>,
}

impl Control {
    /// Accepts requests to be run later. They are on the disk when this returns; one bad payload refuses all.
    pub async fn batch_request(
        &self,
        actor: &Arc<Actor>,
        project: &Arc<ProjectSnapshot>,
        deployment: &str,
        version: Option<&str>,
        new: BatchRequest,
    ) -> Result<BatchAnswer> {
        let named = version;
        let deployment = deployment_of(project, deployment)?;
        let before = |first: Key| -> Result<BatchAnswer> {
            let version = version_then(project, &deployment, named, &first)?;
            Ok(BatchAnswer { requests: first.requests()?, deployment: deployment.name.clone(), version })
        };
        // Before anything is checked: a repeat gets the first answer, whatever has changed since.
        let repeatable = Repeatable::of(actor, project, &deployment, named, &new);
        if let Some(repeatable) = &repeatable
            && let Some(first) = repeatable.find(self).await?
        {
            return before(first);
        }
        let version = version_of(&deployment, named)?;
        ready(project, &deployment, &version)?;
        let payloads = payloads(&deployment, &new)?;
        if deployment.has_input_files {
            for (payload, _) in &payloads {
                self.may_read_files(actor, project, &deployment, payload, false).await?;
            }
        }
        let reserved = Reserved::new(&version.lane, payloads.len())?;
        let parts = LiveParts { deployment: deployment.clone(), version: version.clone() };
        let mut rows = Vec::with_capacity(payloads.len());
        for (payload, flags) in payloads {
            rows.push(self.0.batch_row(actor, project, &parts, &new, payload, flags));
        }
        let objects = self.0.store_large(&mut rows).await?;
        let key = repeatable.as_ref().map(|it| it.key(version.id, rows.iter().map(|(request, _)| request.id)));
        let wish = Wish { rows, run: Run::Queued(parts), reserved, key, permit: new.permit };
        let accepted = self.0.acceptor.accept(wish).await;
        // After an internal error nobody knows whether the rows came to be; then cleaning finds out.
        if !matches!(accepted, Ok(Accepted::New(_)) | Err(Error::Internal(_) | Error::Unavailable(_))) {
            self.0.drop_objects(objects).await;
        }
        match (accepted?, repeatable) {
            (Accepted::New(made), _) => {
                let requests = made.into_iter().map(|request| request.id).collect();
                Ok(BatchAnswer { requests, deployment: deployment.name.clone(), version: version.name.clone() })
            }
            (Accepted::KeyTaken, Some(repeatable)) => {
                before(repeatable.find(self).await?.ok_or_else(super::idempotency::vanished)?)
            }
            (Accepted::KeyTaken, None) => {
                Err(Error::internal("accepting requests", "a key is taken that was not given"))
            }
        }
    }
}

/// The payloads of a call, each checked, with the flags of its call.
fn payloads(deployment: &crate::catalogue::DeploymentSnapshot, new: &BatchRequest) -> Result<Vec<(Bytes, u8)>> {
    if new.text || !inputs::is_list(&new.body) {
        return Ok(vec![inputs::check(deployment, new.body.clone(), new.text)?]);
    }
    check_depth(&new.body).map_err(Error::Invalid)?;
    let items: Vec<&RawValue> = serde_json::from_slice(&new.body)
        .map_err(|cause| Error::Invalid(format!("The body is not valid JSON: {cause}")))?;
    if items.is_empty() {
        return Err(Error::invalid("The list of requests must not be empty"));
    }
    if items.len() > MAX_ITEMS {
        return Err(Error::Invalid(format!(
            "At most {MAX_ITEMS} requests may be made at once, and these are {}",
            items.len()
        )));
    }
    let check = |(at, item): (usize, &&RawValue)| {
        let payload = Bytes::copy_from_slice(item.get().as_bytes());
        inputs::check(deployment, payload, false).map_err(|refusal| match refusal {
            Error::Invalid(problem) => Error::Invalid(format!("Item {at}: {problem}")),
            refusal => refusal,
        })
    };
    items.iter().enumerate().map(check).collect()
}

impl Inner {
    fn batch_row(
        &self,
        actor: &Actor,
        project: &ProjectSnapshot,
        parts: &LiveParts,
        new: &BatchRequest,
        payload: Bytes,
        flags: u8,
    ) -> Row {
        let request = Request {
            kind: RequestKind::Batch,
            timeout: new.timeout,
            input_plain: flags & TEXT != 0,
            input_size: payload.len() as i64,
            server_id: requests::NOBODY,
            life: 0,
            priority: i64::from(new.priority),
            ..self.blank(actor, project, parts)
        };
        (request, RequestData { request_data: Some(payload), ..RequestData::default() })
    }

    /// A request of a version as it begins.
    pub(super) fn blank(&self, actor: &Actor, project: &ProjectSnapshot, parts: &LiveParts) -> Request {
        let id = RequestId::new();
        let version = &parts.version;
        Request {
            id,
            project_id: project.id,
            deployment_id: parts.deployment.id,
            version_id: version.id,
            revision_id: version.active_revision,
            kind: RequestKind::Direct,
            status: RequestStatus::Pending,
            started_at: None,
            completed_at: None,
            timeout: 0,
            error_message: None,
            input_plain: false,
            output_plain: false,
            input_size: 0,
            output_size: 0,
            created_by: actor.email.clone(),
            retention_mode: version.retention_mode,
            expires_at: id.made_at().plus(Duration::from_secs(version.retention_time.unsigned_abs())),
            server_id: self.settings.life.server,
            life: self.settings.life.number,
            epoch: 0,
            retries: 0,
            priority: 1,
            user_id: Some(actor.user),
        }
    }

    /// Stores the large data of rows as objects; gives their keys. Refused, with nothing left, when that takes too long.
    async fn store_large(&self, rows: &mut [Row]) -> Result<Vec<String>> {
        let stored = tokio::time::timeout(STORED_WITHIN, async {
            for (request, data) in rows.iter_mut() {
                spill(&self.objects, request.id, &mut data.request_data, &mut data.request_key).await;
            }
        });
        let in_time = stored.await.is_ok();
        let objects = rows.iter().filter_map(|(_, data)| data.request_key.clone()).collect();
        if in_time {
            return Ok(objects);
        }
        self.drop_objects(objects).await;
        Err(Error::Unavailable(format!(
            "The data of the requests could not be stored within {} s; none was accepted, so try again later",
            STORED_WITHIN.as_secs()
        )))
    }

    /// Removes objects of rows that did not come to be.
    pub(super) async fn drop_objects(&self, keys: Vec<String>) {
        for key in keys {
            if let Err(cause) = self.objects.delete(&key).await {
                tracing::warn!(%cause, key, "an object that nothing refers to could not be removed");
            }
        }
    }
}
