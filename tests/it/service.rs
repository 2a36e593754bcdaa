//! The service itself, and what stands beside the operations.

use crate::kit::*;

both! {
    async fn the_status_needs_no_token(server) {
        assert_snapshot!(server.signed(None).get("/status").await, @r#"200 {"status":"ok"}"#);
        assert_snapshot!(server.signed(Some("Token nonsense")).get("/status").await, @r#"200 {"status":"ok"}"#);
    }

    async fn whoever_watches_the_server_needs_no_token(server) {
        let root = server.root();
        assert_eq!(root.get("/healthz").await.to_string(), "200 ok\n");
        assert_eq!(root.get("/readyz").await.to_string(), "200 ok\n");
        server.get("/projects").await.fine();
        let metrics = root.get("/metrics").await.fine().text();
        assert!(metrics.contains("projects_list"), "{metrics}");
    }

    async fn the_document_is_served_and_shown(server) {
        let root = server.root();
        let document = root.get("/openapi.json").await.fine();
        assert_eq!(document["paths"]["/projects"]["get"]["operationId"], "projects_list");
        let page = root.get("/docs/").await.fine();
        assert!(page.text().contains("<html"), "{page}");
    }

    async fn both_prefixes_have_the_same_operations(server) {
        let newer = At::new(format!("{}/v2", server.origin()), &server.token());
        newer.project("demo").await;
        assert_eq!(newer.get("/projects/demo").await["id"], server.get("/projects/demo").await["id"]);
        let older = At::new(format!("{}/v1", server.origin()), &server.token());
        assert_snapshot!(older.get("/projects").await, @r#"404 {"error":"Operation was not found"}"#);
    }

    async fn the_user_is_the_administrator(server) {
        let user = server.get("/user").await;
        assert_snapshot!(user.only(&["email"]), @r#"{"email":"admin@modelyard.local"}"#);
    }

    async fn the_walls_are_told_to_who_is_signed_in(server) {
        let walls = server.get("/walls").await.fine();
        assert_eq!((&walls["required_level"], &walls["runs_user_code"]), (&json!(2), &json!(true)));
        let level = walls["level"].as_u64().unwrap();
        assert!((2..=3).contains(&level), "{walls}");
        let list = walls["walls"].as_array().unwrap();
        let used = |name: &str| list.iter().any(|wall| wall["name"] == name && wall["used"] == true);
        assert!(used("seccomp") && used("resource limits"), "{walls}");
        let of_level_3 = ["own user id", "PID namespace", "network namespace", "cgroup memory", "cgroup pids", "Landlock"];
        assert_eq!(of_level_3.into_iter().all(used), level == 3, "{walls}");
        assert!(list.iter().all(|wall| wall["used"] == true || wall["detail"] != ""), "{walls}");
        assert_eq!(server.signed(None).get("/walls").await.status, 401);
    }

    async fn instance_types_come_as_each_client_reads_them(server) {
        let project = server.project("demo").await;
        let page = project.get("/instance-types").await;
        assert_eq!((&page["previous"], &page["next"]), (&Value::Null, &Value::Null));
        let names: Vec<_> = page["results"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
        assert_eq!(names[..3], ["256mb", "512mb", "1024mb"]);
        let old = project.request(reqwest::Method::GET, "/instance-types").header("user-agent", "UbiOps/python/3.12.0");
        assert_eq!(project.send(old).await.len(), names.len());
        let first = project.get("/instance-types?limit=2").await;
        let second = project.get(&format!("/instance-types?limit=2&cursor={}", first["next"].as_str().unwrap())).await;
        assert_eq!(second["results"][0]["name"], names[2]);
        assert_eq!(project.get("/instance-types?cursor=odd").await.status, 400);
    }

    async fn unknown_addresses_and_methods_are_refused_with_a_sentence(server) {
        assert_snapshot!(server.get("/colours").await, @r#"404 {"error":"Operation was not found"}"#);
        assert_snapshot!(server.send(server.request(reqwest::Method::PUT, "/projects")).await, @r#"405 {"error":"Method PUT is not allowed here"}"#);
        assert_eq!(server.signed(None).send(server.request(reqwest::Method::OPTIONS, "/projects")).await.status, 204);
    }

    async fn each_answer_says_that_there_is_no_limit(server) {
        for path in ["/projects", "/projects/none", "/none"] {
            let answer = server.get(path).await;
            for name in ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"] {
                let value = answer.headers[name].to_str().unwrap();
                assert!(value.parse::<i32>().is_ok(), "{path}: {name} is {value}");
            }
        }
    }

    async fn all_forms_of_a_token_are_taken(server) {
        let token = server.token();
        for form in [format!("Token {token}"), format!("Bearer {token}"), format!("token {token}"), token.clone()] {
            assert_eq!(server.signed(Some(&form)).get("/user").await.status, 200, "{form}");
        }
    }

    async fn a_trailing_empty_body_is_no_body(server) {
        let project = server.project("demo").await;
        let empty = project.request(reqwest::Method::DELETE, "").header("content-type", "application/json");
        assert_eq!(project.send(empty).await.to_string(), "204");
    }
}
