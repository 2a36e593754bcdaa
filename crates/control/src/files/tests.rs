//! What shows behind the API: what expires, what is given up, and that no bytes stay that no row refers to.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use modelyard_store::leftovers::{self, Leftover};
use modelyard_types::buckets::BucketCreate;
use modelyard_types::files::UploadedPart;
use serde_json::json;

use super::*;
use crate::loops::single;
use crate::testing::{World, of};

const WEEK: Duration = Duration::from_secs(604_800);

fn name(text: &str) -> FileName {
    FileName::parse(text).unwrap()
}

impl World {
    fn files(&self) -> &Files {
        self.control.files()
    }

    async fn container(&self, ttl: Value) -> ContainerId {
        let new: BucketCreate = of(json!({ "name": "b", "ttl": ttl }));
        self.control.create_bucket(&self.by, self.project, new).await.unwrap().container().unwrap()
    }

    async fn bytes(&self, text: &str) -> Staged {
        let mut staging = self.files().stage(1 << 20);
        staging.write(Bytes::copy_from_slice(text.as_bytes())).await.unwrap();
        staging.finish().await.unwrap()
    }

    async fn write(&self, container: ContainerId, name: &str, text: &str, about: About) -> File {
        let name = FileName::parse(name).unwrap();
        self.files().put(container, &name, self.bytes(text).await, about).await.unwrap()
    }

    async fn names(&self, container: ContainerId) -> Vec<String> {
        let (page, _) = self.files().list(container, "", None, 100, None).await.unwrap();
        page.files.into_iter().map(|file| file.name).collect()
    }

    /// Bytes that are kept, whatever their age.
    async fn kept(&self) -> usize {
        let mut kept = 0;
        for shelf in 0..=u8::MAX {
            kept += self.control.objects().kept(shelf, Duration::ZERO).await.unwrap().len();
        }
        kept
    }

    /// Bytes that are to be removed.
    async fn leftovers(&self) -> usize {
        let found = leftovers::next(self.control.store(), modelyard_objects::AWAY, 1000).await.unwrap();
        found.iter().filter(|it| matches!(it, Leftover::Object(_))).count()
    }
}

#[tokio::test]
async fn files_live_as_long_as_their_bucket_says() {
    let world = World::new().await;
    let container = world.container(json!(604_800)).await;
    world.write(container, "a", "1", About::default()).await;
    let now = Timestamp::now();

    single::expire_files(&world.control, now.plus(WEEK - Duration::from_secs(60))).await;
    assert_eq!(world.names(container).await, ["a"]);
    single::expire_files(&world.control, now.plus(WEEK + Duration::from_secs(60))).await;
    assert_eq!(world.names(container).await, [""; 0]);
    assert_eq!(world.leftovers().await, 1);
}

#[tokio::test]
async fn files_of_a_bucket_without_an_end_stay_unless_their_own_time_is_over() {
    let world = World::new().await;
    let container = world.container(Value::Null).await;
    let now = Timestamp::now();
    world.write(container, "a", "1", About::default()).await;
    let about = About { expires_at: Some(now.plus(WEEK)), ..About::default() };
    world.write(container, "b", "1", about).await;

    single::expire_files(&world.control, now).await;
    assert_eq!(world.names(container).await, ["a", "b"]);
    single::expire_files(&world.control, now.plus(WEEK * 5000)).await;
    assert_eq!(world.names(container).await, ["a"]);
}

#[tokio::test]
async fn uploads_that_nobody_completes_are_given_up() {
    let world = World::new().await;
    let container = world.container(Value::Null).await;
    let upload = world.files().begin_upload(container, &name("a")).await.unwrap();
    world.files().keep_part(upload, 1, world.bytes("1").await).await.unwrap();
    let now = Timestamp::now();

    single::expire_files(&world.control, now.plus(WEEK - Duration::from_secs(60))).await;
    world.files().keep_part(upload, 2, world.bytes("2").await).await.unwrap();
    single::expire_files(&world.control, now.plus(WEEK + Duration::from_secs(60))).await;
    let late = world.files().keep_part(upload, 3, world.bytes("3").await).await.unwrap_err();
    assert_eq!(late.to_string(), "Upload was not found");
    assert_eq!((world.leftovers().await, world.kept().await), (2, 2), "the late part is removed at once");
}

#[tokio::test]
async fn an_upload_that_is_given_up_too_late_stays_the_file_it_became() {
    let world = World::new().await;
    let container = world.container(Value::Null).await;
    let upload = world.files().begin_upload(container, &name("a")).await.unwrap();
    let etag = world.files().keep_part(upload, 1, world.bytes("1").await).await.unwrap();
    let parts = [UploadedPart::Tag { number: 1, etag }];
    world.files().complete(container, &name("a"), &upload.to_string(), &parts).await.unwrap();

    let mut tx = world.control.store().begin().await.unwrap();
    modelyard_store::files::uploads::abandon(&mut tx, upload).await.unwrap();
    tx.commit().await.unwrap();
    let opened = world.files().open(container, &name("a")).await.unwrap();
    assert_eq!(opened.read(0..1).await.unwrap().try_collect::<Vec<_>>().await.unwrap().concat(), b"1");
}

