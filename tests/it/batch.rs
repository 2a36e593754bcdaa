//! Batch requests: accepted all or none, run later, collected.

use crate::kit::*;

const DOUBLE: &str = "
    class Deployment:
        def request(self, data, context):
            if data['x'] == 13:
                raise ValueError('thirteen')
            return {'y': data['x'] * 2, 'mode': context['request_mode'], 'id': context['id']}
";

/// Waits until all have ended, and gives them.
pub async fn collected(at: &At, ids: &[String]) -> Reply {
    until("all requests end", async || {
        let found = at.post("/requests/collect", json!(ids)).await.fine();
        (0..found.len())
            .all(|one| !matches!(found[one]["status"].as_str(), Some("pending" | "processing" | "cancelled_pending")))
    })
    .await;
    at.post("/requests/collect", json!(ids)).await
}

pub fn ids(accepted: &Reply) -> Vec<String> {
    assert_eq!(accepted.status, 200, "{accepted}");
    (0..accepted.len()).map(|at| accepted[at]["id"].as_str().unwrap().to_owned()).collect()
}

both! {
    async fn requests_are_accepted_run_and_collected(server) {
        let deployment = server.project("demo").await.running("d", "x:int", "y:int,mode:string,id:string", DOUBLE).await;
        let accepted = deployment.post("/requests/batch", json!([{"x": 1}, {"x": 13}, {"x": 3}])).await;
        assert_snapshot!(accepted.each("status"), @r#"["pending","pending","pending"]"#);
        assert_eq!((&accepted[0]["deployment"], &accepted[0]["version"]), (&json!("d"), &json!("v1")));
        assert!(accepted[0]["time_created"].as_str().unwrap().ends_with("+00:00"));
        let ids = ids(&accepted);

        let found = collected(&deployment, &ids).await;
        assert_snapshot!(found.each("status"), @r#"["completed","failed","completed"]"#);
        assert_eq!(found[0]["result"], json!({"y": 2, "mode": "batch", "id": ids[0]}));
        assert_eq!(found[0]["request_data"], json!({"x": 1}));
        assert_snapshot!(found[1]["error_message"], @r#""An exception occurred in the request. See the logs for details.""#);
        assert_eq!((&found[2]["timeout"], &found[2]["retries"]), (&json!(14400), &json!(0)));

        let version = deployment.at("/versions/v1");
        let shown = version.get(&format!("/requests/{}", ids[2])).await;
        assert_snapshot!(shown.only(&["status", "success", "input_size"]), @r#"{"status":"completed","success":true,"input_size":7}"#);
        assert_eq!(version.post("/requests/collect", json!([ids[1], ids[1]])).await.len(), 1);
        assert_eq!(deployment.get("/requests").await.len(), 2);
        assert_eq!(deployment.get("/requests?status=failed").await.len(), 1);
    }

    async fn one_payload_is_a_list_of_one_and_text_goes_as_it_is(server) {
        let project = server.project("demo").await;
        let code = "class Deployment:\n    def request(self, data):\n        return data + '!'\n";
        let plain = project.running("plain", "plain", "plain", code).await;
        let text = plain.post_raw("/requests/batch", "text/plain", "a\nb").await;
        let list = plain.post("/requests/batch", json!(["c", "d"])).await;
        let one = plain.post("/requests/batch", json!("e")).await;
        assert_eq!((text.len(), list.len(), one.len()), (1, 2, 1));
        let all = [ids(&text), ids(&list), ids(&one)].concat();
        let found = collected(&plain, &all).await;
        let results: Vec<_> = (0..4).map(|at| found[at]["result"].to_string()).collect();
        assert_eq!(results, [r#""a\nb!""#, r#""c!""#, r#""d!""#, r#""e!""#]);
        assert_eq!(found[0]["request_data"], "a\nb");
    }

    async fn one_faulty_payload_refuses_all(server) {
        let deployment = server.project("demo").await.running("d", "x:int", "y:int,mode:string,id:string", DOUBLE).await;
        let mut payloads = vec![json!({"x": 1}); 250];
        payloads[200] = json!({"x": "one"});
        let refused = deployment.post("/requests/batch", json!(payloads)).await;
        assert_snapshot!(refused, @r#"400 {"error":"Item 200: The input field 'x' must be of type int, but got a string"}"#);
        let many = deployment.post("/requests/batch", json!(vec![json!({"x": 1}); 251])).await;
        assert_snapshot!(many, @r#"400 {"error":"At most 250 requests may be made at once, and these are 251"}"#);
        assert_snapshot!(deployment.post("/requests/batch", json!([])).await, @r#"400 {"error":"The list of requests must not be empty"}"#);
        let at = deployment.clone();
        let with = async |query: &str| at.post(&format!("/requests/batch?{query}"), json!([{"x": 1}])).await;
        assert_snapshot!(with("timeout=9").await, @r#"400 {"error":"timeout must be between 10 and 172800"}"#);
        assert_snapshot!(with("timeout=172801").await, @r#"400 {"error":"timeout must be between 10 and 172800"}"#);
        assert_snapshot!(with("priority=2").await, @r#"400 {"error":"priority must be between 0 and 1"}"#);
        assert_snapshot!(with("notification_group=team").await, @r#"400 {"error":"Notification group 'team' was not found"}"#);
        let broken = deployment.post_raw("/requests/batch", "application/json", "[{\"x\": 1},").await;
        assert_eq!(broken.status, 400);
        assert_eq!(server.kept().await.rows("requests"), 0);
        let full = deployment.post("/requests/batch", json!(vec![json!({"x": 1}); 250])).await;
        assert_eq!(full.len(), 250);
        collected(&deployment, &ids(&full)[..250]).await;
    }

    async fn a_full_queue_is_refused_for_now_and_what_never_fits_for_good(server) {
        let project = server.project("demo").await;
        let slow = "import time\nclass Deployment:\n    def request(self, data):\n        time.sleep(60)\n        return data\n";
        let deployment = project.running("d", "plain", "plain", slow).await;
        let limits = json!({"maximum_instances": 1, "maximum_queue_size": 5, "maximum_queue_size_express": 2});
        let changed = deployment.at("/versions/v1").patch("", limits).await;
        assert_snapshot!(changed.only(&["maximum_queue_size", "maximum_queue_size_express", "maximum_queue_size_batch"]), @r#"{"maximum_queue_size":5,"maximum_queue_size_express":2,"maximum_queue_size_batch":5}"#);
        let never = deployment.post("/requests/batch", json!(vec!["a"; 6])).await;
        assert_snapshot!(never, @r#"400 {"error":"The queue never holds so many: at most 5 may wait"}"#);

        deployment.post("/requests/batch", json!(["runs"])).await.fine();
        until("one runs", async || deployment.get("/requests?status=processing").await.len() == 1).await;
        deployment.post("/requests/batch", json!(vec!["a"; 4])).await.fine();
        let full = deployment.post("/requests/batch", json!(["b", "c"])).await;
        assert_snapshot!(full, @r#"429 {"error":"The queue is full: at most 5 may wait"}"#);
        assert!(full.headers["x-ratelimit-reset"].to_str().unwrap().parse::<u32>().unwrap() > 0);
        deployment.post("/requests/batch", json!(["b"])).await.fine();
        let direct = deployment.ask(json!("d")).await;
        assert_snapshot!(direct, @r#"429 {"error":"The queue is full: at most 5 may wait"}"#);
        assert_eq!(deployment.get("/requests?status=pending").await.len(), 5);
        deployment.delete("").await;
    }

    async fn large_payloads_are_kept_beside_the_rows(server) {
        let code = "class Deployment:\n    def request(self, data):\n        return data[::-1]\n";
        let deployment = server.project("demo").await.running("d", "plain", "plain", code).await;
        let before = server.files("objects").len();
        let large = "ab".repeat(100_000);
        let ids = ids(&deployment.post("/requests/batch", json!([large, "small"])).await);
        let found = collected(&deployment, &ids).await;
        assert_eq!(found[0]["request_data"], json!(large));
        assert_eq!(found[0]["result"], json!("ba".repeat(100_000)));
        assert_eq!(server.files("objects").len(), before + 2);
        assert_eq!(deployment.delete(&format!("/requests/{}", ids[0])).await.status, 204);
        until("its objects are removed", async || server.files("objects").len() == before).await;
    }

    async fn thousands_run_through_a_few_processes(server) {
        let deployment = server.project("demo").await.running("d", "x:int", "y:int,mode:string,id:string", DOUBLE).await;
        let settings = json!({"instance_processes": 2, "maximum_instances": 2});
        deployment.at("/versions/v1").patch("", settings).await.fine();
        let mut all = Vec::new();
        for group in 0..12 {
            let payloads: Vec<_> = (0..250).map(|at| json!({"x": 100 + group * 250 + at})).collect();
            let priority = group % 2;
            all.extend(ids(&deployment.post(&format!("/requests/batch?priority={priority}"), json!(payloads)).await));
        }
        until("all are done", async || {
            deployment.get("/requests?status=completed&limit=1000&offset=2001").await.len() == 999
        })
        .await;
        for some in all.chunks(250) {
            let found = collected(&deployment, some).await;
            for at in 0..some.len() {
                assert_eq!(found[at]["result"]["y"], json!(2 * found[at]["request_data"]["x"].as_i64().unwrap()));
            }
        }
        assert_eq!(server.kept().await.rows("requests"), 3_000);
        assert_eq!(server.kept().await.rows("outbox"), 3_000);
    }

    async fn input_and_output_are_files(server) {
        let deployment = server.project("demo").await.running("d", "x:int", "y:int,mode:string,id:string", DOUBLE).await;
        let id = deployment.ask(json!({"x": 4})).await.str("id");
        let input = deployment.get(&format!("/requests/{id}/input")).await;
        assert_eq!(input.text(), r#"{"x":4}"#);
        assert_eq!(input.headers["content-disposition"].to_str().unwrap(), format!("attachment; filename=\"{id}-input.json\""));
        assert_eq!(deployment.at("/versions/v1").get(&format!("/requests/{id}/output")).await["y"], 8);
        let failed = deployment.ask(json!({"x": 13})).await.str("id");
        assert_snapshot!(deployment.get(&format!("/requests/{failed}/output")).await, @r#"404 {"error":"Request output was not found"}"#);
        let unknown = "0190c1a0-0000-7000-8000-000000000000";
        assert_snapshot!(deployment.get(&format!("/requests/{unknown}/input")).await, @r#"404 {"error":"Request was not found"}"#);
    }

    async fn requests_of_other_projects_are_not_found(server) {
        let deployment = server.project("demo").await.running("d", "x:int", "y:int,mode:string,id:string", DOUBLE).await;
        let other = server.project("other").await.running("d", "x:int", "y:int,mode:string,id:string", DOUBLE).await;
        let foreign = other.ask(json!({"x": 1})).await.str("id");
        let own = deployment.ask(json!({"x": 1})).await.str("id");
        for path in ["/requests/collect", "/requests/cancel", "/requests/delete"] {
            assert_snapshot!(deployment.post(path, json!([own, foreign])).await, @r#"404 {"error":"Request was not found"}"#);
            assert_snapshot!(deployment.post(path, json!([own, "no id"])).await, @r#"404 {"error":"Request was not found"}"#);
            assert_eq!(deployment.post(path, json!(vec![own.clone(); 251])).await.status, 400);
        }
        assert_eq!(deployment.post("/requests/collect", json!([own])).await.len(), 1);
        assert_eq!(other.get(&format!("/requests/{foreign}")).await["status"], "completed");
    }
}
