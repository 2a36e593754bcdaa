//! What was promised is kept when callers leave, commits answer twice or not at all, and data cannot be stored.

use std::collections::HashSet;

use modelyard_store::{Request, RequestData, requests};
use modelyard_types::requests::RequestKind;

use super::*;

fn keyed(body: &'static str, key: &str) -> DirectRequest {
    let body = Bytes::from_static(body.as_bytes());
    DirectRequest { body, text: false, timeout: 300, priority: 1, key: Some(key.into()), permit: Permit::default() }
}

#[tokio::test]
async fn a_keyed_request_runs_though_its_caller_left_while_it_was_written() {
    let world = World::new().await;
    let (_, place) = world.served(json!({"version": "v1"})).await;
    record(&world);
    let (id, played) = seat(&place);
    let ask = |world: &World| {
        let (control, actor) = (world.control.clone(), Arc::new(world.by.clone()));
        let (project, deployment, version) = place.clone();
        let new = keyed(r#"{"x":1}"#, "once");
        tokio::spawn(async move {
            control.direct_request(&actor, &project, &deployment.name, Some(&version.name), new).await
        })
    };
    let left = ask(&world);
    until(|| world.control.0.acceptor.waits() > 0).await;
    left.abort();
    assert!(left.await.is_err());

    let control = world.control.clone();
    tokio::spawn(async move { control.0.acceptor.run(&control.0).await });
    let ticket = played.next().await;
    place.2.lane.started(id, ticket);
    place.2.lane.finished(id, ticket, Outcome::Result(Bytes::from_static(br#"{"x":2}"#)));
    let answer = ask(&world).await.unwrap().unwrap();
    assert_eq!(answer.ended.result.as_deref(), Some(br#"{"x":2}"#.as_slice()));
}

#[tokio::test]
async fn requests_that_their_server_does_not_know_are_settled() {
    let world = World::new().await;
    let (_, place) = world.served(json!({"version": "v1"})).await;
    let parts = crate::requests::feeding::LiveParts { deployment: place.1.clone(), version: place.2.clone() };
    let blank = world.control.0.blank(&Arc::new(world.by.clone()), &place.0, &parts);
    let row = |kind, status| {
        let row = Request { id: RequestId::new(), kind, status, ..blank.clone() };
        (row, RequestData::default())
    };
    let rows = [
        row(RequestKind::Direct, RequestStatus::Pending),
        row(RequestKind::Batch, RequestStatus::Pending),
        row(RequestKind::Batch, RequestStatus::Processing),
        row(RequestKind::Batch, RequestStatus::CancelledPending),
    ];
    let mut tx = world.control.store().begin().await.unwrap();
    requests::insert_many(&mut tx, &rows).await.unwrap();
    tx.commit().await.unwrap();
    record(&world);

    let suspects = crate::loops::single::lost(&world.control, &HashSet::new()).await;
    assert_eq!(suspects.len(), 4, "they may be on their way");
    assert!(crate::loops::single::lost(&world.control, &suspects).await.is_empty());
    let mut found = Vec::new();
    for (request, _) in &rows {
        let row = requests::get(world.control.store(), request.id).await.unwrap().unwrap();
        found.push((row.status, row.life, row.error_message));
    }
    let (life, told) = (blank.life, Some("The server lost track of the request".to_owned()));
    assert_eq!(
        found,
        [
            (RequestStatus::Failed, life, told.clone()),
            (RequestStatus::Pending, 0, None),
            (RequestStatus::Failed, life, told),
            (RequestStatus::Cancelled, life, None),
        ]
    );
}

#[tokio::test]
async fn data_that_cannot_be_stored_refuses_the_call_and_leaves_nothing() {
    let world = World::new().await;
    let (_, place) = world.served(json!({"version": "v1"})).await;
    world.break_objects();
    let large = format!(r#"{{"x":1{}}}"#, " ".repeat(100_000));
    let new = || BatchRequest {
        body: large.clone().into(),
        text: false,
        timeout: 300,
        priority: 1,
        key: None,
        permit: Permit::default(),
    };
    let actor = Arc::new(world.by.clone());
    let made = world.control.batch_request(&actor, &place.0, &place.1.name, Some(&place.2.name), new()).await;
    assert!(matches!(made, Err(Error::Unavailable(_))));
    assert_eq!(place.2.lane.load().outside, 0, "the room in the queue is free again");
}
