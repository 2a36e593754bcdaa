//! Graceful stops: what has not begun waits for the next start, what runs may finish, what comes is refused.

use std::collections::BTreeMap;
use std::time::Duration;

use modelyard_store::requests::{self, RequestFilter, Scope};
use modelyard_types::VersionId;
use modelyard_types::requests::RequestStatus;
use nix::sys::signal::Signal;
use reqwest::Method;
use tokio::task::JoinHandle;

use crate::batch::{collected, ids};
use crate::kit::*;

/// Tells when it begins with a request.
const CODE: &str = "
    import time
    class Deployment:
        def request(self, data):
            print('began %d.' % data['n'], flush=True)
            time.sleep(data['s'])
            return {'n': data['n']}
";

async fn running(project: &At, name: &str, settings: Value) -> At {
    let deployment = project.running(name, "n:int,s:double", "n:int", CODE).await;
    deployment.at("/versions/v1").patch("", settings).await.fine();
    deployment
}

fn place(server: &TestServer, name: &str) -> At {
    server.at(&format!("/projects/demo/deployments/{name}"))
}

fn ask(deployment: &At, seconds: f64) -> JoinHandle<Reply> {
    let deployment = deployment.clone();
    tokio::task::spawn(async move { deployment.ask(json!({ "n": 0, "s": seconds })).await })
}

async fn one_runs(deployment: &At) {
    until("one runs", async || deployment.get("/requests?status=processing").await.len() == 1).await;
}

/// The payloads from one number to another, which take no time.
fn quick(numbers: std::ops::Range<i64>) -> Vec<Value> {
    numbers.map(|n| json!({ "n": n, "s": 0 })).collect()
}

