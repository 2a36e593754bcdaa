//! What is kept of requests, on every path.

use crate::batch::{collected, ids};
use crate::kit::*;

const CODE: &str = "
    import time
    class Deployment:
        def request(self, data, context):
            context['streaming_update']('told')
            while data == 'long': time.sleep(0.05)
            return data
";

async fn with_mode(server: &TestServer, mode: &str) -> At {
    let deployment = server.project("demo").await.running("d", "plain", "plain", CODE).await;
    let settings = json!({"request_retention_mode": mode, "maximum_instances": 1});
    deployment.at("/versions/v1").patch("", settings).await.fine();
    deployment
}

both! {
    async fn metadata_shows_requests_and_keeps_no_data(server) {
        let deployment = with_mode(&server, "metadata").await;
        let large = "x".repeat(100_000);
        let before = server.files("objects").len();
        let all = ids(&deployment.post("/requests/batch", json!(["long", large, "short"])).await);
        until("it runs", async || deployment.get(&format!("/requests/{}", all[0])).await["status"] == "processing").await;
        let waiting = deployment.get(&format!("/requests/{}", all[1])).await;
        assert_snapshot!(waiting.only(&["status", "request_data", "result", "input_size"]), @r#"{"status":"pending","request_data":null,"result":null,"input_size":100002}"#);
        assert_snapshot!(deployment.get(&format!("/requests/{}/input", all[0])).await, @r#"404 {"error":"Request input was not found"}"#);
        deployment.patch(&format!("/requests/{}", all[0]), json!({"status": "cancelled"})).await.fine();
        let found = collected(&deployment, &all).await;
        assert_snapshot!(found.each("status"), @r#"["cancelled","completed","completed"]"#);
        assert_snapshot!(found.each("result"), @r#"[null,null,null]"#);
        assert_eq!(found[2]["output_size"], 7);
        until("large data is removed", async || server.files("objects").len() == before).await;
        let direct = deployment.ask(json!("now")).await;
        assert_eq!(direct["result"], "now");
        let shown = deployment.get(&format!("/requests/{}", direct.str("id"))).await;
        assert_snapshot!(shown.only(&["status", "request_data", "result"]), @r#"{"status":"completed","request_data":null,"result":null}"#);
    }

    async fn with_none_a_request_is_seen_until_it_ends(server) {
        let deployment = with_mode(&server, "none").await;
        let all = ids(&deployment.post("/requests/batch", json!(["long", "waits"])).await);
        until("it runs", async || deployment.get("/requests?status=processing").await.len() == 1).await;
        assert_eq!(deployment.get("/requests?status=pending").await.len(), 1);
        let shown = deployment.get(&format!("/requests/{}", all[0])).await;
        assert_snapshot!(shown.only(&["status", "request_data"]), @r#"{"status":"processing","request_data":null}"#);
        deployment.post("/requests/cancel", json!([all[0]])).await.fine();
        until("nothing is left", async || server.kept().await.rows("requests") == 0).await;
        assert_snapshot!(deployment.post("/requests/collect", json!(all)).await, @r#"404 {"error":"Request was not found"}"#);
    }

    async fn updates_are_kept_with_their_request_and_go_with_it(server) {
        let deployment = with_mode(&server, "full").await;
        let direct = deployment.ask(json!("now")).await.str("id");
        let all = ids(&deployment.post("/requests/batch", json!(["later"])).await);
        collected(&deployment, &all).await;
        for id in [&direct, &all[0]] {
            let stream = deployment.get(&format!("/requests/{id}/stream")).await;
            assert!(stream.text().starts_with("data:told\n\n{\"id\":\""), "{}", stream.text());
        }
        deployment.at("/versions/v1").patch("", json!({"request_retention_mode": "metadata"})).await.fine();
        let none = deployment.ask(json!("now")).await.str("id");
        let stream = deployment.get(&format!("/requests/{none}/stream")).await;
        assert!(stream.text().starts_with("{\"id\":\""), "{}", stream.text());
    }

    async fn a_change_of_the_time_does_not_touch_what_is_stored(server) {
        let deployment = with_mode(&server, "full").await;
        let first = deployment.ask(json!("first")).await.str("id");
        deployment.at("/versions/v1").patch("", json!({"request_retention_time": 3600})).await.fine();
        let second = deployment.ask(json!("second")).await.str("id");
        until("both are written", async || server.kept().await.rows("requests") == 2).await;
        let expiry = server.expiry_of(&[&first, &second]).await;
        assert!(expiry[0] - expiry[1] > (604_800 - 3_600 - 600) * 1_000_000, "{expiry:?}");
    }
    async fn what_is_past_its_time_goes_with_its_data(server) {
        let mut server = server;
        let deployment = with_mode(&server, "full").await;
        let before = server.files("objects").len();
        let large = "x".repeat(100_000);
        let all = ids(&deployment.post("/requests/batch", json!([large, large, "stays"])).await);
        collected(&deployment, &all).await;
        assert_eq!(server.files("objects").len(), before + 4);
        server.change("UPDATE requests SET expires_at = 1 WHERE input_size > 100000").await;
        server.crash();
        server.start_again(&[]).await;
        until("rows are removed", async || server.kept().await.rows("requests") == 1).await;
        until("data is removed", async || server.files("objects").len() == before).await;
        let deployment = server.at("/projects/demo/deployments/d");
        assert_eq!(deployment.get(&format!("/requests/{}", all[0])).await.status, 404);
        assert_eq!(deployment.get(&format!("/requests/{}", all[2])).await["result"], "stays");
    }
}
