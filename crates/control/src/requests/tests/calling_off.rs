//! What was called off stays so, wherever it stood.

use modelyard_dispatch::Waiter;
use modelyard_store::requests::Portion;
use modelyard_store::{Request, RequestData, Store, requests};
use modelyard_types::requests::RequestKind;
use modelyard_types::{ServerId, Timestamp};

use super::*;
use crate::loops::single;
use crate::requests::feeding::LiveParts;
use crate::requests::request::NewRequest;

/// Batch requests that came into their lane.
async fn batch(world: &World, place: &Place, count: usize) -> Vec<RequestId> {
    let control = world.control.clone();
    let acceptor = tokio::spawn(async move { control.0.acceptor.run(&control.0).await });
    let body = Bytes::from(format!("[{}]", vec![r#"{"x":1}"#; count].join(",")));
    let new = BatchRequest { body, text: false, timeout: 300, priority: 1, key: None, permit: Permit::default() };
    let actor = Arc::new(world.by.clone());
    let made = world.control.batch_request(&actor, &place.0, &place.1.name, Some(&place.2.name), new).await;
    acceptor.abort();
    made.unwrap().requests
}

async fn status(store: &Store, id: RequestId) -> RequestStatus {
    requests::get(store, id).await.unwrap().unwrap().status
}

fn among(place: &Place) -> Among {
    Among { deployment: place.1.id, version: None }
}

#[tokio::test]
async fn what_was_called_off_in_work_is_not_run_again_when_its_server_dies() {
    let world = World::new().await;
    let (_, place) = world.served(json!({"version": "v1", "restart_request_interruption": true})).await;
    record(&world);
    let (id, played) = seat(&place);
    let request = batch(&world, &place, 1).await[0];
    let ticket = played.next().await;
    place.2.lane.started(id, ticket);

    world.control.cancel_requests(&place.0, among(&place), &[request]).await.unwrap();
    let shown = shown(&world, &place, request).await.unwrap().request;
    assert_eq!(shown.status, RequestStatus::CancelledPending);
    assert_eq!(status(world.control.store(), request).await, RequestStatus::CancelledPending);

    let next = world.another_life(world.control.settings().life.server).await;
    single::take_over_silent(&next, Timestamp::now()).await;
    let row = requests::get(next.store(), request).await.unwrap().unwrap();
    assert_eq!((row.status, row.started_at), (RequestStatus::Cancelled, shown.started_at));
}

#[tokio::test]
async fn what_was_called_off_while_it_waited_has_ended_in_its_row_when_the_call_is_answered() {
    let world = World::new().await;
    let (version, place) = world.served(json!({"version": "v1"})).await;
    record(&world);
    let requests = batch(&world, &place, 3).await;
    assert_eq!(place.2.lane.load().waiting_batch, 3);

    world.control.cancel_requests(&place.0, among(&place), &requests[..1]).await.unwrap();
    assert_eq!(status(world.control.store(), requests[0]).await, RequestStatus::Cancelled);
    world.control.cancel_all(version.id, RequestStatus::Pending).await.unwrap();
    for request in &requests {
        assert_eq!(status(world.control.store(), *request).await, RequestStatus::Cancelled);
    }
}

/// A request that this server has claimed, and that is not in its lane yet.
struct Claimed {
    parts: LiveParts,
    row: (Request, RequestData),
}

impl Claimed {
    async fn new(world: &World, place: &Place) -> Self {
        let parts = LiveParts { deployment: place.1.clone(), version: place.2.clone() };
        let blank = world.control.0.blank(&Arc::new(world.by.clone()), &place.0, &parts);
        let waits = Request { kind: RequestKind::Batch, server_id: requests::NOBODY, life: 0, timeout: 300, ..blank };
        let data = RequestData { request_data: Some(Bytes::from_static(br#"{"x":1}"#)), ..RequestData::default() };
        place.2.lane.reserve(1).unwrap();
        let mut tx = world.control.store().begin().await.unwrap();
        requests::insert_many(&mut tx, &[(waits, data)]).await.unwrap();
        let life = world.control.settings().life;
        let mut claimed = requests::claim(&mut tx, place.2.id, life, Portion::of(1)).await.unwrap();
        tx.commit().await.unwrap();
        Self { parts, row: claimed.remove(0) }
    }

    fn id(&self) -> RequestId {
        self.row.0.id
    }

    /// It is shown, and about to be put into its lane.
    fn enters(self, world: &World) -> Arc<LiveRequest> {
        let (request, data) = self.row;
        self.parts.version.lane.come_in(1);
        let new = NewRequest {
            request,
            deployment: self.parts.deployment,
            version: self.parts.version,
            body: data.request_data.unwrap(),
            request_key: None,
            key_hash: None,
            recorded: true,
            answer: None,
            permit: Permit::default(),
        };
        let live = LiveRequest::new(new, &world.control.0);
        world.control.0.live.insert(live.clone());
        live
    }
}

fn assert_nothing_ran(world: &World, place: &Place, played: &Played) {
    assert!(played.calls.lock().unwrap().is_empty(), "it ran");
    assert!(world.control.0.live.is_empty());
    let load = place.2.lane.load();
    assert_eq!((load.waiting_batch, load.running, load.outside), (0, 0, 0));
}

#[tokio::test]
async fn what_is_called_off_while_its_data_is_read_does_not_run() {
    let world = World::new().await;
    let (_, place) = world.served(json!({"version": "v1"})).await;
    record(&world);
    let (_, played) = seat(&place);
    let claimed = Claimed::new(&world, &place).await;
    let id = claimed.id();
    world.control.0.arriving.add([id].into_iter());

    world.control.cancel_requests(&place.0, among(&place), &[id]).await.unwrap();
    assert_eq!(shown(&world, &place, id).await.unwrap().request.status, RequestStatus::CancelledPending);
    world.control.0.bring_in(&claimed.parts, claimed.row);
    assert_nothing_ran(&world, &place, &played);
    assert_eq!(shown(&world, &place, id).await.unwrap().request.status, RequestStatus::Cancelled);
}

#[tokio::test]
async fn what_is_deleted_while_its_data_is_read_does_not_run_nor_come_back() {
    let world = World::new().await;
    let (_, place) = world.served(json!({"version": "v1"})).await;
    record(&world);
    let (_, played) = seat(&place);
    let claimed = Claimed::new(&world, &place).await;
    let id = claimed.id();
    world.control.0.arriving.add([id].into_iter());

    world.control.delete_requests(&world.by, &place.0, &place.1, among(&place), &[id]).await.unwrap();
    world.control.0.bring_in(&claimed.parts, claimed.row);
    assert_nothing_ran(&world, &place, &played);
    assert!(matches!(shown(&world, &place, id).await, Err(Error::NotFound(Kind::Request))));
}

#[tokio::test]
async fn what_was_called_off_through_another_server_while_its_data_is_read_does_not_run() {
    let world = World::new().await;
    let (_, place) = world.served(json!({"version": "v1"})).await;
    record(&world);
    let (_, played) = seat(&place);
    let claimed = Claimed::new(&world, &place).await;
    let id = claimed.id();
    world.control.0.arriving.add([id].into_iter());
    let mut tx = world.control.store().begin().await.unwrap();
    requests::ask_to_cancel(&mut tx, id).await.unwrap();
    tx.commit().await.unwrap();

    single::cancelled_elsewhere(&world.control).await;
    world.control.0.bring_in(&claimed.parts, claimed.row);
    assert_nothing_ran(&world, &place, &played);
    assert_eq!(shown(&world, &place, id).await.unwrap().request.status, RequestStatus::Cancelled);
}

/// What happens to a request that was called off when its lane did not have it.
async fn assert_it_ends(then: impl FnOnce(&Arc<LiveRequest>)) {
    let world = World::new().await;
    let (_, place) = world.served(json!({"version": "v1", "restart_request_interruption": true})).await;
    record(&world);
    let (_, played) = seat(&place);
    let claimed = Claimed::new(&world, &place).await;
    let id = claimed.id();
    let live = claimed.enters(&world);

    world.control.cancel_requests(&place.0, among(&place), &[id]).await.unwrap();
    assert_eq!(status(world.control.store(), id).await, RequestStatus::CancelledPending);
    then(&live);
    assert_nothing_ran(&world, &place, &played);
    assert_eq!(shown(&world, &place, id).await.unwrap().request.status, RequestStatus::Cancelled);
}

#[tokio::test]
async fn what_is_called_off_just_before_it_comes_into_its_lane_does_not_run() {
    assert_it_ends(|live| live.come_into_lane().unwrap()).await;
}

#[tokio::test]
async fn what_is_called_off_while_its_process_dies_is_not_run_again() {
    assert_it_ends(|live| live.finish(Outcome::Crashed("The process ended".into()))).await;
}

#[tokio::test]
async fn what_is_called_off_while_its_lane_hands_it_back_does_not_go_back_to_the_queue() {
    assert_it_ends(|live| live.finish(Outcome::HandedBack)).await;
}

#[tokio::test]
async fn what_was_deleted_through_another_server_ends_where_it_runs() {
    let world = World::new().await;
    let (_, place) = world.served(json!({"version": "v1"})).await;
    record(&world);
    let (id, played) = seat(&place);
    let requests = batch(&world, &place, 2).await;
    let ticket = played.next().await;
    place.2.lane.started(id, ticket);
    let other = world.another_life(ServerId::new()).await;
    other.delete_requests(&world.by, &place.0, &place.1, among(&place), &requests[..1]).await.unwrap();

    single::let_go(&world.control).await;
    assert!(matches!(shown(&world, &place, requests[0]).await, Err(Error::NotFound(Kind::Request))));
    assert!(played.killed.load(Ordering::Relaxed), "its process goes on");
    assert!(world.control.0.live.get(requests[1]).is_some(), "the other waits on");
}
