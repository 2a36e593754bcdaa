//! Versions whose instances do not start: after three attempts all that waits ends with the reason.

use crate::batch::ids;
use crate::kit::*;

/// Takes a moment to fail, so that there is time to ask before the third attempt.
const BROKEN: &str = "
    import time
    class Missing(Exception):
        public_error_message = 'The model file is missing'
    class Deployment:
        def __init__(self):
            time.sleep(1)
            raise Missing()
        def request(self, data):
            return data
";

const SLOW: &str = "
    import time
    class Deployment:
        def request(self, data):
            time.sleep(600)
";

/// How many calls of 250: more than a lane takes in and one step ends.
const CALLS: usize = 8;
const ALL: usize = CALLS * 250;

async fn accept(version: &At, calls: usize) -> Vec<String> {
    let mut all = Vec::new();
    for _ in 0..calls {
        all.extend(ids(&version.post("/requests/batch", json!(vec!["x"; 250])).await));
    }
    all
}

/// How many of some requests failed for the reason and how many are pending; no other end is fine.
async fn failed_and_pending(version: &At, ids: &[String]) -> (usize, usize) {
    let (mut failed, mut pending) = (0, 0);
    for some in ids.chunks(250) {
        let found = version.post("/requests/collect", json!(some)).await.fine();
        for at in 0..found.len() {
            match (found[at]["status"].as_str().unwrap(), found[at]["error_message"].as_str()) {
                ("failed", Some("The model file is missing")) => failed += 1,
                ("pending", None) => pending += 1,
                _ => panic!("{}", found[at]),
            }
        }
    }
    assert_eq!(failed + pending, ids.len());
    (failed, pending)
}

/// The lines of the log that tell of it, without what comes before the sentence.
fn told(server: &TestServer) -> Vec<String> {
    let log = server.log();
    let lines = log.lines().filter_map(|line| Some(line.split_once("instances do not start: ")?.1.to_owned()));
    lines.collect()
}

both! {
    async fn all_that_waits_ends_and_what_comes_later_gets_one_attempt(server) {
        let deployment = server.project("demo").await.deployment("d", "plain", "plain").await;
        let other = deployment.version("other", json!({ "maximum_instances": 1 })).await;
        other.code(SLOW).await;
        let others = accept(&other, 3).await;
        let version = deployment.version("v1", json!({})).await;
        version.code(BROKEN).await;
        let accepted = accept(&version, CALLS).await;

        let direct = version.ask(json!("x"));
        assert_eq!(direct.await.outcome(), "failed: The model file is missing");
        until("all have ended", async || failed_and_pending(&version, &accepted).await.0 == ALL).await;
        let starts = async || server.root().get("/metrics").await.text().contains("modelyard_instance_starts_total 4\n");
        assert!(starts().await, "three attempts, and the instance of the other version");
        until("it is told", async || !told(&server).is_empty()).await;
        let lines = told(&server);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains(&format!("requests={}", ALL + 1)), "{lines:?}");

        let late = ids(&version.post("/requests/batch", json!(["late"])).await);
        let asked = std::time::Instant::now();
        until("the late one has ended", async || failed_and_pending(&version, &late).await.0 == 1).await;
        assert!(asked.elapsed().as_secs() > 20, "30 seconds after the third attempt");
        let figures = server.root().get("/metrics").await.text();
        assert!(figures.contains("modelyard_instance_starts_total 5\n"), "one attempt: {figures}");
        until("it is told", async || told(&server).len() == 2).await;
        assert!(told(&server)[1].contains("requests=1"), "{:?}", told(&server));

        let pending = other.get("/requests?status=pending&limit=1000").await.len();
        assert_eq!((pending, other.get("/requests?status=processing").await.len()), (others.len() - 1, 1));
        assert_eq!(server.kept().await.rows("outbox"), (ALL + 1) as i64);
        for status in ["pending", "processing"] {
            other.post(&format!("/requests/cancel?status={status}"), json!([])).await.fine();
        }
    }

    async fn a_kill_in_the_middle_is_made_good_by_the_next_life(server) {
        let mut server = server;
        let version = server.project("demo").await.deployment("d", "plain", "plain").await.version("v1", json!({})).await;
        version.code(BROKEN).await;
        assert!(server.stop().success());
        // The first step is written, the second is not.
        let point = "giving-up-before-commit";
        assert!(server.start_to_die_at(point, 2).await);
        let place = |server: &TestServer| server.at("/projects/demo/deployments/d/versions/v1");
        let accepted = accept(&place(&server), CALLS).await;
        server.died_at(point);

        server.start_again(&[]).await;
        let version = place(&server);
        let (failed, pending) = failed_and_pending(&version, &accepted).await;
        assert!(failed >= 1_000 && pending > 0, "{failed} failed, {pending} wait");
        until("all have ended", async || failed_and_pending(&version, &accepted).await.0 == ALL).await;
        assert_eq!(server.kept().await.rows("outbox"), ALL as i64, "each has ended once");
        until("it is told", async || !told(&server).is_empty()).await;
        assert!(told(&server)[0].contains(&format!("requests={pending}")), "{:?}", told(&server));
    }
}
