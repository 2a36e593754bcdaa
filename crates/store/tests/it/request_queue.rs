//! Batch requests: claims, ends, what goes back, and what becomes of those whose server is gone.

use std::collections::HashSet;
use std::time::Duration;

use modelyard_store::requests::{self, Ending, Portion, Reason, RequestFilter, Scope, Start};
use modelyard_store::*;
use modelyard_types::Timestamp;
use modelyard_types::ids::*;
use modelyard_types::requests::{RequestKind, RequestStatus};
use modelyard_types::versions::RetentionMode;
use uuid::Uuid;

use crate::both::{self, World, both, organization, project};

pub const VERSION: VersionId = VersionId(Uuid::from_u128(3));

pub fn life(number: i64) -> Life {
    Life { server: ServerId(Uuid::from_u128(1)), number }
}

pub fn waiting(version: VersionId, priority: i64) -> (Request, RequestData) {
    let request = Request {
        id: RequestId::new(),
        project_id: ProjectId(Uuid::from_u128(1)),
        deployment_id: DeploymentId(Uuid::from_u128(2)),
        version_id: version,
        revision_id: None,
        kind: RequestKind::Batch,
        status: RequestStatus::Pending,
        started_at: None,
        completed_at: None,
        timeout: 300,
        error_message: None,
        input_plain: false,
        output_plain: false,
        input_size: 2,
        output_size: 0,
        created_by: "ada@example.org".into(),
        retention_mode: RetentionMode::Full,
        expires_at: Timestamp::now(),
        server_id: requests::NOBODY,
        life: 0,
        epoch: 0,
        retries: 0,
        priority,
        user_id: Some(UserId(Uuid::from_u128(9))),
    };
    (request, RequestData { request_data: Some("{}".into()), ..RequestData::default() })
}

pub async fn insert(store: &Store, rows: &[(Request, RequestData)]) {
    let mut tx = store.begin().await.unwrap();
    requests::insert_many(&mut tx, rows).await.unwrap();
    tx.commit().await.unwrap();
}

pub async fn claim(store: &Store, life: Life, limit: usize) -> Vec<Request> {
    claim_portion(store, life, Portion::of(limit)).await
}

async fn claim_portion(store: &Store, life: Life, portion: Portion) -> Vec<Request> {
    let mut tx = store.begin().await.unwrap();
    let claimed = requests::claim(&mut tx, VERSION, life, portion).await.unwrap();
    tx.commit().await.unwrap();
    claimed.into_iter().map(|(request, _)| request).collect()
}

fn ending(request: &Request, status: RequestStatus) -> Ending {
    Ending {
        id: request.id,
        project_id: request.project_id,
        deployment_id: request.deployment_id,
        version_id: request.version_id,
        kind: request.kind,
        life: Life { server: request.server_id, number: request.life },
        epoch: request.epoch,
        status,
        started_at: Some(Timestamp(5)),
        completed_at: Timestamp(6),
        error_message: None,
        retries: 0,
        retention_mode: request.retention_mode,
        request_key: None,
        output_size: 4,
        result: (request.retention_mode == RetentionMode::Full).then(|| "true".into()),
        result_key: None,
        updates: None,
        updates_key: None,
    }
}

async fn end(store: &Store, endings: &[Ending]) -> requests::Ended {
    let mut tx = store.begin().await.unwrap();
    let ended = requests::end_many(&mut tx, endings).await.unwrap();
    tx.commit().await.unwrap();
    ended
}

pub async fn get(store: &Store, id: RequestId) -> Option<Request> {
    requests::get(store, id).await.unwrap()
}

