//! What uploads, changes of the environment and builds that cross each other make of a version.
#![expect(clippy::unwrap_used, reason = "tests")]

use modelyard_runner::environments::Environment as Built;
use modelyard_store::Version;
use modelyard_types::DeploymentId;
use serde_json::json;

use super::*;
use crate::loops::environment_builds::end_next;
use crate::testing::World;

/// Builds all that waits; every build succeeds.
pub(crate) async fn build_all(control: &Control) {
    while end_next(control, Ok(built("env"))).await.unwrap() {}
    while let Some(revision) = claim(control).await.unwrap() {
        finish(control, revision, Ok(looked())).await.unwrap();
    }
}

/// Does what there is to do with the next revision.
pub(crate) async fn work_on_next(control: &Control) {
    let revision = claim(control).await.unwrap().unwrap();
    work(control, revision).await.unwrap();
}

fn looked() -> Looked {
    Looked { has_request: true, has_requests: false }
}

fn built(key: &str) -> Built {
    Built {
        key: key.into(),
        path: "/nowhere".into(),
        python: "/nowhere/bin/python".into(),
        base_prefix: "/nowhere".into(),
        size: 1,
        reused: false,
    }
}

async fn on_old_python(world: &World) -> (DeploymentId, Version) {
    let deployment = world.deployment("d").await;
    let version = world.version(deployment, json!({"version": "v1", "environment": "python3-10"})).await;
    (deployment, version)
}

/// What instances of the version would be started with: its Python, and the built environment.
fn served(world: &World, version: &Version) -> (String, Option<String>) {
    let (_, _, version) = world.control.catalogue().version(version.id).unwrap();
    let code = version.code.clone().unwrap();
    (code.interpreter, code.content_key)
}

