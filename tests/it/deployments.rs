//! Deployments.

use crate::kit::*;

both! {
    async fn create_and_show(server) {
        let project = server.project("demo").await;
        let made = project
            .post("/deployments", json!({
                "name": "iris", "description": "flowers", "labels": { "kind": "model" },
                "input_type": "structured", "input_fields": [{ "name": "x", "data_type": "double" }],
                "output_type": "structured", "output_fields": [{ "name": "y", "data_type": "array_int" }],
            }))
            .await;
        assert_eq!(made.status, 201, "{made}");
        assert!(made.json().get("default_version").is_none());
        let shown = project.get("/deployments/iris").await;
        assert_snapshot!(
            shown.only(&["name", "project", "description", "labels", "input_type", "input_fields", "output_fields", "default_version"]),
            @r#"{"name":"iris","project":"demo","description":"flowers","labels":{"kind":"model"},"input_type":"structured","input_fields":[{"name":"x","data_type":"double","widget":{}}],"output_fields":[{"name":"y","data_type":"array_int","widget":{}}],"default_version":null}"#
        );
        assert_snapshot!(project.get("/deployments").await.each("input_fields"), @r#"[[{"name":"x","data_type":"double"}]]"#);
    }

    async fn create_refuses_a_taken_name(server) {
        let project = server.project("demo").await;
        project.deployment("iris", "plain", "plain").await;
        let again = project.post("/deployments", json!({ "name": "iris", "input_type": "plain", "output_type": "plain" })).await;
        assert_snapshot!(again, @r#"409 {"error":"deployment 'iris' already exists"}"#);
        // Another project has names of its own.
        server.project("other").await.deployment("iris", "plain", "plain").await;
    }

    async fn of_many_creations_of_a_name_one_wins(server) {
        let project = server.project("demo").await;
        let creations = (0..20).map(|_| {
            let project = project.clone();
            let body = json!({ "name": "iris", "input_type": "plain", "output_type": "plain" });
            tokio::task::spawn(async move { project.post("/deployments", body).await.status })
        });
        let mut statuses = Vec::new();
        for creation in creations.collect::<Vec<_>>() {
            statuses.push(creation.await.unwrap());
        }
        statuses.sort_unstable();
        assert_eq!(statuses, [vec![201], vec![409; 19]].concat());
        assert_eq!(project.get("/deployments").await.len(), 1);
    }

    async fn create_refuses_types_and_fields_that_do_not_fit(server) {
        let project = server.project("demo").await;
        let create = async |body: Value| project.post("/deployments", body).await;
        assert_snapshot!(create(json!({ "name": "d" })).await, @r#"400 {"error":"input_type is required: structured or plain"}"#);
        assert_snapshot!(
            create(json!({ "name": "d", "input_type": "structured", "output_type": "plain" })).await,
            @r#"400 {"error":"input_fields must name at least one field, since input_type is structured"}"#
        );
        assert_snapshot!(
            create(json!({ "name": "d", "input_type": "plain", "output_type": "plain", "output_fields": [{ "name": "y", "data_type": "int" }] })).await,
            @r#"400 {"error":"output_fields must be empty, since output_type is plain"}"#
        );
        assert_snapshot!(
            create(json!({ "name": "d", "input_type": "plain", "output_type": "plain", "supports_request_format": false })).await,
            @r#"400 {"error":"supports_request_format: deployments without requests are not offered yet"}"#
        );
        let twice = json!([{ "name": "x", "data_type": "int" }, { "name": "x", "data_type": "int" }]);
        assert_snapshot!(
            create(json!({ "name": "d", "input_type": "structured", "output_type": "plain", "input_fields": twice })).await,
            @r#"400 {"error":"input_fields: the name 'x' is used twice"}"#
        );
        let odd = json!([{ "name": "x", "data_type": "timestamp" }]);
        assert_snapshot!(
            create(json!({ "name": "d", "input_type": "structured", "output_type": "plain", "input_fields": odd })).await,
            @r#"400 {"error":"The field 'input_fields[0].data_type' must be one of int, string, double, bool, dict, file, blob, array_int, array_double, array_string, array_file, but got 'timestamp'"}"#
        );
        assert_snapshot!(project.get("/deployments").await, @"200 []");
    }

    async fn lists_are_filtered_by_labels(server) {
        let project = server.project("demo").await;
        for (name, labels) in [("a", json!({ "team": "red" })), ("b", json!({ "team": "blue", "size": "big" })), ("c", json!({}))] {
            project.deployment(name, "plain", "plain").await.patch("", json!({ "labels": labels })).await.fine();
        }
        assert_snapshot!(project.get("/deployments?labels=team:red,size:big").await.each("name"), @r#"["a","b"]"#);
        assert_snapshot!(project.get("/deployments?labels=team:green").await, @"200 []");
        assert_snapshot!(project.get("/deployments").await.each("name"), @r#"["a","b","c"]"#);
    }

    async fn update_tells_absent_from_null(server) {
        let project = server.project("demo").await;
        let deployment = project.deployment("d", "plain", "plain").await;
        deployment.patch("", json!({ "description": "first", "labels": { "a": "1" } })).await.fine();
        let kept = deployment.patch("", json!({})).await;
        assert_snapshot!(kept.only(&["description", "labels"]), @r#"{"description":"first","labels":{"a":"1"}}"#);
        let cleared = deployment.patch("", json!({ "description": null, "labels": null })).await;
        assert_snapshot!(cleared.only(&["description", "labels"]), @r#"{"description":"","labels":{}}"#);
        assert_snapshot!(deployment.patch("", json!({ "input_type": "structured" })).await, @r#"400 {"error":"The field 'input_type' is not known here"}"#);
        let long = "x".repeat(401);
        assert_snapshot!(deployment.patch("", json!({ "description": long })).await, @r#"400 {"error":"description must have at most 400 characters"}"#);
    }

    async fn a_new_name_is_its_address_at_once(server) {
        let project = server.project("demo").await;
        let deployment = project.running("d", "plain", "plain", package::ECHO).await;
        deployment.patch("", json!({ "name": "e" })).await.fine();
        assert_snapshot!(deployment.ask(json!("x")).await, @r#"404 {"error":"Deployment was not found"}"#);
        let answer = project.at("/deployments/e").ask(json!("x")).await;
        assert_eq!(answer["deployment"], "e");
        project.deployment("d", "plain", "plain").await;
        let taken = project.patch("/deployments/e", json!({ "name": "d" })).await;
        assert_snapshot!(taken, @r#"409 {"error":"deployment 'd' already exists"}"#);
    }

    async fn new_fields_hold_at_once(server) {
        let project = server.project("demo").await;
        let code = "class Deployment:\n    def request(self, data):\n        return {'y': data.get('z', data.get('x'))}\n";
        let deployment = project.running("d", "x:int", "y:int", code).await;
        assert_snapshot!(deployment.ask(json!({ "x": 1 })).await.outcome(), @r#"completed {"y":1}"#);
        deployment.patch("", json!({ "input_fields": [{ "name": "z", "data_type": "int" }] })).await.fine();
        assert_snapshot!(deployment.ask(json!({ "x": 1 })).await, @r#"400 {"error":"The input field 'x' does not exist in this deployment"}"#);
        assert_snapshot!(deployment.ask(json!({ "z": 2 })).await.outcome(), @r#"completed {"y":2}"#);
    }

    async fn the_default_version_is_the_first_until_another_available_one_is_chosen(server) {
        let project = server.project("demo").await;
        let deployment = project.deployment("d", "plain", "plain").await;
        deployment.version("v1", json!({})).await;
        let second = deployment.version("v2", json!({})).await;
        assert_eq!(deployment.get("").await["default_version"], "v1");
        let refused = deployment.patch("", json!({ "default_version": "v2" })).await;
        assert_snapshot!(refused, @r#"400 {"error":"Default cannot be set to an unavailable version"}"#);
        assert_snapshot!(deployment.patch("", json!({ "default_version": "v3" })).await, @r#"404 {"error":"Deployment version was not found"}"#);
        second.code(package::ECHO).await;
        deployment.patch("", json!({ "default_version": "v2" })).await.fine();
        assert_eq!(deployment.ask(json!("x")).await["version"], "v2");
        deployment.delete("/versions/v2").await.fine();
        assert_eq!(deployment.get("").await["default_version"], Value::Null);
        assert_snapshot!(deployment.ask(json!("x")).await, @r#"400 {"error":"Deployment 'd' has no default version: name a version, or set default_version"}"#);
    }

    async fn delete_removes_versions_and_processes(server) {
        let project = server.project("demo").await;
        let deployment = project.running("d", "plain", "plain", package::ECHO).await;
        deployment.ask(json!("x")).await.fine();
        assert_eq!(deployment.delete("").await.to_string(), "204");
        assert_snapshot!(deployment.get("").await, @r#"404 {"error":"Deployment was not found"}"#);
        assert_snapshot!(deployment.delete("").await, @r#"404 {"error":"Deployment was not found"}"#);
        until("its processes are gone", async || server.processes().is_empty()).await;
    }
}