#[tokio::test]
async fn claims_follow_priority_and_age_and_nothing_is_claimed_twice() {
    for (store, _place) in both().await {
        let rows = [waiting(VERSION, 1), waiting(VERSION, 1), waiting(VERSION, 0), waiting(VERSION, 0)];
        insert(&store, &rows).await;
        insert(&store, &[waiting(VersionId::new(), 0)]).await;
        let ids = |requests: Vec<Request>| requests.into_iter().map(|request| request.id).collect::<Vec<_>>();
        let expected: Vec<_> = [2, 3, 0, 1].map(|at: usize| rows[at].0.id).into();
        let first = claim(&store, life(1), 3).await;
        assert!(first.iter().all(|request| request.epoch == 1 && request.life == 1));
        assert_eq!(ids(first), expected[..3]);
        assert_eq!(ids(claim(&store, life(1), 3).await), expected[3..]);
        assert_eq!(ids(claim(&store, life(1), 3).await), []);
        let claimed: HashSet<_> = requests::claimed_by(&store, life(1)).await.unwrap().into_iter().collect();
        assert_eq!(claimed, expected.into_iter().collect());
        let left = requests::waiting(&store).await.unwrap();
        assert_eq!(left.iter().map(|(_, count, urgent)| (*count, *urgent)).collect::<Vec<_>>(), [(1, 1)]);
    }
}

#[tokio::test]
async fn claims_are_bounded_by_their_data_small_and_large() {
    for (store, _place) in both().await {
        let sizes = [(1, 40), (1, 60), (0, 500), (1, 700), (1, 0), (1, 7), (0, 300), (1, 900)];
        let rows = sizes.map(|(priority, size)| {
            let (request, data) = waiting(VERSION, priority);
            (Request { input_size: size, ..request }, data)
        });
        insert(&store, &rows).await;
        let of = async |count, urgent, small_bytes, large_bytes| {
            let portion = Portion { count, urgent, small: 100, small_bytes, large_bytes };
            let claimed = claim_portion(&store, life(1), portion).await;
            claimed.iter().map(|request| request.input_size).collect::<Vec<_>>()
        };
        assert!(of(9, false, 0, 0).await.is_empty());
        assert_eq!(of(9, true, 1, 400).await, [500], "one that is larger goes alone");
        assert_eq!(of(9, false, 100, 0).await, [40, 60], "small ones pass large ones that find no room");
        assert_eq!(of(2, false, 1, 1).await, [300]);
        assert_eq!(of(9, false, 1, 701).await, [700, 0, 7, 900]);
    }
}

#[tokio::test]
async fn an_end_that_comes_twice_keeps_its_result() {
    for (store, _place) in both().await {
        insert(&store, &[waiting(VERSION, 1)]).await;
        let claimed = claim(&store, life(1), 1).await.remove(0);
        let large = |key: &str| Ending {
            result: None,
            result_key: Some(key.into()),
            updates_key: Some("updates".into()),
            ..ending(&claimed, RequestStatus::Completed)
        };
        // As if the answer to the first commit had been lost.
        for _ in 0..2 {
            assert_eq!(end(&store, &[large("result")]).await.objects, Vec::<String>::new());
        }
        assert_eq!(end(&store, &[large("other")]).await.objects, ["other"]);
        let data = requests::get_data(&store, claimed.id).await.unwrap().unwrap();
        assert_eq!(data.result_key.as_deref(), Some("result"));
    }
}

