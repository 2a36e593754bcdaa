//! The requests that are stored: five versions of three projects over 35 days, the last of them still open.

use std::time::{Duration, Instant};

use modelyard_store::requests::{self, NOBODY};
use modelyard_store::{Life, Request, RequestData, Result, Source as _, Store};
use modelyard_types::Timestamp;
use modelyard_types::ids::{DeploymentId, ProjectId, RequestId, RevisionId, ServerId, UserId, VersionId};
use modelyard_types::requests::{RequestKind, RequestStatus};
use modelyard_types::versions::RetentionMode;
use uuid::{Builder, Uuid};

/// Rows of one commit: as many as the recorder writes at once.
const GROUP: u64 = 500;
/// How old the oldest one is: a week older than any request is kept.
const SPAN: Duration = Duration::from_hours(35 * 24);
const KEPT: Duration = Duration::from_hours(28 * 24);
/// How many have not ended, at the most.
const MOST_OPEN: u64 = 30_000;
/// The share of each version in percent, and its project.
const VERSIONS: [(u64, u128); 5] = [(50, 1), (20, 1), (10, 1), (15, 2), (5, 3)];
const RESULT: &[u8] = br#"{"a": 5.1, "b": 3.5, "c": 1.4, "d": 0.2}"#;

/// What is stored, without storing it: each request follows from its number.
pub struct World {
    requests: u64,
    since: Timestamp,
    /// Who has claimed what is in work.
    pub life: Life,
}

impl World {
    pub fn of(requests: u64) -> Self {
        let life = Life { server: ServerId(Uuid::from_u128(5)), number: 1 };
        Self { requests, since: Timestamp::now().minus(SPAN), life }
    }

    /// The project of most requests.
    pub fn project(&self) -> ProjectId {
        ProjectId(Uuid::from_u128(1))
    }

    /// The version of half of all requests.
    pub fn version(&self) -> VersionId {
        VersionId(Uuid::from_u128(10))
    }

    /// A time so many hundredths after the first request.
    pub fn at(&self, hundredths: u32) -> Timestamp {
        self.since.plus(SPAN / 100 * hundredths)
    }

    /// The id of a request that has ended: the last one before `hundredths` of all.
    pub fn id(&self, hundredths: u64) -> RequestId {
        self.id_of(self.ended() / 100 * hundredths)
    }

    fn ended(&self) -> u64 {
        self.requests - (self.requests / 20).min(MOST_OPEN)
    }

    fn id_of(&self, number: u64) -> RequestId {
        let micros = u128::from(number) * SPAN.as_micros() / u128::from(self.requests);
        let at = self.since.plus(Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX)));
        let millis = u64::try_from(at.0 / 1_000).unwrap_or(0);
        let mut random = [0; 10];
        random[..8].copy_from_slice(&mixed(number).to_be_bytes());
        random[8..].copy_from_slice(&mixed(!number).to_be_bytes()[..2]);
        RequestId(Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    fn request(&self, number: u64) -> (Request, RequestData) {
        let id = self.id_of(number);
        let chance = mixed(number);
        let (version, project) = version(chance % 100);
        let kind = if (chance >> 8).is_multiple_of(5) { RequestKind::Batch } else { RequestKind::Direct };
        let request = Request {
            id,
            project_id: ProjectId(Uuid::from_u128(project)),
            deployment_id: DeploymentId(Uuid::from_u128(2)),
            version_id: version,
            revision_id: Some(RevisionId(Uuid::from_u128(4))),
            kind,
            status: ended_as(chance >> 16),
            started_at: Some(id.made_at()),
            completed_at: Some(id.made_at()),
            timeout: 300,
            error_message: None,
            input_plain: false,
            output_plain: false,
            input_size: RESULT.len() as i64,
            output_size: RESULT.len() as i64,
            created_by: if chance.is_multiple_of(3) { "ada@example.org" } else { "a-service@example.org" }.into(),
            retention_mode: RetentionMode::Full,
            expires_at: id.made_at().plus(KEPT),
            server_id: self.life.server,
            life: self.life.number,
            epoch: 1,
            retries: 0,
            priority: 1,
            user_id: Some(UserId(Uuid::from_u128(6))),
        };
        let request = if number < self.ended() { with_reason(request) } else { self.opened(request, number) };
        let data = data(&request);
        (request, data)
    }

    /// Nine of ten wait and are nobody's, the others are in work; a few of these are being cancelled.
    fn opened(&self, request: Request, number: u64) -> Request {
        let open = Request { kind: RequestKind::Batch, completed_at: None, output_size: 0, ..request };
        match number % 100 {
            0 => Request { status: RequestStatus::CancelledPending, ..open },
            1..10 => Request { status: RequestStatus::Processing, ..open },
            _ => Request {
                status: RequestStatus::Pending,
                started_at: None,
                server_id: NOBODY,
                life: 0,
                epoch: 0,
                ..open
            },
        }
    }
}

/// Stores all of them; tells how many a second.
pub async fn fill(store: &Store, world: &World) -> Result<f64> {
    let since = Instant::now();
    let mut told = since;
    for first in (0..world.requests).step_by(GROUP as usize) {
        let numbers = first..(first + GROUP).min(world.requests);
        let group: Vec<_> = numbers.map(|number| world.request(number)).collect();
        let mut tx = store.begin().await?;
        requests::record_many(&mut tx, &group).await?;
        tx.commit().await?;
        if told.elapsed() > Duration::from_secs(10) {
            eprintln!("{first} of {} are stored", world.requests);
            told = Instant::now();
        }
    }
    let per_second = world.requests as f64 / since.elapsed().as_secs_f64();
    Ok(per_second)
}

/// What PostgreSQL does by itself a few minutes after so many rows came.
pub async fn settle(store: &Store) -> Result<()> {
    store.rows("VACUUM ANALYZE requests", Vec::new()).await.map(drop)
}

/// A number that looks random and always is the same one for a number.
fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn version(percent: u64) -> (VersionId, u128) {
    let mut left = percent;
    for (at, (share, project)) in VERSIONS.iter().enumerate() {
        if left < *share {
            return (VersionId(Uuid::from_u128(10 + at as u128)), *project);
        }
        left -= share;
    }
    (VersionId(Uuid::from_u128(10)), 1)
}

/// Three of a hundred fail, one is cancelled.
fn ended_as(chance: u64) -> RequestStatus {
    match chance % 100 {
        0 => RequestStatus::Cancelled,
        1..4 => RequestStatus::Failed,
        _ => RequestStatus::Completed,
    }
}

fn with_reason(request: Request) -> Request {
    let failed = request.status == RequestStatus::Failed;
    let reason = || "The request method raised ValueError: not a number".to_owned();
    Request { error_message: failed.then(reason), ..request }
}

fn data(request: &Request) -> RequestData {
    let text = bytes::Bytes::from_static(RESULT);
    let result = (request.status == RequestStatus::Completed).then(|| text.clone());
    RequestData { request_data: Some(text), result, ..RequestData::default() }
}
