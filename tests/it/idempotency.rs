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
            if data == 'bad': raise ValueError()
            return data + str(self.calls)
";

async fn counting(server: &TestServer) -> At {
    let deployment = server.project("demo").await.running("d", "plain", "plain", CODE).await;
    deployment.at("/versions/v1").patch("", json!({"maximum_instances": 1})).await.fine();
    deployment
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
        let at = deployment.clone();
        tokio::task::spawn(async move {
            at.request(Method::POST, "/requests").header("Idempotency-Key", "cut").json("slow").send().await
        });
        until("it is written", async || server.kept().await.rows("requests") == 3).await;
        server.crash();
        server.start_again(&[]).await;
        let deployment = server.at("/projects/demo/deployments/d");
        assert_eq!(keyed(&deployment, "/requests", "done", json!("a")).await["id"], done["id"]);
        assert_eq!(ids(&keyed(&deployment, "/requests/batch", "batch", json!(["a"])).await), batch);
        let cut = keyed(&deployment, "/requests", "cut", json!("slow")).await;
        assert_snapshot!(cut.outcome(), @"failed: The server stopped while the request was running");
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
}
