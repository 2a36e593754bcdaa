//! Batch requests while the server is killed again and again: none is lost, none ends twice, none stays open.

use std::collections::HashMap;
use std::time::Duration;

use nix::sys::signal::Signal;
use reqwest::Method;

use crate::kit::*;

/// Each run of a request has a result of its own.
const CODE: &str = "
    import uuid
    class Deployment:
        def request(self, data):
            return {'n': data['n'], 'run': uuid.uuid4().hex}
";

/// How many requests are accepted, in calls of 250.
const CALLS: usize = 8;

/// The final states that were seen, with their results.
#[derive(Default)]
struct Seen(HashMap<String, (String, String)>);

impl Seen {
    /// Looks at all requests; says how many are open. What was final once must be the same for ever.
    async fn look(&mut self, deployment: &At, ids: &[String]) -> Option<usize> {
        let mut open = 0;
        for some in ids.chunks(250) {
            let found = deployment.try_post("/requests/collect", json!(some)).await?;
            if found.status != 200 {
                // Just started, or about to die.
                return None;
            }
            assert_eq!(found.len(), some.len(), "an accepted request is gone");
            for at in 0..found.len() {
                let one = &found[at];
                let (id, status) = (one["id"].as_str().unwrap().to_owned(), one["status"].as_str().unwrap().to_owned());
                if ["pending", "processing", "cancelled_pending"].contains(&status.as_str()) {
                    assert!(!self.0.contains_key(&id), "{id} had ended and is open again: {one}");
                    open += 1;
                    continue;
                }
                let end = (status, format!("{} {}", one["result"], one["error_message"]));
                let before = self.0.entry(id).or_insert_with(|| end.clone());
                assert_eq!(before, &end, "it ended twice");
            }
        }
        Some(open)
    }
}

/// Numbers from 0 to below `most`, the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % most
    }
}

/// Makes a call under its key until it is answered, which may need another life of the server. Gives what was accepted.
async fn accept(deployment: &At, call: usize) -> Option<Vec<String>> {
    let payloads: Vec<_> = (0..250).map(|at| json!({ "n": call * 250 + at })).collect();
    let request = deployment.request(Method::POST, "/requests/batch").header("Idempotency-Key", format!("call {call}"));
    let answer = At::try_send(request.json(&payloads)).await?;
    (answer.status == 200).then(|| (0..answer.len()).map(|at| answer[at]["id"].as_str().unwrap().to_owned()).collect())
}

async fn prepared(server: &TestServer, restarts: bool) {
    let deployment = server.project("demo").await.running("d", "n:int", "n:int,run:string", CODE).await;
    let settings = json!({ "restart_request_interruption": restarts, "maximum_instances": 2 });
    deployment.at("/versions/v1").patch("", settings).await.fine();
}

/// Waits until every request has ended, and checks the whole.
async fn settle(server: &TestServer, seen: &mut Seen, ids: &[String], restarts: bool, calls: usize) {
    let deployment = server.at("/projects/demo/deployments/d");
    let mut open = usize::MAX;
    until("every request has ended", async || {
        open = seen.look(&deployment, ids).await.unwrap_or(usize::MAX);
        open == 0
    })
    .await;
    assert_eq!((seen.0.len(), ids.len()), (calls * 250, calls * 250));
    let failed: Vec<_> = seen.0.values().filter(|(status, _)| status != "completed").collect();
    for (status, end) in &failed {
        let reason = end.contains("The server stopped while the request was running");
        assert!(status == "failed" && reason && !restarts, "{status} {end}");
    }
    let mut numbers: Vec<i64> = Vec::new();
    for some in ids.chunks(250) {
        let found = deployment.post("/requests/collect", json!(some)).await.fine();
        numbers.extend((0..found.len()).map(|at| found[at]["request_data"]["n"].as_i64().unwrap()));
    }
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..(calls * 250) as i64), "each payload is there once");
}

