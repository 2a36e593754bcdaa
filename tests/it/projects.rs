//! Projects.

use crate::kit::*;

both! {
    async fn create_and_show(server) {
        let made = server.post("/projects", json!({ "name": "demo", "organization_name": "default" })).await;
        assert_eq!(made.status, 201, "{made}");
        let shown = server.get("/projects/demo").await;
        assert_eq!(shown["id"], made["id"]);
        assert_snapshot!(
            shown.only(&["name", "organization_name", "advanced_permissions", "suspended", "suspended_reason", "labels"]),
            @r#"{"name":"demo","organization_name":"default","advanced_permissions":false,"suspended":false,"suspended_reason":null,"labels":{}}"#
        );
        assert_snapshot!(server.get("/projects").await.each("name"), @r#"["default","demo"]"#);
    }

    async fn create_refuses_a_taken_name(server) {
        server.project("demo").await;
        let again = server.post("/projects", json!({ "name": "demo", "organization_name": "default" })).await;
        assert_snapshot!(again, @r#"409 {"error":"project 'demo' already exists"}"#);
    }

    async fn create_refuses_an_unknown_organization(server) {
        let nowhere = server.post("/projects", json!({ "name": "demo", "organization_name": "nobody" })).await;
        assert_snapshot!(nowhere, @r#"404 {"error":"Organization was not found"}"#);
    }

    async fn create_refuses_what_cannot_be_honoured(server) {
        let create = async |more: Value| {
            let mut body = json!({ "name": "demo", "organization_name": "default" });
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            server.post("/projects", body).await
        };
        assert_snapshot!(create(json!({ "credits": 5 })).await, @r#"400 {"error":"credits: a limit of credits cannot be enforced yet; leave it out or send null"}"#);
        assert_snapshot!(create(json!({ "cors_origins": ["http://a"] })).await, @r#"400 {"error":"cors_origins: other origins are not offered yet; leave the list empty"}"#);
        assert_snapshot!(create(json!({ "colour": "red" })).await, @r#"400 {"error":"The field 'colour' is not known here"}"#);
        assert_eq!(server.get("/projects/demo").await.status, 404);
    }

    async fn update_changes_only_what_it_names(server) {
        server.project("demo").await;
        server.patch("/projects/demo", json!({ "labels": { "team": "red" } })).await.fine();
        let renamed = server.patch("/projects/demo", json!({ "name": "demo-2" })).await;
        assert_snapshot!(renamed.only(&["name", "labels"]), @r#"{"name":"demo-2","labels":{"team":"red"}}"#);
        assert_snapshot!(server.get("/projects/demo").await, @r#"404 {"error":"Project was not found"}"#);
        let cleared = server.patch("/projects/demo-2", json!({ "labels": null })).await;
        assert_snapshot!(cleared.only(&["labels"]), @r#"{"labels":{}}"#);
    }

    async fn lists_are_filtered(server) {
        server.project("a").await;
        server.project("b").await;
        server.patch("/projects/a", json!({ "labels": { "team": "red", "size": "big" } })).await.fine();
        server.patch("/projects/b", json!({ "labels": { "team": "blue" } })).await.fine();
        assert_snapshot!(server.get("/projects?labels=team:red").await.each("name"), @r#"["a"]"#);
        assert_snapshot!(server.get("/projects?labels=team:blue,size:big").await.each("name"), @r#"["a","b"]"#);
        assert_snapshot!(server.get("/projects?labels=team:green").await, @"200 []");
        assert_snapshot!(server.get("/projects?organization=nobody").await, @"200 []");
        assert_snapshot!(server.get("/projects?labels=team").await, @r#"400 {"error":"labels: 'team' is not of the form key:value; separate several by commas"}"#);
    }

    async fn suspended_projects_take_no_requests(server) {
        let project = server.project("demo").await;
        let deployment = project.running("d", "plain", "plain", package::ECHO).await;
        let suspended = server.patch("/projects/demo", json!({ "suspend": true })).await;
        assert_snapshot!(
            suspended.only(&["suspended", "suspended_reason"]),
            @r#"{"suspended":true,"suspended_reason":"The project is suspended by a user"}"#
        );
        assert_snapshot!(deployment.ask(json!("x")).await, @r#"403 {"error":"The project is suspended by a user"}"#);
        server.patch("/projects/demo", json!({ "suspend": false })).await.fine();
        assert_snapshot!(deployment.ask(json!("x")).await.outcome(), @r#"completed "x""#);
    }

    async fn delete_removes_all_that_is_in_it(server) {
        let project = server.project("demo").await;
        let deployment = project.running("d", "plain", "plain", package::ECHO).await;
        deployment.ask(json!("x")).await.fine();
        assert_eq!(server.delete("/projects/demo").await.to_string(), "204");
        assert_snapshot!(server.get("/projects/demo").await, @r#"404 {"error":"Project was not found"}"#);
        assert_snapshot!(deployment.ask(json!("x")).await, @r#"404 {"error":"Project was not found"}"#);
        until("its processes are gone", async || server.processes().is_empty()).await;
        until("its files are gone", async || server.files("objects").is_empty()).await;
        // The name is free again.
        let project = server.project("demo").await;
        assert_snapshot!(project.get("/deployments").await, @"200 []");
    }

    async fn resources_are_counted(server) {
        let project = server.project("demo").await;
        project.deployment("d", "plain", "plain").await.version("v1", json!({})).await;
        let usage = project.get("/resources").await;
        assert_snapshot!(usage.only(&["deployments", "deployment_versions", "pipelines"]), @r#"{"deployments":1,"deployment_versions":1,"pipelines":0}"#);
    }
}