#[tokio::test]
async fn uploads_that_are_open_are_bounded() {
    let world = World::new().await;
    let container = world.container(Value::Null).await;
    let mut tx = world.control.store().begin().await.unwrap();
    for at in 1..parts::MAX_OPEN {
        let (id, created_at) = (FileId::new(), Timestamp::now());
        let upload = uploads::Upload { id, container_id: container, name: format!("{at}"), created_at };
        uploads::begin(&mut tx, &upload).await.unwrap();
    }
    tx.commit().await.unwrap();
    let last = world.files().begin_upload(container, &name("last")).await.unwrap();
    let refused = world.files().begin_upload(container, &name("more")).await.unwrap_err();
    assert!(refused.to_string().starts_with("10000 uploads of this bucket are not complete; "), "{refused}");

    let etag = world.files().keep_part(last, 1, world.bytes("1").await).await.unwrap();
    let parts = [UploadedPart::Tag { number: 1, etag }];
    world.files().complete(container, &name("last"), &last.to_string(), &parts).await.unwrap();
    world.files().begin_upload(container, &name("more")).await.unwrap();
}

#[tokio::test]
async fn bytes_without_a_row_are_removed_after_a_while() {
    let world = World::new().await;
    let container = world.container(Value::Null).await;
    world.write(container, "a", "1", About::default()).await;
    let upload = world.files().begin_upload(container, &name("b")).await.unwrap();
    world.files().keep_part(upload, 1, world.bytes("2").await).await.unwrap();
    // As if the server had died before it wrote the row.
    world.control.objects().keep_file(world.bytes("3").await).await.unwrap();

    single::clear_stray_files(&world.control, Duration::from_secs(60)).await;
    assert_eq!(world.kept().await, 3);
    single::clear_stray_files(&world.control, Duration::ZERO).await;
    assert_eq!(world.kept().await, 2);
    let opened = world.files().open(container, &name("a")).await.unwrap();
    assert_eq!(opened.read(0..1).await.unwrap().try_collect::<Vec<_>>().await.unwrap().concat(), b"1");
}

#[tokio::test]
async fn spent_addresses_are_forgotten_once_they_are_over() {
    let world = World::new().await;
    let container = world.container(Value::Null).await;
    let grant = Grant::new(Action::Put, container, name("a"), 100);
    let receive = async |text| world.files().receive(&grant, world.bytes(text).await, About::default()).await;
    receive("1").await.unwrap();
    receive("1").await.unwrap();
    single::expire_files(&world.control, Timestamp::now()).await;
    assert!(receive("2").await.unwrap_err().to_string().contains("used already"));
    assert_eq!((world.kept().await, world.leftovers().await), (1, 0), "what was refused is removed at once");

    single::expire_files(&world.control, grant.expires_at.plus(Duration::from_secs(1))).await;
    // Nobody gets here with it: a ticket that is over is refused before. This shows that it was forgotten.
    receive("2").await.unwrap();
}

#[tokio::test]
async fn buckets_are_measured() {
    let world = World::new().await;
    let container = world.container(Value::Null).await;
    world.write(container, "a", "123", About::default()).await;
    world.write(container, "a", "12", About::default()).await;
    world.write(container, "b", "1234", About::default()).await;
    single::measure(&world.control).await;
    let bucket = modelyard_store::buckets::get(world.control.store(), container.0.into()).await.unwrap().unwrap();
    assert_eq!(bucket.size, Some(6));
    assert!(bucket.measured_at.is_some());
}

#[tokio::test]
async fn ranges_go_across_parts() {
    let world = World::new().await;
    let container = world.container(Value::Null).await;
    let upload = world.files().begin_upload(container, &name("a")).await.unwrap();
    let mut parts = Vec::new();
    for (number, text) in [(1, "abc"), (2, ""), (3, "defg"), (4, "h")] {
        let etag = world.files().keep_part(upload, number, world.bytes(text).await).await.unwrap();
        parts.push(UploadedPart::Tag { number, etag });
    }
    world.files().complete(container, &name("a"), &upload.to_string(), &parts).await.unwrap();
    for range in [0..8, 0..0, 2..4, 3..7, 7..8, 1..8] {
        let opened = world.files().open(container, &name("a")).await.unwrap();
        let read = opened.read(range.clone()).await.unwrap().try_collect::<Vec<_>>().await.unwrap().concat();
        assert_eq!(read, b"abcdefgh"[range.start as usize..range.end as usize], "{range:?}");
    }
}

#[tokio::test]
async fn projects_of_earlier_releases_get_their_bucket() {
    let world = World::new().await;
    let store = world.control.store();
    let mut tx = store.begin().await.unwrap();
    let default = modelyard_store::buckets::list(&mut tx, world.project).await.unwrap().remove(0);
    modelyard_store::buckets::delete(&mut tx, &default).await.unwrap();
    tx.commit().await.unwrap();
    for _ in 0..2 {
        crate::buckets::ensure_defaults(store).await.unwrap();
        let buckets = modelyard_store::buckets::list(store, world.project).await.unwrap();
        assert_eq!(buckets.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["default"]);
    }
}
