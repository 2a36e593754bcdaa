//! Buckets at a provider, behind the API: keys that are replaced, and what the walks through their files do.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use futures_util::stream;
use modelyard_objects::remote::Remote;
use modelyard_store::{Bucket, buckets};
use modelyard_testkit::stores::{Fault, S3Server};
use modelyard_types::Timestamp;
use modelyard_types::buckets::TTL_STEP;
use serde_json::{Value, json};

use super::{credentials, take_up_keys};
use crate::catalogue::BucketSnapshot;
use crate::loops::single;
use crate::secrets::Keyring;
use crate::testing::{World, of};

const DAY: Duration = Duration::from_secs(24 * 3600);

async fn bucket(world: &World, server: &S3Server, name: &str, ttl: Value) -> Bucket {
    let new = of(json!({
        "name": name, "provider": "amazon_s3", "ttl": ttl,
        "credentials": {"access_key": S3Server::ACCESS_KEY, "secret_key": S3Server::SECRET_KEY},
        "configuration": {"bucket": S3Server::BUCKET, "prefix": name, "endpoint_url": server.url()},
    }));
    world.control.create_bucket(&world.by, world.project, new).await.unwrap()
}

async fn remote(world: &World, bucket: &Bucket) -> Remote {
    let seen = BucketSnapshot { id: bucket.id, provider: bucket.provider, updated_at: bucket.updated_at };
    world.control.0.provided(seen).await.unwrap().remote().clone()
}

async fn write(remote: &Remote, name: &str) {
    remote.write(name, None, stream::iter([Ok::<_, String>("hello".into())])).await.unwrap();
}

async fn names(remote: &Remote) -> Vec<String> {
    remote.list("", None, 1000, None).await.unwrap().entries.into_iter().map(|entry| entry.name).collect()
}

async fn size(world: &World, bucket: &Bucket) -> Option<i64> {
    buckets::get(world.control.store(), bucket.id).await.unwrap().unwrap().size
}

#[tokio::test]
async fn a_key_can_be_replaced_and_must_not_be_missing() {
    let (world, server) = (World::new().await, S3Server::start().await);
    let made = bucket(&world, &server, "b", json!(null)).await;
    let store = world.control.store();
    let (old, new) = ([7; 32], [8; 32]);

    let refused = take_up_keys(store, &Keyring::new([&new])).await.unwrap_err().to_string();
    assert!(
        refused.starts_with("the credentials of 1 buckets in the database are protected with the key"),
        "{refused}"
    );
    take_up_keys(store, &Keyring::new([&new, &old])).await.unwrap();

    let alone = Keyring::new([&new]);
    take_up_keys(store, &alone).await.unwrap();
    let kept = buckets::get(store, made.id).await.unwrap().unwrap();
    let opened = credentials::open(&alone, &kept).unwrap();
    assert_eq!(opened["secret_key"], S3Server::SECRET_KEY);
    assert!(credentials::open(&world.control.settings().keys, &kept).is_err());
    let elsewhere = Bucket { id: modelyard_types::BucketId::new(), ..kept };
    assert!(credentials::open(&alone, &elsewhere).is_err());
}

#[tokio::test]
async fn files_past_their_time_are_deleted_and_the_others_counted() {
    let (world, server) = (World::new().await, S3Server::start().await);
    let (short, kept) =
        (bucket(&world, &server, "short", json!(TTL_STEP)).await, bucket(&world, &server, "kept", json!(null)).await);
    let (in_short, in_kept) = (remote(&world, &short).await, remote(&world, &kept).await);
    for remote in [&in_short, &in_kept] {
        for name in ["a", "b/c"] {
            write(remote, name).await;
        }
    }
    single::walk_providers(&world.control, 1, Timestamp::now()).await;
    assert_eq!((size(&world, &short).await, size(&world, &kept).await), (Some(10), Some(10)));
    single::walk_providers(&world.control, 1, Timestamp::now().plus(6 * DAY)).await;
    assert_eq!(names(&in_short).await, ["a", "b/c"]);

    single::walk_providers(&world.control, 1, Timestamp::now().plus(8 * DAY)).await;

    assert_eq!((names(&in_short).await.len(), names(&in_kept).await), (0, vec!["a".to_owned(), "b/c".into()]));
    assert_eq!((size(&world, &short).await, size(&world, &kept).await), (Some(0), Some(10)));
}

#[tokio::test]
async fn a_provider_that_fails_does_not_keep_others_from_being_walked_through() {
    let (world, server, other) = (World::new().await, S3Server::start().await, S3Server::start().await);
    let (first, second) =
        (bucket(&world, &server, "first", json!(null)).await, bucket(&world, &other, "second", json!(null)).await);
    write(&remote(&world, &second).await, "a").await;
    drop(server);
    single::walk_providers(&world.control, 1, Timestamp::now()).await;
    assert_eq!((size(&world, &first).await, size(&world, &second).await), (None, Some(5)));

    // What fails for a moment is asked again at once.
    other.fail_next(Fault::Status(503));
    single::walk_providers(&world.control, 1, Timestamp::now().plus(2 * DAY)).await;
    assert_eq!(size(&world, &second).await, Some(5));
}

#[tokio::test]
async fn files_of_several_pages_are_deleted_past_their_time_and_counted_before() {
    let (world, server) = (World::new().await, S3Server::start().await);
    let short = bucket(&world, &server, "short", json!(TTL_STEP)).await;
    // Two pages, the second a short one.
    for number in 0..1_100 {
        server.put(&format!("short/{number:05}"), b"hello");
    }
    server.put("short-beside/f", b"hello");
    single::walk_providers(&world.control, 1, Timestamp::now()).await;
    assert_eq!(size(&world, &short).await, Some(5_500));

    single::walk_providers(&world.control, 1, Timestamp::now().plus(8 * DAY)).await;

    assert_eq!((names(&remote(&world, &short).await).await.len(), size(&world, &short).await), (0, Some(0)));
    let beside = bucket(&world, &server, "short-beside", json!(null)).await;
    assert_eq!(names(&remote(&world, &beside).await).await, ["f"]);
}

#[tokio::test]
async fn a_walk_through_many_pages_goes_on_where_the_last_step_ended() {
    let (world, server) = (World::new().await, S3Server::start().await);
    let large = bucket(&world, &server, "large", json!(null)).await;
    // One file more than a step takes.
    for number in 0..20_001 {
        server.put(&format!("large/{number:05}"), b"hello");
    }
    single::walk_providers(&world.control, 1, Timestamp::now()).await;
    assert_eq!(size(&world, &large).await, None);

    single::walk_providers(&world.control, 2, Timestamp::now()).await;

    assert_eq!(size(&world, &large).await, Some(100_005));
}

#[tokio::test]
async fn few_buckets_stay_open() {
    let (world, server) = (World::new().await, S3Server::start().await);
    let one = bucket(&world, &server, "one", json!(null)).await;
    let remote = remote(&world, &one).await;
    let providers = &world.control.0.providers;
    for _ in 0..1000 {
        providers.keep(modelyard_types::BucketId::new(), Timestamp::now(), remote.clone());
    }
    assert_eq!(providers.all().len(), super::providers::OPEN);
    assert!(providers.known(one.id, one.updated_at).is_none());
}