#[tokio::test]
async fn requirements_may_come_and_go() {
    let world = World::new().await;
    let (deployment, version) = on_old_python(&world).await;
    for requirements in [Some("numpy"), None, Some("pandas"), Some("numpy")] {
        world.upload(&version, requirements).await;
    }
    build_all(&world.control).await;
    assert_eq!(served(&world, &version), ("3.10".into(), Some("env".into())));

    world.upload(&version, None).await;
    build_all(&world.control).await;
    assert_eq!(served(&world, &version), ("3.10".into(), None));

    let id = version.id;
    world.control.delete_version(&world.by, world.project, deployment, id).await.unwrap();
    let left = modelyard_store::environments::list(world.control.store(), world.project).await.unwrap();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn what_works_serves_on_in_its_own_environment_until_the_next_is_built() {
    let world = World::new().await;
    let (_, version) = on_old_python(&world).await;
    world.upload(&version, Some("numpy")).await;
    build_all(&world.control).await;
    let before = served(&world, &version);

    world.update(&version, json!({"environment": "python3-11"})).await.unwrap();
    assert_eq!(served(&world, &version), before, "while it is built");
    assert!(end_next(&world.control, Err("no such package".into())).await.unwrap());
    let revision = claim(&world.control).await.unwrap().unwrap();
    work(&world.control, revision.clone()).await.unwrap();
    assert_eq!(served(&world, &version), before, "when that failed");
    let failed = revisions::get(world.control.store(), revision.id).await.unwrap().unwrap();
    assert_eq!((failed.status, failed.error_message.as_deref()), (BuildStatus::Failed, Some("no such package")));
    assert_eq!(world.reload(&version).await.status, VersionStatus::Available);

    world.update(&version, json!({"environment": "python3-10"})).await.unwrap();
    world.update(&version, json!({"environment": "python3-11"})).await.unwrap();
    assert!(end_next(&world.control, Ok(built("new"))).await.unwrap());
    assert!(!end_next(&world.control, Ok(built("new"))).await.unwrap(), "what nobody wants is not built");
    build_all(&world.control).await;
    assert_eq!(served(&world, &version), ("3.11".into(), Some("new".into())));
}

#[tokio::test]
async fn a_build_that_was_put_back_is_not_ended_by_who_had_it() {
    let world = World::new().await;
    let (_, version) = on_old_python(&world).await;
    world.upload(&version, None).await;
    let taken = claim(&world.control).await.unwrap().unwrap();

    world.update(&version, json!({"environment": "python3-11"})).await.unwrap();
    finish(&world.control, taken.clone(), Ok(looked())).await.unwrap();
    finish(&world.control, taken.clone(), Err("late".into())).await.unwrap();

    let present = revisions::get(world.control.store(), taken.id).await.unwrap().unwrap();
    assert_eq!(present.status, BuildStatus::Queued);
    build_all(&world.control).await;
    assert_eq!(served(&world, &version), ("3.11".into(), None));
}

#[tokio::test]
async fn the_newest_upload_wins_whatever_ends_first() {
    let world = World::new().await;
    let (_, version) = on_old_python(&world).await;
    let first = world.upload(&version, None).await;
    let taken = claim(&world.control).await.unwrap().unwrap();
    let second = world.upload(&version, None).await;
    let third = world.upload(&version, None).await;
    let newest = claim(&world.control).await.unwrap().unwrap();
    assert_eq!((taken.id, newest.id), (first.id, third.id));
    finish(&world.control, newest, Ok(looked())).await.unwrap();
    finish(&world.control, taken, Ok(looked())).await.unwrap();

    assert_eq!(world.reload(&version).await.active_revision_id, Some(third.id));
    let second = revisions::get(world.control.store(), second.id).await.unwrap().unwrap();
    assert_eq!(second.error_message.as_deref(), Some("A newer revision was uploaded before this one was built"));
    assert!(claim(&world.control).await.unwrap().is_none());
}

#[tokio::test]
async fn a_version_deleted_while_it_is_built_ends_quietly() {
    let world = World::new().await;
    let (deployment, version) = on_old_python(&world).await;
    world.upload(&version, None).await;
    let taken = claim(&world.control).await.unwrap().unwrap();
    world.control.delete_deployment(&world.by, world.project, deployment).await.unwrap();
    finish(&world.control, taken.clone(), Ok(looked())).await.unwrap();
    work(&world.control, taken).await.unwrap();
    assert!(claim(&world.control).await.unwrap().is_none());
}

#[tokio::test]
async fn the_environment_a_version_shows_may_be_sent_back() {
    let world = World::new().await;
    let (deployment, version) = on_old_python(&world).await;
    world.upload(&version, Some("numpy")).await;
    build_all(&world.control).await;
    let version = world.reload(&version).await;
    let shown = modelyard_store::environments::get(world.control.store(), version.environment_id).await.unwrap();
    let shown = shown.unwrap().name;

    let same = world.update(&version, json!({"environment": shown, "environment_tag": "v1"})).await.unwrap();
    assert_eq!((same.updated_at, same.generation), (version.updated_at, version.generation));
    let other = world.version(deployment, json!({"version": "v2", "environment": shown})).await;
    assert_eq!(other.base_environment_id, version.base_environment_id);
    // A tag alone names no environment, so nothing changes.
    let same = world.update(&version, json!({"environment_tag": "v1"})).await.unwrap();
    assert_eq!(same.base_environment_id, version.base_environment_id);
}

#[tokio::test]
async fn ids_have_to_belong_together() {
    let world = World::new().await;
    let (deployment, version) = on_old_python(&world).await;
    let revision = world.upload(&version, None).await;
    build_all(&world.control).await;
    let other = world.deployment("other").await;
    let stranger = world.version(other, json!({"version": "v1"})).await;
    let (control, by, project) = (&world.control, &world.by, world.project);

    for (deployment, version) in [(other, stranger.id), (deployment, stranger.id), (other, version.id)] {
        let refused = control.rebuild_revision(by, project, deployment, version, revision.id).await;
        assert!(matches!(refused, Err(Error::NotFound(_))), "{refused:?}");
    }
    let refused = control.copy_revision(by, project, other, version.id, "d", "v1").await;
    assert!(matches!(refused, Err(Error::NotFound(_))), "{refused:?}");
    let copied = control.copy_revision(by, project, other, stranger.id, "d", "v1").await.unwrap();
    assert_eq!(copied.package_key, revision.package_key);
}

#[tokio::test]
async fn old_clients_get_the_newest_python_whatever_their_default_was() {
    let world = World::new().await;
    let deployment = world.deployment("d").await;
    let newest = modelyard_store::environments::list_base(world.control.store()).await.unwrap();
    let newest = newest.into_iter().find(|base| base.name == "python3-11").unwrap().id;
    let agents = [
        ("UbiOps/python/3.12.0", json!({"version": "a", "language": "python3.7"})),
        ("UbiOps/python/3.15.0", json!({"version": "b", "environment": "python3-7"})),
        ("UbiOps/python/4.6.0", json!({"version": "c", "environment": "python3-10"})),
    ];
    for (agent, new) in agents {
        let release = modelyard_types::release::ClientRelease::parse(agent);
        let new = crate::testing::of(new);
        let made = world.control.create_version(&world.by, world.project, deployment, new, release).await.unwrap();
        assert_eq!(made.base_environment_id, newest, "{agent}");
    }
    let chosen = world.version(deployment, json!({"version": "d", "environment": "python3-10"})).await;
    assert_ne!(chosen.base_environment_id, newest);
    let new = crate::testing::of(json!({"version": "e", "language": "python3.6"}));
    let refused = world.control.create_version(&world.by, world.project, deployment, new, None).await;
    let refused = refused.unwrap_err().to_string();
    assert_eq!(refused, "Environment 'python3.6' was not found; there are python3-10, python3-11");
}
