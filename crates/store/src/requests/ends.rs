//! Starts and ends of batch requests: changes of rows that are there, made only by the life and epoch that has claimed them.

use std::borrow::Borrow;
use std::collections::HashSet;

use modelyard_types::Timestamp;
use modelyard_types::ids::{DeploymentId, OutboxId, ProjectId, RequestId, VersionId};
use modelyard_types::requests::{RequestKind, RequestStatus};
use modelyard_types::versions::RetentionMode;

use super::sweep::deleted;
use crate::bulk::BulkUpdate;
use crate::db::Source;
use crate::error::Result;
use crate::outbox::{self, Message};
use crate::servers::Life;
use crate::sql::statements;
use crate::tx::Tx;
use crate::value::{Bind, Type, Value, values};

/// A request whose work has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// Which one.
    pub id: RequestId,
    /// The life that has it.
    pub life: Life,
    /// The claim under which it runs.
    pub epoch: i64,
    /// When its work began.
    pub started_at: Timestamp,
    /// How often it was run again.
    pub retries: i64,
}

/// A request that ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Ending {
    /// Which one.
    pub id: RequestId,
    /// Its project.
    pub project_id: ProjectId,
    /// Its deployment.
    pub deployment_id: DeploymentId,
    /// Its version.
    pub version_id: VersionId,
    /// Whether a caller waits for it; such an end is not put into the outbox.
    pub kind: RequestKind,
    /// The life that has it.
    pub life: Life,
    /// The claim under which it ran.
    pub epoch: i64,
    /// How it ended.
    pub status: RequestStatus,
    /// When its work began, if it did.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub completed_at: Timestamp,
    /// Why it failed.
    pub error_message: Option<String>,
    /// How often it was run again.
    pub retries: i64,
    /// What is kept of it.
    pub retention_mode: RetentionMode,
    /// The object that holds what went in, which is deleted unless retention is full.
    pub request_key: Option<String>,
    /// The size of its result in bytes.
    pub output_size: i64,
    /// Its result, or the object that holds it; kept only when retention is full.
    pub result: Option<bytes::Bytes>,
    /// The object that holds its result.
    pub result_key: Option<String>,
    /// What it told while it ran, or the object that holds it; kept only when retention is full.
    pub updates: Option<bytes::Bytes>,
    /// The object that holds its updates.
    pub updates_key: Option<String>,
}

/// What [`end_many`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// The requests whose ends were written; the others belong to another life or epoch by now, or are gone.
    pub ids: Vec<RequestId>,
    /// Objects that nothing refers to any more.
    pub objects: Vec<String>,
}

const START: BulkUpdate = BulkUpdate {
    table: "requests",
    names: &["id", "server_id", "life", "epoch", "started_at", "retries"],
    types: &[Type::Id, Type::Id, Type::Int, Type::Int, Type::Int, Type::Int],
    set: "status = 1, started_at = v.started_at, retries = v.retries",
    key: "id",
    guard: "requests.status < 2 AND requests.server_id = v.server_id
        AND requests.life = v.life AND requests.epoch = v.epoch",
    returning: "requests.id",
};

const END: BulkUpdate = BulkUpdate {
    table: "requests",
    names: &[
        "id",
        "server_id",
        "life",
        "epoch",
        "status",
        "started_at",
        "completed_at",
        "error_message",
        "retries",
        "output_size",
        "result",
        "result_key",
        "updates",
        "updates_key",
        "keeps_data",
    ],
    types: &[
        Type::Id,
        Type::Id,
        Type::Int,
        Type::Int,
        Type::Int,
        Type::Int,
        Type::Int,
        Type::Text,
        Type::Int,
        Type::Int,
        Type::Bytes,
        Type::Text,
        Type::Bytes,
        Type::Text,
        Type::Flag,
    ],
    set: "status = v.status, started_at = v.started_at, completed_at = v.completed_at,
        error_message = v.error_message, retries = v.retries, output_size = v.output_size, result = v.result,
        result_key = v.result_key, updates = v.updates, updates_key = v.updates_key,
        request_data = CASE WHEN v.keeps_data THEN requests.request_data END,
        request_key = CASE WHEN v.keeps_data THEN requests.request_key END",
    key: "id",
    guard: "requests.status < 3 AND requests.server_id = v.server_id
        AND requests.life = v.life AND requests.epoch = v.epoch",
    returning: "requests.id, requests.epoch",
};

statements! {
    DROP = "DELETE FROM requests
        WHERE id = $1 AND status < 3 AND server_id = $2 AND life = $3 AND epoch = $4
        RETURNING request_key, result_key, updates_key";
    HELD = "SELECT result_key, updates_key FROM requests WHERE id = $1";
}

