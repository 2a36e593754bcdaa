//! Rows come back as they went in; names are unique; what is referred to stays.

use modelyard_store::*;
use modelyard_types::Timestamp;
use modelyard_types::audit::AuditAction;
use modelyard_types::ids::*;

use crate::both::{self, World, both, places};

#[tokio::test]
async fn rows_come_back_as_they_went_in() {
    for (store, _place) in both().await {
        let world = World::in_store(&store).await;
        let user = both::user("ada@example.org");
        let token = both::token(&user, [3; 32]);
        let revision = both::revision(&world.version);
        let mut tx = store.begin().await.unwrap();
        users::insert(&mut tx, &user).await.unwrap();
        tokens::insert(&mut tx, &token).await.unwrap();
        revisions::insert(&mut tx, &revision).await.unwrap();
        assert_eq!(users::get(&mut tx, user.id).await.unwrap(), Some(user.clone()), "a transaction sees its own");
        assert_eq!(users::get(&store, user.id).await.unwrap(), None, "and nobody else does");
        tx.commit().await.unwrap();

        assert_eq!(users::get_by_email(&store, "ada@example.org").await.unwrap(), Some(user.clone()));
        assert_eq!(tokens::get_by_hash(&store, &[3; 32]).await.unwrap(), Some(token.clone()));
        assert_eq!(tokens::list(&store, user.id).await.unwrap(), [token]);
        assert_eq!(organizations::get_by_name(&store, "acme").await.unwrap(), Some(world.organization));
        assert_eq!(projects::get_by_name(&store, "demo").await.unwrap(), Some(world.project.clone()));
        assert_eq!(projects::list(&store, None).await.unwrap().len(), 1);
        assert_eq!(environments::list_base(&store).await.unwrap(), [world.base]);
        let deployment = deployments::get_by_name(&store, world.project.id, "iris").await.unwrap();
        assert_eq!(deployment, Some(world.deployment.clone()));
        let version = versions::get_by_name(&store, world.deployment.id, "v1").await.unwrap();
        assert_eq!(version, Some(world.version.clone()));
        assert_eq!(revisions::list(&store, world.version.id).await.unwrap(), [revision]);
        assert_eq!(projects::resources(&store, world.project.id).await.unwrap().deployment_versions, 1);
    }
}

#[tokio::test]
async fn updates_write_all_fields() {
    for (store, _place) in both().await {
        let world = World::in_store(&store).await;
        let mut tx = store.begin().await.unwrap();
        let mut version = versions::lock(&mut tx, world.version.id).await.unwrap().unwrap();
        version.generation += 1;
        version.description = "better".into();
        version.active_revision_id = Some(RevisionId::new());
        version.last_file_upload = Some(Timestamp::now());
        version.ports.clear();
        assert!(versions::update(&mut tx, &version).await.unwrap());
        let gone = both::version(&world.deployment, &world.base, "v2");
        assert!(!versions::update(&mut tx, &gone).await.unwrap());
        tx.commit().await.unwrap();

        assert_eq!(versions::get(&store, version.id).await.unwrap(), Some(version));
    }
}

#[tokio::test]
async fn a_transaction_that_is_dropped_never_happened() {
    for (store, _place) in both().await {
        let mut tx = store.begin().await.unwrap();
        organizations::insert(&mut tx, &both::organization("acme")).await.unwrap();
        drop(tx);

        assert_eq!(organizations::list(&store).await.unwrap(), []);
    }
}

#[tokio::test]
async fn taken_names_are_refused_in_the_callers_words() {
    for (store, _place) in both().await {
        let world = World::in_store(&store).await;
        let mut tx = store.begin().await.unwrap();
        let again = both::deployment(&world.project, "iris");

        let refused = deployments::insert(&mut tx, &again)
            .await
            .missing("project 'demo' was not found")
            .taken("deployment 'iris' already exists")
            .unwrap_err();

        assert!(matches!(&refused, StoreError::Taken(why) if why == "deployment 'iris' already exists"), "{refused}");
        assert!(matches!(modelyard_types::Error::from(refused), modelyard_types::Error::Conflict(_)));
        drop(tx);

        let mut tx = store.begin().await.unwrap();
        let base = both::environment(None, None, "python3-11");
        let refused = environments::insert(&mut tx, &base).await.unwrap_err();
        assert!(matches!(refused, StoreError::Taken(_)), "{refused}");
        drop(tx);

        let mut tx = store.begin().await.unwrap();
        let own = both::environment(Some(&world.project), Some(&world.base), "python3-11");
        environments::insert(&mut tx, &own).await.unwrap();
        let found = environments::get_by_name(&mut tx, world.project.id, "python3-11").await.unwrap();
        assert_eq!(found, Some(own), "a project's own environment comes before the base environment");
    }
}

#[tokio::test]
async fn what_refers_to_nothing_is_refused() {
    for (store, _place) in both().await {
        let project = both::project(&both::organization("acme"), "demo");
        let mut tx = store.begin().await.unwrap();

        let refused = projects::insert(&mut tx, &project).await.missing("organization 'acme' was not found");

        let refused = refused.unwrap_err();
        assert!(matches!(&refused, StoreError::Missing(why) if why.contains("acme")), "{refused}");
    }
}

