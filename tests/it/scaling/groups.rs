//! Versions whose instances may be of several kinds: which one they get when memory is short.

use super::{HOLD, working};
use crate::batch::ids;
use crate::instance_type_groups::group;
use crate::instances::{listed, running, story, told};
use crate::kit::*;

/// The instance types of the instances of a version.
async fn types(version: &At) -> Vec<String> {
    listed(version).await.iter().map(|one| one["instance_type"]["name"].as_str().unwrap().to_owned()).collect()
}

/// A project on a server with memory for 700 MiB of instances, and a version there that holds 256 MiB while it works.
async fn short_of_memory(server: &mut TestServer) -> (At, At, Vec<String>) {
    server.restart(&[("INSTANCE_MEMORY", "700 MiB")]).await;
    let project = server.project("demo").await;
    let keeper = version(&project, "keeper", json!({ "instance_type": "256mb" })).await;
    let held = ids(&keeper.post("/requests/batch", json!(["hold"])).await);
    working(&keeper, 1).await;
    (project, keeper, held)
}

async fn version(project: &At, name: &str, settings: Value) -> At {
    let version = project.deployment(name, "plain", "plain").await.version("v1", settings).await;
    version.code(HOLD).await;
    version
}

#[test]
fn the_next_kind_is_tried_when_the_first_found_no_room_for_its_time() {
    run(Database::Sqlite, async |mut server| {
        let (project, keeper, held) = short_of_memory(&mut server).await;
        let kinds = json!([{ "name": "512mb", "schedule_timeout": 2 }, { "name": "256mb" }]);
        let mine = group(&project, "mine", kinds).await;
        let version = version(&project, "d", json!({ "instance_type_group_id": mine["id"] })).await;

        assert_snapshot!(version.ask(json!("x")).await.outcome(), @r#"completed "x""#);
        let instance = running(&version, 1).await.remove(0);
        assert_eq!(types(&version).await, ["256mb"]);
        let shown = version.get(&format!("/instances/{instance}")).await.fine();
        assert_eq!(shown["instance_type"]["display_name"], "256 MB");
        let first = story(&version, &instance).await.lines().next().unwrap().to_owned();
        assert_eq!(first, "Instance created, with instance type 256mb, because there was no room for 512mb");
        let lines = project.find("/logs", &[("query", "|= `no room`")]).await.fine();
        assert_eq!(
            lines[0]["log"],
            "There is no room for an instance. An instance needs 512 MiB of memory, and of the host's \
            700 MiB only 444 MiB are free; when it has waited for 2 s, the next instance type of its group is tried"
        );

        // With room for the first kind again, a new instance is of that one.
        keeper.post("/requests/cancel", json!(held)).await.fine();
        keeper.patch("", json!({ "maximum_instances": 0 })).await.fine();
        until("the memory is free", async || listed(&keeper).await.is_empty()).await;
        version.patch(&format!("/instances/{instance}"), json!({ "status": "stopped" })).await.fine();
        told(&version, &instance, "Instance stopped").await;
        assert_snapshot!(version.ask(json!("y")).await.outcome(), @r#"completed "y""#);
        assert_eq!(types(&version).await, ["512mb"]);
    });
}

#[test]
fn a_kind_larger_than_the_server_is_passed_over_and_a_group_of_such_refused() {
    run(Database::Sqlite, async |mut server| {
        let (project, ..) = short_of_memory(&mut server).await;
        let mine = group(&project, "mine", json!([{ "name": "1024mb" }, { "name": "256mb" }])).await;
        let version = version(&project, "d", json!({ "instance_type_group_id": mine["id"] })).await;
        assert_snapshot!(version.ask(json!("x")).await.outcome(), @r#"completed "x""#);
        assert_eq!(types(&version).await, ["256mb"]);

        let path = format!("/instance-type-groups/{}", mine.str("id"));
        let larger = json!([{ "name": "2048mb" }, { "name": "1024mb" }]);
        project.patch(&path, json!({ "instance_types": larger })).await.fine();
        until("the old instance is gone", async || {
            listed(&version).await.is_empty() || {
                version.patch("", json!({ "maximum_instances": 0 })).await.fine();
                false
            }
        })
        .await;
        version.patch("", json!({ "maximum_instances": 1 })).await.fine();
        assert_snapshot!(version.ask(json!("x")).await.outcome(), @"failed: An instance of version 'v1' needs 1024 MiB of memory, and this server has 700 MiB for instances");
    });
}

#[test]
fn a_change_of_the_group_replaces_the_instances_it_concerns() {
    run(Database::Sqlite, async |server| {
        let project = server.project("demo").await;
        let mine = group(&project, "mine", json!([{ "name": "256mb" }])).await;
        let path = format!("/instance-type-groups/{}", mine.str("id"));
        let settings = json!({ "instance_type_group_id": mine["id"], "minimum_instances": 1 });
        let version = version(&project, "d", settings).await;
        let first = running(&version, 1).await.remove(0);

        // One kind more, and another time: what runs stays.
        let more = json!([{ "name": "256mb", "schedule_timeout": 5 }, { "name": "512mb" }]);
        project.patch(&path, json!({ "instance_types": more })).await.fine();
        version.ask(json!("x")).await.fine();
        assert_eq!(running(&version, 1).await, std::slice::from_ref(&first));

        let other = json!([{ "name": "512mb" }, { "name": "256mb" }]);
        project.patch(&path, json!({ "instance_types": other })).await.fine();
        told(&version, &first, "Stopping, because it was made from older code or settings, and is replaced").await;
        until("the successor runs", async || types(&version).await == ["512mb"]).await;
    });
}
