//! Log lines, in both ways that clients ask for them.

use crate::kit::*;

const TALK: &str = "
    import logging, os, subprocess, sys

    class Deployment:
        def __init__(self):
            print('woke up')

        def request(self, data):
            print('asked', data)
            logging.warning('careful %s', data)
            logging.error('wrong %s', data)
            print('to stderr', file=sys.stderr)
            subprocess.run(['echo', 'from a subprocess'])
            os.write(1, b'from a descriptor\\n')
            if data == 'fail':
                raise ValueError('on purpose')
            return data
";

async fn talking(server: &TestServer) -> At {
    server.project("demo").await.running("d", "plain", "plain", TALK).await
}

/// Lines by the newer way.
async fn lines(server: &TestServer, query: &str) -> Reply {
    let project = server.at("/projects/demo");
    project.find("/logs", &[("query", query)]).await
}

/// Texts of lines, with their levels.
fn told(lines: &Reply) -> String {
    let lines = lines.json().as_array().unwrap().iter();
    lines
        .map(|line| format!("{} {}\n", line["metadata"]["level"].as_str().unwrap(), line["log"].as_str().unwrap()))
        .collect()
}

both! {
    async fn lines_belong_to_their_request(server) {
        let deployment = talking(&server).await;
        let first = deployment.ask(json!("one")).await.str("id");
        deployment.ask(json!("two")).await.fine();
        let found = lines(&server, &format!("| deployment_request_id=`{first}`")).await;
        // What Python prints and what comes by the descriptor arrive on two ways, each in its order.
        let mut sorted: Vec<_> = told(&found).lines().map(str::to_owned).collect();
        sorted.sort();
        assert_snapshot!(sorted.join("\n"), @r#"
        error ERROR:root:wrong one
        error to stderr
        info WARNING:root:careful one
        info asked one
        info from a descriptor
        info from a subprocess
        "#);
        let metadata = &found[0]["metadata"];
        assert_eq!(metadata["deployment_name"], "d");
        assert_eq!(metadata["deployment_version"], "v1");
        assert_eq!(metadata["deployment_request_id"], *first);
        assert!(metadata["instance_id"].is_string() && metadata["process_id"] == 0, "{metadata}");
    }

    async fn exceptions_leave_their_traceback(server) {
        let deployment = talking(&server).await;
        let id = deployment.ask(json!("fail")).await.str("id");
        let found = lines(&server, &format!("| deployment_request_id=`{id}` and level=`error` |= `ValueError: on`")).await;
        assert_snapshot!(told(&found), @"error ValueError: on purpose");
    }

    async fn the_waiter_sees_lines_of_one_request_and_of_none(server) {
        let deployment = talking(&server).await;
        let first = deployment.ask(json!("one")).await.str("id");
        deployment.ask(json!("two")).await.fine();
        let query = format!(
            "| deployment_name=`d` and deployment_version=`v1` and deployment_request_id!~`.+` or deployment_request_id=`{first}`"
        );
        let found = told(&lines(&server, &query).await);
        assert!(found.contains("woke up") && found.contains("asked one") && !found.contains("asked two"), "{found}");
    }

    async fn texts_are_searched(server) {
        let deployment = talking(&server).await;
        deployment.ask(json!("one")).await.fine();
        assert_snapshot!(told(&lines(&server, "|= `asked`").await), @"info asked one");
        assert_snapshot!(told(&lines(&server, "| deployment_name=\"d\" |~ `^as.ed` != `two`").await), @"info asked one");
        let unknown = lines(&server, "| colour=`red`").await;
        assert!(unknown.error().starts_with("The log label 'colour' is not known; there are deployment_id, "), "{unknown}");
        assert_snapshot!(lines(&server, "| deployment_name").await, @r#"400 {"error":"query: expected '=', '!=', '=~' or '!~' after the label, at character 18"}"#);
        assert_snapshot!(lines(&server, "|~ `(`").await, @r#"400 {"error":"`(` is not a regular expression"}"#);
    }

    async fn times_bound_and_turn_the_search(server) {
        let deployment = talking(&server).await;
        deployment.ask(json!("one")).await.fine();
        deployment.ask(json!("two")).await.fine();
        let project = server.at("/projects/demo");
        let search = async |start: String, end: String| {
            let query = [("query", "|= `asked`"), ("start", &start), ("end", &end)];
            project.find("/logs", &query).await
        };
        let all = search("2020-01-01T00:00:00Z".into(), "2100-01-01T00:00:00+00:00".into()).await;
        assert_snapshot!(all.each("log"), @r#"["asked one","asked two"]"#);
        let back = search("2100-01-01T00:00:00Z".into(), "2020-01-01T00:00:00Z".into()).await;
        assert_snapshot!(back.each("log"), @r#"["asked two","asked one"]"#);
        let (first, second) = (all[0]["timestamp"].as_i64().unwrap(), all[1]["timestamp"].as_i64().unwrap());
        assert_snapshot!(search(first.to_string(), second.to_string()).await.each("log"), @r#"["asked one"]"#);
        assert_snapshot!(search((first + 1).to_string(), (second + 1).to_string()).await.each("log"), @r#"["asked two"]"#);
        assert_snapshot!(search("soon".into(), "later".into()).await, @r#"400 {"error":"start must be an ISO 8601 date or nanoseconds, but got 'soon'"}"#);
        let half = project.find("/logs", &[("start", "2020-01-01")]).await;
        assert_snapshot!(half, @r#"400 {"error":"start and end must be given together, or neither"}"#);
    }

    async fn the_older_way_takes_filters_dates_and_ids(server) {
        let deployment = talking(&server).await;
        let id = deployment.ask(json!("one")).await.str("id");
        let project = server.at("/projects/demo");
        let found = project.post("/logs", json!({ "filters": { "deployment_request_id": id }, "limit": 1 })).await;
        assert_eq!(found.len(), 1, "{found}");
        assert_eq!((&found[0]["deployment_name"], &found[0]["deployment_version"]), (&json!("d"), &json!("v1")));
        let line = found[0]["id"].as_str().unwrap();
        let around = project.post("/logs", json!({ "id": line, "date_range": 60, "limit": 500 })).await;
        assert_eq!(around[0]["id"], *line);
        let unknown = project.post("/logs", json!({ "filters": { "colour": "red" } })).await;
        assert!(unknown.error().starts_with("The log label 'colour' is not known; there are deployment_id, "), "{unknown}");
        assert_snapshot!(project.post("/logs", json!({ "limit": 501 })).await, @r#"400 {"error":"limit must be between 1 and 500, and is 501"}"#);
        let nothing = project.send(project.request(reqwest::Method::POST, "/logs").header("content-type", "application/json")).await;
        assert_eq!(nothing.status, 200, "{nothing}");
    }

    async fn lines_of_other_projects_are_not_seen(server) {
        let deployment = talking(&server).await;
        deployment.ask(json!("one")).await.fine();
        let other = server.project("other").await;
        assert_snapshot!(other.get("/logs").await, @"200 []");
        assert_snapshot!(other.post("/logs", json!({ "filters": { "deployment_name": "d" } })).await, @"200 []");
    }
}
