//! Nothing is lost when the database fails for a while, and records of a request keep their order.
#![expect(clippy::unwrap_used, reason = "tests")]

use modelyard_store::{Life, requests};
use modelyard_types::requests::{RequestKind, RequestStatus};
use modelyard_types::versions::RetentionMode;
use modelyard_types::{DeploymentId, ProjectId, ServerId, Timestamp, VersionId};
use sqlx::Connection;
use tempfile::TempDir;

use super::*;
use crate::requests::room::Room;

struct Place {
    folder: TempDir,
    store: Store,
    recorder: std::sync::Arc<Recorder>,
    life: Life,
}

impl Place {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let store = Store::open(folder.path().join("store.db").to_str().unwrap()).await.unwrap();
        let recorder = std::sync::Arc::new(Recorder::new());
        let (its, its_store) = (recorder.clone(), store.clone());
        tokio::spawn(async move { its.run(&its_store, &Notify::new()).await });
        Self { folder, store, recorder, life: Life { server: ServerId::new(), number: 1 } }
    }

    fn request(&self, status: RequestStatus) -> Request {
        Request {
            id: RequestId::new(),
            project_id: ProjectId::new(),
            deployment_id: DeploymentId::new(),
            version_id: VersionId::new(),
            revision_id: None,
            kind: RequestKind::Direct,
            status,
            started_at: None,
            completed_at: None,
            timeout: 300,
            error_message: None,
            input_plain: false,
            output_plain: false,
            input_size: 0,
            output_size: 0,
            created_by: "ada@example.org".into(),
            retention_mode: RetentionMode::Full,
            expires_at: Timestamp::now().plus(Duration::from_secs(3600)),
            server_id: self.life.server,
            life: self.life.number,
            epoch: 0,
            retries: 0,
            priority: 1,
            user_id: None,
        }
    }

    fn put(&self, request: &Request) {
        self.recorder.push(Record::Put(Box::new((request.clone(), RequestData::default())), Permit::default()));
    }

    async fn status(&self, id: RequestId) -> Option<RequestStatus> {
        requests::get(&self.store, id).await.unwrap().map(|request| request.status)
    }

    /// Runs a statement beside the store, to break its database.
    async fn meddle(&self, statement: &'static str) {
        let path = self.folder.path().join("store.db");
        let mut beside = sqlx::SqliteConnection::connect(path.to_str().unwrap()).await.unwrap();
        sqlx::query(statement).execute(&mut beside).await.unwrap();
        beside.close().await.unwrap();
    }
}

#[tokio::test]
async fn nothing_is_lost_while_the_database_fails() {
    let place = Place::new().await;
    place.meddle("ALTER TABLE requests RENAME TO away").await;
    let all: Vec<_> = (0..2_500).map(|_| place.request(RequestStatus::Completed)).collect();
    let room = Room::new(1 << 30);
    let permit = room.permit(0).await.unwrap();
    for (at, request) in all.iter().enumerate() {
        place.put(request);
        if at == 0 {
            place.recorder.push(Record::Forget(RequestId::new(), None, Permit::default()));
        }
    }
    place.recorder.push(Record::Put(Box::new((all[0].clone(), RequestData::default())), permit));
    let waited = place.recorder.barrier(Duration::from_millis(100)).await;
    assert!(matches!(waited, Err(Error::Unavailable(_))), "{waited:?}");
    assert!(!room.is_free());

    place.meddle("ALTER TABLE away RENAME TO requests").await;
    place.recorder.catch_up().await.unwrap();
    for request in &all {
        assert_eq!(place.status(request.id).await, Some(RequestStatus::Completed));
    }
    assert!(room.is_free());
}

#[tokio::test]
async fn the_last_record_of_a_request_counts() {
    let place = Place::new().await;
    let (mut kept, gone) = (place.request(RequestStatus::Pending), place.request(RequestStatus::Pending));
    for status in [RequestStatus::Pending, RequestStatus::Processing, RequestStatus::Completed] {
        kept.status = status;
        place.put(&kept);
        place.put(&gone);
    }
    place.recorder.push(Record::Forget(gone.id, None, Permit::default()));
    place.recorder.catch_up().await.unwrap();
    assert_eq!(place.status(kept.id).await, Some(RequestStatus::Completed));
    assert_eq!(place.status(gone.id).await, None);
}

#[tokio::test]
async fn a_record_that_no_database_takes_holds_up_nobody() {
    let place = Place::new().await;
    let (before, after) = (place.request(RequestStatus::Completed), place.request(RequestStatus::Completed));
    let bad = Request { error_message: Some("a\0b".into()), ..place.request(RequestStatus::Failed) };
    for request in [&before, &bad, &after] {
        place.put(request);
    }
    place.recorder.catch_up().await.unwrap();
    assert_eq!(place.status(before.id).await, Some(RequestStatus::Completed));
    assert_eq!(place.status(after.id).await, Some(RequestStatus::Completed));
    assert_eq!(place.status(bad.id).await, None);
}
