//! Rules that show behind the API: what is encrypted, what is replaced, who may take secrets along.
#![expect(clippy::unwrap_used, reason = "tests")]

use modelyard_types::variables::{EnvironmentVariableCreate, EnvironmentVariableUpdate};
use serde_json::json;

use super::*;
use crate::testing::{World, of};

fn new(name: &str, value: &str, secret: bool) -> EnvironmentVariableCreate {
    of(json!({ "name": name, "value": value, "secret": secret }))
}

impl World {
    async fn create(&self, scope: VariableScope, name: &str, value: &str, secret: bool) -> Variable {
        self.control.create_variable(&self.by, scope, new(name, value, secret)).await.unwrap()
    }

    async fn given(&self, version: &modelyard_store::Version) -> Vec<(String, String)> {
        let (project, deployment) = (self.project, version.deployment_id);
        let given = self.control.0.variables_of(project, deployment, version.id).await.unwrap();
        given.pairs().collect()
    }
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn lower_levels_win() {
    let world = World::new().await;
    let deployment = world.deployment("d").await;
    let version = world.version(deployment, json!({ "version": "v1" })).await;
    let other = world.version(deployment, json!({ "version": "v2" })).await;
    let project = VariableScope::Project(world.project);
    for name in ["A", "B", "C"] {
        world.create(project, name, "project", true).await;
    }
    for name in ["B", "C"] {
        world.create(VariableScope::Deployment(world.project, deployment), name, "deployment", false).await;
    }
    world.create(VariableScope::Version(world.project, deployment, version.id), "C", "version", true).await;

    assert_eq!(world.given(&version).await, pairs(&[("A", "project"), ("B", "deployment"), ("C", "version")]));
    assert_eq!(world.given(&other).await, pairs(&[("A", "project"), ("B", "deployment"), ("C", "deployment")]));
}

#[tokio::test]
async fn only_versions_that_see_a_change_get_new_instances() {
    let world = World::new().await;
    let (one, two) = (world.deployment("one").await, world.deployment("two").await);
    let versions = [
        world.version(one, json!({ "version": "a" })).await,
        world.version(one, json!({ "version": "b" })).await,
        world.version(two, json!({ "version": "c" })).await,
    ];
    let (by, control) = (&world.by, &world.control);
    let generations = async || {
        let mut found = Vec::new();
        for version in &versions {
            found.push(world.reload(version).await.generation);
        }
        found
    };
    let project = VariableScope::Project(world.project);
    let deployment = VariableScope::Deployment(world.project, one);
    let version = VariableScope::Version(world.project, one, versions[0].id);
    let change = |body| -> EnvironmentVariableUpdate { of(body) };

    world.create(project, "A", "1", false).await;
    assert_eq!(generations().await, [2, 2, 2]);
    world.create(deployment, "A", "2", false).await;
    assert_eq!(generations().await, [3, 3, 2]);
    // The same value one level lower is no news.
    world.create(version, "A", "2", false).await;
    assert_eq!(generations().await, [3, 3, 2]);
    control.update_variable(by, project, "A", change(json!({ "value": "3" }))).await.unwrap();
    assert_eq!(generations().await, [3, 3, 3]);
    control.update_variable(by, deployment, "A", change(json!({ "value": "4" }))).await.unwrap();
    assert_eq!(generations().await, [3, 4, 3]);
    // A name that goes and one that comes, both seen.
    control.update_variable(by, version, "A", change(json!({ "name": "B" }))).await.unwrap();
    assert_eq!(generations().await, [4, 4, 3]);
    // Its log lines are to hide it from now on.
    control.update_variable(by, version, "B", change(json!({ "secret": true }))).await.unwrap();
    assert_eq!(generations().await, [5, 4, 3]);
    control.update_variable(by, version, "B", change(json!({ "value": "2", "secret": true }))).await.unwrap();
    assert_eq!(generations().await, [5, 4, 3]);
    control.delete_variable(by, deployment, "A").await.unwrap();
    assert_eq!(generations().await, [6, 5, 3]);
    control.copy_variables(by, deployment, version, true).await.unwrap();
    assert_eq!(generations().await, [6, 6, 3]);
    control.delete_variable(by, project, "A").await.unwrap();
    assert_eq!(generations().await, [7, 7, 4]);
}

#[tokio::test]
async fn a_secret_is_stored_unreadable_and_bound_to_its_row() {
    let world = World::new().await;
    let scope = VariableScope::Project(world.project);
    let (one, two) =
        (world.create(scope, "ONE", "hunter2", true).await, world.create(scope, "TWO", "swordfish", true).await);

    assert_eq!(one.value, None);
    assert_eq!(world.control.keys().plain(&one).unwrap().as_str(), "hunter2");
    let moved = Variable { sealed: two.sealed, key_id: two.key_id, ..one };
    let refused = world.control.keys().plain(&moved).unwrap_err().to_string();
    assert!(refused.contains("belongs somewhere else"), "{refused}");
}

#[tokio::test]
async fn a_key_can_be_replaced_and_must_not_be_missing() {
    let world = World::new().await;
    let store = world.control.store();
    let scope = VariableScope::Project(world.project);
    for number in 0..150 {
        world.create(scope, &format!("S{number}"), &format!("secret {number}"), true).await;
    }
    world.create(scope, "PLAIN", "text", false).await;
    let (old, new) = ([7; 32], [8; 32]);

    let refused = take_up_keys(store, &Keyring::new([&new])).await.unwrap_err().to_string();
    assert!(refused.starts_with("150 secrets in the database are protected with the key"), "{refused}");
    take_up_keys(store, &Keyring::new([&new, &old])).await.unwrap();

    let alone = Keyring::new([&new]);
    take_up_keys(store, &alone).await.unwrap();
    let kept = variables::get_by_name(store, world.project.0, "S149").await.unwrap().unwrap();
    assert_eq!(alone.plain(&kept).unwrap().as_str(), "secret 149");
    assert!(world.control.keys().plain(&kept).is_err());
}

#[tokio::test]
async fn secrets_are_copied_by_those_who_may_change_them() {
    let world = World::new().await;
    let (one, two) = (world.deployment("one").await, world.deployment("two").await);
    let from = VariableScope::Deployment(world.project, one);
    let to = VariableScope::Deployment(world.project, two);
    let (by, control) = (&world.by, &world.control);
    world.create(from, "PLAIN", "text", false).await;
    assert_eq!(control.copy_variables(by, to, from, false).await.unwrap().len(), 1);
    world.create(from, "SECRET", "hunter2", true).await;

    let refused = control.copy_variables(by, to, from, false).await.unwrap_err();
    assert!(matches!(refused, Error::Forbidden));
    let copies = control.copy_variables(by, to, from, true).await.unwrap();

    assert_eq!(copies.iter().map(Variable::is_secret).collect::<Vec<_>>(), [false, true]);
    assert_eq!(control.keys().plain(&copies[1]).unwrap().as_str(), "hunter2");
}

#[tokio::test]
async fn what_belongs_to_a_deleted_object_goes_with_it() {
    let world = World::new().await;
    let deployment = world.deployment("d").await;
    let version = world.version(deployment, json!({ "version": "v1" })).await;
    world.create(VariableScope::Project(world.project), "A", "1", true).await;
    world.create(VariableScope::Deployment(world.project, deployment), "A", "2", true).await;
    let scope = VariableScope::Version(world.project, deployment, version.id);
    world.create(scope, "A", "3", true).await;
    let left =
        async || variables::keys(world.control.store()).await.unwrap().iter().map(|(_, count)| *count).sum::<i64>();
    assert_eq!(left().await, 3);

    world.control.delete_version(&world.by, world.project, deployment, version.id).await.unwrap();
    assert_eq!(left().await, 2);
    world.control.delete_deployment(&world.by, world.project, deployment).await.unwrap();
    assert_eq!(left().await, 1);
    world.control.delete_project(&world.by, world.project).await.unwrap();
    assert_eq!(left().await, 0);
    let gone = world.control.create_variable(&world.by, scope, new("A", "x", false)).await.unwrap_err();
    assert!(matches!(gone, Error::NotFound(Kind::Project)));
}

#[tokio::test]
async fn variables_of_a_level_are_bounded() {
    let world = World::new().await;
    let scope = VariableScope::Project(world.project);
    let value = "x".repeat(60_000);
    for name in ["A", "B", "C", "D"] {
        world.create(scope, name, &value, name == "A").await;
    }
    let refused =
        world.control.create_variable(&world.by, scope, new("E", &value, false)).await.unwrap_err().to_string();
    insta::assert_snapshot!(refused, @"The environment variables of project demo may take 262144 bytes together, and would take 300165 (each counts its name, its value and 32 more); pass large data as a file");
    assert!(world.control.get_variable(scope, "E").await.is_err());
}