#[tokio::test]
async fn only_the_claim_that_holds_a_request_can_end_it_and_only_once() {
    for (store, _place) in both().await {
        insert(&store, &[waiting(VERSION, 1)]).await;
        let claimed = claim(&store, life(1), 1).await.remove(0);
        let good = ending(&claimed, RequestStatus::Completed);
        for stranger in [
            Ending { epoch: 0, ..good.clone() },
            Ending { epoch: 2, ..good.clone() },
            Ending { life: life(2), ..good.clone() },
            Ending { life: Life { server: ServerId::new(), number: 1 }, ..good.clone() },
        ] {
            assert_eq!(end(&store, &[stranger]).await.ids, []);
        }
        assert_eq!(get(&store, claimed.id).await, Some(claimed.clone()));
        let late = Ending { result_key: Some("late".into()), ..ending(&claimed, RequestStatus::Failed) };
        assert_eq!(end(&store, std::slice::from_ref(&good)).await.ids, [claimed.id]);
        assert_eq!(end(&store, &[late]).await, requests::Ended { ids: vec![], objects: vec!["late".into()] });
        let after = get(&store, claimed.id).await.unwrap();
        assert_eq!((after.status, after.completed_at), (RequestStatus::Completed, Some(Timestamp(6))));
        let data = requests::get_data(&store, claimed.id).await.unwrap().unwrap();
        assert_eq!((data.request_data.unwrap(), data.result.unwrap()), ("{}".into(), "true".into()));
        let told = outbox::list_after(&store, Uuid::nil(), 10).await.unwrap();
        assert_eq!(told.len(), 1);
        assert_eq!((told[0].request_id, told[0].status), (claimed.id, RequestStatus::Completed));
    }
}

#[tokio::test]
async fn of_two_ends_in_a_group_the_one_of_the_present_claim_counts() {
    for (store, _place) in both().await {
        for mode in [RetentionMode::Full, RetentionMode::None] {
            let row = waiting(VERSION, 1);
            insert(&store, &[(Request { retention_mode: mode, ..row.0 }, row.1)]).await;
            let first = claim(&store, life(1), 1).await.remove(0);
            let back = requests::Release { id: first.id, life: life(1), epoch: 1, retries: 0 };
            let mut tx = store.begin().await.unwrap();
            requests::release_many(&mut tx, &[back]).await.unwrap();
            tx.commit().await.unwrap();
            let second = claim(&store, life(1), 1).await.remove(0);
            let late = Ending { result_key: Some("late".into()), ..ending(&first, RequestStatus::Failed) };
            let ended = end(&store, &[late, ending(&second, RequestStatus::Completed)]).await;
            assert_eq!((ended.ids, ended.objects), (vec![first.id], vec!["late".to_owned()]));
            let told = outbox::list_after(&store, Uuid::nil(), 10).await.unwrap();
            let told: Vec<_> = told.iter().filter(|it| it.request_id == first.id).map(|it| it.status).collect();
            assert_eq!(told, [RequestStatus::Completed]);
        }
    }
}

#[tokio::test]
async fn a_cancel_that_was_asked_for_elsewhere_stays_until_its_server_hears() {
    for (store, _place) in both().await {
        let (request, data) = waiting(VERSION, 1);
        let life = life(1);
        let direct = Request { kind: RequestKind::Direct, server_id: life.server, life: life.number, ..request };
        let record = async |status: RequestStatus| {
            let mut tx = store.begin().await.unwrap();
            requests::record_many(&mut tx, &[(Request { status, ..direct.clone() }, data.clone())]).await.unwrap();
            tx.commit().await.unwrap();
            get(&store, direct.id).await.unwrap().status
        };
        assert_eq!(record(RequestStatus::Pending).await, RequestStatus::Pending);
        let mut tx = store.begin().await.unwrap();
        assert!(requests::ask_to_cancel(&mut tx, direct.id).await.unwrap());
        tx.commit().await.unwrap();
        assert_eq!(record(RequestStatus::Processing).await, RequestStatus::CancelledPending);
        assert_eq!(requests::to_cancel(&store, life).await.unwrap(), [direct.id]);
        assert_eq!(record(RequestStatus::Completed).await, RequestStatus::Completed);
    }
}

