//! Large data is stored before the record is handed over, and what that takes is no matter of others.

use std::time::Duration;

use modelyard_store::requests as stored;

use super::*;

const SOON: Duration = Duration::from_secs(5);

fn large() -> Bytes {
    Bytes::from(format!(r#"{{"x":2{}}}"#, " ".repeat(100_000)))
}

/// A request that ended with a large result while nothing can be stored, until the second is called. Its row says that it
/// runs.
async fn ended_unstored(world: &World, place: &Place) -> (RequestId, impl FnOnce() + use<>) {
    let mend = world.break_objects_for_a_while();
    let (seat, played) = seat(place);
    let answer = send(world, place, r#"{"x":1}"#);
    let ticket = played.next().await;
    place.2.lane.started(seat, ticket);
    world.control.0.live.filter(|_| true).remove(0).record_unended();
    place.2.lane.finished(seat, ticket, Outcome::Result(large()));
    let answer = answer.await.unwrap().unwrap();
    assert_eq!(answer.ended.result, Some(large()));
    place.2.lane.seat_gone(seat, "it is not needed");
    (answer.id, mend)
}

async fn written(world: &World) {
    until(|| world.control.0.live.is_empty()).await;
    world.control.0.recorder.catch_up().await.unwrap();
}

/// Whether anything is kept beside the rows.
async fn has_objects(world: &World) -> bool {
    let mut found = false;
    for shelf in 0..=u8::MAX {
        found |= !world.control.objects().owned(shelf, Duration::ZERO).await.unwrap().is_empty();
    }
    found
}

#[tokio::test]
async fn a_result_that_cannot_be_stored_is_shown_and_holds_up_nobody() {
    let world = World::new().await;
    let (_, place) = world.served(json!({"version": "v1"})).await;
    record(&world);
    let (id, mend) = ended_unstored(&world, &place).await;
    let (seat, played) = seat(&place);
    let other = send(&world, &place, r#"{"x":1}"#);
    let ticket = played.next().await;
    place.2.lane.started(seat, ticket);
    place.2.lane.finished(seat, ticket, Outcome::Result(Bytes::from_static(br#"{"x":2}"#)));
    let other = other.await.unwrap().unwrap().id;

    let seen = tokio::time::timeout(SOON, async {
        assert_eq!(listed(&world, &place, RequestStatus::Completed).await, [other, id]);
        assert!(listed(&world, &place, RequestStatus::Processing).await.is_empty());
        let view = shown(&world, &place, id).await.unwrap();
        assert_eq!((view.request.status, view.request.output_size), (RequestStatus::Completed, large().len() as i64));
        assert!(view.request.completed_at.is_some());
        assert_eq!(view.result.unwrap().read().await, large());
        let among = Among { deployment: place.1.id, version: None };
        let refused = world.control.cancel_requests(&place.0, among, &[id]).await.unwrap_err();
        assert_eq!(refused.to_string(), format!("Request {id} cannot be cancelled: it is completed"));
        let mut followed = world.control.follow_request(&place.0, among, id).await.unwrap();
        let Some(Updating::End(end)) = followed.next().await.unwrap() else { panic!("there were no updates") };
        assert_eq!(end.ended.result, Some(large()));
    });
    seen.await.expect("nothing waits for the disk");

    mend();
    written(&world).await;
    let data = stored::get_data(world.control.store(), id).await.unwrap().unwrap();
    assert!(data.result.is_none() && data.result_key.is_some());
    let view = shown(&world, &place, id).await.unwrap();
    assert_eq!(view.request.status, RequestStatus::Completed);
    assert_eq!(view.result.unwrap().read().await, large());
    assert!(world.control.0.room.is_free());
}

#[tokio::test]
async fn a_large_result_keeps_its_room_until_its_caller_has_it() {
    let world = World::new().await;
    let (_, place) = world.served(json!({"version": "v1", "request_retention_mode": "none"})).await;
    record(&world);
    let (seat, played) = seat(&place);
    let answer = send(&world, &place, r#"{"x":1}"#);
    let ticket = played.next().await;
    place.2.lane.started(seat, ticket);
    place.2.lane.finished(seat, ticket, Outcome::Result(large()));
    let answer = answer.await.unwrap().unwrap();
    written(&world).await;
    assert!(!world.control.0.room.is_free());
    drop(answer);
    assert!(world.control.0.room.is_free());
}

#[tokio::test]
async fn what_is_deleted_before_its_data_is_stored_leaves_nothing() {
    let world = World::new().await;
    let (_, place) = world.served(json!({"version": "v1"})).await;
    record(&world);
    let (id, mend) = ended_unstored(&world, &place).await;
    let among = Among { deployment: place.1.id, version: None };
    let ids = [id];
    let deleted = world.control.delete_requests(&world.by, &place.0, &place.1, among, &ids);
    tokio::time::timeout(SOON, deleted).await.expect("nothing waits for the disk").unwrap();
    assert!(matches!(shown(&world, &place, id).await, Err(Error::NotFound(Kind::Request))));
    assert!(listed(&world, &place, RequestStatus::Completed).await.is_empty());
    assert!(listed(&world, &place, RequestStatus::Processing).await.is_empty());

    mend();
    written(&world).await;
    assert!(stored::get(world.control.store(), id).await.unwrap().is_none());
    assert!(!has_objects(&world).await);
}

#[tokio::test]
async fn a_server_that_stops_stores_what_came_out_last() {
    let world = World::new().await;
    let (_, place) = world.served(json!({"version": "v1"})).await;
    crate::loops::start(&world.control);
    let (id, mend) = ended_unstored(&world, &place).await;
    let control = world.control.clone();
    let stopping = tokio::spawn(async move { control.shut_down(Duration::ZERO).await });
    until(|| world.control.0.is_draining()).await;
    mend();
    stopping.await.unwrap();
    let row = stored::get(world.control.store(), id).await.unwrap().unwrap();
    assert_eq!(row.status, RequestStatus::Completed);
}
