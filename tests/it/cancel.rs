//! Calling requests off in every state, deleting them, and time limits.

use crate::batch::{collected, ids};
use crate::kit::*;

const SLOW: &str = "
    import time
    class Deployment:
        def request(self, data):
            if data == 'stubborn':
                while True:
                    try:
                        time.sleep(0.05)
                    except BaseException:
                        pass
            if data == 'long':
                while True: time.sleep(0.05)
            return data
";

const BEHIND: &str = "
    import time
    class Deployment:
        def request(self, data):
            while data == 'long': time.sleep(0.05)
            if data == 'short': time.sleep(0.3)
            return data
";

async fn slow(server: &TestServer) -> At {
    let deployment = server.project("demo").await.running("d", "plain", "plain", SLOW).await;
    deployment.at("/versions/v1").patch("", json!({"maximum_instances": 1})).await.fine();
    deployment
}

/// One request runs, and two wait.
async fn busy(deployment: &At) -> Vec<String> {
    let ids = ids(&deployment.post("/requests/batch", json!(["long", "second", "third"])).await);
    until("the first runs", async || deployment.get(&format!("/requests/{}", ids[0])).await["status"] == "processing")
        .await;
    ids
}

both! {
    async fn what_waits_is_cancelled_at_once_and_what_runs_is_interrupted(server) {
        let deployment = slow(&server).await;
        let ids = busy(&deployment).await;
        let cancelled = json!({"status": "cancelled"});
        let waiting = deployment.patch(&format!("/requests/{}", ids[1]), cancelled.clone()).await;
        assert_snapshot!(waiting.only(&["status", "success"]), @r#"{"status":"cancelled","success":false}"#);
        let version = deployment.at("/versions/v1");
        let running = version.patch(&format!("/requests/{}", ids[0]), cancelled.clone()).await;
        assert!(["cancelled_pending", "cancelled"].contains(&running.str("status").as_str()), "{running}");
        let found = collected(&deployment, &ids).await;
        assert_snapshot!(found.each("status"), @r#"["cancelled","cancelled","completed"]"#);
        assert!(found[0]["time_completed"].is_string() && found[0]["result"].is_null());
        let again = deployment.patch(&format!("/requests/{}", ids[2]), cancelled).await;
        assert_eq!(again.status, 400);
        assert_eq!(again.error(), format!("Request {} cannot be cancelled: it is completed", ids[2]));
        let other = deployment.patch(&format!("/requests/{}", ids[2]), json!({"status": "pending"})).await;
        assert_snapshot!(other, @r#"400 {"error":"status can only be set to 'cancelled', but got 'pending'"}"#);
    }

    async fn a_direct_request_can_be_cancelled(server) {
        let deployment = slow(&server).await;
        let at = deployment.clone();
        let asked = tokio::task::spawn(async move { at.ask(json!("long")).await });
        until("it runs", async || deployment.get("/requests?status=processing").await.len() == 1).await;
        let id = deployment.get("/requests?status=processing").await[0]["id"].as_str().unwrap().to_owned();
        assert_eq!(deployment.post("/requests/cancel", json!([id])).await.status, 200);
        let answer = asked.await.unwrap();
        assert_snapshot!(answer.only(&["status", "success", "result"]), @r#"{"status":"cancelled","success":false,"result":null}"#);
    }

    async fn code_that_does_not_give_way_is_ended(server) {
        let deployment = slow(&server).await;
        let ids = ids(&deployment.post("/requests/batch", json!(["stubborn", "next"])).await);
        until("it runs", async || deployment.get(&format!("/requests/{}", ids[0])).await["status"] == "processing").await;
        deployment.patch(&format!("/requests/{}", ids[0]), json!({"status": "cancelled"})).await.fine();
        assert_eq!(deployment.get(&format!("/requests/{}", ids[0])).await["status"], "cancelled_pending");
        let found = collected(&deployment, &ids).await;
        assert_snapshot!(found.each("status"), @r#"["cancelled","completed"]"#);
    }

    async fn what_waits_behind_a_long_call_goes_to_another_process(server) {
        let deployment = server.project("demo").await.running("d", "plain", "plain", BEHIND).await;
        let settings = json!({"minimum_instances": 1, "maximum_instances": 1, "instance_processes": 2});
        deployment.at("/versions/v1").patch("", settings).await.fine();
        // Quick ones first: then calls are handed ahead.
        for _ in 0..4 {
            ids(&deployment.post("/requests/batch", json!(vec!["quick"; 50])).await);
        }
        until("all are done", async || deployment.get("/requests?status=completed&limit=1000").await.len() == 200).await;
        let mut bodies = vec!["long", "short"];
        bodies.resize(10, "quick");
        let ids = ids(&deployment.post("/requests/batch", json!(bodies)).await);
        let status = async |id: &str| deployment.get(&format!("/requests/{id}")).await.str("status");
        until("all others are done", async || {
            deployment.get("/requests?status=completed&limit=1000").await.len() == 209
        })
        .await;
        assert_eq!(status(&ids[0]).await, "processing");
        deployment.patch(&format!("/requests/{}", ids[0]), json!({"status": "cancelled"})).await.fine();
        let found = collected(&deployment, &ids).await;
        assert_eq!(found[0]["status"], "cancelled");
    }

    async fn all_of_a_status_are_cancelled(server) {
        let deployment = slow(&server).await;
        let busy = busy(&deployment).await;
        let more: Vec<_> = vec!["more"; 250];
        for _ in 0..3 {
            deployment.post("/requests/batch", json!(more)).await.fine();
        }
        assert_eq!(deployment.post("/requests/cancel?status=pending", json!([])).await.status, 200);
        assert_eq!(deployment.get("/requests?status=pending").await.len(), 0);
        assert_eq!(deployment.get("/requests?status=cancelled&limit=1000").await.len(), 752);
        let version = deployment.at("/versions/v1");
        assert_eq!(version.post_raw("/requests/cancel?status=processing", "application/json", "").await.status, 200);
        assert_snapshot!(collected(&deployment, &busy).await.each("status"), @r#"["cancelled","cancelled","cancelled"]"#);
        assert_snapshot!(deployment.post("/requests/cancel?status=failed", json!([])).await, @r#"400 {"error":"status must be one of pending, processing, but got 'failed'"}"#);
        assert_snapshot!(deployment.post("/requests/cancel", json!([])).await, @r#"400 {"error":"The body must be a list of request ids, and has none"}"#);
    }

    async fn one_finished_request_refuses_the_whole_cancel(server) {
        let deployment = slow(&server).await;
        let ids = busy(&deployment).await;
        let done = ids[1].clone();
        deployment.patch(&format!("/requests/{done}"), json!({"status": "cancelled"})).await.fine();
        assert_eq!(deployment.post("/requests/cancel", json!([ids[2], done])).await.status, 400);
        assert_eq!(deployment.get(&format!("/requests/{}", ids[2])).await["status"], "pending");
        deployment.post("/requests/cancel", json!([ids[0], ids[2]])).await.fine();
        collected(&deployment, &ids).await;
    }

    async fn deleting_ends_what_is_open_and_leaves_nothing(server) {
        let deployment = slow(&server).await;
        let ids = busy(&deployment).await;
        assert_eq!(deployment.delete(&format!("/requests/{}", ids[0])).await.status, 204);
        assert_snapshot!(deployment.get(&format!("/requests/{}", ids[0])).await, @r#"404 {"error":"Request was not found"}"#);
        collected(&deployment, &ids[1..]).await;
        assert_eq!(deployment.post("/requests/delete", json!([ids[1], ids[2]])).await.status, 200);
        assert_eq!(server.kept().await.rows("requests"), 0);
        assert_snapshot!(deployment.post("/requests/delete", json!([ids[1]])).await, @r#"404 {"error":"Request was not found"}"#);
        let events = deployment.get("/audit?action=delete").await;
        let told = events.each("event").replace(&ids[0], "ID");
        assert_snapshot!(told, @r#"["Deleted 2 requests of deployment d","Deleted request ID of deployment d"]"#);
    }

    async fn a_batch_request_times_out_from_its_start(server) {
        let deployment = slow(&server).await;
        let ids = ids(&deployment.post("/requests/batch?timeout=10", json!(["long", "next"])).await);
        let found = collected(&deployment, &ids).await;
        assert_snapshot!(found.each("status"), @r#"["failed","completed"]"#);
        assert_snapshot!(found[0]["error_message"], @r#""Request timed out""#);
    }
}