#[tokio::test]
async fn a_server_that_was_slow_does_not_take_itself_for_dead() {
    for (store, _place) in both().await {
        insert(&store, &[waiting(VERSION, 1)]).await;
        let mut tx = store.begin().await.unwrap();
        let own = servers::start(&mut tx, ServerId::new(), Timestamp(1)).await.unwrap();
        let other = servers::start(&mut tx, ServerId::new(), Timestamp(1)).await.unwrap();
        tx.commit().await.unwrap();
        claim(&store, own, 1).await;
        for (life, expected) in [(own, 0), (other, 1)] {
            let mut tx = store.begin().await.unwrap();
            let settled = requests::end_orphans(&mut tx, life, Timestamp(2), Timestamp(3), "gone", 10).await.unwrap();
            tx.commit().await.unwrap();
            assert_eq!(settled.0, expected);
        }
    }
}

#[tokio::test]
async fn an_end_keeps_what_retention_says() {
    for (store, _place) in both().await {
        let modes = [RetentionMode::Full, RetentionMode::Metadata, RetentionMode::None];
        let rows = modes.map(|retention_mode| {
            let (request, data) = waiting(VERSION, 1);
            (Request { retention_mode, ..request }, RequestData { request_key: Some("in".into()), ..data })
        });
        insert(&store, &rows).await;
        let claimed = claim(&store, life(1), 3).await;
        let endings: Vec<_> = claimed
            .iter()
            .map(|request| Ending { request_key: Some("in".into()), ..ending(request, RequestStatus::Completed) })
            .collect();
        let ended = end(&store, &endings).await;
        assert_eq!((ended.ids.len(), ended.objects), (3, vec!["in".to_owned(), "in".to_owned()]));
        let found = requests::get_many(&store, &claimed.iter().map(|it| it.id).collect::<Vec<_>>()).await.unwrap();
        assert_eq!(found.len(), 2);
        for (request, data) in found {
            let kept = request.retention_mode == RetentionMode::Full;
            assert_eq!(
                (data.request_data.is_some(), data.request_key.is_some(), data.result.is_some()),
                (kept, kept, kept)
            );
        }
        let mut tx = store.begin().await.unwrap();
        assert_eq!(outbox::delete_before(&mut tx, Timestamp::now().plus(Duration::from_secs(1)), 2).await.unwrap(), 2);
        tx.commit().await.unwrap();
    }
}

#[tokio::test]
async fn a_start_is_noted_and_what_is_put_back_waits_where_it_stood() {
    for (store, _place) in both().await {
        insert(&store, &[waiting(VERSION, 1), waiting(VERSION, 1)]).await;
        let claimed = claim(&store, life(1), 2).await;
        let first = &claimed[0];
        let start = Start { id: first.id, life: life(1), epoch: 1, started_at: Timestamp(7), retries: 0 };
        let mut tx = store.begin().await.unwrap();
        requests::start_many(&mut tx, &[Start { epoch: 9, ..start }]).await.unwrap();
        requests::start_many(&mut tx, &[start]).await.unwrap();
        tx.commit().await.unwrap();
        let begun = get(&store, first.id).await.unwrap();
        assert_eq!((begun.status, begun.started_at), (RequestStatus::Processing, Some(Timestamp(7))));

        let release = requests::Release { id: first.id, life: life(1), epoch: 1, retries: 1 };
        let mut tx = store.begin().await.unwrap();
        assert_eq!(requests::release_many(&mut tx, &[requests::Release { epoch: 2, ..release }]).await.unwrap(), 0);
        assert_eq!(requests::release_many(&mut tx, &[release]).await.unwrap(), 1);
        tx.commit().await.unwrap();
        let again = claim(&store, life(2), 5).await;
        assert_eq!(again.len(), 1);
        assert_eq!((again[0].id, again[0].epoch, again[0].retries), (first.id, 2, 1));
        assert_eq!((again[0].status, again[0].started_at), (RequestStatus::Pending, None));
        // The end under the old claim comes too late.
        assert_eq!(end(&store, &[ending(first, RequestStatus::Completed)]).await.ids, []);
    }
}

