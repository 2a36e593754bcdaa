//! Versions grow up to their maximum under load, and go back to their minimum.

use std::time::Duration;

use modelyard_types::{InstanceId, RequestId};

use super::{HOLD, working};
use crate::batch::{collected, ids};
use crate::instances::{listed, running, story, told};
use crate::kit::*;

/// A version with one instance that stays.
async fn warm(project: &At, name: &str, settings: Value) -> At {
    let deployment = project.deployment(name, "plain", "plain").await;
    let mut all = json!({ "instance_type": "256mb", "minimum_instances": 1, "maximum_instances": 3 });
    all.as_object_mut().unwrap().extend(settings.as_object().cloned().unwrap());
    let version = deployment.version("v1", all).await;
    version.code(HOLD).await;
    running(&version, 1).await;
    version
}

both! {
    async fn load_brings_instances_up_to_the_maximum_and_idleness_takes_them_down_to_the_minimum(server) {
        let project = server.project("demo").await;
        let version = warm(&project, "d", json!({ "maximum_idle_time": 10 })).await;
        let held = ids(&version.post("/requests/batch", json!(vec!["hold"; 6])).await);
        let all = running(&version, 3).await;
        working(&version, 3).await;
        assert_eq!(version.get("/requests?status=pending").await.len(), 3);
        assert_eq!(running(&project, 3).await, all);
        for instance in &all {
            assert_snapshot!(story(&version, instance).await, @r"
            Instance created, with instance type 256mb
            Scheduled in N ms
            Instance status changed to initialising
            Sandbox made in N ms
            Interpreter started in N ms
            Import of the code done in N ms
            Init of the deployment done in N ms
            Ready after N ms
            Instance status changed to running
            ");
        }

        version.post("/requests/cancel", json!(held)).await.fine();
        collected(&version, &held).await;
        let left = running(&version, 1).await;
        for gone in all.iter().filter(|instance| !left.contains(instance)) {
            told(&version, gone, "Instance stopped").await;
            assert_snapshot!(story(&version, gone).await.lines().skip(9).collect::<Vec<_>>().join("\n"), @r"
            Stopping, because it had nothing to do for longer than the maximum_idle_time of its version
            Instance status changed to stopping
            Instance stopped
            ");
        }
        assert_eq!((running(&version, 1).await, listed(&project).await.len()), (left, 1));
        assert_eq!(server.kept().await.rows("instances"), 3, "there were never more than the maximum");
    }
}

#[test]
fn a_moderate_version_grows_by_one_for_what_has_waited_ten_seconds() {
    run(Database::Sqlite, async |server| {
        let project = server.project("demo").await;
        let eager = warm(&project, "eager", json!({ "scaling_strategy": "default" })).await;
        let calm = warm(&project, "calm", json!({ "scaling_strategy": "moderate" })).await;
        let held = ids(&calm.post("/requests/batch", json!(vec!["hold"; 3])).await);
        eager.post("/requests/batch", json!(vec!["hold"; 3])).await.fine();
        running(&eager, 3).await;
        working(&calm, 3).await;

        let asked = held.iter().map(|id| id.parse::<RequestId>().unwrap().made_at()).min().unwrap();
        let mut made: Vec<_> =
            running(&calm, 3).await.iter().map(|id| id.parse::<InstanceId>().unwrap().made_at()).collect();
        made.sort();
        let pauses = [made[1].since(asked), made[2].since(made[1])];
        assert!(pauses.iter().all(|pause| *pause >= Duration::from_secs(10)), "{pauses:?}");
        for version in [eager, calm] {
            version.post("/requests/cancel?status=processing", json!([])).await.fine();
        }
    });
}

#[test]
fn an_instance_that_was_stopped_comes_back_only_for_a_request() {
    run(Database::Sqlite, async |server| {
        let version = server.project("demo").await.running("d", "plain", "plain", HOLD).await.at("/versions/v1");
        version.ask(json!("x")).await.fine();
        let first = running(&version, 1).await.remove(0);
        version.patch(&format!("/instances/{first}"), json!({ "status": "stopped" })).await.fine();
        told(&version, &first, "Instance stopped").await;
        assert_snapshot!(version.ask(json!("x")).await.outcome(), @r#"completed "x""#);
        running(&version, 1).await;
        assert_eq!(server.kept().await.rows("instances"), 2);
    });
}
