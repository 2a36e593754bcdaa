//! What becomes of requests when instances do not start: here none ever does.

use std::time::Duration;

use modelyard_store::requests::Scope;
use modelyard_store::{Instance, Life, instances, outbox, requests, servers};
use modelyard_types::instances::InstanceStatus;
use modelyard_types::{InstanceId, RevisionId, ServerId, Timestamp};

use super::*;
use crate::loops::single;

/// What the runner says of every start.
const REASON: &str = "Nothing starts here";
/// More than a lane takes in at once.
const CALLS: usize = 7;

async fn batch(world: &World, place: &Place, count: usize) -> Vec<RequestId> {
    let body = Bytes::from(format!("[{}]", vec![r#"{"x":1}"#; count].join(",")));
    let new = BatchRequest { body, text: false, timeout: 300, priority: 1, key: None, permit: Permit::default() };
    let actor = Arc::new(world.by.clone());
    let made = world.control.batch_request(&actor, &place.0, &place.1.name, Some(&place.2.name), new).await;
    made.unwrap().requests
}

/// What the fleet says of the version: how many starts failed in a row.
fn failures(world: &World, place: &Place) -> u32 {
    world.control.0.fleet.look(|fleet| fleet.get(&place.2.id).map_or(0, |it| it.failures))
}

/// Lets time pass since the last failed start.
fn pass(world: &World, place: &Place, time: Duration) {
    world.control.0.fleet.look(|fleet| {
        let of_version = fleet.get_mut(&place.2.id).unwrap();
        of_version.failed_at = of_version.failed_at.map(|at| at.minus(time));
    });
}

/// Tries one start, which fails.
async fn attempt(world: &World, place: &Place) {
    let before = failures(world, place);
    single::scale(&world.control);
    until(|| failures(world, place) == before + 1).await;
}

/// What waits, three starts that fail, and the look at which all is given up.
async fn given_up(world: &World, place: &Place) -> Vec<RequestId> {
    record(world);
    let control = world.control.clone();
    tokio::spawn(async move { control.0.acceptor.run(&control.0).await });
    let mut ids = Vec::new();
    for _ in 0..CALLS {
        ids.extend(batch(world, place, 250).await);
    }
    let (lane, all) = (&place.2.lane, ids.len());
    until(|| lane.load().waiting_batch + lane.load().outside as usize == all).await;
    assert!(lane.load().outside > 1_000, "a step and more wait in their rows: {:?}", lane.load());
    for wait in [0, 1, 5] {
        pass_if_failed(world, place, Duration::from_secs(wait));
        attempt(world, place).await;
    }
    single::scale(&world.control);
    ids
}

fn pass_if_failed(world: &World, place: &Place, time: Duration) {
    if failures(world, place) > 0 {
        pass(world, place, time);
    }
}

/// How many of some requests stand at a status, with the reason if that is failed.
async fn count(world: &World, ids: &[RequestId], status: RequestStatus) -> usize {
    world.control.0.recorder.catch_up().await.unwrap();
    let rows = requests::get_many(world.control.store(), ids).await.unwrap();
    let told = (status == RequestStatus::Failed).then_some(REASON);
    rows.iter().filter(|(row, _)| row.status == status && row.error_message.as_deref() == told).count()
}

#[tokio::test]
async fn all_that_waits_ends_in_steps_and_nothing_is_fed_meanwhile() {
    let world = World::new().await;
    let (_, place) = world.served(json!({"version": "v1"})).await;
    let ids = given_up(&world, &place).await;
    let in_the_lane = count(&world, &ids, RequestStatus::Failed).await;
    assert!(in_the_lane > 0 && place.2.lane.load().waiting_batch == 0);
    assert!(!world.control.0.feed(&place).await.unwrap());
    assert_eq!(place.2.lane.load().waiting_batch, 0);

    assert!(single::end_given_up(&world.control).await, "there is more than a step");
    assert_eq!(count(&world, &ids, RequestStatus::Failed).await, in_the_lane + 1_000);
    assert!(!single::end_given_up(&world.control).await);
    assert_eq!(count(&world, &ids, RequestStatus::Failed).await, ids.len());
    assert_eq!(place.2.lane.load().outside, 0);
    assert_eq!(outbox::list_after(world.control.store(), uuid::Uuid::nil(), 5_000).await.unwrap().len(), ids.len());
}

#[tokio::test]
async fn what_comes_later_gets_one_attempt_after_the_delay() {
    let world = World::new().await;
    let (_, place) = world.served(json!({"version": "v1"})).await;
    given_up(&world, &place).await;
    // Ids tell milliseconds.
    let (then, two) = (Timestamp::now(), Duration::from_millis(2));
    until(|| Timestamp::now().since(then) >= two).await;
    let late = batch(&world, &place, 2).await;
    while single::end_given_up(&world.control).await {}
    world.control.0.feed(&place).await.unwrap();
    for (failed, delay) in [(3, 30), (4, 60)] {
        single::scale(&world.control);
        pass(&world, &place, Duration::from_secs(delay - 1));
        single::scale(&world.control);
        assert_eq!(failures(&world, &place), failed, "it is too early");
        let open = match failed {
            3 => late.clone(),
            _ => batch(&world, &place, 1).await,
        };
        assert_eq!(count(&world, &open, RequestStatus::Pending).await, open.len());
        pass(&world, &place, Duration::from_secs(1));
        attempt(&world, &place).await;
        single::scale(&world.control);
        while single::end_given_up(&world.control).await {}
        assert_eq!(count(&world, &open, RequestStatus::Failed).await, open.len());
    }
}

#[tokio::test]
async fn new_code_saves_what_has_not_ended_yet() {
    let world = World::new().await;
    let (version, place) = world.served(json!({"version": "v1"})).await;
    let ids = given_up(&world, &place).await;
    assert!(single::end_given_up(&world.control).await);
    let ended = count(&world, &ids, RequestStatus::Failed).await;
    world.upload(&version, None).await;
    crate::loops::build_all(&world.control).await;
    single::scale(&world.control);

    assert!(!single::end_given_up(&world.control).await);
    assert_eq!(count(&world, &ids, RequestStatus::Failed).await, ended);
    assert_eq!(count(&world, &ids, RequestStatus::Pending).await, ids.len() - ended);
    let place = world.control.catalogue().version(version.id).unwrap();
    world.control.0.feed(&place).await.unwrap();
    assert!(place.2.lane.load().waiting_batch > 0);
}

#[tokio::test]
async fn rows_wait_on_while_another_server_runs_the_version() {
    let world = World::new().await;
    let (_, place) = world.served(json!({"version": "v1"})).await;
    let store = world.control.store();
    let mut tx = store.begin().await.unwrap();
    let other: Life = servers::start(&mut tx, ServerId::new(), Timestamp::now()).await.unwrap();
    let now = Timestamp::now();
    let instance = Instance {
        id: InstanceId::new(),
        project_id: place.0.id,
        deployment_id: place.1.id,
        version_id: place.2.id,
        revision_id: RevisionId::new(),
        instance_type: "256mb".into(),
        status: InstanceStatus::Running,
        server_id: other.server,
        life: other.number,
        stop_wanted_by: None,
        created_at: now,
        updated_at: now,
        ended_at: None,
    };
    instances::record(&mut tx, &[instance], &[]).await.unwrap();
    tx.commit().await.unwrap();

    let ids = given_up(&world, &place).await;
    let in_the_lane = count(&world, &ids, RequestStatus::Failed).await;
    assert!(!single::end_given_up(&world.control).await);
    assert_eq!(count(&world, &ids, RequestStatus::Failed).await, in_the_lane);
    let pending = requests::RequestFilter {
        statuses: vec![RequestStatus::Pending],
        limit: 5_000,
        ..requests::RequestFilter::of(Scope::Version(place.2.id))
    };
    assert_eq!(requests::list(store, &pending).await.unwrap().len(), ids.len() - in_the_lane);
}
