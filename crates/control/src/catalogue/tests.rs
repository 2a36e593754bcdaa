//! Writes show at once where they were made, and on other servers with the next look.
#![expect(clippy::unwrap_used, reason = "tests")]

use modelyard_store::{Token, User, tokens, users};
use modelyard_types::{TokenId, UserId};
use serde_json::json;

use super::*;
use crate::testing::{World, of};

/// The catalogue of another server on the same database.
async fn elsewhere(world: &World) -> Catalogue {
    let lanes = Arc::new(Lanes::new(Arc::default(), Duration::from_secs(30)));
    Catalogue::open(world.control.store().clone(), lanes).await.unwrap()
}

fn ids(catalogue: &Catalogue) -> HashMap<String, ProjectId> {
    catalogue.projects().into_iter().map(|project| (project.name.clone(), project.id)).collect()
}

#[tokio::test]
async fn names_may_change_hands() {
    let world = World::new().await;
    let other = elsewhere(&world).await;
    let (control, by) = (&world.control, &world.by);
    let rename = |id: ProjectId, name: &str| control.update_project(by, id, of(json!({"name": name})));
    let second = of(json!({"name": "second", "organization_name": "org"}));
    let second = control.create_project(by, second).await.unwrap().id;
    other.refresh().await.unwrap();

    // The one that gave its name away changes once more, so that it comes last.
    rename(world.project, "third").await.unwrap();
    rename(second, "demo").await.unwrap();
    rename(world.project, "second").await.unwrap();

    let expected = HashMap::from([("demo".to_owned(), second), ("second".to_owned(), world.project)]);
    assert_eq!(ids(control.catalogue()), expected);
    other.refresh().await.unwrap();
    assert_eq!(ids(&other), expected);

    control.delete_project(by, second).await.unwrap();
    assert!(control.catalogue().project("demo").is_none());
    other.refresh().await.unwrap();
    assert!(other.project("demo").is_none());
}

#[tokio::test]
async fn lanes_of_what_is_gone_are_closed() {
    let world = World::new().await;
    let (version, _) = world.served(json!({"version": "v1"})).await;
    let other = elsewhere(&world).await;
    let lane = other.version(version.id).unwrap().2.lane.clone();
    let deployment = version.deployment_id;
    world.control.delete_deployment(&world.by, world.project, deployment).await.unwrap();
    other.refresh().await.unwrap();
    assert!(other.version(version.id).is_none());
    assert!(other.lanes.get(version.id).is_none());
    // Who holds an older snapshot is told.
    assert_eq!(lane.close("again"), 0);
    assert!(world.control.catalogue().version(version.id).is_none());
}

#[tokio::test]
async fn a_revoked_token_is_unknown_after_one_look() {
    let world = World::new().await;
    let user = User {
        id: UserId::new(),
        email: "eve@example.org".into(),
        name: String::new(),
        surname: String::new(),
        password_hash: None,
        is_admin: true,
        active: true,
        created_at: Timestamp::now(),
    };
    let token = |text: &str, expires_at| Token {
        id: TokenId::new(),
        user_id: user.id,
        hash: Sha256::digest(text.as_bytes()).into(),
        label: String::new(),
        created_at: Timestamp::now(),
        expires_at,
    };
    let (good, old) = (token("good", None), token("old", Some(Timestamp::now())));
    let store = world.control.store();
    let mut tx = store.begin().await.unwrap();
    users::insert(&mut tx, &user).await.unwrap();
    tokens::insert(&mut tx, &good).await.unwrap();
    tokens::insert(&mut tx, &old).await.unwrap();
    rows::touch(&mut tx, None).await.unwrap();
    tx.commit().await.unwrap();
    let catalogue = world.control.catalogue();
    catalogue.refresh().await.unwrap();
    assert_eq!(catalogue.actor("good").unwrap().email, "eve@example.org");
    assert!(catalogue.actor("old").is_none());

    let mut tx = store.begin().await.unwrap();
    tokens::delete(&mut tx, good.id).await.unwrap();
    let number = rows::touch(&mut tx, None).await.unwrap();
    tx.commit().await.unwrap();
    catalogue.reach(number).await.unwrap();
    assert!(catalogue.actor("good").is_none());
}

#[tokio::test]
async fn a_server_that_cannot_read_knows_that_it_is_stale() {
    let world = World::new().await;
    let mut catalogue = elsewhere(&world).await;
    assert!(catalogue.is_fresh());
    catalogue.opened -= STALE;
    assert!(!catalogue.is_fresh());
    catalogue.refresh().await.unwrap();
    assert!(catalogue.is_fresh());
    world.control.store().close().await;
    catalogue.opened -= STALE;
    assert!(catalogue.refresh().await.is_err());
    assert!(!catalogue.is_fresh());
    assert!(catalogue.reach(i64::MAX).await.is_err());
}
