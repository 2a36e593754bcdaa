//! What becomes of requests to code in R.

use futures_util::StreamExt;
use reqwest::Method;

use super::*;
use crate::batch::{collected, ids};

const CODE: &str = r#"
    init <- function(base_directory, context) {
        cat("initialised in", context$language, "\n")
        greeting <<- readLines(file.path(base_directory, "greeting.txt"))
    }

    request <- function(input_data, base_directory, context) {
        if (input_data == "fail") stop("no luck")
        if (input_data == "public") {
            stop(structure(class = c("own", "error", "condition"),
                list(message = "inside", call = NULL, public_error_message = "Ask for something else")))
        }
        if (input_data == "deep") outer("x")
        if (input_data == "quit") quit(save = "no", status = 3)
        if (input_data == "wait") {
            context$streaming_update("begun")
            Sys.sleep(600)
        }
        if (input_data == "stubborn") repeat tryCatch(Sys.sleep(600), interrupt = function(caught) NULL)
        if (input_data == "tell") {
            print("printed")
            message("a message")
            warning("a warning")
            system("echo from outside")
            for (part in c("one", "two")) context$streaming_update(part)
        }
        paste0(greeting, ", ", input_data)
    }

    outer <- function(x) inner(x)
    inner <- function(x) stop("deep down")
"#;

async fn greeting(server: &TestServer) -> At {
    let deployment = server.project("demo").await.deployment("d", "plain", "plain").await;
    deployment.version("v1", json!({ "environment": r(server).await, "maximum_instances": 1 })).await;
    let files = [("deployment.R", CODE), ("greeting.txt", "Hello"), (".Rprofile", "stop('this is not to run')")];
    deployment.at("/versions/v1").package(packed(&files)).await;
    deployment
}

/// All that was logged of the deployment.
async fn lines(server: &TestServer) -> String {
    server.at("/projects/demo").find("/logs", &[("query", "| deployment_name=`d`")]).await.fine().text()
}

both! {
    async fn direct_and_batch_requests_are_answered(server) {
        let deployment = greeting(&server).await;
        assert_snapshot!(deployment.ask(json!("you")).await.outcome(), @r#"completed "Hello, you""#);
        let ids = ids(&deployment.post("/requests/batch", json!(["a", "b", "fail", "ü"])).await);
        let found = collected(&deployment, &ids).await;
        assert_snapshot!(found.each("status"), @r#"["completed","completed","failed","completed"]"#);
        assert_snapshot!(found.each("result"), @r#"["Hello, a","Hello, b",null,"Hello, ü"]"#);
        let version = deployment.get("/versions/v1").await;
        assert!(version.str("language").starts_with("r4."), "{version}");
        let revision = version.str("active_revision");
        let revision = deployment.get(&format!("/versions/v1/revisions/{revision}")).await;
        assert_snapshot!(revision.only(&["has_request_method", "has_requests_method"]), @r#"{"has_request_method":true,"has_requests_method":false}"#);
    }

    async fn failures_are_told_and_logged_with_the_calls_that_led_there(server) {
        let deployment = greeting(&server).await;
        for input in ["fail", "deep"] {
            assert_snapshot!(deployment.ask(json!(input)).await.outcome(), @"failed: An exception occurred in the request. See the logs for details.");
        }
        assert_snapshot!(deployment.ask(json!("public")).await.outcome(), @"failed: Ask for something else");
        assert_snapshot!(deployment.ask(json!("quit")).await.outcome(), @"failed: The process exited with status 3");
        assert_snapshot!(deployment.ask(json!("you")).await.outcome(), @r#"completed "Hello, you""#);
        until("the log is written", async || lines(&server).await.contains("deep down")).await;
        let lines = lines(&server).await;
        for line in ["initialised in r", "Error in request(input_data, base_directory, context): no luck", "deployment.R line 13: outer(", "deployment.R line 30: inner(x)"] {
            assert!(lines.contains(line), "{line}: {lines}");
        }
        for ours in ["withCallingHandlers", "tryCatch", "allowInterrupts"] {
            assert!(!lines.contains(ours), "{lines}");
        }
    }

    async fn what_code_says_is_logged_and_updates_are_streamed(server) {
        let deployment = greeting(&server).await;
        let answer = deployment.request(Method::POST, "/requests/stream").body("tell").send().await.unwrap();
        let text = answer.text().await.unwrap();
        assert!(text.starts_with("data:one\n\ndata:two\n\n") && text.contains("Hello, tell"), "{text}");
        let said = ["[1] \\\"printed\\\"", "a message", "Warning in request(input_data, base_directory, context): a warning", "from outside"];
        until("the log is written", async || {
            let lines = lines(&server).await;
            said.iter().all(|line| lines.contains(line))
        })
        .await;
    }

    async fn what_runs_is_cancelled_and_what_ignores_that_is_ended(server) {
        let deployment = greeting(&server).await;
        for input in ["wait", "stubborn"] {
            let id = ids(&deployment.post("/requests/batch", json!([input])).await).remove(0);
            let path = format!("/requests/{id}");
            until("it runs", async || deployment.get(&path).await["status"] == "processing").await;
            deployment.patch(&path, json!({"status": "cancelled"})).await.fine();
            until("it is cancelled", async || deployment.get(&path).await["status"] == "cancelled").await;
            assert_snapshot!(deployment.ask(json!("you")).await.outcome(), @r#"completed "Hello, you""#);
        }
    }

    async fn a_request_that_takes_too_long_ends(server) {
        let deployment = greeting(&server).await;
        let late = deployment.post("/requests?timeout=10", json!("wait")).await;
        assert_snapshot!(late.outcome(), @"failed: Request timed out");
    }

    async fn a_stream_is_followed_while_it_runs(server) {
        let deployment = greeting(&server).await;
        let answer = deployment.request(Method::POST, "/requests/stream").body("wait").send().await.unwrap();
        let mut pieces = answer.bytes_stream();
        assert_eq!(pieces.next().await.unwrap().unwrap(), "data:begun\n\n");
        let id = deployment.get("/requests?status=processing").await[0]["id"].as_str().unwrap().to_owned();
        deployment.patch(&format!("/requests/{id}"), json!({"status": "cancelled"})).await.fine();
        let last = pieces.next().await.unwrap().unwrap();
        assert!(String::from_utf8_lossy(&last).contains("\"cancelled\""));
    }
}