#[tokio::test]
async fn cancels_reach_what_waits_and_ask_for_what_is_claimed() {
    for (store, _place) in both().await {
        let rows = [waiting(VERSION, 0), waiting(VERSION, 1)];
        insert(&store, &rows).await;
        let claimed = claim(&store, life(1), 1).await.remove(0);
        let mut tx = store.begin().await.unwrap();
        assert!(requests::claim_one(&mut tx, claimed.id, life(2)).await.unwrap().is_none());
        let (taken, _) = requests::claim_one(&mut tx, rows[1].0.id, life(2)).await.unwrap().unwrap();
        assert_eq!((taken.life, taken.epoch), (2, 1));
        assert!(requests::ask_to_cancel(&mut tx, claimed.id).await.unwrap());
        assert!(!requests::ask_to_cancel(&mut tx, claimed.id).await.unwrap());
        tx.commit().await.unwrap();
        assert_eq!(requests::to_cancel(&store, life(1)).await.unwrap(), [claimed.id]);
        assert_eq!(requests::to_cancel(&store, life(2)).await.unwrap(), []);
    }
}

#[tokio::test]
async fn what_a_dead_server_left_ends_or_waits_again() {
    for (store, _place) in both().await {
        let reason = Reason { begun: "The server stopped", waited: "It waited" };
        let world = World::in_store(&store).await;
        let restarts = both::version(&world.deployment, &world.base, "v2");
        let restarts = Version { restart_request_interruption: true, ..restarts };
        let mut tx = store.begin().await.unwrap();
        versions::insert(&mut tx, &restarts).await.unwrap();
        tx.commit().await.unwrap();
        let (restarting, stubborn) = (restarts.id, world.version.id);
        let (now, group) = (Timestamp::now(), |version, status, kind, retries| {
            let (request, data) = waiting(version, 1);
            let row = Request { status, kind, retries, life: 1, server_id: life(1).server, epoch: 4, ..request };
            (row, data)
        });
        use RequestKind::{Batch, Direct};
        use RequestStatus::{Cancelled, CancelledPending, Failed, Pending, Processing};
        let cases = [
            (group(stubborn, Pending, Batch, 0), Pending, 0),
            (group(stubborn, Processing, Batch, 0), Failed, 0),
            (group(restarting, Processing, Batch, 0), Pending, 1),
            (group(restarting, Processing, Batch, 3), Failed, 3),
            (group(restarting, CancelledPending, Batch, 0), Cancelled, 0),
            (group(restarting, Pending, Direct, 0), Failed, 0),
            (group(restarting, Pending, Direct, 1), Failed, 1),
            (group(VersionId::new(), Processing, Batch, 0), Failed, 0),
            (group(stubborn, CancelledPending, Direct, 0), Cancelled, 0),
        ];
        insert(&store, &cases.each_ref().map(|(row, _, _)| row.clone())).await;
        let mut foreign = group(restarting, Processing, Batch, 0);
        foreign.0.server_id = ServerId::new();
        insert(&store, &[foreign.clone(), waiting(restarting, 1)]).await;

        let mut tx = store.begin().await.unwrap();
        let none = requests::end_orphans(&mut tx, life(1), Timestamp(0), now, "gone", 100).await.unwrap().0;
        let first = requests::end_orphans(&mut tx, life(2), Timestamp(0), now, reason, 3).await.unwrap().0;
        let rest = requests::end_orphans(&mut tx, life(2), Timestamp(0), now, reason, 100).await.unwrap().0;
        tx.commit().await.unwrap();
        assert_eq!((none, first, rest), (0, 3, cases.len() - 3));

        for ((before, _), status, retries) in &cases {
            let after = get(&store, before.id).await.unwrap();
            assert_eq!((after.status, after.retries), (*status, *retries), "{before:?}");
            let waited = (before.kind, before.status, before.retries) == (Direct, Pending, 0);
            let reason = if waited { reason.waited } else { reason.begun };
            let reason = (*status == Failed).then(|| reason.to_owned());
            assert_eq!((after.error_message, after.life), (reason, i64::from(*status != Pending)));
        }
        assert_eq!(get(&store, foreign.0.id).await, Some(foreign.0));
        let pending = RequestFilter { statuses: vec![Pending], ..RequestFilter::of(Scope::Version(restarting)) };
        assert_eq!(requests::list(&store, &pending).await.unwrap().len(), 2);
    }
}

