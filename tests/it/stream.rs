//! Requests whose updates are read while they run.

use futures_util::StreamExt;
use reqwest::Method;

use crate::batch::ids;
use crate::kit::*;

const CODE: &str = "
    import time
    class Deployment:
        def request(self, data, context):
            tell = context['streaming_update']
            what, _, number = data.partition(' ')
            if what == 'count':
                for n in range(int(number)): tell('update %d' % n)
            if what == 'lines':
                tell('a\\n b\\r\\nc')
                tell('')
            if what == 'large':
                for n in range(int(number)): tell('x' * 1000000)
            if what == 'wait':
                tell('begun')
                while True: time.sleep(0.05)
            if what == 'raise': raise ValueError()
            return {'pretty': data}
";

/// The lines of a whole stream.
async fn lines(at: &At, body: &str) -> Vec<String> {
    let answer = at.post_raw("/requests/stream", "text/plain", body.to_owned()).await;
    assert_eq!(answer.status, 200, "{answer}");
    assert_eq!(answer.headers["content-type"], "text/event-stream; charset=utf-8");
    let text = answer.text();
    assert!(text.ends_with("}\n"), "{text}");
    text.lines().map(str::to_owned).collect()
}

/// The last line, without what differs each time.
fn end(lines: &[String]) -> String {
    let mut value: Value = serde_json::from_str(lines.last().unwrap()).unwrap();
    value["id"] = Value::Null;
    value.to_string()
}

both! {
    async fn updates_come_as_lines_and_the_answer_last(server) {
        let deployment = server.project("demo").await.running("d", "plain", "plain", CODE).await;
        let all = lines(&deployment, "count 3").await;
        assert_eq!(all[..6], ["data:update 0", "", "data:update 1", "", "data:update 2", ""]);
        assert_snapshot!(end(&all), @r#"{"id":null,"deployment":"d","version":"v1","status":"completed","success":true,"error_message":null,"timeout":300,"result":{"pretty":"count 3"}}"#);
        let version = deployment.at("/versions/v1");
        let all = lines(&version, "lines").await;
        assert_eq!(all[..6], ["data:a", "data: b", "data:c", "", "data:", ""]);
        let all = lines(&version, "count 0").await;
        assert_eq!(all.len(), 1);
        let all = lines(&deployment, "raise").await;
        assert_snapshot!(end(&all), @r#"{"id":null,"deployment":"d","version":"v1","status":"failed","success":false,"error_message":"An exception occurred in the request. See the logs for details.","timeout":300,"result":null}"#);
        assert_eq!(lines(&deployment, "count 1000").await.len(), 2_001);
    }

    async fn refusals_are_told_in_both_words(server) {
        let deployment = server.project("demo").await.running("d", "x:int", "y:int", CODE).await;
        let refused = deployment.post("/requests/stream?timeout=20&timeout=20", json!({"x": "one"})).await;
        assert_snapshot!(refused, @r#"400 {"error":"The input field 'x' must be of type int, but got a string","error_message":"The input field 'x' must be of type int, but got a string"}"#);
        let unknown = server.at("/projects/demo/deployments/nobody").post("/requests/stream", json!({})).await;
        assert_snapshot!(unknown, @r#"404 {"error":"Deployment was not found","error_message":"Deployment was not found"}"#);
        let stranger = deployment.signed(None).post("/requests/stream", json!({})).await;
        assert_snapshot!(stranger, @r#"401 {"error":"Authentication credentials were not provided","error_message":"Authentication credentials were not provided"}"#);
    }

    async fn updates_come_at_once(server) {
        let deployment = server.project("demo").await.running("d", "plain", "plain", CODE).await;
        let answer = deployment.request(Method::POST, "/requests/stream").body("wait").send().await.unwrap();
        let mut pieces = answer.bytes_stream();
        assert_eq!(pieces.next().await.unwrap().unwrap(), "data:begun\n\n");
        let running = deployment.get("/requests?status=processing").await;
        let id = running[0]["id"].as_str().unwrap().to_owned();
        deployment.patch(&format!("/requests/{id}"), json!({"status": "cancelled"})).await.fine();
        let last = pieces.next().await.unwrap().unwrap();
        assert!(last.starts_with(b"{") && String::from_utf8_lossy(&last).contains("\"cancelled\""));
    }

    async fn a_slow_reader_slows_the_writer_and_one_that_leaves_does_not(server) {
        let deployment = server.project("demo").await.running("d", "plain", "plain", CODE).await;
        deployment.post_raw("/requests", "text/plain", "warm").await.fine();
        let before = server.memory();
        let answer = deployment.request(Method::POST, "/requests/stream").body("large 300").send().await.unwrap();
        until("it runs", async || deployment.get("/requests?status=processing").await.len() == 1).await;
        // It is not read: the process stops at its credits, and the request stays.
        for _ in 0..20 {
            assert_eq!(deployment.get("/requests?status=processing").await.len(), 1);
            assert!(server.memory() < before + (96 << 20), "{} before, {} now", before, server.memory());
        }
        let id = deployment.get("/requests?status=processing").await[0]["id"].as_str().unwrap().to_owned();
        drop(answer);
        until("it ends", async || deployment.get(&format!("/requests/{id}")).await["status"] == "completed").await;
        assert!(server.memory() < before + (96 << 20), "{} before, {} now", before, server.memory());
    }

    async fn a_batch_request_can_be_followed(server) {
        let deployment = server.project("demo").await.running("d", "plain", "plain", CODE).await;
        deployment.at("/versions/v1").patch("", json!({"maximum_instances": 1})).await.fine();
        let all = ids(&deployment.post("/requests/batch", json!(["wait", "count 2"])).await);
        let followed = deployment.request(Method::GET, &format!("/requests/{}/stream", all[1])).send();
        let first = deployment.request(Method::GET, &format!("/requests/{}/stream", all[0])).send().await.unwrap();
        let mut pieces = first.bytes_stream();
        assert_eq!(pieces.next().await.unwrap().unwrap(), "data:begun\n\n");
        deployment.post("/requests/cancel", json!([all[0]])).await.fine();
        let text = followed.await.unwrap().text().await.unwrap();
        assert!(text.starts_with("data:update 0\n\ndata:update 1\n\n{"), "{text}");
        let later = deployment.at("/versions/v1").get(&format!("/requests/{}/stream", all[1])).await.text();
        assert_eq!(later, text);
    }
}
