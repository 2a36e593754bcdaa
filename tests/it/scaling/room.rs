//! Versions on a host whose memory holds few instances: who makes room, and what those read who find none.

use super::{HOLD, working};
use crate::batch::ids;
use crate::instances::{listed, running, story, told};
use crate::kit::*;

/// A project on a server with memory for so many instances of 256 MiB, and 100 MiB more.
async fn room_for(server: &mut TestServer, instances: u32) -> At {
    let memory = format!("{} MiB", instances * 256 + 100);
    server.restart(&[("INSTANCE_MEMORY", &memory)]).await;
    server.project("demo").await
}

async fn version(project: &At, name: &str, minimum: u32) -> At {
    let deployment = project.deployment(name, "plain", "plain").await;
    let version = deployment.version("v1", json!({ "instance_type": "256mb", "minimum_instances": minimum })).await;
    version.code(HOLD).await;
    version
}

/// The lines of all logs about room.
async fn lines(project: &At) -> Reply {
    project.find("/logs", &[("query", "|= `no room`")]).await.fine()
}

const MADE_ROOM: &str = "Stopping, because it had nothing to do, and another version needs its memory";

#[test]
fn the_longest_idle_instance_above_its_minimum_makes_room() {
    run(Database::Sqlite, async |mut server| {
        let project = room_for(&mut server, 2).await;
        let (a, b, c) =
            (version(&project, "a", 0).await, version(&project, "b", 0).await, version(&project, "c", 0).await);
        a.ask(json!("x")).await.fine();
        let of_a = running(&a, 1).await.remove(0);
        b.ask(json!("x")).await.fine();
        let of_b = running(&b, 1).await.remove(0);

        assert_snapshot!(c.ask(json!("x")).await.outcome(), @r#"completed "x""#);
        let of_c = running(&c, 1).await.remove(0);
        told(&a, &of_a, "Instance stopped").await;
        assert_eq!(story(&a, &of_a).await.lines().nth(9), Some(MADE_ROOM));
        assert_eq!(running(&project, 2).await, [of_c.clone(), of_b.clone()]);

        // By now b has been idle for longer than c, but may not go below its minimum.
        b.patch("", json!({ "minimum_instances": 1 })).await.fine();
        assert_snapshot!(a.ask(json!("x")).await.outcome(), @r#"completed "x""#);
        told(&c, &of_c, MADE_ROOM).await;
        assert_eq!((running(&b, 1).await, listed(&c).await.len()), (vec![of_b], 0));
        assert_eq!(lines(&project).await.len(), 0);
    });
}

#[test]
fn who_works_makes_no_room_and_who_waits_is_told_why_once() {
    run(Database::Sqlite, async |mut server| {
        let project = room_for(&mut server, 1).await;
        let (a, b) = (version(&project, "a", 0).await, version(&project, "b", 0).await);
        let held = ids(&a.post("/requests/batch", json!(["hold"])).await);
        working(&a, 1).await;
        let busy = running(&a, 1).await.remove(0);
        let waits = tokio::spawn({
            let b = b.clone();
            async move { b.ask(json!("x")).await }
        });

        until("it is told why", async || lines(&project).await.len() == 1).await;
        let line = lines(&project).await[0].clone();
        assert_snapshot!(line["log"], @r#""There is no room for an instance. An instance needs 256 MiB of memory, and of the host's 356 MiB only 100 MiB are free""#);
        let about = &line["metadata"];
        assert_eq!(
            (&about["deployment_name"], &about["deployment_version"], &about["level"]),
            (&json!("b"), &json!("v1"), &json!("error"))
        );
        let looks = unplaced(&server).await;
        until("the server has looked for room again and again", async || unplaced(&server).await > looks + 3).await;
        assert_eq!(lines(&project).await.len(), 1);
        assert_eq!(b.get("/requests?status=pending").await.len(), 1);
        working(&a, 1).await;
        assert_eq!(running(&project, 1).await, std::slice::from_ref(&busy));

        a.post("/requests/cancel", json!(held)).await.fine();
        assert_snapshot!(waits.await.unwrap().outcome(), @r#"completed "x""#);
        told(&a, &busy, MADE_ROOM).await;
        assert_eq!(lines(&project).await.len(), 1);
    });
}

#[test]
fn a_minimum_for_which_there_is_no_room_is_told_and_kept_later() {
    run(Database::Sqlite, async |mut server| {
        let project = room_for(&mut server, 1).await;
        let a = version(&project, "a", 1).await;
        running(&a, 1).await;
        let b = version(&project, "b", 1).await;
        until("it is told why", async || lines(&project).await.len() == 1).await;
        assert_eq!((running(&a, 1).await.len(), listed(&b).await.len()), (1, 0));
        a.patch("", json!({ "minimum_instances": 0 })).await.fine();
        running(&b, 1).await;
        assert_eq!(lines(&project).await.len(), 1);
    });
}

/// How often a version was found to have no room.
async fn unplaced(server: &TestServer) -> u64 {
    let figures = server.root().get("/metrics").await.text();
    let line = figures.lines().find_map(|line| line.strip_prefix("modelyard_instances_unplaced "));
    line.map_or(0, |count| count.parse().unwrap())
}
