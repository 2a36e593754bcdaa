//! What becomes of requests when their server stops.

use super::*;

#[tokio::test]
async fn a_server_that_stops_answers_and_records_what_is_open() {
    let world = World::new().await;
    let (_, place) = world.served(json!({"version": "v1"})).await;
    crate::loops::start(&world.control);
    let (id, played) = seat(&place);
    let running = send(&world, &place, r#"{"x":1}"#);
    let ticket = played.next().await;
    place.2.lane.started(id, ticket);
    let waiting = send(&world, &place, r#"{"x":2}"#);
    until(|| place.2.lane.load().waiting_direct == 1).await;

    world.control.shut_down(std::time::Duration::ZERO).await;
    for answer in [running, waiting] {
        let answer = answer.await.unwrap().unwrap();
        assert_eq!(answer.ended.error_message.as_deref(), Some("The server is stopping"));
        let row = modelyard_store::requests::get(world.control.store(), answer.id).await.unwrap().unwrap();
        assert_eq!(row.status, RequestStatus::Failed);
    }
}

#[tokio::test]
async fn a_batch_request_that_had_not_begun_waits_on_when_its_server_stops() {
    let world = World::new().await;
    let (_, place) = world.served(json!({"version": "v1"})).await;
    crate::loops::start(&world.control);
    let (id, played) = seat(&place);
    let body = Bytes::from_static(br#"[{"x":1},{"x":2}]"#);
    let new = BatchRequest { body, text: false, timeout: 300, priority: 1, key: None, permit: Permit::default() };
    let actor = Arc::new(world.by.clone());
    let made = world.control.batch_request(&actor, &place.0, &place.1.name, Some(&place.2.name), new).await.unwrap();
    // The process was handed the first and never said that it began; a second process did begin with the other.
    played.next().await;
    let (other, playing) = seat(&place);
    let ticket = playing.next().await;
    place.2.lane.started(other, ticket);
    assert_ne!(id, other);

    world.control.shut_down(std::time::Duration::ZERO).await;
    let row = async |at: usize| {
        let row = modelyard_store::requests::get(world.control.store(), made.requests[at]).await.unwrap().unwrap();
        (row.status, row.life, row.retries, row.error_message)
    };
    assert_eq!(row(0).await, (RequestStatus::Pending, 0, 0, None));
    let (status, _, _, told) = row(1).await;
    assert_eq!((status, told.as_deref()), (RequestStatus::Failed, Some("The server is stopping")));
}