#[tokio::test]
async fn an_instance_type_group_in_use_is_not_deleted_and_goes_with_its_project() {
    for (store, _place) in both().await {
        let world = World::in_store(&store).await;
        let first = both::instance_type_group(&world.project, "mine");
        let second = both::instance_type_group(&world.project, "mine");
        let mut tx = store.begin().await.unwrap();
        instance_type_groups::insert(&mut tx, &second).await.unwrap();
        instance_type_groups::insert(&mut tx, &first).await.unwrap();
        let version = Version { instance_type_group_id: Some(first.id), ..world.version.clone() };
        versions::update(&mut tx, &version).await.unwrap();
        tx.commit().await.unwrap();

        assert_eq!(versions::of_group(&store, first.id).await.unwrap(), [version]);
        let found = instance_type_groups::first_of_name(&store, world.project.id, "mine").await.unwrap();
        assert_eq!(found, Some(first.clone()), "the oldest");
        let mut tx = store.begin().await.unwrap();
        let refused = instance_type_groups::delete(&mut tx, first.id).await.unwrap_err();
        assert!(matches!(refused, StoreError::InUse(_)), "{refused}");
        drop(tx);
        let mut tx = store.begin().await.unwrap();
        assert!(projects::delete(&mut tx, world.project.id).await.unwrap());
        tx.commit().await.unwrap();
        assert_eq!(instance_type_groups::get(&store, second.id).await.unwrap(), None);
    }
}

#[tokio::test]
async fn an_environment_in_use_is_not_deleted() {
    for (store, _place) in both().await {
        let world = World::in_store(&store).await;
        let mut tx = store.begin().await.unwrap();
        let refused = environments::delete(&mut tx, world.base.id).await.in_use("environment 'python3-11' is in use");
        let refused = refused.unwrap_err();
        assert!(matches!(&refused, StoreError::InUse(why) if why.contains("python3-11")), "{refused}");
        drop(tx);

        let mut tx = store.begin().await.unwrap();
        assert_eq!(versions::using(&mut tx, world.base.id).await.unwrap().len(), 1);
        assert!(versions::delete(&mut tx, world.version.id).await.unwrap());
        assert!(environments::delete(&mut tx, world.base.id).await.unwrap());
        tx.commit().await.unwrap();
    }
}

#[tokio::test]
async fn text_that_one_database_cannot_keep_is_refused_by_both() {
    for (store, _place) in both().await {
        let mut organization = both::organization("acme");
        organization.subscription = "a\0b".into();
        let mut tx = store.begin().await.unwrap();
        let refused = organizations::insert(&mut tx, &organization).await.unwrap_err();
        assert!(matches!(refused, StoreError::Invalid(_)), "{refused}");
        drop(tx);

        let world = World::in_store(&store).await;
        let mut project = world.project;
        project.labels.0.insert("a".into(), "b\0".into());
        let mut tx = store.begin().await.unwrap();
        let refused = projects::update(&mut tx, &project).await.unwrap_err();
        assert!(matches!(refused, StoreError::Invalid(_)), "{refused}");
    }
}

#[tokio::test]
async fn deleting_a_deployment_takes_its_versions_and_notes_what_is_left() {
    for (store, _place) in both().await {
        let mut world = World::in_store(&store).await;
        let revision = both::revision(&world.version);
        let mut tx = store.begin().await.unwrap();
        revisions::insert(&mut tx, &revision).await.unwrap();
        world.deployment.default_version_id = Some(world.version.id);
        deployments::update(&mut tx, &world.deployment).await.unwrap();
        assert!(deployments::delete(&mut tx, world.deployment.id).await.unwrap());
        assert!(!deployments::delete(&mut tx, world.deployment.id).await.unwrap());
        tx.commit().await.unwrap();

        assert_eq!(versions::get(&store, world.version.id).await.unwrap(), None);
        assert_eq!(revisions::get(&store, revision.id).await.unwrap(), None);
        let left = leftovers::next(&store, "stored/", 10).await.unwrap();
        assert_eq!(left.len(), 2);
        assert!(left.contains(&leftovers::Leftover::Version(world.version.id)));
        assert!(left.contains(&leftovers::Leftover::Object(revision.package_key.clone())));
        assert!(!leftovers::is_object_used(&store, &revision.package_key).await.unwrap());

        let mut tx = store.begin().await.unwrap();
        for one in &left {
            leftovers::remove(&mut tx, one).await.unwrap();
        }
        assert_eq!(leftovers::next(&mut tx, "stored/", 10).await.unwrap(), []);
    }
}

#[tokio::test]
async fn deleting_the_default_version_leaves_no_default() {
    for (store, _place) in both().await {
        let mut world = World::in_store(&store).await;
        let mut tx = store.begin().await.unwrap();
        world.deployment.default_version_id = Some(world.version.id);
        deployments::update(&mut tx, &world.deployment).await.unwrap();
        versions::delete(&mut tx, world.version.id).await.unwrap();
        let deployment = deployments::get(&mut tx, world.deployment.id).await.unwrap().unwrap();
        assert_eq!(deployment.default_version_id, None);
    }
}

