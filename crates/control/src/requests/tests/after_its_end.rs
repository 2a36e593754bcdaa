//! What is shown of a request that has ended when its end is not in the database yet.

use modelyard_store::{Request, RequestData, requests};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::*;
use crate::requests::acceptor::Reserved;
use crate::requests::feeding::LiveParts;
use crate::requests::request::NewRequest;

/// An id that was made a minute ago.
fn old_id() -> RequestId {
    // The first 48 bits of 128 are milliseconds.
    RequestId(Uuid::from_u128(RequestId::new().0.as_u128() - (60_000 << 80)))
}

/// A direct request that was made a minute ago, and waits; its row is there.
async fn old_request(world: &World, place: &Place) -> (RequestId, oneshot::Receiver<Ended>) {
    let parts = LiveParts { deployment: place.1.clone(), version: place.2.clone() };
    let blank = world.control.0.blank(&Arc::new(world.by.clone()), &place.0, &parts);
    let request = Request { id: old_id(), timeout: 300, ..blank };
    let mut tx = world.control.store().begin().await.unwrap();
    requests::insert_many(&mut tx, &[(request.clone(), RequestData::default())]).await.unwrap();
    tx.commit().await.unwrap();
    let (sender, end) = oneshot::channel();
    let new = NewRequest {
        request,
        deployment: parts.deployment,
        version: parts.version,
        body: Bytes::from_static(br#"{"x":1}"#),
        request_key: None,
        key_hash: None,
        recorded: true,
        answer: Some(sender),
        permit: Permit::default(),
    };
    let live = LiveRequest::new(new, &world.control.0);
    world.control.0.run_written(&live, Reserved::direct(&place.2.lane).unwrap());
    (live.id, end)
}

#[tokio::test]
async fn an_old_request_is_shown_as_it_ended_once_its_caller_knows() {
    let world = World::new().await;
    let (_, place) = world.served(json!({"version": "v1"})).await;
    let (request, end) = old_request(&world, &place).await;
    let (id, played) = seat(&place);
    let ticket = played.next().await;
    place.2.lane.started(id, ticket);
    place.2.lane.finished(id, ticket, Outcome::Result(Bytes::from_static(br#"{"x":2}"#)));
    assert_eq!(end.await.unwrap().status, RequestStatus::Completed);

    // Nothing is written until somebody waits for it.
    let output = async {
        let among = Among { deployment: place.1.id, version: None };
        let output = world.control.request_output(&place.0, among, request).await;
        let Ok(Some(Data::Whole(output))) = output else { panic!("there is an output") };
        output
    };
    let both = async { tokio::join!(shown(&world, &place, request), output) };
    tokio::pin!(both);
    tokio::select! {
        (shown, _) = &mut both => panic!("shown before it was written: {:?}", shown.unwrap().request.status),
        () = until(|| world.control.0.recorder.is_awaited()) => record(&world),
    }
    let (shown, output) = both.await;
    assert_eq!(shown.unwrap().request.status, RequestStatus::Completed);
    assert_eq!(output, r#"{"x":2}"#);
}
