//! Requests: what was asked, where it stands, what came out. The largest table of the platform.

pub(crate) mod ends;
pub(crate) mod given_up;
mod list;
mod open;
pub(crate) mod orphans;
pub(crate) mod queue;
mod record;
mod search;
pub(crate) mod sweep;

use modelyard_types::Timestamp;
use modelyard_types::ids::{DeploymentId, ProjectId, RequestId, RevisionId, ServerId, UserId, VersionId};
use modelyard_types::requests::{RequestKind, RequestStatus};
use modelyard_types::versions::RetentionMode;

pub use ends::{Ended, Ending, Start, end_many, start_many};
pub use given_up::end_waiting;
pub(crate) use list::first_id_of;
pub use list::{RequestFilter, Scope, list};
pub use orphans::{MAX_RETRIES, Reason, end_lost, end_orphans};
pub use queue::{
    NOBODY, Portion, Release, ask_to_cancel, claim, claim_one, claimed_by, release_many, to_cancel, waiting,
};
pub use record::{insert_many, record_many};
pub use search::IdPart;
pub use sweep::{Deleted, delete, delete_expired, delete_of_project, delete_of_version};

use std::collections::{HashMap, HashSet};

use crate::Store;
use crate::db::Source;
use crate::error::{Result, StoreError};
use crate::sql::{row, statements};
use crate::value::{Bind, Column, Record, Row, Type, Value, values};

row! {
    /// A request, without what went in and came out. Its id carries the time it was made.
    pub struct Request {
        /// Its id.
        pub id: RequestId,
        /// The project it belongs to.
        pub project_id: ProjectId,
        /// The deployment it went to.
        pub deployment_id: DeploymentId,
        /// The version it went to.
        pub version_id: VersionId,
        /// The revision that ran it.
        pub revision_id: Option<RevisionId>,
        /// Whether the caller waits.
        pub kind: RequestKind,
        /// Where it stands.
        pub status: RequestStatus,
        /// When its work began.
        pub started_at: Option<Timestamp>,
        /// When it ended.
        pub completed_at: Option<Timestamp>,
        /// Its time limit in seconds.
        pub timeout: i64,
        /// Why it failed.
        pub error_message: Option<String>,
        /// Whether its data is text instead of JSON.
        pub input_plain: bool,
        /// Whether its result is text instead of JSON.
        pub output_plain: bool,
        /// The size of its data in bytes.
        pub input_size: i64,
        /// The size of its result in bytes.
        pub output_size: i64,
        /// The address of who made it.
        pub created_by: String,
        /// What is kept of it.
        pub retention_mode: RetentionMode,
        /// When it is deleted, once it has ended.
        pub expires_at: Timestamp,
        /// The server that runs it.
        pub server_id: ServerId,
        /// The life of that server.
        pub life: i64,
        /// Counts how often it was given to a process; a late answer of an earlier one is ignored.
        pub epoch: i64,
        /// How often it was run again.
        pub retries: i64,
        /// 0 goes before 1.
        pub priority: i64,
        /// Who made it.
        pub user_id: Option<UserId>,
    }
}

row! {
    /// What went into a request and came out of it. Above 64 KiB it is an object, and its key stands here.
    #[derive(Default)]
    pub struct RequestData {
        /// Its data.
        pub request_data: Option<bytes::Bytes>,
        /// The object that holds its data.
        pub request_key: Option<String>,
        /// Its result.
        pub result: Option<bytes::Bytes>,
        /// The object that holds its result.
        pub result_key: Option<String>,
        /// What it told while it ran: a JSON list of texts.
        pub updates: Option<bytes::Bytes>,
        /// The object that holds that.
        pub updates_key: Option<String>,
    }
}

impl Request {
    /// When it was made, to the millisecond.
    pub fn created_at(&self) -> Timestamp {
        self.id.made_at()
    }
}

statements! {
    GET = "SELECT ", Request::COLUMNS, " FROM requests WHERE id = $1";
    DATA = "SELECT ", RequestData::COLUMNS, " FROM requests WHERE id = $1";
}

/// The most ids that are asked for at once.
const MOST_IDS: usize = 250;

