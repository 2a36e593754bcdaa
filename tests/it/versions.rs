//! Deployment versions.

use crate::kit::*;

async fn deployment(server: &TestServer) -> At {
    server.project("demo").await.deployment("d", "plain", "plain").await
}

both! {
    async fn create_fills_in_the_defaults(server) {
        let deployment = deployment(&server).await;
        let made = deployment.post("/versions", json!({ "version": "v1" })).await;
        assert_eq!(made.status, 201, "{made}");
        assert_snapshot!(
            made.only(&[
                "version", "deployment", "status", "active_revision", "latest_revision", "instance_type", "memory_allocation",
                "minimum_instances", "maximum_instances", "maximum_idle_time", "instance_processes", "scaling_strategy",
                "request_retention_mode", "request_retention_time", "maximum_queue_size", "static_ip",
                "restart_request_interruption", "default", "ports",
            ]),
            @r#"{"version":"v1","deployment":"d","status":"unavailable","active_revision":null,"latest_revision":null,"instance_type":"2048mb","memory_allocation":2048,"minimum_instances":0,"maximum_instances":5,"maximum_idle_time":300,"instance_processes":1,"scaling_strategy":"default","request_retention_mode":"full","request_retention_time":604800,"maximum_queue_size":100000,"static_ip":false,"restart_request_interruption":false,"default":true,"ports":[]}"#
        );
        let shown = deployment.get("/versions/v1").await;
        assert_eq!(shown["id"], made["id"]);
        assert!(made.str("environment").starts_with("python3-"), "{made}");
    }

    async fn create_refuses_a_taken_name(server) {
        let deployment = deployment(&server).await;
        deployment.version("v1", json!({})).await;
        let again = deployment.post("/versions", json!({ "version": "v1" })).await;
        assert_snapshot!(again, @r#"409 {"error":"version 'v1' of deployment 'd' already exists"}"#);
    }

    async fn create_refuses_what_is_out_of_range(server) {
        let deployment = deployment(&server).await;
        let create = async |field: &str, value: Value| {
            deployment.post("/versions", json!({ "version": "v1", field: value })).await
        };
        assert_snapshot!(create("minimum_instances", json!(-1)).await, @r#"400 {"error":"minimum_instances must be between 0 and 20, and is -1"}"#);
        assert_snapshot!(create("maximum_instances", json!(21)).await, @r#"400 {"error":"maximum_instances must be between 0 and 20, and is 21"}"#);
        assert_snapshot!(create("maximum_idle_time", json!(9)).await, @r#"400 {"error":"maximum_idle_time must be between 10 and 3600, and is 9"}"#);
        assert_snapshot!(create("maximum_idle_time", json!(3601)).await, @r#"400 {"error":"maximum_idle_time must be between 10 and 3600, and is 3601"}"#);
        assert_snapshot!(create("instance_processes", json!(0)).await, @r#"400 {"error":"instance_processes must be between 1 and 32, and is 0"}"#);
        assert_snapshot!(create("request_retention_time", json!(2_419_201)).await, @r#"400 {"error":"request_retention_time must be between 1 and 2419200, and is 2419201"}"#);
        assert_snapshot!(create("maximum_queue_size", json!(0)).await, @r#"400 {"error":"maximum_queue_size must be between 1 and 1000000, and is 0"}"#);
        assert_snapshot!(create("maximum_instances", json!("many")).await, @r#"400 {"error":"The field 'maximum_instances' must be a whole number, but got the string 'many'"}"#);
        assert_snapshot!(create("maximum_instances", json!(1.5)).await, @r#"400 {"error":"The field 'maximum_instances' must be a whole number, but got the number 1.5"}"#);
        assert_snapshot!(create("scaling_strategy", json!("wild")).await, @r#"400 {"error":"The field 'scaling_strategy' must be one of default, moderate, but got 'wild'"}"#);
        let both = json!({ "version": "v1", "minimum_instances": 3, "maximum_instances": 2 });
        assert_snapshot!(deployment.post("/versions", both).await, @r#"400 {"error":"minimum_instances (3) must not be larger than maximum_instances (2)"}"#);
        assert_snapshot!(deployment.get("/versions").await, @"200 []");
    }

    async fn create_refuses_what_cannot_be_honoured(server) {
        let deployment = deployment(&server).await;
        let create = async |field: &str, value: Value| {
            deployment.post("/versions", json!({ "version": "v1", field: value })).await
        };
        assert_snapshot!(create("static_ip", json!(true)).await, @r#"400 {"error":"static_ip: static addresses are not offered; leave it out or set it to false"}"#);
        assert_snapshot!(create("monitoring", json!("team")).await, @r#"400 {"error":"Notification group 'team' was not found"}"#);
        assert_snapshot!(create("instance_type_group_name", json!("gpus")).await, @r#"400 {"error":"Instance type group 'gpus' was not found; list those of the project, or give an instance_type"}"#);
        assert_snapshot!(create("ports", json!([{ "public_port": 80 }])).await, @r#"400 {"error":"ports: open ports are not offered yet; leave the list empty"}"#);
        assert_snapshot!(create("instance_type", json!("huge")).await, @r#"400 {"error":"instance_type 'huge' is not offered; there are 256mb, 512mb, 1024mb, 2048mb, 4096mb, 8192mb, 12288mb, 16384mb"}"#);
        assert_snapshot!(deployment.get("/versions").await, @"200 []");
    }

    async fn update_changes_only_what_it_names(server) {
        let deployment = deployment(&server).await;
        let version = deployment.version("v1", json!({ "maximum_instances": 2, "labels": { "a": "1" } })).await;
        let changed = version.patch("", json!({ "description": "new", "maximum_idle_time": 20 })).await;
        assert_snapshot!(
            changed.only(&["description", "maximum_instances", "maximum_idle_time", "labels"]),
            @r#"{"description":"new","maximum_instances":2,"maximum_idle_time":20,"labels":{"a":"1"}}"#
        );
        assert_snapshot!(version.patch("", json!({ "minimum_instances": 3 })).await, @r#"400 {"error":"minimum_instances (3) must not be larger than maximum_instances (2)"}"#);
        version.patch("", json!({ "version": "v2" })).await.fine();
        assert_snapshot!(version.get("").await, @r#"404 {"error":"Deployment version was not found"}"#);
        assert_eq!(deployment.get("").await["default_version"], "v2");
    }

    async fn lists_are_filtered_by_labels_and_leave_methods_out(server) {
        let deployment = deployment(&server).await;
        deployment.version("v1", json!({ "labels": { "stage": "test" } })).await;
        deployment.version("v2", json!({ "labels": { "stage": "live" } })).await;
        let listed = deployment.get("/versions?labels=stage:live").await;
        assert_snapshot!(listed.each("version"), @r#"["v2"]"#);
        assert_eq!(listed[0].get("has_request_method"), None);
    }

    async fn the_status_follows_the_code(server) {
        let deployment = deployment(&server).await;
        let version = deployment.version("v1", json!({})).await;
        assert_eq!(version.get("").await["status"], "unavailable");
        assert_snapshot!(version.ask(json!("x")).await, @r#"400 {"error":"Version 'v1' of deployment 'd' is not available: its status is unavailable"}"#);
        let revision = version.code(package::ECHO).await;
        let shown = version.get("").await;
        assert_eq!(shown["active_revision"], *revision);
        assert_snapshot!(shown.only(&["status", "has_request_method", "has_requests_method"]), @r#"{"status":"available","has_request_method":true,"has_requests_method":false}"#);
    }

    async fn delete_removes_its_processes(server) {
        let deployment = server.project("demo").await.running("d", "plain", "plain", package::ECHO).await;
        deployment.ask(json!("x")).await.fine();
        assert_eq!(deployment.delete("/versions/v1").await.to_string(), "204");
        assert_snapshot!(deployment.get("/versions/v1").await, @r#"404 {"error":"Deployment version was not found"}"#);
        assert_snapshot!(deployment.at("/versions/v1").ask(json!("x")).await, @r#"404 {"error":"Deployment version was not found"}"#);
        until("its processes are gone", async || server.processes().is_empty()).await;
    }
}
