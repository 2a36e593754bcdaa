//! Builds of environments: failures, rebuilds, newer files, what is called off, crashes.

use std::net::TcpListener;

use super::*;

/// Requirements whose build goes on until somebody stops it: the address takes calls and never answers.
pub(super) fn endless() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let requirements = format!("x @ http://{}/x-1.0-py3-none-any.whl\n", listener.local_addr().unwrap());
    (listener, requirements)
}

/// Uploads a file whose build goes on; gives the build once its processes run.
pub(super) async fn running(server: &TestServer, environment: &At, requirements: &str) -> At {
    let uploaded = upload(environment, "requirements.txt", requirements).await.fine();
    let build = environment.at(&format!("/revisions/{}/builds/{}", uploaded.str("revision"), uploaded.str("build")));
    until("the build runs", async || build.get("").await["status"] == "building" && runs(server)).await;
    build
}

/// Whether a process of a build runs.
fn runs(server: &TestServer) -> bool {
    server.processes().iter().any(|process| process.contains(" pip compile "))
}

both! {
    async fn a_failed_build_keeps_what_works(server) {
        let project = server.project("demo").await;
        let environment = with_six(&project, "e", "1.16.0").await;
        let version = telling_six(&project, "d", "e").await;
        let active = environment.get("").await.str("active_build");
        let failed = built(&environment, "six==999.0\n").await;
        assert_snapshot!(failed.only(&["status", "error_message"]), @r#"{"status":"failed","error_message":"requirements.txt line 1: six==999.0 does not exist; the newest that can be had is 1.17.0"}"#);
        let shown = environment.get("").await;
        assert_eq!((&shown["status"], &shown["active_build"]), (&json!("available"), &json!(active)));
        assert_eq!(shown["latest_build"], failed["id"]);
        assert_snapshot!(version.ask(json!("x")).await.outcome(), @r#"completed "1.16.0""#);

        let revision = environment.at(&format!("/revisions/{}", failed.str("revision")));
        let rebuilt = revision.post("/rebuild", json!({})).await;
        assert_snapshot!(rebuilt.only(&["status", "trigger", "error_message"]), @r#"{"status":"queued","trigger":"Rebuild triggered","error_message":null}"#);
        assert_eq!(rebuilt.status, 200);
        until("the rebuild fails", async || revision.get(&format!("/builds/{}", rebuilt.str("id"))).await["status"] == "failed").await;
        assert_eq!(revision.get("/builds").await.each("status"), r#"["failed","failed"]"#);
        assert_eq!(environment.get("").await["active_build"], *active);
    }

    async fn a_running_build_is_stopped_when_it_is_cancelled(server) {
        let project = server.project("demo").await;
        let environment = environment(&project, "e").await;
        let (_listener, requirements) = endless();
        let build = running(&server, &environment, &requirements).await;
        assert_eq!(environment.get("").await["status"], "building");
        let revision = build.get("").await.str("revision");
        let again = environment.post(&format!("/revisions/{revision}/rebuild"), json!({})).await;
        assert_snapshot!(again, @r#"400 {"error":"The revision is being built already"}"#);

        assert_snapshot!(build.patch("", json!({ "status": "failed" })).await, @r#"400 {"error":"status can only be set to cancelled, but got 'failed'"}"#);
        assert_eq!(build.patch("", json!({})).await.status, 400);
        let cancelled = build.patch("", json!({ "status": "cancelled" })).await;
        assert_eq!((cancelled.status, &cancelled["status"]), (200, &json!("cancelled")), "{cancelled}");
        until("its processes have ended", async || !runs(&server)).await;
        assert_snapshot!(build.patch("", json!({ "status": "cancelled" })).await, @r#"400 {"error":"The build has ended already: its status is cancelled"}"#);
        assert_eq!(environment.get("").await["status"], "failed");
        assert_eq!(built(&environment, "six==1.16.0").await["status"], "success");
        assert_eq!(build.get("").await["status"], "cancelled");
        let done = environment.get("").await;
        let path = format!("/revisions/{}/builds/{}", done.str("active_revision"), done.str("active_build"));
        let refused = environment.patch(&path, json!({ "status": "cancelled" })).await;
        assert_snapshot!(refused, @r#"400 {"error":"The build has ended already: its status is success"}"#);
    }

    async fn what_waits_is_superseded_cancelled_or_deleted(server) {
        let mut server = server;
        server.restart(&[("BUILDS_AT_ONCE", "1")]).await;
        let project = server.project("demo").await;
        let (_listener, requirements) = endless();
        let blocking = environment(&project, "blocking").await;
        running(&server, &blocking, &requirements).await;
        let environment = environment(&project, "e").await;
        let status = async |uploaded: &Reply| {
            let path = format!("/revisions/{}/builds/{}", uploaded.str("revision"), uploaded.str("build"));
            environment.get(&path).await
        };
        let first = upload(&environment, "requirements.txt", "six==1.15.0").await.fine();
        // Code that is uploaded meanwhile waits for the environment, whichever build of it comes to be.
        let deployment = project.deployment("d", "plain", "plain").await;
        let version = deployment.version("v1", json!({ "environment": "e" })).await;
        let waiting = version.upload(package::packed(&[("deployment.py", SIX)])).await.fine();
        let second = upload(&environment, "requirements.txt", "six==1.16.0").await.fine();
        assert_snapshot!(status(&first).await.only(&["status", "error_message"]), @r#"{"status":"failed","error_message":"A newer build was asked for before this one was begun"}"#);
        assert_eq!(status(&second).await["status"], "queued");

        // What is deleted is not built any more, and makes room.
        blocking.delete("").await.fine();
        assert_eq!(ended(&environment, &second).await["status"], "success");
        until("its processes have ended", async || !runs(&server)).await;
        assert_eq!(version.built(&waiting.str("revision")).await["status"], "success");
        assert_snapshot!(version.ask(json!("x")).await.outcome(), @r#"completed "1.16.0""#);
    }

    async fn code_fails_with_the_build_it_waits_for(server) {
        let project = server.project("demo").await;
        let environment = environment(&project, "e").await;
        let deployment = project.deployment("d", "plain", "plain").await;
        let version = deployment.version("v1", json!({ "environment": "e" })).await;
        let code = package::packed(&[("deployment.py", SIX)]);
        assert_snapshot!(version.upload(code.clone()).await, @r#"400 {"error":"Environment 'e' is not available: it needs a file that was built with success first"}"#);
        let (_listener, requirements) = endless();
        let build = running(&server, &environment, &requirements).await;
        let revision = version.upload(code).await.fine().str("revision");
        build.patch("", json!({ "status": "cancelled" })).await.fine();
        let failed = version.built(&revision).await;
        assert_snapshot!(failed.str("error_message"), @"The build of the environment was cancelled; rebuild the revision");
        assert_eq!(version.get("").await["status"], "failed");
    }

    async fn a_build_of_code_is_cancelled_with_that_of_its_requirements(server) {
        let deployment = server.project("demo").await.deployment("d", "plain", "plain").await;
        let version = deployment.version("v1", json!({})).await;
        let (_listener, requirements) = endless();
        let zip = package::packed(&[("deployment.py", SIX), ("requirements.txt", &requirements)]);
        let build = version.at(&format!("/builds/{}", version.upload(zip).await.fine().str("build")));
        until("the build runs", async || runs(&server)).await;
        let cancelled = build.patch("", json!({ "status": "cancelled" })).await;
        assert_snapshot!(cancelled.only(&["status", "error_message"]), @r#"{"status":"failed","error_message":"The build was cancelled"}"#);
        until("its processes have ended", async || !runs(&server)).await;
        assert_snapshot!(build.patch("", json!({ "status": "cancelled" })).await, @r#"400 {"error":"The build has ended already: its status is failed"}"#);
        assert_eq!(version.get("").await["status"], "failed");
    }

    async fn a_killed_server_takes_builds_up_again_but_for_cancelled_ones(server) {
        let mut server = server;
        let project = server.project("demo").await;
        let (_listener, requirements) = endless();
        let one = environment(&project, "one").await;
        running(&server, &one, &requirements).await;
        let two = environment(&project, "two").await;
        let cancelled = running(&server, &two, &requirements).await;
        cancelled.patch("", json!({ "status": "cancelled" })).await.fine();
        server.crash();
        server.start_again(&[]).await;

        let project = server.at("/projects/demo");
        let one = project.at("/environments/one");
        until("the build runs again", async || runs(&server)).await;
        let shown = one.get("").await;
        let build = one.at(&format!("/revisions/{}/builds/{}", shown.str("latest_revision"), shown.str("latest_build")));
        assert_eq!(build.get("").await["status"], "building");
        assert_eq!(project.get("/environments/two").await["status"], "failed");
        build.patch("", json!({ "status": "cancelled" })).await.fine();
        until("its processes have ended", async || !runs(&server)).await;
        assert_eq!(built(&one, "six==1.16.0").await["status"], "success");
    }
}
