//! Requests for a version that is deleted while they are accepted.

use modelyard_store::leftovers::{self, Leftover};
use modelyard_store::{Request, RequestData, catalogue, idempotency, requests, versions};
use modelyard_types::requests::RequestKind;

use super::*;
use crate::loops::single;
use crate::requests::feeding::LiveParts;

/// Batch requests as a call makes them that knows nothing of what was deleted since.
fn batch(world: &World, place: &Place, key: &str) -> JoinHandle<Result<BatchAnswer>> {
    let (control, actor, place) = (world.control.clone(), Arc::new(world.by.clone()), place.clone());
    let key = Some(key.to_owned());
    tokio::spawn(async move {
        let body = Bytes::from_static(br#"[{"x":1},{"x":2}]"#);
        let new = BatchRequest { body, text: false, timeout: 300, priority: 1, key, permit: Permit::default() };
        control.batch_request(&actor, &place.0, &place.1.name, Some(&place.2.name), new).await
    })
}

async fn delete(world: &World, place: &Place) {
    let mut tx = world.control.store().begin().await.unwrap();
    assert!(versions::delete(&mut tx, place.2.id).await.unwrap());
    catalogue::touch(&mut tx, Some(world.project)).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn requests_for_a_version_that_was_deleted_meanwhile_are_refused_alone() {
    let world = World::new().await;
    let (_, gone) = world.served(json!({"version": "v1"})).await;
    let (_, there) = world.served(json!({"version": "v1"})).await;
    let refused = batch(&world, &gone, "k");
    let accepted = batch(&world, &there, "k2");
    until(|| world.control.0.acceptor.waits() == 2).await;
    delete(&world, &gone).await;
    let control = world.control.clone();
    tokio::spawn(async move { control.0.acceptor.run(&control.0).await });

    assert!(matches!(refused.await.unwrap(), Err(Error::NotFound(Kind::DeploymentVersion))));
    assert_eq!(accepted.await.unwrap().unwrap().requests.len(), 2);
    assert_eq!(gone.2.lane.load().outside, 0);
    let waiting = requests::waiting(world.control.store()).await.unwrap();
    assert!(waiting.iter().all(|(version, ..)| *version == there.2.id), "{waiting:?}");
    let mut tx = world.control.store().begin().await.unwrap();
    let keys = idempotency::delete_of_project(&mut tx, world.project, 10).await.unwrap();
    assert_eq!(keys, 1, "the refused call left its key");
}

#[tokio::test]
async fn what_waits_for_a_version_that_is_gone_is_cleared_away() {
    let world = World::new().await;
    let (_, place) = world.served(json!({"version": "v1"})).await;
    let (project, deployment, version) = place.clone();
    let blank = world.control.0.blank(&world.by, &project, &LiveParts { deployment, version });
    let request = Request { kind: RequestKind::Batch, server_id: requests::NOBODY, life: 0, ..blank };
    let mut tx = world.control.store().begin().await.unwrap();
    requests::insert_many(&mut tx, &[(request, RequestData::default())]).await.unwrap();
    tx.commit().await.unwrap();
    let noted = async || leftovers::next(world.control.store(), modelyard_objects::AWAY, 100).await.unwrap();
    let of_version = Leftover::Version(place.2.id);
    single::count(&world.control).await;
    assert!(!noted().await.contains(&of_version));

    // Deleted, and its leftovers struck off, before the rows came.
    delete(&world, &place).await;
    let mut tx = world.control.store().begin().await.unwrap();
    leftovers::remove(&mut tx, &of_version).await.unwrap();
    tx.commit().await.unwrap();
    world.control.catalogue().refresh().await.unwrap();
    single::count(&world.control).await;
    assert!(noted().await.contains(&of_version));
}