/// How often the code began with each number.
async fn begun(server: &TestServer) -> BTreeMap<String, usize> {
    let query = [("query", "|= `began`"), ("limit", "5000")];
    let lines = server.at("/projects/demo").find("/logs", &query).await.fine();
    let mut counts = BTreeMap::new();
    for at in 0..lines.len() {
        *counts.entry(lines[at]["log"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    counts
}

/// The requests of a version in the database: status, whether a server has them, how often they were run again, and why they failed.
async fn stored(server: &TestServer, version: VersionId) -> Vec<(RequestStatus, bool, i64, Option<String>)> {
    let store = server.store().await;
    use RequestStatus::{Cancelled, CancelledPending, Completed, Failed, Pending, Processing};
    let statuses = vec![Pending, Processing, CancelledPending, Completed, Failed, Cancelled];
    let filter = RequestFilter { statuses, limit: 10_000, ..RequestFilter::of(Scope::Version(version)) };
    let found = requests::list(&store, &filter).await.unwrap();
    store.close().await;
    found.into_iter().map(|it| (it.status, it.life != 0, it.retries, it.error_message)).collect()
}

async fn version_of(deployment: &At) -> VersionId {
    deployment.at("/versions/v1").get("").await.str("id").parse().unwrap()
}

both! {
    async fn what_had_not_begun_waits_for_the_next_start(server) {
        let mut server = server;
        let project = server.project("demo").await;
        let deployment = running(&project, "d", json!({ "maximum_instances": 1 })).await;
        // Quick requests, so that a process is handed some ahead.
        let first = ids(&deployment.post("/requests/batch", json!(quick(0..50))).await);
        collected(&deployment, &first).await;
        let slow = ids(&deployment.post("/requests/batch", json!([{ "n": 50, "s": 3 }])).await);
        one_runs(&deployment).await;
        let mut waiting = Vec::new();
        for call in 0..6 {
            let numbers = 51 + call * 250..301 + call * 250;
            waiting.extend(ids(&deployment.post("/requests/batch", json!(quick(numbers))).await));
        }
        let version = version_of(&deployment).await;
        assert!(server.stop().success(), "{}", server.log());

        let rows = stored(&server, version).await;
        let pending: Vec<_> = rows.iter().filter(|row| row.0 == RequestStatus::Pending).collect();
        assert_eq!(pending.len(), waiting.len());
        assert!(pending.iter().all(|row| **row == (RequestStatus::Pending, false, 0, None)), "{pending:?}");
        assert_eq!(rows.iter().filter(|row| row.0 == RequestStatus::Completed).count(), first.len() + slow.len());

        server.start_again(&[]).await;
        let deployment = place(&server, "d");
        for some in waiting.chunks(250) {
            let found = collected(&deployment, some).await;
            assert!((0..some.len()).all(|at| found[at]["status"] == "completed" && found[at]["retries"] == 0), "{found}");
        }
        until("all log lines are there", async || begun(&server).await.len() == 1_551).await;
        let twice: Vec<_> = begun(&server).await.into_iter().filter(|(_, count)| *count != 1).collect();
        assert!(twice.is_empty(), "{twice:?}");
    }

    async fn what_runs_and_fits_finishes_though_nothing_new_begins(server) {
        let mut server = server;
        let project = server.project("demo").await;
        let one = json!({ "maximum_instances": 1 });
        let (direct, batch) = (running(&project, "direct", one.clone()).await, running(&project, "batch", one).await);
        direct.ask(json!({ "n": 0, "s": 0 })).await.fine();
        let answer = ask(&direct, 4.0);
        let payloads = vec![json!({ "n": 1, "s": 1 }); 10];
        let accepted = ids(&batch.post("/requests/batch", json!(payloads)).await);
        one_runs(&direct).await;
        one_runs(&batch).await;
        let version = version_of(&batch).await;
        // A connection that is held open for the stop by a direct request does not let batch requests go on.
        server.signal(Signal::SIGTERM);
        assert_snapshot!(answer.await.unwrap().outcome(), @r#"completed {"n":0}"#);
        assert!(server.ended().success());
        let rows = stored(&server, version).await;
        let completed = rows.iter().filter(|row| row.0 == RequestStatus::Completed).count();
        assert!((1..=2).contains(&completed), "{rows:?}");
        assert!(rows.iter().all(|row| row.0 == RequestStatus::Completed || *row == (RequestStatus::Pending, false, 0, None)));
        server.start_again(&[]).await;
        let found = collected(&place(&server, "batch"), &accepted).await;
        assert!((0..10).all(|at| found[at]["status"] == "completed"), "{found}");
    }

    async fn what_takes_longer_than_the_grace_is_run_again_or_fails_as_its_version_says(server) {
        let mut server = server;
        let project = server.project("demo").await;
        let again = json!({ "maximum_instances": 1, "restart_request_interruption": true });
        let (again, never) = (running(&project, "again", again).await, running(&project, "never", json!({})).await);
        let versions = (version_of(&again).await, version_of(&never).await);
        server.restart(&[("SHUTDOWN_GRACE", "1 s"), ("STOP_GRACE", "1 s")]).await;
        let (again, never) = (place(&server, "again"), place(&server, "never"));
        let mut accepted = Vec::new();
        for deployment in [&again, &never] {
            let answer = deployment.post("/requests/batch", json!([{ "n": 1, "s": 5 }])).await;
            accepted.push(ids(&answer));
            one_runs(deployment).await;
        }
        let answer = ask(&never, 60.0);
        until("both run", async || never.get("/requests?status=processing").await.len() == 2).await;
        assert!(server.stop().success());

        assert_snapshot!(answer.await.unwrap().outcome(), @"failed: The server is stopping");
        assert_eq!(stored(&server, versions.0).await, [(RequestStatus::Pending, false, 1, None)]);
        let reason = Some("The server is stopping".to_owned());
        let rows = stored(&server, versions.1).await;
        assert!(rows.len() == 2 && rows.iter().all(|row| (row.0, row.2, &row.3) == (RequestStatus::Failed, 0, &reason)), "{rows:?}");

        server.start_again(&[]).await;
        let found = collected(&place(&server, "again"), &accepted[0]).await;
        assert_eq!((&found[0]["status"], &found[0]["retries"]), (&json!("completed"), &json!(1)));
    }

    async fn what_is_asked_meanwhile_is_refused_and_says_so(server) {
        let mut server = server;
        let project = server.project("demo").await;
        let deployment = running(&project, "d", json!({})).await;
        deployment.ask(json!({ "n": 0, "s": 0 })).await.fine();
        let answer = ask(&deployment, 4.0);
        one_runs(&deployment).await;
        server.signal(Signal::SIGTERM);
        let (root, deployment) = (server.root().unpooled(), deployment.unpooled());
        until("it is not ready any more", async || root.get("/readyz").await.status == 503).await;

        let data = json!({ "n": 0, "s": 0 });
        assert_snapshot!(deployment.ask(data.clone()).await, @r#"503 {"error":"The server is stopping"}"#);
        assert_snapshot!(deployment.post("/requests/batch", json!([data])).await, @r#"503 {"error":"The server is stopping"}"#);
        assert_snapshot!(deployment.post("/requests/stream", data).await, @r#"503 {"error":"The server is stopping","error_message":"The server is stopping"}"#);
        assert_snapshot!(deployment.get("/requests").await, @r#"503 {"error":"The server is stopping"}"#);
        assert_snapshot!(root.get("/readyz").await, @r#"503 {"error":"The server is stopping"}"#);
        assert_eq!(root.get("/healthz").await.status, 200);

        assert_snapshot!(answer.await.unwrap().outcome(), @r#"completed {"n":0}"#);
        assert!(server.ended().success());
        server.start_again(&[]).await;
        assert_eq!(server.kept().await.rows("requests"), 2);
    }

    async fn stops_at_any_moment_lose_nothing_and_run_nothing_twice(server) {
        let mut server = server;
        let project = server.project("demo").await;
        running(&project, "d", json!({ "maximum_instances": 2 })).await;
        let (mut accepted, mut call) = (Vec::new(), 0);
        for stop in 0..6_u64 {
            let deployment = place(&server, "d");
            let work = async {
                while call < 40 {
                    if let Some(more) = accept(&deployment, call).await {
                        accepted.extend(more);
                        call += 1;
                    }
                }
                std::future::pending::<()>().await;
            };
            let _ = tokio::time::timeout(Duration::from_millis(50 + stop * 130), work).await;
            assert!(server.stop().success(), "{}", server.log());
            server.start_again(&[]).await;
        }
        let deployment = place(&server, "d");
        // One whose answer was lost is asked for again under its key.
        accepted.extend(accept(&deployment, call).await.unwrap());
        for some in accepted.chunks(250) {
            let found = collected(&deployment, some).await;
            assert!((0..some.len()).all(|at| found[at]["status"] == "completed" && found[at]["retries"] == 0), "{found}");
        }
        assert!(accepted.len() > 300, "{} were accepted", accepted.len());
        assert_eq!(server.kept().await.rows("requests"), accepted.len() as i64);
        until("all log lines are there", async || begun(&server).await.len() == accepted.len()).await;
        let twice: Vec<_> = begun(&server).await.into_iter().filter(|(_, count)| *count != 1).collect();
        assert!(twice.is_empty(), "{twice:?}");
    }
}

/// Makes a call of 100 requests under its key. Gives what was accepted; nothing when the server stops.
async fn accept(deployment: &At, call: usize) -> Option<Vec<String>> {
    let first = (call * 100) as i64;
    let request = deployment.request(Method::POST, "/requests/batch").header("Idempotency-Key", format!("call {call}"));
    let answer = request.json(&quick(first..first + 100)).send().await.ok()?;
    let answer = Reply::try_read(answer).await?;
    (answer.status == 200).then(|| ids(&answer))
}
