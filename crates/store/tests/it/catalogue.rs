//! The catalogue's reads see what was changed, in the order of commits.

use modelyard_store::*;
use modelyard_types::ids::ProjectId;
use modelyard_types::revisions::BuildStatus;

use crate::both::{self, World, both};

async fn touch(store: &Store, project: Option<ProjectId>) -> i64 {
    let mut tx = store.begin().await.unwrap();
    let number = catalogue::touch(&mut tx, project).await.unwrap();
    tx.commit().await.unwrap();
    number
}

#[tokio::test]
async fn changes_are_numbered_in_the_order_of_commits() {
    for (store, _place) in both().await {
        let (one, two) = (ProjectId::new(), ProjectId::new());
        assert_eq!(catalogue::number(&store).await.unwrap(), 0);
        assert_eq!(touch(&store, Some(one)).await, 1);
        assert_eq!(touch(&store, None).await, 2);
        assert_eq!(touch(&store, Some(two)).await, 3);
        assert_eq!(touch(&store, Some(one)).await, 4);

        let changes = catalogue::changes_since(&store, 0).await.unwrap();
        assert_eq!(changes, catalogue::Changes { number: 4, shared: true, projects: vec![two, one] });
        let changes = catalogue::changes_since(&store, 3).await.unwrap();
        assert_eq!(changes, catalogue::Changes { number: 4, shared: false, projects: vec![one] });
        assert_eq!(catalogue::changes_since(&store, 4).await.unwrap().number, 4);
        assert_eq!(catalogue::number(&store).await.unwrap(), 4);
    }
}

#[tokio::test]
async fn no_number_appears_before_a_smaller_one() {
    for (store, _place) in both().await {
        let mut writers = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let store = store.clone();
            writers.spawn(async move {
                for _ in 0..10 {
                    let project = ProjectId::new();
                    let number = touch(&store, Some(project)).await;
                    let seen = catalogue::changes_since(&store, 0).await.unwrap();
                    assert!(seen.number >= number);
                    assert_eq!(seen.projects.len() as i64, seen.number, "each number up to the last has its change");
                }
            });
        }
        writers.join_all().await;
        assert_eq!(catalogue::number(&store).await.unwrap(), 40);
    }
}

#[tokio::test]
async fn a_project_is_read_as_a_whole() {
    for (store, _place) in both().await {
        let World { project, base, deployment, mut version, .. } = World::in_store(&store).await;
        let own = both::environment(Some(&project), Some(&base), "own");
        let tag = both::tag(&own);
        let packages = both::environment_revision(&tag);
        let mut build = both::build(&packages);
        build.status = BuildStatus::Success;
        build.content_key = Some("content".into());
        let mut revision = both::revision(&version);
        revision.environment_build_id = Some(build.id);
        version.active_revision_id = Some(revision.id);
        version.active_environment_id = Some(own.id);
        version.active_build_id = Some(build.id);
        let bare = both::version(&deployment, &base, "v2");
        let mut tx = store.begin().await.unwrap();
        environments::insert(&mut tx, &own).await.unwrap();
        environments::tags::insert(&mut tx, &tag).await.unwrap();
        environments::revisions::insert(&mut tx, &packages).await.unwrap();
        environments::builds::insert(&mut tx, &build).await.unwrap();
        revisions::insert(&mut tx, &revision).await.unwrap();
        versions::update(&mut tx, &version).await.unwrap();
        versions::insert(&mut tx, &bare).await.unwrap();
        let number = catalogue::touch(&mut tx, Some(project.id)).await.unwrap();
        tx.commit().await.unwrap();

        let state = catalogue::project(&store, project.id).await.unwrap().unwrap();

        assert_eq!(state.number, number);
        assert_eq!(state.project, project);
        assert_eq!(state.deployments, [deployment]);
        let versions: Vec<_> = state.versions.iter().map(|it| (it.version.id, it.active.as_ref())).collect();
        assert_eq!(versions, [(version.id, Some(&revision)), (bare.id, None)]);
        assert_eq!(state.versions[0].content_key.as_deref(), Some("content"));
        assert_eq!(state.versions[1].content_key, None);
        let environments: Vec<_> = state.environments.iter().map(|(it, tag)| (&it.name, tag.status)).collect();
        assert_eq!(environments.len(), 2);
        assert!(catalogue::project(&store, ProjectId::new()).await.unwrap().is_none());
        let index = catalogue::projects_index(&store).await.unwrap();
        assert_eq!(index[0].name, project.name);
    }
}

#[tokio::test]
async fn tokens_come_with_their_users() {
    for (store, _place) in both().await {
        let user = both::user("ada@example.org");
        let mut tx = store.begin().await.unwrap();
        users::insert(&mut tx, &user).await.unwrap();
        tokens::insert(&mut tx, &both::token(&user, [9; 32])).await.unwrap();
        tx.commit().await.unwrap();

        let tokens = catalogue::tokens(&store).await.unwrap();

        assert_eq!(tokens.len(), 1);
        assert_eq!((tokens[0].email.as_str(), tokens[0].hash, tokens[0].is_admin), ("ada@example.org", [9; 32], true));
        let mut tx = store.begin().await.unwrap();
        users::delete(&mut tx, user.id).await.unwrap();
        tx.commit().await.unwrap();
        assert!(catalogue::tokens(&store).await.unwrap().is_empty());
    }
}
