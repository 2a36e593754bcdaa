//! Revisions and builds wait in queues, and survive the server that worked on them.

use modelyard_store::*;
use modelyard_types::Timestamp;
use modelyard_types::ids::ServerId;
use modelyard_types::revisions::BuildStatus;

use crate::both::{self, World, both};

const NEVER: Timestamp = Timestamp(0);

async fn start(store: &Store, server: ServerId) -> Life {
    let mut tx = store.begin().await.unwrap();
    let life = servers::start(&mut tx, server, Timestamp::now()).await.unwrap();
    tx.commit().await.unwrap();
    life
}

#[tokio::test]
async fn a_revision_waits_for_its_environment() {
    for (store, _place) in both().await {
        let world = World::in_store(&store).await;
        let life = start(&store, ServerId::new()).await;
        let tag = both::tag(&both::environment(Some(&world.project), Some(&world.base), "own"));
        let environment =
            Environment { id: tag.environment_id, ..both::environment(Some(&world.project), Some(&world.base), "own") };
        let packages = both::environment_revision(&tag);
        let build = both::build(&packages);
        let mut revision = both::revision(&world.version);
        revision.environment_build_id = Some(build.id);
        let later = both::revision(&world.version);
        let mut tx = store.begin().await.unwrap();
        environments::insert(&mut tx, &environment).await.unwrap();
        environments::tags::insert(&mut tx, &tag).await.unwrap();
        environments::revisions::insert(&mut tx, &packages).await.unwrap();
        environments::builds::insert(&mut tx, &build).await.unwrap();
        revisions::insert(&mut tx, &revision).await.unwrap();
        revisions::insert(&mut tx, &later).await.unwrap();

        let first = revisions::next_queued(&mut tx, life).await.unwrap().unwrap();
        assert_eq!(first.id, later.id, "the other one waits for its environment");
        assert_eq!((first.status, first.life), (BuildStatus::Building, Some(1)));
        assert_eq!(revisions::next_queued(&mut tx, life).await.unwrap(), None);

        let now = Timestamp::now();
        let mut claimed = environments::builds::next_queued(&mut tx, life, now).await.unwrap().unwrap();
        assert_eq!((claimed.id, claimed.status, claimed.started_at), (build.id, BuildStatus::Building, Some(now)));
        assert_eq!(environments::builds::next_queued(&mut tx, life, now).await.unwrap(), None);
        claimed.status = BuildStatus::Success;
        claimed.content_key = Some("abc".into());
        environments::builds::update(&mut tx, &claimed).await.unwrap();

        let second = revisions::next_queued(&mut tx, life).await.unwrap().unwrap();
        assert_eq!(second.id, revision.id);
        assert_eq!(revisions::list_open(&mut tx).await.unwrap().len(), 2);
        let of_environment = environments::builds::list_of_environment(&mut tx, environment.id).await.unwrap();
        assert_eq!(of_environment, [claimed]);
        tx.commit().await.unwrap();
    }
}

#[tokio::test]
async fn only_folders_of_active_and_awaited_builds_are_in_use() {
    for (store, _place) in both().await {
        let mut world = World::in_store(&store).await;
        let mut tag = both::tag(&both::environment(Some(&world.project), Some(&world.base), "own"));
        let environment =
            Environment { id: tag.environment_id, ..both::environment(Some(&world.project), Some(&world.base), "own") };
        let packages = both::environment_revision(&tag);
        let builds = ["superseded", "of a version", "awaited", "active"]
            .map(|key| EnvironmentBuild { content_key: Some(key.into()), ..both::build(&packages) });
        let [_, of_version, awaited, active] = &builds;
        let mut revision = both::revision(&world.version);
        revision.environment_build_id = Some(awaited.id);
        let mut tx = store.begin().await.unwrap();
        environments::insert(&mut tx, &environment).await.unwrap();
        environments::tags::insert(&mut tx, &tag).await.unwrap();
        environments::revisions::insert(&mut tx, &packages).await.unwrap();
        for build in &builds {
            environments::builds::insert(&mut tx, build).await.unwrap();
        }
        revisions::insert(&mut tx, &revision).await.unwrap();
        tag.active_build_id = Some(active.id);
        environments::tags::update(&mut tx, &tag).await.unwrap();
        world.version.active_build_id = Some(of_version.id);
        versions::update(&mut tx, &world.version).await.unwrap();

        let mut keys = environments::builds::keys_in_use(&mut tx).await.unwrap();
        keys.sort();
        assert_eq!(keys, ["active", "awaited", "of a version"]);

        revision.status = BuildStatus::Success;
        revisions::update(&mut tx, &revision).await.unwrap();
        let mut keys = environments::builds::keys_in_use(&mut tx).await.unwrap();
        keys.sort();
        assert_eq!(keys, ["active", "of a version"]);
    }
}

#[tokio::test]
async fn work_of_an_earlier_life_goes_back_to_the_queue() {
    for (store, _place) in both().await {
        let world = World::in_store(&store).await;
        let (ours, other) = (ServerId::new(), ServerId::new());
        let first = start(&store, ours).await;
        let foreign = start(&store, other).await;
        let mut tx = store.begin().await.unwrap();
        for _ in 0..2 {
            revisions::insert(&mut tx, &both::revision(&world.version)).await.unwrap();
        }
        let mine = revisions::next_queued(&mut tx, first).await.unwrap().unwrap();
        let theirs = revisions::next_queued(&mut tx, foreign).await.unwrap().unwrap();
        assert_eq!(revisions::requeue(&mut tx, first, NEVER).await.unwrap(), 0);
        tx.commit().await.unwrap();

        let second = start(&store, ours).await;
        let mut tx = store.begin().await.unwrap();
        assert_eq!(revisions::requeue(&mut tx, second, NEVER).await.unwrap(), 1);
        assert_eq!(environments::builds::requeue(&mut tx, second, NEVER).await.unwrap(), 0);
        let again = revisions::next_queued(&mut tx, second).await.unwrap().unwrap();
        assert_eq!((again.id, again.life), (mine.id, Some(2)));

        let in_a_minute = Timestamp::now().plus(std::time::Duration::from_secs(60));
        let back = revisions::requeue(&mut tx, second, in_a_minute).await.unwrap();
        assert_eq!(back, 2, "silent servers count as dead, our own silence included");
        let statuses = revisions::get(&mut tx, theirs.id).await.unwrap().unwrap();
        assert_eq!((statuses.status, statuses.server_id), (BuildStatus::Queued, None));
    }
}

#[tokio::test]
async fn two_servers_never_take_the_same_work() {
    for (store, _place) in both().await {
        let world = World::in_store(&store).await;
        let mut tx = store.begin().await.unwrap();
        for _ in 0..20 {
            revisions::insert(&mut tx, &both::revision(&world.version)).await.unwrap();
        }
        tx.commit().await.unwrap();

        let mut workers = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let store = store.clone();
            workers.spawn(async move {
                let life = start(&store, ServerId::new()).await;
                let mut taken = Vec::new();
                loop {
                    let mut tx = store.begin().await.unwrap();
                    let Some(revision) = revisions::next_queued(&mut tx, life).await.unwrap() else {
                        return taken;
                    };
                    tx.commit().await.unwrap();
                    taken.push(revision.id);
                }
            });
        }
        let mut all: Vec<_> = workers.join_all().await.into_iter().flatten().collect();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 20);
    }
}
