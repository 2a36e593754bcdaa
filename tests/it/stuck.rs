//! Processes that do not begin with what they were handed: it is run by others.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::kit::*;

/// Each process answers with a name of its own. One that is told to holds its interpreter from when it waits for a request.
const NAMED: &str = "
    import re, sys, threading, time, uuid

    def hold():
        while sys._current_frames()[threading.main_thread().ident].f_code.co_name != 'read':
            time.sleep(0.01)
        re.match('(a+)+$', 'a' * 64 + 'b')

    class Deployment:
        def __init__(self):
            self.name = uuid.uuid4().hex
        def request(self, data):
            if data == 'hold':
                threading.Thread(target=hold, daemon=True).start()
            return self.name
";

/// A version with one process, on a server that waits for two seconds where it else waits for thirty.
async fn version(server: &mut TestServer, more: &[(&str, &str)]) -> At {
    server.restart(&[&[("BEGIN_TIME_LIMIT", "2 s")], more].concat()).await;
    let deployment = server.project("demo").await.deployment("d", "plain", "plain").await;
    let version = deployment.version("v1", json!({ "maximum_instances": 1 })).await;
    version.code(NAMED).await;
    version
}

/// Stops all worker processes of a server in the middle of what they do.
async fn freeze(server: &TestServer) {
    let workers: Vec<i32> = server
        .processes()
        .iter()
        .filter(|line| line.contains("modelyard_worker/__main__.py"))
        .map(|line| line.split(' ').next().unwrap().parse().unwrap())
        .collect();
    assert!(!workers.is_empty());
    for worker in workers {
        kill(Pid::from_raw(worker), Signal::SIGSTOP).unwrap();
        let state = format!("/proc/{worker}/status");
        until("it is stopped", async || std::fs::read_to_string(&state).unwrap().contains("State:\tT")).await;
    }
}

/// Asks, and does not wait for ever.
async fn ask(version: &At) -> Reply {
    version.post("/requests?timeout=30", json!("x")).await
}

/// Asks in the background; comes back when the request is known and has not begun.
async fn asked(version: &At) -> tokio::task::JoinHandle<Reply> {
    let at = version.clone();
    let answer = tokio::spawn(async move { ask(&at).await });
    until("the request is there", async || version.get("/requests?status=pending").await.len() == 1).await;
    answer
}

const TOLD: &str = "The process was ended, because it did not begin with a request for 2 s";

#[test]
fn what_a_stopped_process_was_handed_is_run_by_another() {
    run(Database::Sqlite, async |mut server| {
        let version = version(&mut server, &[]).await;
        let first = version.ask(json!("x")).await.fine();
        freeze(&server).await;
        let batch = version.post("/requests/batch", json!(["x"])).await.fine()[0]["id"].as_str().unwrap().to_owned();
        let direct = ask(&version).await.fine();
        assert_eq!(direct["status"], "completed", "{direct}");
        assert_ne!(direct["result"], first["result"], "another process");
        let path = format!("/requests/{batch}");
        until("the batch request is done, too", async || version.get(&path).await["status"] == "completed").await;
        assert_eq!(version.get(&path).await["retries"], 0, "it had not begun");
        let (project, told) = (server.at("/projects/demo"), format!("|= `{TOLD}`"));
        until("the log says why", async || project.find("/logs", &[("query", &told)]).await.len() == 1).await;
    });
}

#[test]
fn what_a_process_was_handed_whose_threads_hold_the_interpreter_is_run_by_another() {
    run(Database::Sqlite, async |mut server| {
        let version = version(&mut server, &[]).await;
        let first = version.ask(json!("hold")).await.fine();
        let other = async || {
            let answer = ask(&version).await.fine();
            assert_eq!(answer["status"], "completed", "{answer}");
            answer["result"] != first["result"]
        };
        until("another process answers", other).await;
    });
}

#[test]
fn an_instance_whose_process_is_stopped_can_be_stopped() {
    run(Database::Sqlite, async |mut server| {
        let version = version(&mut server, &[]).await;
        let first = version.ask(json!("x")).await.fine();
        let instance = version.get("/instances").await["results"][0]["id"].as_str().unwrap().to_owned();
        freeze(&server).await;
        let answer = asked(&version).await;
        version.patch(&format!("/instances/{instance}"), json!({ "status": "stopped" })).await.fine();
        let answer = answer.await.unwrap();
        assert_eq!(answer["status"], "completed", "{answer}");
        assert_ne!(answer["result"], first["result"]);
        let path = format!("/instances/{instance}");
        until("the instance is gone", async || version.get(&path).await.status == 404).await;
    });
}

#[test]
fn requests_at_a_stopped_process_end_with_their_version() {
    run(Database::Sqlite, async |mut server| {
        // Long enough that only the sweep of the lane can be what ends it.
        let version = version(&mut server, &[("SHUTDOWN_GRACE", "10 min")]).await;
        version.ask(json!("x")).await.fine();
        freeze(&server).await;
        let answer = asked(&version).await;
        server.at("/projects/demo/deployments/d").delete("").await.fine();
        assert_snapshot!(answer.await.unwrap().outcome(), @"failed: The deployment version was deleted");
        until("nothing runs any more", async || server.processes().is_empty()).await;
    });
}