/// Accepts, runs and looks, and dies at random moments.
async fn killed_at_random(mut server: TestServer, restarts: bool, seed: u64) {
    let (mut dice, mut seen, mut ids, mut call) = (Dice(seed), Seen::default(), Vec::new(), 0);
    prepared(&server, restarts).await;
    let mut kills = 0;
    while call < CALLS || kills < 6 {
        let deployment = server.at("/projects/demo/deployments/d");
        let life = Duration::from_millis(20 + dice.below(600));
        let work = async {
            loop {
                if call < CALLS
                    && let Some(accepted) = accept(&deployment, call).await
                {
                    ids.extend(accepted);
                    call += 1;
                }
                seen.look(&deployment, &ids).await;
            }
        };
        let _ = tokio::time::timeout(life, work).await;
        server.crash();
        kills += 1;
        server.start_again(&[]).await;
    }
    settle(&server, &mut seen, &ids, restarts, CALLS).await;
}

/// The points around the commits of requests. A lane takes in two calls by itself, so that four leave some to be claimed.
const POINTS: [(&str, usize); 8] = [
    ("acceptor-before-commit", 1),
    ("acceptor-after-commit", 1),
    ("claim-before-commit", 4),
    ("claim-after-commit", 4),
    ("recorder-before-commit", 1),
    ("recorder-after-commit", 4),
    ("orphans-before-commit", 4),
    ("orphans-after-commit", 1),
];

/// Dies at each point in turn, and is seen to.
async fn killed_at_each_point(mut server: TestServer, restarts: bool) {
    let (mut seen, mut ids, mut first) = (Seen::default(), Vec::new(), 0);
    prepared(&server, restarts).await;
    for (point, calls) in POINTS {
        let orphans = point.starts_with("orphans");
        while orphans && !stops_with_claims(&server).await {
            // Those before have all ended; only what a dead server has is met at these points.
            server.signal(Signal::SIGCONT);
            ids.extend(accept_together(&server, first, 4).await.into_iter().flat_map(|call| call.expect("it answers")));
            first += 4;
        }
        server.crash();
        assert!(!orphans || claimed(&server).await > 0, "nothing was left open for {point}");
        let listens = server.start_to_die_at(point, 1).await;
        assert!(!listens || !orphans, "{point} is met while it starts");
        let mut accepted = vec![None; calls];
        if listens {
            accepted = accept_together(&server, first, calls).await;
        }
        let begun = std::time::Instant::now();
        while listens && !server.has_ended() && begun.elapsed() < PATIENCE {
            seen.look(&server.at("/projects/demo/deployments/d"), &ids).await;
        }
        server.died_at(point);

        server.start_again(&[]).await;
        // Whose answer was lost asks again.
        let again = accept_together(&server, first, calls).await;
        for (before, after) in accepted.into_iter().zip(again) {
            let after = after.expect("this life answers");
            assert!(before.is_none_or(|before| before == after), "a call was accepted twice");
            ids.extend(after);
        }
        first += calls;
    }
    settle(&server, &mut seen, &ids, restarts, first).await;
}

async fn accept_together(server: &TestServer, first: usize, calls: usize) -> Vec<Option<Vec<String>>> {
    let deployment = server.at("/projects/demo/deployments/d");
    let calls = (first..first + calls).map(|call| {
        let deployment = deployment.clone();
        tokio::task::spawn(async move { accept(&deployment, call).await })
    });
    let mut accepted = Vec::new();
    for call in calls.collect::<Vec<_>>() {
        accepted.push(call.await.unwrap());
    }
    accepted
}

/// Freezes a server, and waits for what its database was asked to do; says whether it has claimed requests that are open.
async fn stops_with_claims(server: &TestServer) -> bool {
    server.signal(Signal::SIGSTOP);
    let mut before = claimed(server).await;
    until("nothing is written any more", async || {
        let now = claimed(server).await;
        std::mem::replace(&mut before, now) == now
    })
    .await;
    before > 0
}

/// How many open requests some life of a server has.
async fn claimed(server: &TestServer) -> i64 {
    server.count("SELECT count(*) FROM requests WHERE status < 3 AND life > 0").await
}

both! {
    async fn killed_at_random_and_run_again(server) {
        killed_at_random(server, true, 0x9e37_79b9_7f4a_7c15).await;
    }

    async fn killed_at_random_and_not_run_again(server) {
        killed_at_random(server, false, 0x2545_f491_4f6c_dd1d).await;
    }

    async fn killed_at_each_point_around_a_commit(server) {
        killed_at_each_point(server, true).await;
    }
}
