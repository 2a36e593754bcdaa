//! Large data of requests that ended, on its way to where it is kept.
//!
//! It is stored before the record of the end goes to the recorder, which has only rows to write: neither a large result nor
//! a disk that takes nothing holds up the records of others. Until then the request stays among the live ones, and is shown
//! as it ended.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use modelyard_objects::Objects;
use modelyard_types::{RequestId, Result};
use tokio::sync::Semaphore;

use super::recorder::{MAX_INLINE, Record};
use super::request::LiveRequest;
use crate::Inner;
use crate::loops::caught;

/// How many requests store their data at a time.
const TURNS: usize = 4;
/// The pauses between attempts to store something: each is twice the last, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Whose turn it is to store data.
pub(crate) struct Storing(Semaphore);

impl Default for Storing {
    fn default() -> Self {
        Self(Semaphore::new(TURNS))
    }
}

impl Inner {
    /// Stores the large data of a record, behind its caller's back, and then hands it over. It is stored, however often
    /// that has to be tried; what is deleted meanwhile need not be.
    pub(super) fn store_and_record(self: &Arc<Self>, request: Arc<LiveRequest>, mut record: Record) {
        let control = self.clone();
        self.writers.spawn(async move {
            let mut pause = FIRST_PAUSE;
            while let Err(cause) = caught(control.store_data_of(&request, &mut record)).await {
                tracing::error!(request = %request.id, %cause, "request data could not be stored; trying again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            let unused = request.hand_over(record, &control);
            control.drop_objects(unused).await;
        });
    }

    async fn store_data_of(&self, request: &LiveRequest, record: &mut Record) -> Result<()> {
        // Nobody keeps a turn while it pauses.
        let _turn = self.storing.0.acquire().await;
        for (data, key) in record.data() {
            if request.is_deleted() {
                break;
            }
            store(&self.objects, request.id, data, key).await?;
        }
        Ok(())
    }
}

/// Moves large data from the row of a request to an object. If its row never comes to be, cleaning removes it.
async fn store(objects: &Objects, owner: RequestId, data: &mut Option<Bytes>, key: &mut Option<String>) -> Result<()> {
    if let Some(bytes) = data.as_ref().filter(|bytes| bytes.len() > MAX_INLINE) {
        *key = Some(objects.put(owner.0, bytes.clone()).await?);
        *data = None;
    }
    Ok(())
}

/// Moves large data of a new request to an object, however often that has to be tried.
pub(super) async fn spill(objects: &Objects, owner: RequestId, data: &mut Option<Bytes>, key: &mut Option<String>) {
    let mut pause = FIRST_PAUSE;
    while let Err(cause) = store(objects, owner, data, key).await {
        tracing::error!(%cause, "request data could not be stored; trying again");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
