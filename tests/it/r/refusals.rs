//! What is told where R is not there, and of code that its environment does not run.

use super::*;
use crate::kit::package::ECHO;

const R: &str = "request <- function(input_data, base_directory, context) input_data\n";

/// A version in this environment.
async fn version(server: &TestServer, environment: &str) -> At {
    let deployment = server.project("demo").await.deployment("d", "plain", "plain").await;
    deployment.version("v1", json!({ "environment": environment })).await
}

/// The newest Python.
async fn python(server: &TestServer) -> String {
    let deployment = server.at("/projects/default").deployment("any", "plain", "plain").await;
    deployment.post("/versions", json!({ "version": "v1" })).await.fine().str("environment")
}

both! {
    async fn the_names_of_the_contract_mean_the_r_that_is_there(server) {
        let deployment = server.project("demo").await.deployment("d", "plain", "plain").await;
        let there = r(&server).await;
        for (at, body) in [json!({ "environment": "r4-0" }), json!({ "language": "r4.0" }), json!({ "environment": there })].into_iter().enumerate() {
            let version = deployment.version(&format!("v{at}"), body).await;
            assert_eq!(version.get("").await["environment"], *there);
        }
        let custom = server.at("/projects/demo").post("/environments", json!({ "name": "e", "base_environment": "r4-0" })).await.fine();
        assert_eq!(custom["base_environment"], *there);
        let taken = server.at("/projects/demo").post("/environments", json!({ "name": "r4-9", "base_environment": "r4-0" })).await;
        assert_snapshot!(taken, @r#"400 {"error":"name: 'r4-9' is kept for a base environment; choose another"}"#);
    }

    async fn without_r_those_who_ask_for_it_are_told(server) {
        let mut server = server;
        let there = r(&server).await;
        server.restart(&[("RSCRIPT", "none")]).await;
        let project = server.project("demo").await;
        let deployment = project.deployment("d", "plain", "plain").await;
        assert_snapshot!(deployment.post("/versions", json!({ "version": "v1", "environment": "r4-0" })).await, @r#"400 {"error":"Environment 'r4-0' cannot be had: R is turned off on this server (setting rscript)"}"#);
        assert_snapshot!(deployment.post("/versions", json!({ "version": "v1", "language": "r4.0" })).await, @r#"400 {"error":"Environment 'r4.0' cannot be had: R is turned off on this server (setting rscript)"}"#);
        assert_snapshot!(project.post("/environments", json!({ "name": "e", "base_environment": "r4-0" })).await, @r#"400 {"error":"Environment 'r4-0' cannot be had: R is turned off on this server (setting rscript)"}"#);
        let missing = "/no/such/Rscript";
        server.restart(&[("RSCRIPT", missing)]).await;
        assert_snapshot!(server.at("/projects/demo/deployments/d").post("/versions", json!({ "version": "v1", "environment": "r4-0" })).await, @r#"400 {"error":"Environment 'r4-0' cannot be had: /no/such/Rscript does not run R on this server: install R 4 and its package jsonlite (Debian: r-base-core, r-cran-jsonlite) and start the server again"}"#);
        let gone = server.at("/projects/demo").get(&format!("/environments/{there}")).await;
        assert_eq!(gone["deprecated"], true);
    }

    async fn a_version_in_r_says_when_r_is_gone(server) {
        let mut server = server;
        let version = version(&server, "r4-0").await;
        version.package(packed(&[("deployment.R", R)])).await;
        server.restart(&[("RSCRIPT", "none")]).await;
        let version = server.at("/projects/demo/deployments/d/versions/v1");
        let failed = version.built(&version.upload(packed(&[("deployment.R", R)])).await.fine().str("revision")).await;
        assert!(failed.str("error_message").ends_with(" is no longer installed on this server"), "{failed}");
    }

    async fn code_in_one_language_is_refused_where_the_other_runs(server) {
        let (python, there) = (python(&server).await, r(&server).await);
        let version = version(&server, "r4-0").await;
        let refused = version.upload(packed(&[("deployment.py", ECHO)])).await;
        assert_eq!(refused.error(), format!("deployment.py is Python code, and environment '{there}' runs R: use code in R, or a version with an environment for Python"));
        version.package(packed(&[("deployment.R", R)])).await;
        let refused = version.patch("", json!({ "environment": python })).await;
        assert_eq!(refused.error(), format!("deployment.R is R code, and environment '{python}' runs Python: use code in Python, or a version with an environment for R"));
        assert_snapshot!(version.ask(json!("x")).await.outcome(), @r#"completed "x""#);
    }

    async fn of_two_main_files_that_of_the_environment_runs(server) {
        let both = packed(&[("deployment.py", ECHO), ("deployment.R", "request <- function(data) paste('R', data)")]);
        let python = python(&server).await;
        let version = version(&server, "r4-0").await;
        version.package(both.clone()).await;
        assert_snapshot!(version.ask(json!("x")).await.outcome(), @r#"completed "R x""#);
        let other = server.at("/projects/demo/deployments/d").version("v2", json!({ "environment": python })).await;
        other.package(both).await;
        assert_snapshot!(other.ask(json!("x")).await.outcome(), @r#"completed "x""#);
    }

    async fn the_main_file_may_have_another_name(server) {
        let version = version(&server, "r4-0").await;
        version.post("/environment-variables", json!({ "name": "SYS_DEPLOYMENT_FILE_NAME", "value": "model.R", "secret": false })).await.fine();
        let refused = version.upload(packed(&[("deployment.R", R)])).await;
        assert_snapshot!(refused, @r#"400 {"error":"The package has no file 'model.R' in its folder 'package'"}"#);
        version.package(packed(&[("model.R", R)])).await;
        assert_snapshot!(version.ask(json!("x")).await.outcome(), @r#"completed "x""#);
    }

    async fn code_that_cannot_be_served_fails_with_its_line(server) {
        let version = version(&server, "r4-0").await;
        let failure = async |code: &str| {
            let uploaded = version.upload(packed(&[("deployment.R", code)])).await.fine();
            version.built(&uploaded.str("revision")).await.only(&["status", "error_message"])
        };
        assert_snapshot!(failure("x <- 1\nrequest <- function(data {\n").await, @r#"{"status":"failed","error_message":"deployment.R line 2: unexpected '{'"}"#);
        assert_snapshot!(failure("init <- function(base_directory, context) 1\n").await, @r#"{"status":"failed","error_message":"deployment.R has no function 'request'"}"#);
        let stray = version.upload(packed(&[("deployment.R", R), ("requirements.txt", "six")])).await;
        assert_snapshot!(stray, @r#"400 {"error":"The package holds requirements.txt, and deployment.R is R code; remove requirements.txt"}"#);
    }

    async fn code_that_fails_when_it_is_loaded_says_where(server) {
        for (at, code) in ["x <- 1\nstop('at the top')\nrequest <- function(data) data\n", "init <- function(base_directory, context) stop('in init')\nrequest <- function(data) data\n"].into_iter().enumerate() {
            let deployment = server.at("/projects/default").deployment(&format!("d{at}"), "plain", "plain").await;
            let version = deployment.version("v1", json!({ "environment": "r4-0" })).await;
            version.package(packed(&[("deployment.R", code)])).await;
            assert_snapshot!(version.ask(json!("x")).await.outcome(), @"failed: Failed to initialise the deployment. See the logs for details.");
            let wanted = ["deployment.R line 2: at the top", "Error in init(base_directory, context): in init"];
            let query = format!("| deployment_name=`d{at}`");
            until("the log is written", async || {
                server.at("/projects/default").find("/logs", &[("query", &query)]).await.text().contains(wanted[at])
            })
            .await;
        }
    }
}