/// Notes that work has begun.
pub async fn start_many(tx: &mut Tx, starts: &[Start]) -> Result<()> {
    let of = |start: &Start| {
        values![start.id, start.life.server, start.life.number, start.epoch, start.started_at, start.retries]
    };
    let _: Vec<(RequestId,)> = START.update(tx, starts.iter().flat_map(of).collect()).await?;
    Ok(())
}

/// Writes ends, and what the outbox has of them. With retention `metadata` the data goes, with `none` the row.
pub async fn end_many<E: Borrow<Ending>>(tx: &mut Tx, endings: &[E]) -> Result<Ended> {
    let endings: Vec<&Ending> = endings.iter().map(Borrow::borrow).collect();
    let mut ended = Ended::default();
    let kept = endings.iter().filter(|ending| ending.retention_mode != RetentionMode::None);
    let written: Vec<(RequestId, i64)> = END.update(tx, kept.flat_map(|ending| end_values(ending)).collect()).await?;
    // By claim: there may be an end of an earlier claim of the same request beside the one that counts.
    let mut told: HashSet<(RequestId, i64)> = written.into_iter().collect();
    for ending in endings.iter().filter(|ending| ending.retention_mode == RetentionMode::None) {
        if drop_row(tx, ending, &mut ended).await? {
            told.insert((ending.id, ending.epoch));
        }
    }
    let counts = |it: &&Ending| told.contains(&(it.id, it.epoch));
    let (counted, late): (Vec<&Ending>, Vec<&Ending>) = endings.into_iter().partition(counts);
    ended.ids.extend(counted.iter().map(|ending| ending.id));
    for ending in counted.iter().filter(|it| it.retention_mode == RetentionMode::Metadata) {
        ended.objects.extend(ending.request_key.clone());
    }
    for ending in counted.iter().filter(|it| it.retention_mode == RetentionMode::None) {
        ended.objects.extend(results_of(ending).cloned());
    }
    for ending in late {
        ended.objects.extend(unheld(tx, ending).await?);
    }
    let batch = counted.into_iter().filter(|ending| ending.kind == RequestKind::Batch);
    outbox::insert_many(tx, &batch.map(message).collect::<Vec<_>>()).await?;
    Ok(ended)
}

fn results_of(ending: &Ending) -> impl Iterator<Item = &String> {
    [&ending.result_key, &ending.updates_key].into_iter().flatten()
}

/// The objects of an end that was not written, but for those its row has: when the answer to a commit was lost, the same end
/// comes twice.
async fn unheld(tx: &mut Tx, ending: &Ending) -> Result<Vec<String>> {
    if results_of(ending).next().is_none() {
        return Ok(Vec::new());
    }
    let held: Option<(Option<String>, Option<String>)> = tx.first(HELD, values![ending.id]).await?;
    let held: Vec<String> = held.into_iter().flat_map(|(result, updates)| [result, updates]).flatten().collect();
    Ok(results_of(ending).filter(|key| !held.contains(key)).cloned().collect())
}

/// Deletes the row of a request that keeps nothing; says whether it was its claim's to end.
async fn drop_row(tx: &mut Tx, ending: &Ending, ended: &mut Ended) -> Result<bool> {
    let values = values![ending.id, ending.life.server, ending.life.number, ending.epoch];
    let gone = deleted(tx.all(DROP, values).await?);
    ended.objects.extend(gone.objects);
    Ok(gone.count > 0)
}

fn end_values(ending: &Ending) -> Vec<Value> {
    let keeps_data = ending.retention_mode == RetentionMode::Full;
    values![
        ending.id,
        ending.life.server,
        ending.life.number,
        ending.epoch,
        ending.status,
        ending.started_at,
        ending.completed_at,
        ending.error_message,
        ending.retries,
        ending.output_size,
    ]
    .into_iter()
    .chain([
        ending.result.value(),
        ending.result_key.value(),
        ending.updates.value(),
        ending.updates_key.value(),
        keeps_data.value(),
    ])
    .collect()
}

fn message(ending: &Ending) -> Message {
    Message {
        id: OutboxId::new(),
        project_id: ending.project_id,
        deployment_id: ending.deployment_id,
        version_id: ending.version_id,
        request_id: ending.id,
        status: ending.status,
    }
}

pub(super) fn built_texts(postgres: bool) -> Vec<(String, String)> {
    let text = |bulk: &BulkUpdate| if postgres { bulk.text_for_pg() } else { bulk.text_for_lite(5) };
    vec![("requests::start_many".into(), text(&START)), ("requests::end_many".into(), text(&END))]
}
