//! A request that has not ended, and what is known of it.

mod calling_off;
pub(super) mod ending;
mod record;

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use modelyard_dispatch::{Call, Class, Job};
use modelyard_store::Request;
use modelyard_types::language::Language;
use modelyard_types::requests::{RequestKind, RequestStatus};
use modelyard_types::versions::RetentionMode;
use modelyard_types::{RequestId, Timestamp};
use tokio::sync::oneshot;

use super::inputs::{self, LIST, TEXT, is_list};
use super::room::Permit;
use super::updates::{Reader, Updates};
use crate::Inner;
use crate::catalogue::{DeploymentSnapshot, VersionSnapshot};

/// How a request ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Its last status.
    pub status: RequestStatus,
    /// What came out: JSON text.
    pub result: Option<Bytes>,
    /// Why it failed.
    pub error_message: Option<String>,
}

/// A request that waits or runs on this server.
pub(crate) struct LiveRequest {
    pub(crate) id: RequestId,
    /// As it was made or claimed; where it stands is in `state`.
    pub(crate) request: Request,
    // Not the snapshot of the project: a request may run for an hour, and would keep all of it in memory.
    pub(crate) deployment: Arc<DeploymentSnapshot>,
    pub(crate) version: Arc<VersionSnapshot>,
    body: Bytes,
    request_key: Option<String>,
    key_hash: Option<[u8; 32]>,
    /// Made when the first update comes, or when somebody wants to read them.
    updates: OnceLock<Arc<Updates>>,
    state: Mutex<State>,
    me: Weak<LiveRequest>,
    control: Weak<Inner>,
}

struct State {
    status: RequestStatus,
    started: Option<Timestamp>,
    retries: i64,
    /// Whether a row of it is there, or has been handed to the recorder.
    recorded: bool,
    over: bool,
    /// How it ended, and when.
    ended: Option<(Ended, Timestamp)>,
    /// Whether it was deleted: it ends without a trace.
    deleted: bool,
    /// When it was called off, wherever it stood.
    cancelled: Option<Timestamp>,
    answer: Option<oneshot::Sender<Ended>>,
    /// Others who wait for its end.
    listeners: Vec<oneshot::Sender<Ended>>,
    permit: Permit,
}

/// What a new request is made of.
pub(crate) struct NewRequest {
    pub(crate) request: Request,
    pub(crate) deployment: Arc<DeploymentSnapshot>,
    pub(crate) version: Arc<VersionSnapshot>,
    pub(crate) body: Bytes,
    /// The object that the body was read from.
    pub(crate) request_key: Option<String>,
    /// The key it can be found by again.
    pub(crate) key_hash: Option<[u8; 32]>,
    /// Whether its row is written already.
    pub(crate) recorded: bool,
    /// Who waits for its end.
    pub(crate) answer: Option<oneshot::Sender<Ended>>,
    pub(crate) permit: Permit,
}

impl LiveRequest {
    pub(crate) fn new(new: NewRequest, control: &Arc<Inner>) -> Arc<Self> {
        let state = State {
            status: RequestStatus::Pending,
            started: None,
            retries: new.request.retries,
            recorded: new.recorded,
            over: false,
            ended: None,
            deleted: false,
            cancelled: None,
            answer: new.answer,
            listeners: Vec::new(),
            permit: new.permit,
        };
        Arc::new_cyclic(|me| Self {
            id: new.request.id,
            request: new.request,
            deployment: new.deployment,
            version: new.version,
            body: new.body,
            request_key: new.request_key,
            key_hash: new.key_hash,
            updates: OnceLock::new(),
            state: Mutex::new(state),
            me: me.clone(),
            control: Arc::downgrade(control),
        })
    }

    /// The job that runs it.
    pub(crate) fn job(self: &Arc<Self>) -> Job {
        let flags = match self.request.input_plain {
            true => TEXT,
            false if is_list(&self.body) => LIST,
            false => 0,
        };
        // A packed call is in no group with others, R does not read it, and nobody would find the files it names.
        let is_r = self.version.code.as_ref().is_some_and(|code| code.language() == Language::R);
        let plain = self.version.groups || is_r || self.deployment.has_input_files;
        let packed = if plain { None } else { inputs::packed(&self.body, flags) };
        let (body, flags) = packed.unwrap_or_else(|| (self.body.clone(), flags));
        Job {
            id: self.id,
            class: if self.is_batch() { Class::Batch } else { Class::Direct },
            priority: u8::from(self.request.priority != 0),
            call: Call { flags, context: self.context(), body, members: Vec::new() },
            waiter: self.clone(),
        }
    }

    /// The context of semantics 1.4. It begins with the id: see [`crate::running::seat`].
    fn context(&self) -> Bytes {
        let mode = if self.is_batch() { "batch" } else { "express" };
        let rest =
            r#","pipeline_id":null,"pipeline_version_id":null,"pipeline_object_id":null,"pipeline_request_id":null}"#;
        let head = format!(r#"{{"id":"{}","request_mode":"{mode}","user_id":"#, self.id);
        Bytes::from(match self.request.user_id {
            Some(user) => format!(r#"{head}"{user}"{rest}"#),
            None => format!("{head}null{rest}"),
        })
    }

    pub(crate) fn is_batch(&self) -> bool {
        self.request.kind == RequestKind::Batch
    }

    /// When its time is over: that of a direct request runs from its creation, that of a batch request from its start.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        let limit = Duration::from_secs(self.request.timeout.unsigned_abs());
        match self.request.kind {
            RequestKind::Direct => Some(self.request.created_at().plus(limit)),
            RequestKind::Batch => self.lock().started.map(|started| started.plus(limit)),
        }
    }

    /// Where it stands.
    pub(crate) fn status(&self) -> RequestStatus {
        self.lock().status
    }

    /// Tells somebody more of its end; nothing when it went back to the queue.
    pub(crate) fn listen(&self) -> Option<oneshot::Receiver<Ended>> {
        let mut state = self.lock();
        let (sender, receiver) = oneshot::channel();
        match &state.ended {
            Some((ended, _)) => drop(sender.send(ended.clone())),
            None if state.over => return None,
            None => state.listeners.push(sender),
        }
        Some(receiver)
    }

    /// Whether others wait for its end.
    #[cfg(test)]
    pub(crate) fn has_listeners(&self) -> bool {
        !self.lock().listeners.is_empty()
    }

    /// Somebody is going to read its updates and holds the writer back; said before it is submitted.
    pub(crate) fn be_read(&self) {
        self.updates(true);
    }

    /// Its updates, from the first that is kept. One reader may lead: who said so before.
    pub(super) fn reader(&self, leads: bool) -> Reader {
        // Under the lock, so that its end comes before this or finds what is made here.
        let state = self.lock();
        let updates = self.updates(false).clone();
        if state.over {
            updates.close();
        }
        Reader::new(updates, leads)
    }

    fn updates(&self, leads: bool) -> &Arc<Updates> {
        self.updates.get_or_init(|| Arc::new(Updates::new(self.keeps_data(), leads)))
    }

    fn keeps_data(&self) -> bool {
        self.request.retention_mode == RetentionMode::Full
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
