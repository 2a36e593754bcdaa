//! Creations that are repeated under an `Idempotency-Key`.

use reqwest::Method;

use crate::batch::{collected, ids};
use crate::kit::*;

const CODE: &str = "
    import os, time
    class Deployment:
        def __init__(self):
            self.calls = 0
        def request(self, data):
            self.calls += 1
            if data == 'slow': time.sleep(2)
            if data == 'long': time.sleep(60)
            if data == 'bad': raise ValueError()
            return data + str(self.calls)
";

/// Counts the requests whose start is on the disk, and those that wait there.
const RUNNING: &str = "SELECT count(*) FROM requests WHERE status = 1";
const WAITING: &str = "SELECT count(*) FROM requests WHERE status = 0";

async fn counting(server: &TestServer) -> At {
    let deployment = server.project("demo").await.running("d", "plain", "plain", CODE).await;
    deployment.at("/versions/v1").patch("", json!({"maximum_instances": 1})).await.fine();
    deployment
}

/// Makes all keys so many hours older.
fn older_by(hours: i64) -> String {
    format!("UPDATE idempotency_keys SET created_at = created_at - {}", hours * 3_600_000_000)
}

/// As [`keyed`], by somebody who does not wait for the answer.
fn keyed_aside(at: &At, key: &'static str, body: &'static str) -> tokio::task::JoinHandle<Option<Reply>> {
    let request = at.request(Method::POST, "/requests").header("Idempotency-Key", key).json(body);
    tokio::spawn(At::try_send(request))
}

async fn keyed(at: &At, path: &str, key: &str, body: Value) -> Reply {
    at.send(at.request(Method::POST, path).header("Idempotency-Key", key).json(&body)).await
}

