//! Code that fails: the request fails with a reason, and the next one works.

use crate::kit::*;

/// A deployment that runs the Python that it is sent.
const OBEDIENT: &str = "
    import os, sys, time, signal, threading, subprocess

    class Public(Exception):
        public_error_message = 'This is for everyone'

    class Deployment:
        def request(self, data):
            if data == 'ping':
                return 'pong'
            scope = dict(globals())
            exec(data, scope)
            return scope.get('result')
";

pub async fn obedient(server: &TestServer) -> At {
    server.project("demo").await.running("d", "plain", "plain", OBEDIENT).await
}

/// What becomes of a request, after which the deployment has to answer as ever.
pub async fn after(deployment: &At, code: &str) -> String {
    let outcome = deployment.ask(json!(package::dedented(code))).await.outcome();
    assert_eq!(deployment.ask(json!("ping")).await.outcome(), r#"completed "pong""#, "after {code}");
    outcome
}

both! {
    async fn exceptions_are_told_only_as_far_as_they_want(server) {
        let deployment = obedient(&server).await;
        assert_snapshot!(after(&deployment, "1 / 0").await, @"failed: An exception occurred in the request. See the logs for details.");
        assert_snapshot!(after(&deployment, "raise Public('for the logs')").await, @"failed: This is for everyone");
        assert_snapshot!(after(&deployment, "raise KeyboardInterrupt").await, @"failed: An exception occurred in the request. See the logs for details.");
        assert_snapshot!(after(&deployment, "raise RecursionError").await, @"failed: An exception occurred in the request. See the logs for details.");
        assert_snapshot!(after(&deployment, "
            e = ValueError()
            e.public_error_message = 7
            raise e
        ").await, @"failed: 7");
    }

    async fn exits_and_kills_fail_the_request_and_no_other(server) {
        let deployment = obedient(&server).await;
        assert_snapshot!(after(&deployment, "sys.exit(3)").await, @"failed: An exception occurred in the request. See the logs for details.");
        assert_snapshot!(after(&deployment, "os._exit(4)").await, @"failed: The process exited with status 4");
        assert_snapshot!(after(&deployment, "os._exit(0)").await, @"failed: The process exited with status 0");
        assert_snapshot!(after(&deployment, "os.kill(os.getpid(), signal.SIGKILL)").await, @"failed: The process was ended by signal 9 (SIGKILL)");
        assert_snapshot!(after(&deployment, "os.kill(os.getpid(), signal.SIGSEGV)").await, @"failed: The process was ended by signal 11 (SIGSEGV)");
        assert_snapshot!(after(&deployment, "os.kill(-1, signal.SIGKILL)").await, @"failed: An exception occurred in the request. See the logs for details.");
    }

    async fn a_request_past_its_time_is_ended_with_its_process(server) {
        let deployment = obedient(&server).await;
        deployment.ask(json!("ping")).await.fine();
        let answer = deployment.post("/requests?timeout=10", json!("while True: pass")).await;
        assert_snapshot!(answer.outcome(), @"failed: Request timed out");
        assert_snapshot!(deployment.ask(json!("ping")).await.outcome(), @r#"completed "pong""#);
    }

    async fn interrupted_requests_are_run_again_when_the_version_wants_it(server) {
        let code = "
            import os
            class Deployment:
                def request(self, data):
                    if not os.path.exists('/tmp/again') and data == 'once':
                        open('/tmp/again', 'w').close()
                        os._exit(1)
                    if data == 'always':
                        os._exit(1)
                    return data
        ";
        let deployment = server.project("demo").await.deployment("d", "plain", "plain").await;
        let version = deployment.version("v1", json!({ "restart_request_interruption": true, "maximum_instances": 1 })).await;
        version.code(code).await;
        let always = deployment.ask(json!("always")).await;
        assert_eq!(always["status"], "failed");
        assert_eq!(deployment.get(&format!("/requests/{}", always.str("id"))).await["retries"], 3);
        assert_snapshot!(deployment.ask(json!("fine")).await.outcome(), @r#"completed "fine""#);
    }

    async fn a_constructor_that_fails_fails_waiting_requests(server) {
        let project = server.project("demo").await;
        let code = "class Deployment:\n    def __init__(self):\n        raise ValueError('no')\n    def request(self, data):\n        return data\n";
        let public = code.replace("raise ValueError('no')", "e = ValueError('no'); e.public_error_message = 'The model is missing'; raise e");
        let closed = project.running("d", "plain", "plain", code).await;
        let open = project.running("e", "plain", "plain", &public).await;
        let (closed, open) = tokio::join!(closed.ask(json!("x")), open.ask(json!("x")));
        assert_snapshot!(closed.outcome(), @"failed: Failed to initialise the deployment. See the logs for details.");
        assert_snapshot!(open.outcome(), @"failed: The model is missing");
        let lines = project.find("/logs", &[("query", "|= `ValueError: no`")]).await;
        assert!(lines.len() >= 1, "{lines}");
    }

    async fn an_import_that_fails_fails_waiting_requests(server) {
        let project = server.project("demo").await;
        let code = "import nothing_like_this\nclass Deployment:\n    def request(self, data):\n        return data\n";
        let deployment = project.running("d", "plain", "plain", code).await;
        assert_snapshot!(deployment.ask(json!("x")).await.outcome(), @"failed: Failed to initialise the deployment. See the logs for details.");
        let lines = project.find("/logs", &[("query", "|= `ModuleNotFoundError`")]).await;
        assert!(lines.len() >= 1, "{lines}");
        deployment.at("/versions/v1").code(package::ECHO).await;
        until("the new code answers", async || deployment.ask(json!("x")).await.outcome() == r#"completed "x""#).await;
    }
}
