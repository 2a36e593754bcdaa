//! What is written down of a request.

use bytes::Bytes;
use modelyard_store::requests::Ending;
use modelyard_store::{Life, Request, RequestData};
use modelyard_types::Timestamp;
use modelyard_types::requests::RequestStatus;
use modelyard_types::versions::RetentionMode;

use super::{Ended, LiveRequest, State};
use crate::Inner;
use crate::requests::recorder::{KeyEnd, MAX_INLINE, Record};
use crate::requests::room::Permit;

impl LiveRequest {
    /// Its row as it stands. Data is kept only when retention is full.
    pub(crate) fn row(&self) -> (Request, RequestData) {
        let state = self.lock();
        self.row_of(&state, state.ended.as_ref())
    }

    /// Hands its row to the recorder if that was not done yet: it has been running long enough to be worth one.
    pub(crate) fn record_unended(&self) {
        let Some(control) = self.control.upgrade() else { return };
        let mut state = self.lock();
        if state.recorded || state.over || state.deleted {
            return;
        }
        state.recorded = true;
        self.record_as_it_stands(&state, &control);
    }

    /// Hands its row to the recorder; under the lock, so that the record of its end comes after this one.
    pub(super) fn record_as_it_stands(&self, state: &State, control: &Inner) {
        if self.is_batch() {
            return;
        }
        let (request, mut data) = self.row_of(state, None);
        // Large data is an object; one that a later record replaces would be left behind.
        data.request_data = data.request_data.filter(|data| data.len() <= MAX_INLINE);
        control.recorder.push(Record::Put(Box::new((request, data)), Permit::default()));
    }

    fn row_of(&self, state: &State, ended: Option<&(Ended, Timestamp)>) -> (Request, RequestData) {
        let result = ended.and_then(|(ended, _)| ended.result.as_ref());
        let request = Request {
            status: ended.map_or(state.status, |(ended, _)| ended.status),
            started_at: state.started,
            completed_at: ended.map(|(_, at)| *at),
            error_message: ended.and_then(|(ended, _)| ended.error_message.clone()),
            output_size: result.map_or(0, |result| result.len() as i64),
            epoch: if self.is_batch() { self.request.epoch } else { state.retries },
            retries: state.retries,
            ..self.request.clone()
        };
        let data = RequestData {
            request_data: self.keeps_data().then(|| self.body.clone()),
            result: result.filter(|_| self.keeps_data()).cloned(),
            ..RequestData::default()
        };
        (request, data)
    }

    pub(super) fn last_record(
        &self,
        state: &State,
        ended: &(Ended, Timestamp),
        updates: Option<Bytes>,
        permit: Permit,
    ) -> Option<Record> {
        if state.deleted {
            return Some(Record::Forget(self.id, None, permit));
        }
        if self.is_batch() {
            return Some(Record::End(Box::new(self.ending(state, ended, updates)), permit));
        }
        if self.request.retention_mode == RetentionMode::None {
            let key = self.key_end(Some(ended.0.status));
            return state.recorded.then_some(Record::Forget(self.id, key, permit));
        }
        let (request, mut data) = self.row_of(state, Some(ended));
        data.updates = updates;
        Some(Record::Put(Box::new((request, data)), permit))
    }

    /// What becomes of its key, if it has one.
    pub(super) fn key_end(&self, status: Option<RequestStatus>) -> Option<KeyEnd> {
        self.key_hash.map(|key_hash| KeyEnd { project: self.request.project_id, key_hash, status })
    }

    fn ending(&self, state: &State, (ended, at): &(Ended, Timestamp), updates: Option<Bytes>) -> Ending {
        let result = ended.result.as_ref();
        let request = &self.request;
        Ending {
            id: self.id,
            project_id: request.project_id,
            deployment_id: request.deployment_id,
            version_id: request.version_id,
            kind: request.kind,
            life: self.life(),
            epoch: request.epoch,
            status: ended.status,
            started_at: state.started,
            completed_at: *at,
            error_message: ended.error_message.clone(),
            retries: state.retries,
            retention_mode: request.retention_mode,
            request_key: self.request_key.clone(),
            output_size: result.map_or(0, |result| result.len() as i64),
            result: result.filter(|_| self.keeps_data()).cloned(),
            result_key: None,
            updates,
            updates_key: None,
        }
    }

    pub(super) fn life(&self) -> Life {
        Life { server: self.request.server_id, number: self.request.life }
    }
}
