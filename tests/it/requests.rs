//! Direct requests, and what is kept of them.

use crate::kit::*;

const DOUBLE: &str = "
    class Deployment:
        def request(self, data):
            if data['x'] == 13:
                raise ValueError('thirteen')
            return {'y': data['x'] * 2}
";

async fn doubling(server: &TestServer) -> At {
    server.project("demo").await.running("d", "x:int", "y:int", DOUBLE).await
}

both! {
    async fn a_deployment_and_a_version_answer(server) {
        let deployment = doubling(&server).await;
        let answer = deployment.ask(json!({ "x": 21 })).await;
        assert_snapshot!(
            answer.only(&["deployment", "version", "status", "success", "result", "error_message", "timeout"]),
            @r#"{"deployment":"d","version":"v1","status":"completed","success":true,"result":{"y":42},"error_message":null,"timeout":300}"#
        );
        let answer = deployment.at("/versions/v1").post("/requests?timeout=60", json!({ "x": 2 })).await;
        assert_snapshot!(answer.only(&["result", "timeout"]), @r#"{"result":{"y":4},"timeout":60}"#);
    }

    async fn large_bodies_look_like_small_ones(server) {
        let code = "
    class Deployment:
        def request(self, data):
            import json
            bad = [float('nan')] if data['what'] == 'bad' else []
            return {'numbers': data['numbers'] + bad, 'dict': data['dict'], 'text': json.dumps(data['numbers'][:4])}
        ";
        let (input, output) = ("numbers:array_double,dict:dict,what:string", "numbers:array_double,dict:dict,text:string");
        let deployment = server.project("demo").await.running("d", input, output, code).await;
        let mut numbers: Vec<_> = vec![json!(0.1), json!(-7), json!(1e300), json!(1e-7)];
        numbers.extend((0..20_000).map(|n| json!(f64::from(n) / 8.0)));
        let dict = json!({"é": [null, true, 1_234_567_890_123_i64, "a\"\n😀"], "": {}});
        let body = |what: &str| json!({"numbers": numbers, "dict": dict, "what": what});
        let answer = deployment.ask(body("good")).await;
        assert_eq!(answer["result"]["text"], "[0.1, -7, 1e+300, 1e-07]");
        assert!(answer["result"]["numbers"] == json!(numbers) && answer["result"]["dict"] == dict);
        let kept = deployment.get(&format!("/requests/{}", answer.str("id"))).await;
        assert!(kept["request_data"] == body("good") && kept["result"] == answer["result"]);
        let text = deployment.get(&format!("/requests/{}/output", answer.str("id"))).await.text();
        assert!(text.starts_with(r#"{"numbers":[0.1,-7,1e+300,1e-07,0.0,0.125,0.25,"#), "{}", &text[..100]);
        let failed = deployment.ask(body("bad")).await;
        assert_snapshot!(failed.only(&["status", "error_message"]), @r#"{"status":"failed","error_message":"The output field 'numbers' holds NaN at [20004], which JSON cannot express"}"#);
    }

    async fn a_request_can_be_read_back_at_once(server) {
        let deployment = doubling(&server).await;
        let answer = deployment.ask(json!({ "x": 21 })).await;
        let read = deployment.get(&format!("/requests/{}", answer.str("id"))).await;
        assert_snapshot!(
            read.only(&["deployment", "version", "status", "success", "request_data", "result", "error_message", "retries", "timeout", "input_size", "output_size", "origin"]),
            @r#"{"deployment":"d","version":"v1","status":"completed","success":true,"request_data":{"x":21},"result":{"y":42},"error_message":null,"retries":0,"timeout":300,"input_size":8,"output_size":8,"origin":{"deployment":"d","deployment_version":"v1","created_by":"admin@modelyard.local"}}"#
        );
        for time in ["time_created", "time_started", "time_completed"] {
            assert!(read.str(time).ends_with("+00:00"), "{read}");
        }
        let brief = deployment.get(&format!("/requests/{}?metadata_only=True", answer.str("id"))).await;
        assert!(brief.json().get("result").is_none_or(Value::is_null) && brief.json().get("request_data").is_none_or(Value::is_null), "{brief}");
        let version = deployment.at("/versions/v1");
        assert_eq!(version.get(&format!("/requests/{}", answer.str("id"))).await["id"], answer["id"]);
    }

    async fn a_failed_request_is_answered_with_200_and_kept(server) {
        let deployment = doubling(&server).await;
        let answer = deployment.ask(json!({ "x": 13 })).await;
        assert_snapshot!(answer.outcome(), @"failed: An exception occurred in the request. See the logs for details.");
        let read = deployment.get(&format!("/requests/{}", answer.str("id"))).await;
        assert_snapshot!(read.only(&["status", "success", "result"]), @r#"{"status":"failed","success":false,"result":null}"#);
    }

    async fn lists_show_the_newest_of_a_status(server) {
        let deployment = doubling(&server).await;
        let mut ids = Vec::new();
        for x in [1, 2, 13] {
            ids.push(deployment.ask(json!({ "x": x })).await["id"].clone());
        }
        let listed = async |query: &str| deployment.get(&format!("/requests{query}")).await.each("id");
        assert_eq!(listed("").await, json!([ids[1], ids[0]]).to_string());
        assert_eq!(listed("?sort=asc").await, json!([ids[0], ids[1]]).to_string());
        assert_eq!(listed("?status=failed").await, json!([ids[2]]).to_string());
        assert_eq!(listed("?success=false").await, json!([ids[2]]).to_string());
        assert_eq!(listed("?status=failed,completed&success=false").await, json!([ids[2]]).to_string());
        assert_eq!(listed("?status=failed&success=true").await, json!([]).to_string());
        assert_eq!(listed("?status=pending&success=false").await, json!([]).to_string());
        assert_eq!(listed("?status=failed,completed&limit=2").await, json!([ids[2], ids[1]]).to_string());
        assert_eq!(listed("?limit=1&offset=1").await, json!([ids[0]]).to_string());
        assert_eq!(listed(&format!("?search_id={}", ids[0].as_str().unwrap())).await, json!([ids[0]]).to_string());
        assert_eq!(listed("?start_date=2100-01-01").await, "[]");
        assert_eq!(listed("?end_date=2000-01-01").await, "[]");
        assert_eq!(deployment.at("/versions/v1").get("/requests").await.each("id"), json!([ids[1], ids[0]]).to_string());
        let project = server.at("/projects/demo");
        assert_eq!(project.get("/requests?object_type=deployment").await.each("id"), json!([ids[1], ids[0]]).to_string());
        assert_snapshot!(project.get("/requests?object_type=pipeline").await, @"200 []");
        assert_snapshot!(
            deployment.get("/requests?status=pending,failed").await,
            @r#"400 {"error":"status: pending and processing cannot be combined with others"}"#
        );
        assert!(deployment.get("/requests").await[0].get("result").is_none());
    }

    async fn a_running_request_is_listed_and_shown(server) {
        let project = server.project("demo").await;
        let code = "
            import os, time
            class Deployment:
                def request(self, data):
                    if data == 'go':
                        open('go', 'w').close()
                    while not os.path.exists('go'):
                        time.sleep(0.01)
                    return data
        ";
        let deployment = project.running("d", "plain", "plain", code).await;
        deployment.at("/versions/v1").patch("", json!({ "maximum_instances": 1, "instance_processes": 2 })).await.fine();
        let (asking, id) = tokio::join!(deployment.ask(json!("x")), async {
            let path = "/requests?status=processing";
            until("it runs", async || deployment.get(path).await.len() == 1).await;
            let id = deployment.get(path).await[0]["id"].as_str().unwrap().to_owned();
            let shown = deployment.get(&format!("/requests/{id}")).await;
            assert_snapshot!(shown.only(&["status", "success", "result", "time_completed"]), @r#"{"status":"processing","success":null,"result":null,"time_completed":null}"#);
            deployment.ask(json!("go")).await.fine();
            id
        });
        assert_eq!(asking["id"], *id);
        assert_snapshot!(asking.outcome(), @r#"completed "x""#);
        assert_snapshot!(deployment.get("/requests?status=processing").await, @"200 []");
    }

    async fn retention_says_what_is_kept(server) {
        let deployment = doubling(&server).await;
        let version = deployment.at("/versions/v1");
        version.patch("", json!({ "request_retention_mode": "metadata" })).await.fine();
        let answer = deployment.ask(json!({ "x": 1 })).await;
        let read = deployment.get(&format!("/requests/{}", answer.str("id"))).await;
        assert_snapshot!(read.only(&["status", "request_data", "result", "input_size"]), @r#"{"status":"completed","request_data":null,"result":null,"input_size":7}"#);
        version.patch("", json!({ "request_retention_mode": "none" })).await.fine();
        let answer = deployment.ask(json!({ "x": 1 })).await;
        assert_snapshot!(answer.outcome(), @r#"completed {"y":2}"#);
        assert_snapshot!(deployment.get(&format!("/requests/{}", answer.str("id"))).await, @r#"404 {"error":"Request was not found"}"#);
    }

    async fn large_data_comes_back_whole(server) {
        let deployment = server.project("demo").await.running("d", "plain", "plain", package::ECHO).await;
        let text = "ä".repeat(1_000_000);
        let answer = deployment.ask(json!(text)).await;
        assert_eq!(answer["result"], *text);
        let read = deployment.get(&format!("/requests/{}", answer.str("id"))).await;
        assert!(read["result"] == *text && read["request_data"] == *text);
    }

    async fn requests_of_others_are_not_found(server) {
        let deployment = doubling(&server).await;
        let other = server.project("other").await.running("d", "x:int", "y:int", DOUBLE).await;
        let id = deployment.ask(json!({ "x": 1 })).await.str("id");
        assert_snapshot!(other.get(&format!("/requests/{id}")).await, @r#"404 {"error":"Request was not found"}"#);
        assert_snapshot!(deployment.get("/requests/none").await, @r#"404 {"error":"Request was not found"}"#);
        assert_snapshot!(other.get("/requests").await, @"200 []");
    }

    async fn a_request_goes_on_when_its_caller_has_gone(server) {
        let code = "
            import os, time
            class Deployment:
                def request(self, data):
                    while data == 'x' and not os.path.exists('go'):
                        time.sleep(0.01)
                    open('go', 'w').close()
                    return data
        ";
        let deployment = server.project("demo").await.running("d", "plain", "plain", code).await;
        deployment.at("/versions/v1").patch("", json!({ "maximum_instances": 1, "instance_processes": 2 })).await.fine();
        let caller = tokio::task::spawn({ let deployment = deployment.clone(); async move { deployment.ask(json!("x")).await } });
        until("it runs", async || deployment.get("/requests?status=processing").await.len() == 1).await;
        caller.abort();
        assert!(caller.await.unwrap_err().is_cancelled());
        deployment.ask(json!("go")).await.fine();
        until("both are completed", async || deployment.get("/requests?status=completed").await.len() == 2).await;
    }

    async fn many_callers_are_all_answered(server) {
        let deployment = doubling(&server).await;
        deployment.at("/versions/v1").patch("", json!({ "instance_processes": 2 })).await.fine();
        let asks = (0..200).map(|x| {
            let deployment = deployment.clone();
            tokio::task::spawn(async move { (x, deployment.ask(json!({ "x": x })).await) })
        });
        for ask in asks.collect::<Vec<_>>() {
            let (x, answer) = ask.await.unwrap();
            let wanted = if x == 13 { Value::Null } else { json!({ "y": x * 2 }) };
            assert_eq!(answer["result"], wanted, "{answer}");
        }
        assert_eq!(deployment.get("/requests?status=completed,failed&limit=1000").await.len(), 200);
    }
}
