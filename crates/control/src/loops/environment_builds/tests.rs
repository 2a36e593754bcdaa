//! Builds that are called off from elsewhere, and what new builds make of the versions that use them.
#![expect(clippy::unwrap_used, reason = "tests")]

use modelyard_runner::environments::Environment as Built;
use modelyard_store::{Version, revisions, versions};
use modelyard_types::ServerId;
use serde_json::json;

use super::asked::Asked;
use super::*;
use crate::loops::{build_all, single, work_on_next};
use crate::testing::World;

fn built(key: &str) -> Made {
    let python = "/nowhere/bin/python".into();
    Ok(Built {
        key: key.into(),
        path: "/nowhere".into(),
        python,
        base_prefix: "/nowhere".into(),
        size: 1,
        reused: false,
    })
}

async fn reload(world: &World, build: &EnvironmentBuild) -> EnvironmentBuild {
    builds::get(world.control.store(), build.id).await.unwrap().unwrap()
}

/// What instances of the version are started with, and how many changes needed new ones.
async fn served(world: &World, version: &Version) -> (Option<String>, i64) {
    let (_, _, shown) = world.control.catalogue().version(version.id).unwrap();
    let row = versions::get(world.control.store(), version.id).await.unwrap().unwrap();
    (shown.code.clone().unwrap().content_key, row.generation)
}

#[tokio::test]
async fn a_build_is_called_off_through_another_server() {
    let world = World::new().await;
    let (environment, build) = world.environment("e", "numpy").await;
    let other = world.another_life(ServerId::new()).await;
    let taken = claim(&other.0).await.unwrap().unwrap();
    assert_eq!(taken.id, build.id);

    let (watching, by) = (until_called_off(&other, &taken), &world.by);
    let cancelling = world.control.cancel_environment_build(by, world.project, &environment, build.id);
    let ((), cancelled) = tokio::join!(watching, cancelling);
    assert_eq!(cancelled.unwrap().status, BuildStatus::Cancelled);

    let made_for = target(&other, &taken).await.unwrap().unwrap();
    finish(&other, taken, &made_for, built("late")).await.unwrap();
    let present = reload(&world, &build).await;
    assert_eq!((present.status, present.content_key), (BuildStatus::Cancelled, None));
    let tag = tags::get_by_name(world.control.store(), environment.id, TAG).await.unwrap().unwrap();
    assert_eq!((tag.status, tag.active_build_id), (VersionStatus::Failed, None));
}

#[tokio::test]
async fn what_an_earlier_life_was_building_can_be_called_off() {
    let world = World::new().await;
    let (environment, build) = world.environment("e", "numpy").await;
    claim(&world.control.0).await.unwrap().unwrap();
    let next = world.another_life(world.control.settings().life.server).await;
    assert_eq!(reload(&world, &build).await.status, BuildStatus::Queued, "the next life has put it back");
    next.cancel_environment_build(&world.by, world.project, &environment, build.id).await.unwrap();
    assert!(claim(&next.0).await.unwrap().is_none());
}

#[tokio::test]
async fn versions_follow_the_builds_of_their_environment() {
    let world = World::new().await;
    let (environment, _) = world.environment("e", "numpy").await;
    build_all(&world.control).await;
    let deployment = world.deployment("d").await;
    let right = world.version(deployment, json!({"version": "right", "environment": "e"})).await;
    world.upload(&right, None).await;
    let on_top = world.version(deployment, json!({"version": "top", "environment": "e"})).await;
    let revision = world.upload(&on_top, Some("pandas")).await;
    build_all(&world.control).await;
    single::follow_environments(&world.control).await;
    let before = (served(&world, &right).await, served(&world, &on_top).await);
    assert_eq!((before.0.0.as_deref(), before.1.0.as_deref()), (Some("env"), Some("env")));

    world.environment_file(&environment, "numpy<3").await;
    assert!(end_next(&world.control, built("second")).await.unwrap());
    for _ in 0..2 {
        single::follow_environments(&world.control).await;
    }
    assert_eq!(served(&world, &right).await, (Some("second".into()), before.0.1 + 1));
    assert_eq!(served(&world, &on_top).await, before.1, "it serves on until it is built");

    assert!(end_next(&world.control, Err("contradiction".into())).await.unwrap());
    assert!(!end_next(&world.control, built("none")).await.unwrap(), "it is tried once");
    let taken = revisions::get(world.control.store(), revision.id).await.unwrap().unwrap();
    assert_eq!((taken.status, taken.build_trigger.as_str()), (BuildStatus::Queued, "Environment changed"));
    work_on_next(&world.control).await;
    single::follow_environments(&world.control).await;
    assert!(!end_next(&world.control, built("none")).await.unwrap(), "what failed is not tried for ever");
    assert_eq!(served(&world, &on_top).await, before.1);

    world.environment_file(&environment, "numpy<4").await;
    assert!(end_next(&world.control, built("third")).await.unwrap());
    single::follow_environments(&world.control).await;
    assert!(end_next(&world.control, built("third and more")).await.unwrap());
    build_all(&world.control).await;
    assert_eq!(served(&world, &right).await, (Some("third".into()), before.0.1 + 2));
    assert_eq!(served(&world, &on_top).await, (Some("third and more".into()), before.1.1 + 1));
}

#[tokio::test]
async fn a_build_on_top_waits_for_the_first_below() {
    let world = World::new().await;
    let (_, build) = world.environment("e", "numpy").await;
    let deployment = world.deployment("d").await;
    let version = world.version(deployment, json!({"version": "v1", "environment": "e"})).await;
    world.upload(&version, Some("pandas")).await;
    let taken = claim(&world.control.0).await.unwrap().unwrap();
    assert_eq!(taken.id, build.id);
    assert!(claim(&world.control.0).await.unwrap().is_none(), "what it stands on is being built");
    let made_for = target(&world.control, &taken).await.unwrap().unwrap();
    finish(&world.control, taken, &made_for, built("below")).await.unwrap();
    let top = claim(&world.control.0).await.unwrap().unwrap();
    let made_for = target(&world.control, &top).await.unwrap().unwrap();
    assert_eq!(Asked::of(&made_for, &|_| {}).unwrap().requirements, "pandas\nnumpy");
}
