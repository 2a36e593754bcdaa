//! Bad filters, ids and limits of requests: the same words for a deployment and for a version.

use crate::batch::{collected, ids};
use crate::kit::*;

const UNKNOWN: &str = "0190c1a0-0000-7000-8000-000000000000";

async fn echo(server: &TestServer, project: &str) -> At {
    server.project(project).await.running("d", "x:int", "x:int", package::ECHO).await
}

/// The two ways to requests: of a deployment, and of its version.
fn families(deployment: &At) -> [At; 2] {
    [deployment.clone(), deployment.at("/versions/v1")]
}

both! {
    async fn statuses_that_are_not_known_are_refused_with_those_that_are(server) {
        let deployment = echo(&server, "demo").await;
        let project = server.at("/projects/demo");
        for at in families(&deployment).iter().chain([&project]) {
            let refused = at.get("/requests?status=done").await;
            assert_snapshot!(refused, @r#"400 {"error":"status must be one of pending, processing, completed, failed, cancelled, cancelled_pending, but got 'done'"}"#);
        }
        for at in families(&deployment) {
            let refused = at.get("/requests?status=failed,done").await;
            assert_snapshot!(refused, @r#"400 {"error":"status must be one of pending, processing, completed, failed, cancelled, cancelled_pending, but got 'done'"}"#);
            for none in ["", ",", "%20,%20", "failed&status="] {
                let refused = at.get(&format!("/requests?status={none}")).await;
                assert_snapshot!(refused, @r#"400 {"error":"status must be one of pending, processing, completed, failed, cancelled, cancelled_pending, but it is empty"}"#);
            }
            assert_snapshot!(at.get("/requests?status=processing,pending").await, @r#"400 {"error":"status: pending and processing cannot be combined with others"}"#);
            assert_snapshot!(at.post("/requests/cancel?status=done", json!([])).await, @r#"400 {"error":"status must be one of pending, processing, but got 'done'"}"#);
            assert_snapshot!(at.post("/requests/cancel?status=pending", json!([UNKNOWN])).await, @r#"400 {"error":"Give a list of request ids or a status, not both"}"#);
            assert_snapshot!(at.get("/requests?limit=1001").await, @r#"400 {"error":"limit must be between 1 and 1000"}"#);
            assert_snapshot!(at.get("/requests?offset=-1").await, @r#"400 {"error":"offset must be between 0 and 2147483647"}"#);
            assert_snapshot!(at.get("/requests?sort=up").await, @r#"400 {"error":"sort must be one of asc, desc, but got 'up'"}"#);
            assert_eq!(at.get("/requests?start_date=yesterday").await.status, 400);
            assert_snapshot!(at.get("/requests?search_id=no%20id").await, @"200 []");
        }
    }

    async fn lists_of_payloads_and_ids_have_a_size(server) {
        let deployment = echo(&server, "demo").await;
        for at in families(&deployment) {
            assert_snapshot!(at.post("/requests/batch", json!([])).await, @r#"400 {"error":"The list of requests must not be empty"}"#);
            let many = vec![json!({"x": 1}); 251];
            assert_snapshot!(at.post("/requests/batch", json!(many)).await, @r#"400 {"error":"At most 250 requests may be made at once, and these are 251"}"#);
            let mut faulty = many[..250].to_vec();
            faulty[249] = json!({"x": "one"});
            assert_snapshot!(at.post("/requests/batch", json!(faulty)).await, @r#"400 {"error":"Item 249: The input field 'x' must be of type int, but got a string"}"#);
            for path in ["/requests/collect", "/requests/cancel", "/requests/delete"] {
                assert_snapshot!(at.post(path, json!([])).await, @r#"400 {"error":"The body must be a list of request ids, and has none"}"#);
                assert_eq!(at.post(path, json!(vec![UNKNOWN; 251])).await.status, 400);
                assert_eq!(at.post(path, json!({"id": UNKNOWN})).await.status, 400);
                assert_eq!(at.post(path, json!([1])).await.status, 400);
            }
        }
        assert_eq!(server.kept().await.rows("requests"), 0);
    }

    async fn time_limits_have_a_range(server) {
        let deployment = echo(&server, "demo").await;
        for at in families(&deployment) {
            for (path, most) in [("/requests", 3_600), ("/requests/stream", 3_600), ("/requests/batch", 172_800)] {
                for timeout in [9, most + 1, -1] {
                    let refused = at.post(&format!("{path}?timeout={timeout}"), json!({"x": 1})).await;
                    assert_eq!((refused.status, refused.error()), (400, &*format!("timeout must be between 10 and {most}")));
                }
                let refused = at.post(&format!("{path}?timeout=soon"), json!({"x": 1})).await;
                assert_eq!(refused.error(), "timeout must be a whole number, but got 'soon'");
            }
        }
        assert_eq!(server.kept().await.rows("requests"), 0);
    }

    async fn what_is_finished_or_elsewhere_is_not_called_off(server) {
        let (deployment, other) = (echo(&server, "demo").await, echo(&server, "other").await);
        let foreign = ids(&other.post("/requests/batch", json!([{"x": 1}])).await).remove(0);
        for at in families(&deployment) {
            let done = ids(&at.post("/requests/batch", json!([{"x": 1}])).await);
            collected(&at, &done).await;
            let refused = at.patch(&format!("/requests/{}", done[0]), json!({"status": "cancelled"})).await;
            assert_eq!((refused.status, refused.error()), (400, &*format!("Request {} cannot be cancelled: it is completed", done[0])));
            assert_eq!(at.post("/requests/cancel", json!(done)).await.status, 400);
            for id in [foreign.as_str(), UNKNOWN, "no-id"] {
                let single = format!("/requests/{id}");
                let cancelled = json!({"status": "cancelled"});
                let found = [
                    at.get(&single).await,
                    at.patch(&single, cancelled).await,
                    at.delete(&single).await,
                    at.get(&format!("{single}/input")).await,
                    at.get(&format!("{single}/output")).await,
                ];
                for reply in found {
                    assert_snapshot!(reply, @r#"404 {"error":"Request was not found"}"#);
                }
                for path in ["/requests/collect", "/requests/cancel", "/requests/delete"] {
                    assert_snapshot!(at.post(path, json!([done[0], id])).await, @r#"404 {"error":"Request was not found"}"#);
                }
            }
            assert_eq!(at.get(&format!("/requests/{}", done[0])).await["status"], "completed");
        }
        assert_eq!(collected(&other, &[foreign]).await[0]["status"], "completed");
    }
}