#[tokio::test]
async fn a_direct_request_that_had_not_begun_goes_with_its_key() {
    for (store, _place) in both().await {
        let now = Timestamp::now();
        let row = |status| {
            let (request, data) = waiting(VERSION, 1);
            let kind = RequestKind::Direct;
            (Request { status, kind, life: 1, server_id: life(1).server, ..request }, data)
        };
        let rows = [row(RequestStatus::Pending), row(RequestStatus::Pending), row(RequestStatus::Processing)];
        insert(&store, &rows).await;
        let mut tx = store.begin().await.unwrap();
        // The second has no key.
        for at in [0, 2] {
            let request = &rows[at].0;
            let key = idempotency::Key {
                project_id: request.project_id,
                key_hash: [at as u8; 32],
                body_hash: [2; 32],
                request_ids: vec![request.id.to_string()],
                version_id: None,
                status: None,
                created_at: request.created_at(),
            };
            assert!(idempotency::insert(&mut tx, &key, Timestamp(0)).await.unwrap());
        }
        requests::end_orphans(&mut tx, life(2), Timestamp(0), now, "gone", 10).await.unwrap();
        tx.commit().await.unwrap();
        let mut left = Vec::new();
        for (at, (request, _)) in rows.iter().enumerate() {
            let key = idempotency::get(&store, request.project_id, [at as u8; 32]).await.unwrap();
            left.push((get(&store, request.id).await.map(|request| request.status), key.is_some()));
        }
        let failed = Some(RequestStatus::Failed);
        assert_eq!(left, [(None, false), (failed, false), (failed, true)]);
    }
}

#[tokio::test]
async fn a_key_is_taken_once_until_it_is_old() {
    for (store, _place) in both().await {
        let (now, day) = (Timestamp::now(), Duration::from_secs(86_400));
        let key = idempotency::Key {
            project_id: project(&organization("o"), "p").id,
            key_hash: [1; 32],
            body_hash: [2; 32],
            request_ids: vec![RequestId::new().to_string()],
            version_id: Some(VersionId::new()),
            status: None,
            created_at: now,
        };
        let mut tx = store.begin().await.unwrap();
        assert!(idempotency::insert(&mut tx, &key, now.minus(day)).await.unwrap());
        let other = idempotency::Key { body_hash: [3; 32], ..key.clone() };
        assert!(!idempotency::insert(&mut tx, &other, now.minus(day)).await.unwrap());
        let elsewhere = idempotency::Key { project_id: ProjectId::new(), ..key.clone() };
        assert!(idempotency::insert(&mut tx, &elsewhere, now.minus(day)).await.unwrap());
        idempotency::set_status(&mut tx, key.project_id, key.key_hash, RequestStatus::Failed).await.unwrap();
        tx.commit().await.unwrap();
        let found = idempotency::get(&store, key.project_id, key.key_hash).await.unwrap().unwrap();
        assert_eq!(found, idempotency::Key { status: Some(RequestStatus::Failed), ..key.clone() });
        assert_eq!(found.requests().unwrap().len(), 1);

        let mut tx = store.begin().await.unwrap();
        let later = idempotency::Key { created_at: now.plus(day), ..other };
        assert!(idempotency::insert(&mut tx, &later, now.plus(Duration::from_secs(1))).await.unwrap());
        assert_eq!(idempotency::delete_before(&mut tx, now.plus(Duration::from_secs(1)), 10).await.unwrap(), 1);
        assert_eq!(idempotency::delete_of_project(&mut tx, key.project_id, 10).await.unwrap(), 1);
        tx.commit().await.unwrap();
    }
}