/// The requests of some ids with their data, in no order; ids without a request are left out.
pub async fn get_many(store: &Store, ids: &[RequestId]) -> Result<Vec<(Request, RequestData)>> {
    let mut found = Vec::with_capacity(ids.len());
    for some in ids.chunks(MOST_IDS) {
        let rows: Vec<Both> = store.all(many_text(some.len()), some.iter().map(Bind::value).collect()).await?;
        found.extend(rows.into_iter().map(|both| (both.request, both.data)));
    }
    Ok(found)
}

/// Which of some ids are those of requests.
pub async fn existing(store: &Store, ids: &[RequestId]) -> Result<HashSet<RequestId>> {
    let mut found = HashSet::with_capacity(ids.len());
    for some in ids.chunks(MOST_IDS) {
        let rows: Vec<(RequestId,)> =
            store.all(existing_text(some.len()), some.iter().map(Bind::value).collect()).await?;
        found.extend(rows.into_iter().map(|(id,)| id));
    }
    Ok(found)
}

/// Where requests of some ids stand; ids without a request are left out.
pub async fn statuses(store: &Store, ids: &[RequestId]) -> Result<HashMap<RequestId, RequestStatus>> {
    let mut found = HashMap::with_capacity(ids.len());
    for some in ids.chunks(MOST_IDS) {
        let rows: Vec<(RequestId, RequestStatus)> =
            store.all(statuses_text(some.len()), some.iter().map(Bind::value).collect()).await?;
        found.extend(rows);
    }
    Ok(found)
}

/// A request and its data from one row.
pub(crate) struct Both {
    pub(crate) request: Request,
    pub(crate) data: RequestData,
}

impl Record for Both {
    fn read(row: &Row, at: &mut usize) -> Result<Self> {
        Ok(Self { request: Request::read(row, at)?, data: RequestData::read(row, at)? })
    }
}

fn many_text(count: usize) -> String {
    format!("SELECT {}, {} FROM requests WHERE id IN ({})", Request::COLUMNS, RequestData::COLUMNS, marks(count))
}

fn existing_text(count: usize) -> String {
    format!("SELECT id FROM requests WHERE id IN ({})", marks(count))
}

fn statuses_text(count: usize) -> String {
    format!("SELECT id, status FROM requests WHERE id IN ({})", marks(count))
}

fn marks(count: usize) -> String {
    let marks: Vec<_> = (1..=count).map(|at| format!("${at}")).collect();
    marks.join(", ")
}

/// The request of an id.
pub async fn get(on: impl Source<'_>, id: RequestId) -> Result<Option<Request>> {
    on.first(GET, values![id]).await
}

/// What went into a request and came out of it.
pub async fn get_data(on: impl Source<'_>, id: RequestId) -> Result<Option<RequestData>> {
    on.first(DATA, values![id]).await
}

/// The texts of this noun that are put together for the occasion, in examples.
pub(crate) fn built_texts(postgres: bool) -> Vec<(String, String)> {
    let mut texts = list::built_texts(postgres);
    texts.extend(search::built_texts(postgres));
    texts.push(("requests::get_many".into(), many_text(3)));
    texts.push(("requests::existing".into(), existing_text(3)));
    texts.push(("requests::statuses".into(), statuses_text(3)));
    texts.extend(record::built_texts(postgres));
    texts.extend(ends::built_texts(postgres));
    texts.extend(queue::built_texts(postgres));
    texts
}

/// Enums kept as numbers. The order matters: a status below 3 is not final, as indexes and statements have it.
macro_rules! codes {
    ($($type:ident { $($variant:ident = $code:literal),+ })+) => {$(
        impl Bind for $type {
            const TYPE: Type = Type::Int;
            fn value(&self) -> Value {
                Value::Int(match self { $($type::$variant => $code),+ })
            }
        }
        impl Column for $type {
            fn read(row: &Row, at: usize) -> Result<Self> {
                match i64::read(row, at)? {
                    $($code => Ok($type::$variant),)+
                    other => Err(StoreError::unreadable(at, format_args!("{other} is not a known code"))),
                }
            }
        }
    )+};
}

codes! {
    RequestStatus {
        Pending = 0, Processing = 1, CancelledPending = 2, Completed = 3, Failed = 4, Cancelled = 5
    }
    RequestKind { Direct = 0, Batch = 1 }
    RetentionMode { None = 0, Metadata = 1, Full = 2 }
}
