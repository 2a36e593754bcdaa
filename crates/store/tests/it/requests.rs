//! Requests: bulk writes, lists against a model, ends and deletions.

use std::time::Duration;

use modelyard_store::requests::{self, RequestFilter, Scope};
use modelyard_store::*;
use modelyard_types::Timestamp;
use modelyard_types::ids::*;
use modelyard_types::requests::{RequestKind, RequestStatus};
use modelyard_types::versions::RetentionMode;
use proptest::prelude::*;
use uuid::Uuid;

use crate::both::{both, places};

const ALL: [RequestStatus; 6] = [
    RequestStatus::Pending,
    RequestStatus::Processing,
    RequestStatus::Completed,
    RequestStatus::Failed,
    RequestStatus::CancelledPending,
    RequestStatus::Cancelled,
];

fn life(number: i64) -> Life {
    Life { server: ServerId(Uuid::from_u128(1)), number }
}

fn request(status: RequestStatus) -> (Request, RequestData) {
    let request = Request {
        id: RequestId::new(),
        project_id: ProjectId(Uuid::from_u128(1)),
        deployment_id: DeploymentId(Uuid::from_u128(2)),
        version_id: VersionId(Uuid::from_u128(3)),
        revision_id: Some(RevisionId(Uuid::from_u128(4))),
        kind: RequestKind::Direct,
        status,
        started_at: Some(Timestamp::now()),
        completed_at: None,
        timeout: 300,
        error_message: None,
        input_plain: false,
        output_plain: true,
        input_size: 9,
        output_size: 0,
        created_by: "ada@example.org".into(),
        retention_mode: RetentionMode::Full,
        expires_at: Timestamp::now(),
        server_id: life(1).server,
        life: 1,
        epoch: 1,
        retries: 0,
        priority: 1,
        user_id: None,
    };
    let data = RequestData { request_data: Some(r#"{"x":1.5}"#.into()), ..RequestData::default() };
    (request, data)
}

async fn insert(store: &Store, requests: &[(Request, RequestData)]) {
    let mut tx = store.begin().await.unwrap();
    let written = requests::insert_many(&mut tx, requests).await.unwrap();
    assert_eq!(written, requests.len() as u64);
    tx.commit().await.unwrap();
}

async fn record(store: &Store, requests: &[(Request, RequestData)]) -> u64 {
    let mut tx = store.begin().await.unwrap();
    let written = requests::record_many(&mut tx, requests).await.unwrap();
    tx.commit().await.unwrap();
    written
}

#[tokio::test]
async fn groups_of_any_size_come_back_as_they_went_in() {
    for (store, _place) in both().await {
        for size in [0, 1, 4, 5, 137, 1_203] {
            let group: Vec<_> = (0..size).map(|_| request(RequestStatus::Completed)).collect();
            insert(&store, &group).await;
            for (request, data) in [group.first(), group.last()].into_iter().flatten() {
                assert_eq!(requests::get(&store, request.id).await.unwrap().as_ref(), Some(request));
                assert_eq!(requests::get_data(&store, request.id).await.unwrap().as_ref(), Some(data));
            }
        }
        let again = request(RequestStatus::Completed);
        insert(&store, std::slice::from_ref(&again)).await;
        let mut tx = store.begin().await.unwrap();
        let group = [request(RequestStatus::Completed), again];
        let refused = requests::insert_many(&mut tx, &group).await.unwrap_err();
        assert!(matches!(refused, StoreError::Taken(_)), "{refused}");
        drop(tx);
        assert_eq!(requests::get(&store, group[0].0.id).await.unwrap(), None);
    }
}

#[tokio::test]
async fn an_open_row_is_replaced_at_its_end_and_a_final_one_never() {
    for (store, _place) in both().await {
        let (mut row, mut data) = request(RequestStatus::Processing);
        assert_eq!(record(&store, &[(row.clone(), data.clone())]).await, 1);

        row.status = RequestStatus::Completed;
        row.completed_at = Some(Timestamp::now());
        row.output_size = 4;
        data.result = Some("true".into());
        assert_eq!(record(&store, &[(row.clone(), data.clone())]).await, 1);
        assert_eq!(requests::get(&store, row.id).await.unwrap(), Some(row.clone()));
        assert_eq!(requests::get_data(&store, row.id).await.unwrap(), Some(data.clone()));

        let mut late = row.clone();
        late.status = RequestStatus::Failed;
        late.epoch = 2;
        assert_eq!(record(&store, &[(late, RequestData::default())]).await, 0);
        assert_eq!(requests::get(&store, row.id).await.unwrap(), Some(row));
    }
}

#[tokio::test]
async fn late_answers_of_other_lives_and_epochs_are_left_out() {
    for (store, _place) in both().await {
        let (row, data) = request(RequestStatus::Processing);
        let row = Request { epoch: 2, ..row };
        record(&store, &[(row.clone(), data.clone())]).await;
        let ended = Request { status: RequestStatus::Completed, ..row.clone() };
        for stranger in [
            Request { life: 2, ..ended.clone() },
            Request { server_id: ServerId::new(), ..ended.clone() },
            Request { epoch: 1, ..ended.clone() },
        ] {
            assert_eq!(record(&store, &[(stranger, data.clone())]).await, 0);
        }
        assert_eq!(requests::get(&store, row.id).await.unwrap(), Some(row));
        let later = Request { epoch: 3, ..ended };
        assert_eq!(record(&store, &[(later.clone(), data)]).await, 1);
        assert_eq!(requests::get(&store, later.id).await.unwrap(), Some(later));
    }
}

#[tokio::test]
async fn of_a_request_that_is_in_a_group_twice_the_last_counts() {
    for (store, _place) in both().await {
        let (row, data) = request(RequestStatus::Processing);
        let ended = Request { status: RequestStatus::Failed, ..row.clone() };
        let group = [(row, data.clone()), request(RequestStatus::Completed), (ended.clone(), data)];
        assert_eq!(record(&store, &group).await, 2);
        assert_eq!(requests::get(&store, ended.id).await.unwrap(), Some(ended));
    }
}

#[tokio::test]
async fn deletions_are_bounded_and_name_their_objects() {
    for (store, _place) in both().await {
        let now = Timestamp::now();
        let with = |status, expires_at, key: Option<&str>| {
            let (mut request, mut data) = request(status);
            request.expires_at = expires_at;
            data.result_key = key.map(str::to_owned);
            (request, data)
        };
        let hour = Duration::from_secs(3_600);
        let open = with(RequestStatus::Processing, now.minus(hour), None);
        let kept = with(RequestStatus::Completed, now.plus(hour), Some("kept"));
        let group = [
            open.clone(),
            kept.clone(),
            with(RequestStatus::Completed, now.minus(hour), Some("one")),
            with(RequestStatus::Failed, now.minus(hour), None),
            with(RequestStatus::Cancelled, now.minus(hour), None),
        ];
        insert(&store, &group).await;

        let mut tx = store.begin().await.unwrap();
        let first = requests::delete_expired(&mut tx, now, 2).await.unwrap();
        let second = requests::delete_expired(&mut tx, now, 2).await.unwrap();
        assert_eq!((first.count, second.count), (2, 1));
        assert_eq!([first.objects, second.objects].concat(), ["one"]);
        assert_eq!(requests::delete(&mut tx, RequestId::new()).await.unwrap(), requests::Deleted::default());
        assert_eq!(requests::delete(&mut tx, open.0.id).await.unwrap().count, 1);
        let rest = requests::delete_of_version(&mut tx, kept.0.version_id, 10).await.unwrap();
        assert_eq!(rest, requests::Deleted { count: 1, objects: vec!["kept".into()] });
        assert_eq!(requests::delete_of_project(&mut tx, kept.0.project_id, 10).await.unwrap().count, 0);
        tx.commit().await.unwrap();
    }
}

/// What the list should give, said plainly.
fn expected(all: &[Request], filter: &RequestFilter) -> Vec<RequestId> {
    let mut passing: Vec<_> = all
        .iter()
        .filter(|one| match filter.scope {
            Scope::Project(id) => one.project_id == id,
            Scope::Version(id) => one.version_id == id,
        })
        .filter(|one| filter.statuses.is_empty() || filter.statuses.contains(&one.status))
        .filter(|one| filter.from.is_none_or(|from| one.created_at() >= from))
        .filter(|one| filter.until.is_none_or(|until| one.created_at() < until))
        .filter(|one| filter.search_id.as_ref().is_none_or(|part| one.id.0.simple().to_string().contains(part)))
        .map(|one| one.id)
        .collect();
    passing.sort();
    if !filter.oldest_first {
        passing.reverse();
    }
    passing.into_iter().skip(filter.offset as usize).take(filter.limit as usize).collect()
}

/// Requests of a few projects and versions, some made in the same millisecond.
fn many() -> Vec<(Request, RequestData)> {
    (0..400_u128)
        .map(|at| {
            let (mut request, data) = request(ALL[(at * at % 6) as usize]);
            let millis = 1_700_000_000_000 + at / 3;
            request.id = RequestId(Uuid::from_u128((millis << 80) | (7 << 76) | (2 << 62) | at));
            request.project_id = ProjectId(Uuid::from_u128(1 + at % 2));
            request.version_id = VersionId(Uuid::from_u128(10 + at % 6));
            (request, data)
        })
        .collect()
}

fn filters() -> impl Strategy<Value = RequestFilter> {
    let scope = prop_oneof![
        (1..=3_u128).prop_map(|id| Scope::Project(ProjectId(Uuid::from_u128(id)))),
        (10..=16_u128).prop_map(|id| Scope::Version(VersionId(Uuid::from_u128(id)))),
    ];
    let statuses = proptest::collection::vec(proptest::sample::select(ALL.to_vec()), 0..4);
    let time = || proptest::option::of((0..140_000_i64).prop_map(|at| Timestamp(1_700_000_000_000_000 + at)));
    let search = proptest::option::weighted(0.2, "[0-9a-f]{1,2}");
    (scope, statuses, time(), time(), any::<bool>(), 0..30_i64, 0..40_i64, search).prop_map(
        |(scope, statuses, from, until, oldest_first, offset, limit, search_id)| RequestFilter {
            scope,
            statuses,
            from,
            until,
            oldest_first,
            offset,
            limit,
            search_id,
        },
    )
}

#[test]
fn lists_give_what_a_plain_filter_gives() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for place in places() {
        let store = runtime.block_on(place.open());
        let group = many();
        runtime.block_on(insert(&store, &group));
        let all: Vec<_> = group.into_iter().map(|(request, _)| request).collect();
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(150));
        runner
            .run(&filters(), |filter| {
                let listed = runtime.block_on(requests::list(&store, &filter)).unwrap();
                let listed: Vec<_> = listed.into_iter().map(|request| request.id).collect();
                prop_assert_eq!(listed, expected(&all, &filter));
                Ok(())
            })
            .unwrap();
        let whole = RequestFilter {
            statuses: Vec::new(),
            search_id: Some(all[0].id.to_string().to_uppercase()),
            ..RequestFilter::of(Scope::Project(all[0].project_id))
        };
        assert_eq!(runtime.block_on(requests::list(&store, &whole)).unwrap(), [all[0].clone()]);
        runtime.block_on(store.close());
    }
}