both! {
    async fn a_repeated_direct_request_gets_the_first_answer(server) {
        let deployment = counting(&server).await;
        let first = keyed(&deployment, "/requests", "k1", json!("a")).await;
        assert_snapshot!(first.outcome(), @r#"completed "a1""#);
        let again = keyed(&deployment, "/requests", "k1", json!("a")).await;
        assert_eq!((again.outcome(), &again["id"]), (first.outcome(), &first["id"]));
        assert_snapshot!(keyed(&deployment, "/requests", "k2", json!("a")).await.outcome(), @r#"completed "a2""#);
        let failed = keyed(&deployment, "/requests", "k3", json!("bad")).await;
        assert_eq!(keyed(&deployment, "/requests", "k3", json!("bad")).await.outcome(), failed.outcome());
        assert_snapshot!(deployment.ask(json!("b")).await.outcome(), @r#"completed "b4""#);
        assert_eq!(deployment.get("/requests").await.len(), 3);
    }

    async fn a_repeat_waits_while_the_first_runs(server) {
        let deployment = counting(&server).await;
        deployment.ask(json!("warm")).await.fine();
        let repeats = (0..4).map(|_| keyed(&deployment, "/requests", "k", json!("slow")));
        let answers = futures_util::future::join_all(repeats).await;
        for answer in &answers {
            assert_eq!((answer.outcome().as_str(), &answer["id"]), (r#"completed "slow2""#, &answers[0]["id"]));
        }
    }

    async fn a_full_queue_refuses_a_first_call_and_leaves_its_key_free(server) {
        let deployment = counting(&server).await;
        deployment.at("/versions/v1").patch("", json!({"maximum_queue_size_express": 1})).await.fine();
        let runs = keyed_aside(&deployment, "runs", "long");
        until("one runs", async || deployment.get("/requests?status=processing").await.len() == 1).await;
        let waits = keyed_aside(&deployment, "waits", "a");
        until("one waits", async || deployment.get("/requests?status=pending").await.len() == 1).await;
        let full = keyed(&deployment, "/requests", "k", json!("b")).await;
        assert_snapshot!(full, @r#"429 {"error":"The queue is full: at most 1 may wait"}"#);
        assert!(full.headers["x-ratelimit-reset"].to_str().unwrap().parse::<u32>().unwrap() > 0);
        assert_eq!(server.kept().await.rows("idempotency_keys"), 2);

        let running = deployment.get("/requests?status=processing").await[0]["id"].as_str().unwrap().to_owned();
        deployment.patch(&format!("/requests/{running}"), json!({"status": "cancelled"})).await.fine();
        assert_eq!(runs.await.unwrap().unwrap()["status"], "cancelled");
        assert_eq!(waits.await.unwrap().unwrap()["result"], "a2");
        assert_snapshot!(keyed(&deployment, "/requests", "k", json!("b")).await.outcome(), @r#"completed "b3""#);
        assert_eq!(server.kept().await.rows("requests"), 3);
    }

    async fn another_request_under_the_same_key_is_refused(server) {
        let deployment = counting(&server).await;
        keyed(&deployment, "/requests", "k", json!("a")).await.fine();
        let refused = keyed(&deployment, "/requests", "k", json!("b")).await;
        assert_snapshot!(refused, @r#"409 {"error":"The Idempotency-Key was used for a different request before; use a new key for a new request"}"#);
        assert_eq!(keyed(&deployment, "/requests?timeout=20", "k", json!("a")).await.status, 409);
        assert_eq!(keyed(&deployment, "/requests/batch", "k", json!("a")).await.status, 409);
        let long = "k".repeat(256);
        assert_snapshot!(keyed(&deployment, "/requests", &long, json!("a")).await, @r#"400 {"error":"Idempotency-Key must be 1 to 255 visible characters of ASCII"}"#);
        assert_snapshot!(keyed(&deployment, "/requests", "", json!("a")).await, @r#"400 {"error":"Idempotency-Key must be 1 to 255 visible characters of ASCII"}"#);
        assert_snapshot!(keyed(&deployment, "/requests/stream", "k", json!("a")).await, @r#"400 {"error":"Idempotency-Key is not offered for streams; make a direct or a batch request with it","error_message":"Idempotency-Key is not offered for streams; make a direct or a batch request with it"}"#);
    }

    async fn a_repeat_gets_the_first_answer_whatever_changed_since(server) {
        let deployment = counting(&server).await;
        let first = keyed(&deployment, "/requests", "k", json!("a")).await;
        let batch = keyed(&deployment, "/requests/batch", "b", json!(["a"])).await;
        collected(&deployment, &ids(&batch)).await;
        let repeated = async |what: &str| {
            let again = keyed(&deployment, "/requests", "k", json!("a")).await;
            assert_eq!((again.outcome(), &again["id"], &again["version"]), (first.outcome(), &first["id"], &json!("v1")), "{what}");
            let again = keyed(&deployment, "/requests/batch", "b", json!(["a"])).await;
            assert_eq!((ids(&again), &again[0]["version"]), (ids(&batch), &json!("v1")), "{what}");
        };
        deployment.version("v2", json!({})).await.code(CODE).await;
        deployment.patch("", json!({"default_version": "v2"})).await.fine();
        repeated("another default").await;
        deployment.at("/versions/v1").patch("", json!({"maximum_instances": 0})).await.fine();
        repeated("no instances").await;
        server.patch("/projects/demo", json!({"suspend": true})).await.fine();
        assert_eq!(keyed(&deployment, "/requests", "other", json!("a")).await.status, 403);
        repeated("a suspended project").await;
        assert_eq!(deployment.at("/versions/v1").delete("").await.status, 204);
        for (path, key, body) in [("/requests", "k", json!("a")), ("/requests/batch", "b", json!(["a"]))] {
            let gone = keyed(&deployment, path, key, body).await;
            assert_snapshot!(gone, @r#"409 {"error":"The request that was made first with this Idempotency-Key is no longer there; use a new key"}"#);
        }
    }

    async fn a_repeated_batch_makes_no_new_requests(server) {
        let deployment = counting(&server).await;
        let calls = (0..5).map(|_| keyed(&deployment, "/requests/batch", "k", json!(["a", "b", "c"])));
        let answers = futures_util::future::join_all(calls).await;
        let first = ids(&answers[0]);
        for answer in &answers {
            assert_eq!(ids(answer), first);
        }
        collected(&deployment, &first).await;
        assert_eq!(ids(&keyed(&deployment, "/requests/batch", "k", json!(["a", "b", "c"])).await), first);
        assert_eq!(server.kept().await.rows("requests"), 3);
    }

    async fn a_repeat_finds_what_an_earlier_life_accepted(server) {
        let mut server = server;
        let deployment = counting(&server).await;
        let done = keyed(&deployment, "/requests", "done", json!("a")).await;
        let batch = ids(&keyed(&deployment, "/requests/batch", "batch", json!(["a"])).await);
        collected(&deployment, &batch).await;
        keyed_aside(&deployment, "cut", "long");
        until("its start is written", async || server.count(RUNNING).await == 1).await;
        server.crash();
        server.start_again(&[]).await;
        let deployment = server.at("/projects/demo/deployments/d");
        assert_eq!(keyed(&deployment, "/requests", "done", json!("a")).await["id"], done["id"]);
        assert_eq!(ids(&keyed(&deployment, "/requests/batch", "batch", json!(["a"])).await), batch);
        let cut = keyed(&deployment, "/requests", "cut", json!("long")).await;
        assert_snapshot!(cut.outcome(), @"failed: The server stopped while the request was running");
    }

    async fn a_kill_leaves_the_key_of_what_had_not_begun_free(server) {
        let mut server = server;
        let deployment = counting(&server).await;
        keyed_aside(&deployment, "runs", "long");
        until("its start is written", async || server.count(RUNNING).await == 1).await;
        keyed_aside(&deployment, "waits", "a");
        until("it is written", async || server.count(WAITING).await == 1).await;
        server.crash();
        server.start_again(&[]).await;
        let deployment = server.at("/projects/demo/deployments/d");
        assert_eq!(server.kept().await.rows("requests"), 1);
        assert_snapshot!(keyed(&deployment, "/requests", "waits", json!("a")).await.outcome(), @r#"completed "a1""#);
        let cut = keyed(&deployment, "/requests", "runs", json!("long")).await;
        assert_snapshot!(cut.outcome(), @"failed: The server stopped while the request was running");
    }

    async fn a_stop_leaves_the_key_of_what_had_not_begun_free(server) {
        let mut server = server;
        server.restart(&[("SHUTDOWN_GRACE", "1 s"), ("STOP_GRACE", "1 s")]).await;
        let deployment = counting(&server).await;
        let runs = keyed_aside(&deployment, "runs", "long");
        until("one runs", async || deployment.get("/requests?status=processing").await.len() == 1).await;
        let waits = deployment.request(Method::POST, "/requests").header("Idempotency-Key", "waits").json("a");
        let waits = tokio::spawn(waits.send());
        until("one waits", async || deployment.get("/requests?status=pending").await.len() == 1).await;
        assert!(server.stop().success());
        assert_snapshot!(runs.await.unwrap().unwrap().outcome(), @"failed: The server is stopping");
        let waits = waits.await.unwrap().unwrap();
        assert_eq!(waits.status(), 503);
        assert_snapshot!(waits.text().await.unwrap(), @r#"{"error":"The server is stopping"}"#);

        server.start_again(&[]).await;
        let deployment = server.at("/projects/demo/deployments/d");
        assert_snapshot!(keyed(&deployment, "/requests", "waits", json!("a")).await.outcome(), @r#"completed "a1""#);
        let cut = keyed(&deployment, "/requests", "runs", json!("long")).await;
        assert_snapshot!(cut.outcome(), @"failed: The server is stopping");
    }

    async fn without_retention_a_repeat_gets_id_and_status(server) {
        let deployment = counting(&server).await;
        deployment.at("/versions/v1").patch("", json!({"request_retention_mode": "none"})).await.fine();
        let first = keyed(&deployment, "/requests", "k", json!("a")).await;
        assert_snapshot!(first.outcome(), @r#"completed "a1""#);
        until("nothing is kept of it", async || server.kept().await.rows("requests") == 0).await;
        let again = keyed(&deployment, "/requests", "k", json!("a")).await;
        assert_eq!(again["id"], first["id"]);
        assert_snapshot!(again.outcome(), @"completed null");
    }
    async fn without_retention_a_repeat_learns_that_the_server_died(server) {
        let mut server = server;
        let deployment = counting(&server).await;
        deployment.at("/versions/v1").patch("", json!({"request_retention_mode": "none"})).await.fine();
        keyed_aside(&deployment, "cut", "long");
        until("its start is written", async || server.count(RUNNING).await == 1).await;
        server.crash();
        server.start_again(&[]).await;
        let deployment = server.at("/projects/demo/deployments/d");
        let cut = keyed(&deployment, "/requests", "cut", json!("long")).await;
        assert_snapshot!(cut.outcome(), @"failed null");
        assert_eq!(server.kept().await.rows("requests"), 0);
    }

    async fn a_key_is_free_again_after_a_day(server) {
        let deployment = counting(&server).await;
        let first = keyed(&deployment, "/requests", "k", json!("a")).await;
        let batch = ids(&keyed(&deployment, "/requests/batch", "b", json!(["a"])).await);
        collected(&deployment, &batch).await;
        server.change(&older_by(23)).await;
        assert_eq!(keyed(&deployment, "/requests", "k", json!("a")).await["id"], first["id"]);
        assert_eq!(ids(&keyed(&deployment, "/requests/batch", "b", json!(["a"])).await), batch);
        server.change(&older_by(1)).await;
        let other = keyed(&deployment, "/requests", "k", json!("b")).await;
        assert_snapshot!(other.outcome(), @r#"completed "b3""#);
        assert_ne!(ids(&keyed(&deployment, "/requests/batch", "b", json!(["c"])).await), batch);
        assert_eq!(keyed(&deployment, "/requests", "k", json!("a")).await.status, 409);
    }
}