#[tokio::test]
async fn deleting_a_project_takes_everything_in_it() {
    for (store, _place) in both().await {
        let world = World::in_store(&store).await;
        let implicit = both::environment(Some(&world.project), Some(&world.base), "implicit");
        let tag = both::tag(&implicit);
        let revision = both::environment_revision(&tag);
        let version = both::version(&world.deployment, &implicit, "v2");
        let mut tx = store.begin().await.unwrap();
        environments::insert(&mut tx, &implicit).await.unwrap();
        environments::tags::insert(&mut tx, &tag).await.unwrap();
        environments::revisions::insert(&mut tx, &revision).await.unwrap();
        environments::builds::insert(&mut tx, &both::build(&revision)).await.unwrap();
        versions::insert(&mut tx, &version).await.unwrap();
        tx.commit().await.unwrap();

        let mut tx = store.begin().await.unwrap();
        assert!(projects::delete(&mut tx, world.project.id).await.unwrap());
        tx.commit().await.unwrap();

        assert_eq!(projects::get(&store, world.project.id).await.unwrap(), None);
        assert_eq!(environments::get(&store, implicit.id).await.unwrap(), None);
        assert_eq!(environments::get(&store, world.base.id).await.unwrap(), Some(world.base));
        let left = leftovers::next(&store, "stored/", 10).await.unwrap();
        assert!(left.contains(&leftovers::Leftover::Project(world.project.id)));
        assert!(left.contains(&leftovers::Leftover::Object("objects/requirements".into())));
    }
}

#[tokio::test]
async fn audit_events_are_listed_newest_first() {
    for (store, _place) in both().await {
        let world = World::in_store(&store).await;
        let event = |action, name: &str| AuditEvent {
            id: AuditEventId::new(),
            project_id: Some(world.project.id),
            organization_id: None,
            deployment_id: (name == "iris").then_some(world.deployment.id),
            action,
            user_email: "ada@example.org".into(),
            event: format!("Created deployment {name}"),
            object_type: "deployment".into(),
            object_name: name.into(),
            created_at: Timestamp::now(),
        };
        let mut tx = store.begin().await.unwrap();
        for (action, name) in [(AuditAction::Create, "iris"), (AuditAction::Delete, "iris"), (AuditAction::Create, "x")]
        {
            audit::insert(&mut tx, &event(action, name)).await.unwrap();
        }
        audit::forget_version(&mut tx, world.deployment.id, "iris").await.unwrap();
        audit::forget_deployment(&mut tx, DeploymentId::new()).await.unwrap();
        tx.commit().await.unwrap();

        let project = audit::AuditScope::Project(world.project.id);
        let all = audit::list(&store, project, None, 10, 0).await.unwrap();
        let names: Vec<_> = all.iter().map(|event| event.object_name.as_str()).collect();
        assert_eq!(names, ["x", "iris", "iris"], "others' events keep their names");
        let mut tx = store.begin().await.unwrap();
        audit::forget_deployment(&mut tx, world.deployment.id).await.unwrap();
        tx.commit().await.unwrap();
        let all = audit::list(&store, project, None, 10, 0).await.unwrap();
        let names: Vec<_> = all.iter().map(|event| event.object_name.as_str()).collect();
        assert_eq!(names, ["x", "", ""]);
        let deleted = audit::list(&store, project, Some(AuditAction::Delete), 10, 0).await.unwrap();
        assert_eq!(deleted.len(), 1);
        let deployment = audit::AuditScope::Deployment(world.deployment.id);
        assert_eq!(audit::list(&store, deployment, None, 10, 1).await.unwrap().len(), 1);
        let mut tx = store.begin().await.unwrap();
        assert_eq!(audit::delete_of_project(&mut tx, world.project.id, 2).await.unwrap(), 2);
    }
}

#[tokio::test]
async fn the_installation_is_made_once() {
    for place in places() {
        let store = place.open().await;
        let made = installation::Installation { key_check: "abc".into(), created_at: Timestamp::now() };
        let mut tx = store.begin().await.unwrap();
        installation::insert(&mut tx, &made).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(installation::get(&store).await.unwrap(), Some(made.clone()));
        let mut tx = store.begin().await.unwrap();
        let again = installation::insert(&mut tx, &made).await.unwrap_err();
        assert!(matches!(again, StoreError::Taken(_)), "{again}");
    }
}

#[tokio::test]
async fn each_start_of_a_server_is_another_life() {
    for (store, _place) in both().await {
        let server = ServerId::new();
        let mut tx = store.begin().await.unwrap();
        let first = servers::start(&mut tx, server, Timestamp::now()).await.unwrap();
        let second = servers::start(&mut tx, server, Timestamp::now()).await.unwrap();
        assert_eq!((first.number, second.number), (1, 2));
        assert!(servers::beat(&mut tx, second, Timestamp::now()).await.unwrap());
        assert!(!servers::beat(&mut tx, first, Timestamp::now()).await.unwrap());
    }
}
