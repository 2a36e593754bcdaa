//! What comes from the rows into a lane: urgent requests before others, within the room there is, and again after a failure.

use modelyard_store::requests;

use super::*;

async fn batch(world: &World, place: &Place, priority: u8, payloads: &[String]) -> Vec<RequestId> {
    let body = Bytes::from(format!("[{}]", payloads.join(",")));
    let new = BatchRequest { body, text: false, timeout: 300, priority, key: None, permit: Permit::default() };
    let actor = Arc::new(world.by.clone());
    let made = world.control.batch_request(&actor, &place.0, &place.1.name, Some(&place.2.name), new).await;
    made.unwrap().requests
}

async fn written() -> (World, Place) {
    let world = World::new().await;
    let (_, place) = world.served(json!({"version": "v1"})).await;
    record(&world);
    let control = world.control.clone();
    tokio::spawn(async move { control.0.acceptor.run(&control.0).await });
    (world, place)
}

fn small(count: usize) -> Vec<String> {
    vec![r#"{"x":1}"#.into(); count]
}

#[tokio::test]
async fn urgent_requests_come_in_though_others_fill_the_lane() {
    let (world, place) = written().await;
    let feed = async || world.control.0.feed(&place).await.unwrap();
    let counts = || {
        let load = place.2.lane.load();
        (load.waiting_urgent, load.waiting_batch, load.outside)
    };
    for _ in 0..3 {
        batch(&world, &place, 1, &small(250)).await;
    }
    feed().await;
    assert_eq!(counts(), (0, 500, 250), "the lane has enough");
    batch(&world, &place, 0, &small(40)).await;
    assert!(feed().await, "there may be more");
    assert_eq!(counts(), (32, 532, 258));
    feed().await;
    assert_eq!(counts(), (32, 532, 258), "it has enough of those, too");
    // Another server's are found when what waits is counted.
    place.2.lane.refuse_waiting("The test ends them");
    assert!(world.control.0.urgent.take(place.2.id));
    crate::loops::single::count(&world.control).await;
    feed().await;
    assert_eq!(counts().0, 8);
}

#[tokio::test]
async fn data_that_cannot_be_read_for_a_while_fails_no_request() {
    let (world, place) = written().await;
    let large = format!(r#"{{"x":1{}}}"#, " ".repeat(100_000));
    let made = batch(&world, &place, 1, &[large]).await;
    let mend = world.break_objects_for_a_while();
    world.control.0.feed(&place).await.unwrap();
    world.control.0.recorder.catch_up().await.unwrap();
    let row = requests::get(world.control.store(), made[0]).await.unwrap().unwrap();
    assert_eq!((row.status, row.life, row.retries), (RequestStatus::Pending, 0, 0));
    assert_eq!(place.2.lane.load().outside, 1);
    mend();
    world.control.0.feed(&place).await.unwrap();
    let (id, played) = seat(&place);
    let ticket = played.next().await;
    place.2.lane.started(id, ticket);
    place.2.lane.finished(id, ticket, Outcome::Result(Bytes::from_static(br#"{"x":2}"#)));
    world.control.0.recorder.catch_up().await.unwrap();
    let row = requests::get(world.control.store(), made[0]).await.unwrap().unwrap();
    assert_eq!(row.status, RequestStatus::Completed);
}

#[tokio::test]
async fn a_crowd_of_one_version_leaves_room_for_others() {
    let (world, place) = written().await;
    let waiting: Vec<_> = (0..256).map(|_| send(&world, &place, r#"{"x":1}"#)).collect();
    until(|| place.2.lane.load().waiting_direct == 256).await;
    let more = send(&world, &place, r#"{"x":1}"#);
    until(|| place.2.lane.load().waiting_direct == 257).await;
    let room = &world.control.0.room;
    let mut taken = Vec::new();
    while room.spare().count > 0 {
        taken.push(room.rest_for(0));
    }
    taken.extend((0..16).map(|_| room.rest_for(0)));
    let refused = send(&world, &place, r#"{"x":1}"#).await.unwrap();
    assert!(matches!(refused, Err(Error::Busy { retry_after: 1, .. })));
    let (_, other) = world.served(json!({"version": "v2"})).await;
    let fine = send(&world, &other, r#"{"x":1}"#);
    until(|| other.2.lane.load().waiting_direct == 1).await;
    drop(taken);
    let last = send(&world, &place, r#"{"x":1}"#);
    until(|| place.2.lane.load().waiting_direct == 258).await;
    drop((waiting, more, fine, last));
}
