//! Revisions: uploads, builds, what serves meanwhile.

use crate::kit::package::{ECHO, packed};
use crate::kit::*;

const SECOND: &str = "class Deployment:\n    def request(self, data):\n        return 'second'\n";

both! {
    async fn upload_answers_with_ids_of_old_and_new(server) {
        let version = server.project("demo").await.deployment("d", "plain", "plain").await.version("v1", json!({})).await;
        let uploaded = version.upload(packed(&[("deployment.py", ECHO)])).await;
        assert_eq!(uploaded.status, 201, "{uploaded}");
        assert_eq!(uploaded["success"], true);
        assert_eq!(uploaded["revision"], uploaded["build"]);
        let built = version.built(&uploaded.str("revision")).await;
        assert_snapshot!(
            built.only(&["version", "status", "error_message", "created_by", "has_request_method", "has_requests_method"]),
            @r#"{"version":"v1","status":"success","error_message":null,"created_by":"admin@modelyard.local","has_request_method":true,"has_requests_method":false}"#
        );
        assert_snapshot!(version.get("/revisions").await.each("status"), @r#"["success"]"#);
    }

    async fn a_second_revision_replaces_the_first_without_a_gap(server) {
        let deployment = server.project("demo").await.running("d", "plain", "plain", ECHO).await;
        let version = deployment.at("/versions/v1");
        let first = version.get("").await.str("active_revision");
        assert_snapshot!(deployment.ask(json!("x")).await.outcome(), @r#"completed "x""#);
        let second = version.code(SECOND).await;
        until("the second answers", async || deployment.ask(json!("x")).await.outcome() == r#"completed "second""#).await;
        let shown = version.get("").await;
        assert_eq!((&shown["active_revision"], &shown["latest_revision"]), (&json!(second), &json!(second)));
        assert_eq!(version.get("/revisions").await.each("id"), json!([second, first]).to_string());
    }

    async fn uploads_at_the_same_time_all_end_and_the_last_serves(server) {
        let deployment = server.project("demo").await.deployment("d", "plain", "plain").await;
        let version = deployment.version("v1", json!({})).await;
        let uploads = (0..8).map(|at| {
            let (version, code) = (version.clone(), format!("class Deployment:\n    def request(self, data):\n        return {at}\n"));
            tokio::task::spawn(async move { (at, version.upload(packed(&[("deployment.py", &code)])).await.fine().str("revision")) })
        });
        let mut answers = std::collections::HashMap::new();
        for upload in uploads.collect::<Vec<_>>() {
            let (at, revision) = upload.await.unwrap();
            answers.insert(revision, at);
        }
        for revision in answers.keys() {
            let built = version.built(revision).await;
            let superseded = built["error_message"] == "A newer revision was uploaded before this one was built";
            assert!(built["status"] == "success" || superseded, "{built}");
        }
        let shown = version.get("").await;
        assert_eq!(shown["active_revision"], shown["latest_revision"]);
        let last = answers[&shown.str("active_revision")];
        until("the last answers", async || deployment.ask(json!("x")).await["result"] == last).await;
    }

    async fn a_failed_revision_keeps_the_old_one_serving(server) {
        let deployment = server.project("demo").await.running("d", "plain", "plain", ECHO).await;
        let version = deployment.at("/versions/v1");
        let broken = packed(&[("deployment.py", "class Deployment:\n    def request(self, data)\n        return 1\n")]);
        let failed = version.built(&version.upload(broken).await.fine().str("revision")).await;
        assert_snapshot!(failed.only(&["status", "error_message"]), @r#"{"status":"failed","error_message":"deployment.py line 2: expected ':'"}"#);
        assert_eq!(version.get("").await["status"], "available");
        assert_snapshot!(deployment.ask(json!("x")).await.outcome(), @r#"completed "x""#);
        let fixed = version.code(SECOND).await;
        assert_eq!(version.get("").await["active_revision"], *fixed);
    }

    async fn the_first_broken_revision_fails_the_version(server) {
        let deployment = server.project("demo").await.deployment("d", "plain", "plain").await;
        let version = deployment.version("v1", json!({})).await;
        let empty = packed(&[("deployment.py", "x = 1\n")]);
        let failed = version.built(&version.upload(empty).await.fine().str("revision")).await;
        assert_snapshot!(failed.only(&["status", "error_message"]), @r#"{"status":"failed","error_message":"deployment.py has no class 'Deployment'"}"#);
        assert_eq!(version.get("").await["status"], "failed");
        assert_snapshot!(deployment.ask(json!("x")).await, @r#"400 {"error":"Version 'v1' of deployment 'd' is not available: its status is failed"}"#);
    }

    async fn download_gives_the_bytes_that_were_uploaded(server) {
        let version = server.project("demo").await.deployment("d", "plain", "plain").await.version("v1", json!({})).await;
        let zip = packed(&[("deployment.py", ECHO)]);
        let revision = version.package(zip.clone()).await;
        let download = version.get(&format!("/revisions/{revision}/download")).await;
        assert_eq!(download.bytes, zip);
        let disposition = download.headers["content-disposition"].to_str().unwrap();
        assert_eq!(disposition, format!("attachment; filename=\"d_v1_{revision}.zip\""));
    }

    async fn code_is_copied_from_another_version(server) {
        let deployment = server.project("demo").await.running("d", "plain", "plain", ECHO).await;
        let other = deployment.version("v2", json!({})).await;
        let form = |version: &'static str| reqwest::multipart::Form::new().text("source_deployment", "d").text("source_version", version);
        let copied = other.send(other.request(reqwest::Method::POST, "/revisions").multipart(form("v1"))).await.fine();
        other.built(&copied.str("revision")).await;
        assert_snapshot!(other.ask(json!("x")).await.outcome(), @r#"completed "x""#);
        let nowhere = other.send(other.request(reqwest::Method::POST, "/revisions").multipart(form("v9"))).await;
        assert_snapshot!(nowhere, @r#"404 {"error":"Deployment version was not found"}"#);
    }

    async fn upload_refuses_forms_without_code(server) {
        let version = server.project("demo").await.deployment("d", "plain", "plain").await.version("v1", json!({})).await;
        let empty = version.send(version.request(reqwest::Method::POST, "/revisions")).await;
        assert_snapshot!(empty, @r#"400 {"error":"Give a file with the code, or source_deployment and source_version to take the code of another version"}"#);
        let half = reqwest::multipart::Form::new().text("source_deployment", "d");
        let half = version.send(version.request(reqwest::Method::POST, "/revisions").multipart(half)).await;
        assert_snapshot!(half, @r#"400 {"error":"source_deployment and source_version must be given together"}"#);
        let odd = reqwest::multipart::Form::new().text("colour", "red");
        let odd = version.send(version.request(reqwest::Method::POST, "/revisions").multipart(odd)).await;
        assert_snapshot!(odd, @r#"400 {"error":"The field 'colour' is not known here"}"#);
        assert_snapshot!(version.get("/revisions").await, @"200 []");
    }

    async fn a_revision_can_be_built_again(server) {
        let deployment = server.project("demo").await.running("d", "plain", "plain", ECHO).await;
        let version = deployment.at("/versions/v1");
        let revision = version.get("").await.str("active_revision");
        let rebuilt = version.post(&format!("/revisions/{revision}/rebuild"), json!({})).await;
        assert_eq!(rebuilt.status, 200, "{rebuilt}");
        assert_eq!(version.built(&revision).await["status"], "success");
        assert_snapshot!(deployment.ask(json!("x")).await.outcome(), @r#"completed "x""#);
    }

    async fn older_clients_find_revisions_as_builds(server) {
        let deployment = server.project("demo").await.running("d", "plain", "plain", ECHO).await;
        let version = deployment.at("/versions/v1");
        let builds = version.get("/builds").await;
        let revision = version.get("").await.str("active_revision");
        assert_eq!(builds.each("revision"), json!([revision]).to_string());
        let build = version.get(&format!("/builds/{revision}")).await;
        assert_snapshot!(build.only(&["status", "trigger", "error_message"]), @r#"{"status":"success","trigger":"Deployment file upload","error_message":null}"#);
        assert_snapshot!(version.get("/builds/none").await, @r#"404 {"error":"Build was not found"}"#);
    }

    async fn what_is_not_there_is_not_found(server) {
        let version = server.project("demo").await.deployment("d", "plain", "plain").await.version("v1", json!({})).await;
        let id = uuid();
        assert_snapshot!(version.get(&format!("/revisions/{id}")).await, @r#"404 {"error":"Revision was not found"}"#);
        assert_snapshot!(version.get(&format!("/revisions/{id}/download")).await, @r#"404 {"error":"Revision was not found"}"#);
        assert_snapshot!(version.post(&format!("/revisions/{id}/rebuild"), json!({})).await, @r#"404 {"error":"Revision was not found"}"#);
    }
}

fn uuid() -> String {
    modelyard_types::RevisionId::new().to_string()
}
