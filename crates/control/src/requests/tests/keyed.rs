//! Requests that may be repeated: what their callers are told, and when.

use super::*;

fn accept(world: &World) {
    let control = world.control.clone();
    tokio::spawn(async move { control.0.acceptor.run(&control.0).await });
}

fn keyed(world: &World, place: &Place) -> JoinHandle<Result<Answer>> {
    let (control, actor) = (world.control.clone(), Arc::new(world.by.clone()));
    let (project, deployment, version) = place.clone();
    let new = DirectRequest {
        body: Bytes::from_static(br#"{"x":1}"#),
        text: false,
        timeout: 300,
        priority: 1,
        key: Some("k".into()),
        permit: Permit::default(),
    };
    tokio::spawn(
        async move { control.direct_request(&actor, &project, &deployment.name, Some(&version.name), new).await },
    )
}

async fn others_run() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_request_with_a_key_is_answered_once_its_large_result_is_stored() {
    let world = World::new().await;
    let (_, place) = world.served(json!({"version": "v1"})).await;
    accept(&world);
    record(&world);
    let mend = world.break_objects_for_a_while();
    let (id, played) = seat(&place);
    let first = keyed(&world, &place);
    let ticket = played.next().await;
    place.2.lane.started(id, ticket);
    let large = Bytes::from(format!(r#"{{"x":2{}}}"#, " ".repeat(100_000)));
    place.2.lane.finished(id, ticket, Outcome::Result(large.clone()));
    others_run().await;
    world.control.0.recorder.catch_up().await.unwrap();
    others_run().await;
    assert!(!first.is_finished());

    mend();
    let answer = first.await.unwrap().unwrap();
    assert_eq!(answer.ended.result, Some(large));
    assert!(modelyard_store::requests::get(world.control.store(), answer.id).await.unwrap().unwrap().status.is_final());
}

#[tokio::test]
async fn a_request_with_a_key_is_answered_once_its_end_is_written() {
    let world = World::new().await;
    let (_, place) = world.served(json!({"version": "v1"})).await;
    accept(&world);
    let (id, played) = seat(&place);
    let first = keyed(&world, &place);
    let ticket = played.next().await;
    // A repeat that waits for the first.
    let again = keyed(&world, &place);
    until(|| world.control.0.live.filter(|live| live.has_listeners()).len() == 1).await;
    place.2.lane.started(id, ticket);
    place.2.lane.finished(id, ticket, Outcome::Result(Bytes::from_static(br#"{"x":2}"#)));
    others_run().await;
    assert!(!first.is_finished() && !again.is_finished());

    record(&world);
    for answer in [first, again] {
        let answer = answer.await.unwrap().unwrap();
        assert_eq!(answer.ended.result.unwrap(), r#"{"x":2}"#);
        let row = modelyard_store::requests::get(world.control.store(), answer.id).await.unwrap().unwrap();
        assert_eq!(row.status, RequestStatus::Completed);
    }
}
