//! How many processes a version has.

mod groups;
mod growth;
mod room;

use crate::kit::*;

/// Works on `hold` until that is called off.
const HOLD: &str = "
    import time
    class Deployment:
        def request(self, data):
            while data == 'hold': time.sleep(0.05)
            return data
";

/// Waits until so many requests of a version run.
async fn working(version: &At, count: usize) {
    let path = "/requests?status=processing";
    until("so many requests run", async || version.get(path).await.len() == count).await;
}

both! {
    async fn minimum_instances_run_without_a_request(server) {
        let deployment = server.project("demo").await.deployment("d", "plain", "plain").await;
        let version = deployment.version("v1", json!({ "minimum_instances": 2, "instance_processes": 2 })).await;
        version.code(package::ECHO).await;
        until("two instances run two processes each", async || started(&server).await == 4).await;
        version.patch("", json!({ "minimum_instances": 0, "maximum_instances": 0 })).await.fine();
        until("none runs", async || server.processes().is_empty()).await;
    }

    async fn an_idle_instance_is_stopped_and_started_again(server) {
        let deployment = server.project("demo").await.deployment("d", "plain", "plain").await;
        let version = deployment.version("v1", json!({ "maximum_idle_time": 10 })).await;
        version.code(package::ECHO).await;
        assert_snapshot!(deployment.ask(json!("x")).await.outcome(), @r#"completed "x""#);
        assert!(!server.processes().is_empty());
        until("it is stopped", async || server.processes().is_empty()).await;
        assert_snapshot!(deployment.ask(json!("y")).await.outcome(), @r#"completed "y""#);
    }

    async fn requests_run_side_by_side_up_to_the_maximum(server) {
        let code = "
            import os, time
            class Deployment:
                def request(self, data):
                    print('began')
                    time.sleep(0.3)
                    return str(os.getpid())
        ";
        let deployment = server.project("demo").await.deployment("d", "plain", "plain").await;
        let version = deployment.version("v1", json!({ "maximum_instances": 1, "instance_processes": 2 })).await;
        version.code(code).await;
        let (a, b, c, d) = tokio::join!(
            deployment.ask(json!("a")), deployment.ask(json!("b")), deployment.ask(json!("c")), deployment.ask(json!("d"))
        );
        let mut processes: Vec<_> = [a, b, c, d].iter().map(|answer| answer["result"].to_string()).collect();
        processes.sort();
        processes.dedup();
        assert_eq!(processes.len(), 2, "{processes:?}");
    }

    async fn a_full_queue_refuses_with_the_time_to_wait(server) {
        let code = "
            import time
            class Deployment:
                def request(self, data):
                    time.sleep(1)
                    return data
        ";
        let deployment = server.project("demo").await.deployment("d", "plain", "plain").await;
        let settings = json!({ "maximum_instances": 1, "maximum_queue_size": 1, "maximum_queue_size_express": 1 });
        deployment.version("v1", settings).await.code(code).await;
        let asks = (0..8).map(|_| { let d = deployment.clone(); tokio::task::spawn(async move { d.ask(json!("x")).await }) });
        let mut refused = Vec::new();
        for ask in asks.collect::<Vec<_>>() {
            let answer = ask.await.unwrap();
            if answer.status != 200 { refused.push(answer); }
        }
        assert!(!refused.is_empty());
        for answer in &refused {
            assert_eq!(answer.status, 429, "{answer}");
            assert!(answer.headers["x-ratelimit-reset"].to_str().unwrap().parse::<u32>().unwrap() >= 1);
        }
        assert_snapshot!(refused[0], @r#"429 {"error":"The queue is full: at most 1 may wait"}"#);
    }
}

/// How many worker processes run.
async fn started(server: &TestServer) -> usize {
    server.processes().iter().filter(|line| line.contains("modelyard_worker") || line.contains("python")).count()
}
