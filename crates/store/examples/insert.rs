//! How fast requests are written and listed: `cargo run --release -p modelyard-store --example insert -- [ROWS] [PLACE]`.
//!
//! Writes rows of about 200 bytes in groups of 500, each a commit, as the recorder does; then lists.

use std::time::Instant;

use modelyard_store::requests::{self, RequestFilter, Scope};
use modelyard_store::{Request, RequestData, Store};
use modelyard_types::Timestamp;
use modelyard_types::ids::{DeploymentId, ProjectId, RequestId, RevisionId, ServerId, VersionId};
use modelyard_types::requests::{RequestKind, RequestStatus};
use modelyard_types::versions::RetentionMode;
use uuid::Uuid;

const GROUP: usize = 500;

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let rows: usize = arguments.next().map_or(200_000, |rows| rows.parse().expect("a number of rows"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("bench.db").display().to_string();
    let place = arguments.next().unwrap_or(file);
    let store = Store::open(&place).await.expect("an open store");

    let since = Instant::now();
    for at in 0..rows / GROUP {
        let group: Vec<_> = (0..GROUP).map(|row| request(at * GROUP + row)).collect();
        let mut tx = store.begin().await.expect("a transaction");
        requests::record_many(&mut tx, &group).await.expect("written rows");
        tx.commit().await.expect("a commit");
    }
    let seconds = since.elapsed().as_secs_f64();
    println!("{rows} rows in groups of {GROUP}: {:.0} rows/s", rows as f64 / seconds);

    let project = Scope::Project(ProjectId(Uuid::from_u128(1)));
    let version = Scope::Version(VersionId(Uuid::from_u128(10)));
    let base = |scope| RequestFilter::of(scope);
    let all = |scope| RequestFilter { statuses: Vec::new(), ..RequestFilter::of(scope) };
    let failed = |scope| RequestFilter { statuses: vec![RequestStatus::Failed], ..RequestFilter::of(scope) };
    let deep = |filter| RequestFilter { offset: 100_000, ..filter };
    for (name, filter) in [
        ("version, completed", base(version)),
        ("version, all", all(version)),
        ("version, failed", failed(version)),
        ("project, completed", base(project)),
        ("project, all", all(project)),
        ("project, all, offset 100,000", deep(all(project))),
        ("version, completed, offset 100,000", deep(base(version))),
        ("version, part of an id", RequestFilter { search_id: Some("zzzz".into()), ..all(version) }),
    ] {
        let since = Instant::now();
        let listed = requests::list(&store, &filter).await.expect("a list");
        println!("{name}: {} rows in {:.1} ms", listed.len(), since.elapsed().as_secs_f64() * 1e3);
    }
    store.close().await;
}

fn request(at: usize) -> (Request, RequestData) {
    let now = Timestamp::now();
    let request = Request {
        id: RequestId::new(),
        project_id: ProjectId(Uuid::from_u128(1)),
        deployment_id: DeploymentId(Uuid::from_u128(2)),
        version_id: VersionId(Uuid::from_u128(10 + at as u128 % 8)),
        revision_id: Some(RevisionId(Uuid::from_u128(4))),
        kind: RequestKind::Direct,
        status: if at.is_multiple_of(1_000) { RequestStatus::Failed } else { RequestStatus::Completed },
        started_at: Some(now),
        completed_at: Some(now),
        timeout: 300,
        error_message: None,
        input_plain: false,
        output_plain: false,
        input_size: 40,
        output_size: 40,
        created_by: "ada@example.org".into(),
        retention_mode: RetentionMode::Full,
        expires_at: now,
        server_id: ServerId(Uuid::from_u128(5)),
        life: 1,
        epoch: 1,
        retries: 0,
        priority: 1,
        user_id: None,
    };
    let text = bytes::Bytes::from_static(br#"{"a": 5.1, "b": 3.5, "c": 1.4, "d": 0.2}"#);
    let data = RequestData { request_data: Some(text.clone()), result: Some(text), ..RequestData::default() };
    (request, data)
}
