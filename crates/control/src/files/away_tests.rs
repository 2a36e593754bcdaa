//! Files of our own in an object store: what was let go of stays for those who read it, and goes in its time.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use modelyard_objects::remote::{Place, Reach, Remote};
use modelyard_testkit::stores::S3Server;
use modelyard_types::buckets::BucketCreate;
use serde_json::json;

use super::*;
use crate::loops::single;
use crate::testing::{World, of};

fn name(text: &str) -> FileName {
    FileName::parse(text).unwrap()
}

fn remote(server: &S3Server) -> Remote {
    let map = |value: Value| value.as_object().unwrap().clone();
    let credentials = map(json!({"access_key": S3Server::ACCESS_KEY, "secret_key": S3Server::SECRET_KEY}));
    let configuration = map(json!({"bucket": S3Server::BUCKET, "endpoint_url": server.url()}));
    Remote::open(Place::s3(&credentials, &configuration).unwrap(), &Reach::everywhere()).unwrap()
}

async fn staged(world: &World, text: &str) -> Staged {
    let mut staging = world.control.files().stage(100);
    staging.write(Bytes::copy_from_slice(text.as_bytes())).await.unwrap();
    staging.finish().await.unwrap()
}

async fn container(world: &World) -> ContainerId {
    let new: BucketCreate = of(json!({ "name": "b" }));
    world.control.create_bucket(&world.by, world.project, new).await.unwrap().container().unwrap()
}

async fn there(remote: &Remote) -> usize {
    remote.list("", None, 1000, None).await.unwrap().entries.len()
}

#[tokio::test]
async fn what_was_replaced_can_be_read_until_its_time_has_come() {
    let server = S3Server::start().await;
    let (world, remote) = (World::with_files_in(remote(&server)).await, remote(&server));
    let (container, files) = (container(&world).await, world.control.files());
    let begun = Timestamp::now();
    files.put(container, &name("a"), staged(&world, "old").await, About::default()).await.unwrap();
    let opened = files.open(container, &name("a")).await.unwrap();
    files.put(container, &name("a"), staged(&world, "new").await, About::default()).await.unwrap();
    // As if the server had died before it wrote the row.
    world.control.objects().keep_file(staged(&world, "stray").await).await.unwrap();
    assert_eq!(there(&remote).await, 3);

    single::clear_away(&world.control, begun).await;
    assert_eq!(there(&remote).await, 2, "the stray alone is gone");
    assert_eq!(opened.read(0..3).await.unwrap().try_collect::<Vec<_>>().await.unwrap().concat(), b"old");

    single::clear_away(&world.control, Timestamp::now().plus(Duration::from_secs(1))).await;
    assert_eq!(there(&remote).await, 1);
    let opened = files.open(container, &name("a")).await.unwrap();
    assert_eq!(opened.read(0..3).await.unwrap().try_collect::<Vec<_>>().await.unwrap().concat(), b"new");
}

#[tokio::test]
async fn what_cannot_be_removed_from_the_store_holds_nothing_else_up() {
    let server = S3Server::start().await;
    let world = World::with_files_in(remote(&server)).await;
    let (container, files) = (container(&world).await, world.control.files());
    files.put(container, &name("a"), staged(&world, "old").await, About::default()).await.unwrap();
    files.delete(container, &name("a")).await.unwrap();
    drop(server);
    let store = world.control.store();
    assert_eq!(modelyard_store::leftovers::next(store, modelyard_objects::AWAY, 10).await.unwrap(), []);
    let later = Timestamp::now().plus(Duration::from_secs(1));
    let waiting = modelyard_store::leftovers::next_away(store, modelyard_objects::AWAY, later, 10).await.unwrap();
    assert_eq!(waiting.len(), 1);

    let failed = files.put(container, &name("b"), staged(&world, "b").await, About::default()).await.unwrap_err();
    assert!(matches!(failed, Error::Unavailable(_)), "{failed}");
    assert!(matches!(files.get(container, &name("b")).await, Err(Error::NotFound(_))));
}
