//! Environments that are there, and those that requirements of packages make.

use crate::kit::package::packed;
use crate::kit::*;

const SIX: &str = "
    import six

    class Deployment:
        def request(self, data):
            return six.__version__
";

async fn version(server: &TestServer) -> At {
    let deployment = server.project("demo").await.deployment("d", "plain", "plain").await;
    deployment.version("v1", json!({})).await
}

both! {
    async fn base_environments_are_the_interpreters_that_were_found(server) {
        let project = server.project("demo").await;
        let listed = project.get("/environments").await;
        assert!(listed.len() >= 1, "{listed}");
        let name = listed[0]["name"].as_str().unwrap().to_owned();
        assert!(name.starts_with("python3-"), "{name}");
        let shown = project.get(&format!("/environments/{name}")).await;
        assert_snapshot!(
            shown.only(&["status", "system", "implicit", "hidden", "base_environment", "latest_build", "latest_revision"]),
            @r#"{"status":"available","system":true,"implicit":false,"hidden":false,"base_environment":null,"latest_build":null,"latest_revision":null}"#
        );
        assert_eq!(project.get("/environments?environment_type=base").await.len(), listed.len());
        assert_snapshot!(project.get("/environments?environment_type=custom").await, @"200 []");
        assert_snapshot!(project.get("/environments?environment_type=odd").await, @r#"400 {"error":"environment_type must be one of base, custom, all, but got 'odd'"}"#);
        assert_snapshot!(project.get("/environments/cobol").await, @r#"404 {"error":"Environment was not found"}"#);
    }

    async fn a_version_may_name_one_in_each_spelling(server) {
        let project = server.project("demo").await;
        let name = project.get("/environments").await[0]["name"].as_str().unwrap().to_owned();
        let deployment = project.deployment("d", "plain", "plain").await;
        let spelt = [name.clone(), name.replace("python3-", "python3."), format!("ubuntu22-04-{name}")];
        for (at, spelling) in spelt.iter().enumerate() {
            let made = deployment.post("/versions", json!({ "version": format!("v{at}"), "environment": spelling })).await;
            assert_eq!(made["environment"], *name, "{spelling}: {made}");
        }
        let odd = deployment.post("/versions", json!({ "version": "odd", "environment": "cobol" })).await;
        assert!(odd.error().starts_with("Environment 'cobol' was not found; there are python3-"), "{odd}");
    }

    async fn the_default_of_an_old_client_counts_as_not_chosen(server) {
        let deployment = server.project("demo").await.deployment("d", "plain", "plain").await;
        for (release, body) in [
            ("3.12.0", json!({ "version": "a", "language": "python3.7" })),
            ("3.15.1", json!({ "version": "b", "environment": "python3-7" })),
            ("4.6.1", json!({ "version": "c", "environment": "python3-10" })),
        ] {
            let request = deployment.request(reqwest::Method::POST, "/versions");
            let made = deployment.send(request.header("user-agent", format!("UbiOps/python/{release}")).json(&body)).await;
            let newest = deployment.post("/versions", json!({ "version": format!("{}-newest", body["version"].as_str().unwrap()) })).await;
            assert_eq!(made["environment"], newest["environment"], "{made}");
        }
    }

    async fn requirements_make_an_implicit_environment_at_once(server) {
        let version = version(&server).await;
        let base = version.get("").await.str("environment");
        let uploaded = version.upload(packed(&[("deployment.py", SIX), ("requirements.txt", "six==1.17.0")])).await.fine();
        let name = version.get("").await.str("environment");
        assert_ne!(name, base);
        let project = server.at("/projects/demo");
        let environment = project.get(&format!("/environments/{name}")).await;
        assert_eq!(environment["base_environment"], *base);
        assert_snapshot!(environment.only(&["system", "implicit", "hidden"]), @r#"{"system":false,"implicit":true,"hidden":true}"#);
        let (revision, build) = (environment.str("latest_revision"), environment.str("latest_build"));
        let built = version.built(&uploaded.str("revision")).await;
        assert_eq!(built["status"], "success", "{built}");

        assert_snapshot!(version.ask(json!("x")).await.outcome(), @r#"completed "1.17.0""#);
        let build = project.get(&format!("/environments/{name}/revisions/{revision}/builds/{build}")).await;
        assert_snapshot!(build.only(&["status", "error_message"]), @r#"{"status":"success","error_message":null}"#);
        assert_eq!(project.get(&format!("/environments/{name}")).await["status"], "available");
        let query = format!("| environment_name=`{name}`");
        let lines = project.find("/logs", &[("query", &query)]).await.each("log");
        assert!(lines.contains("six==1.17.0"), "{lines}");
    }

    async fn requirements_that_cannot_be_installed_fail_with_the_first_line_that_matters(server) {
        let version = version(&server).await;
        version.code(package::ECHO).await;
        let zip = packed(&[("deployment.py", SIX), ("requirements.txt", "six==999.0")]);
        let failed = version.built(&version.upload(zip).await.fine().str("revision")).await;
        assert_eq!(failed["status"], "failed");
        assert_snapshot!(failed.str("error_message"), @"requirements.txt line 1: six==999.0 does not exist; the newest that can be had is 1.17.0");
        let shown = version.get("").await;
        assert_eq!(shown["status"], "available");
        assert_snapshot!(version.ask(json!("x")).await.outcome(), @r#"completed "x""#);
    }

    async fn requirements_that_are_no_requirements_fail_too(server) {
        let version = version(&server).await;
        let zip = packed(&[("deployment.py", SIX), ("requirements.txt", "six ==== 1")]);
        let failed = version.built(&version.upload(zip).await.fine().str("revision")).await;
        assert_snapshot!(failed.only(&["status", "error_message"]), @r#"{"status":"failed","error_message":"requirements.txt line 1: 'six ==== 1' is not a requirement: no such comparison operator \"====\", must be one of ~= == != <= >= < > ==="}"#);
    }
}
