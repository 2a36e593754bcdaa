//! What has no end of its own, callers, updates or results, costs bounded memory and ends all the same.

use futures_util::StreamExt;
use reqwest::Method;

use crate::batch::{collected, ids};
use crate::kit::*;

const MIB: u64 = 1 << 20;

/// Answers with the number of the call; the first one waits until it is called off.
const COUNT: &str = "
    import time
    class Deployment:
        def __init__(self, base_directory, context):
            self.calls = 0
        def request(self, data):
            while data == 'hold': time.sleep(0.05)
            self.calls += 1
            return self.calls
";

const TELLS: &str = "
    class Deployment:
        def request(self, data, context):
            tell = context['streaming_update']
            what, _, number = data.partition(' ')
            if what == 'large':
                for n in range(int(number)): tell('x' * 1000000)
            while what == 'endless': tell('x' * 100000)
            return data
";

const LARGE: &str = "
    class Deployment:
        def request(self, data):
            return 'x' * (int(data) << 20)
";

/// How many requests wait, and how many more are made.
const WAITING: usize = 4_000;
const REFUSED: usize = 1_000;

async fn status_of(at: &At, id: &str) -> String {
    at.get(&format!("/requests/{id}?metadata_only=true")).await.fine().str("status")
}

async fn running(at: &At) -> String {
    let path = "/requests?status=processing";
    until("one runs", async || at.get(path).await.len() == 1).await;
    at.get(path).await[0]["id"].as_str().unwrap().to_owned()
}

both! {
    async fn thousands_of_callers_wait_in_order_or_are_refused(server) {
        let deployment = server.project("demo").await.running("d", "plain", "plain", COUNT).await;
        let limits = json!({"maximum_instances": 1, "maximum_queue_size": WAITING});
        deployment.at("/versions/v1").patch("", limits).await.fine();
        let held = tokio::task::spawn({ let at = deployment.clone(); async move { at.ask(json!("hold")).await } });
        let first = running(&deployment).await;
        let before = server.memory();
        let mut callers = Vec::new();
        while callers.len() < WAITING {
            for _ in 0..250 {
                let at = deployment.clone();
                callers.push(tokio::task::spawn(async move { at.ask(json!("count")).await }));
            }
            let last = format!("/requests?status=pending&limit=1&offset={}", callers.len() - 1);
            until("they wait", async || deployment.get(&last).await.len() == 1).await;
        }
        for _ in 0..REFUSED / 50 {
            let more = futures_util::future::join_all((0..50).map(|_| deployment.ask(json!("more")))).await;
            for refused in more {
                assert_snapshot!(refused, @r#"429 {"error":"The queue is full: at most 4000 may wait"}"#);
                assert!(refused.headers["x-ratelimit-reset"].to_str().unwrap().parse::<u32>().unwrap() > 0);
            }
        }
        let bounded = || {
            let grown = server.peak().saturating_sub(before);
            assert!(grown < 200 * MIB, "{WAITING} waiting requests cost {} MiB", grown / MIB);
        };
        bounded();

        deployment.post("/requests/cancel", json!([first])).await.fine();
        assert_eq!(held.await.unwrap()["status"], "cancelled");
        let mut answers = Vec::new();
        for caller in callers {
            let answer = caller.await.unwrap().fine();
            answers.push((answer.str("id"), answer["result"].as_u64().expect("a number")));
        }
        // Ids carry their time.
        answers.sort_unstable();
        let order: Vec<_> = answers.iter().map(|(_, number)| *number).collect();
        assert_eq!(order, (1..=WAITING as u64).collect::<Vec<_>>(), "they are answered in the order in which they came");
        assert_snapshot!(deployment.get("/requests?status=pending").await, @"200 []");
        assert_snapshot!(deployment.get("/requests?status=processing").await, @"200 []");
        bounded();
        assert_eq!(deployment.ask(json!("count")).await["result"], WAITING as u64 + 1);
    }

    async fn updates_without_end_end_with_the_time_limit(server) {
        let deployment = server.project("demo").await.running("d", "plain", "plain", TELLS).await;
        deployment.ask(json!("warm")).await.fine();
        let before = server.memory();
        let bounded = || {
            let grown = server.peak().saturating_sub(before);
            assert!(grown < 96 * MIB, "it costs {} MiB", grown / MIB);
        };
        // Nobody reads the first; the reader of the second leaves; the third one's reads all.
        let unread = ids(&deployment.post("/requests/batch?timeout=10", json!(["endless"])).await).remove(0);
        let stream = || deployment.request(Method::POST, "/requests/stream?timeout=10").body("endless").send();
        let mut left = stream().await.unwrap().bytes_stream();
        left.next().await.unwrap().unwrap();
        drop(left);
        let mut pieces = stream().await.unwrap().bytes_stream();
        let mut last = Vec::new();
        while let Some(piece) = pieces.next().await {
            last.extend_from_slice(&piece.unwrap());
            last.drain(..last.len().saturating_sub(1_000));
            bounded();
        }
        let last = String::from_utf8(last).unwrap();
        assert!(last.contains(r#""status":"failed""#) && last.contains("Request timed out"), "{last}");
        let ended = collected(&deployment, std::slice::from_ref(&unread)).await;
        assert_snapshot!(ended.each("error_message"), @r#"["Request timed out"]"#);
        bounded();
        until("all have ended", async || deployment.get("/requests?status=failed").await.len() == 3).await;
        let kept = deployment.get(&format!("/requests/{unread}/stream")).await.text();
        assert!(kept.starts_with(r#"{"id""#), "more than 8 MiB of updates are not kept: {}", &kept[..200]);
    }

    async fn updates_are_kept_up_to_a_size(server) {
        let deployment = server.project("demo").await.running("d", "plain", "plain", TELLS).await;
        let all = ids(&deployment.post("/requests/batch", json!(["large 7", "large 9"])).await);
        collected(&deployment, &all).await;
        let kept = async |id: &str| deployment.get(&format!("/requests/{id}/stream")).await.text().matches("data:").count();
        assert_eq!((kept(&all[0]).await, kept(&all[1]).await), (7, 0));
    }
}

/// The database plays no part in these: large results are objects.
fn on_sqlite(test: impl AsyncFnOnce(TestServer)) {
    run(Database::Sqlite, test);
}

#[test]
fn a_large_result_comes_whole_and_costs_little_more_than_itself() {
    on_sqlite(async |server| {
        let deployment = server.project("demo").await.running("d", "plain", "plain", LARGE).await;
        deployment.ask(json!("0")).await.fine();
        let (before, size) = (server.memory(), 128 * MIB);
        let bounded = async |times: u64| {
            let grown = server.peak().saturating_sub(before);
            assert!(grown < times * size + 32 * MIB, "it costs {} MiB", grown / MIB);
            // What was just read may still be on its way to the disk.
            until("the memory is given back", async || server.memory() < before + 32 * MIB).await;
            server.forget_peak();
        };
        // The answer is on its way while the result is written down; both share the bytes.
        let answer = deployment.ask(json!("128")).await.fine();
        bounded(1).await;
        assert!(answer.bytes.len() as u64 > size);
        let id = answer.str("id");
        drop(answer);

        let output = deployment.request(Method::GET, &format!("/requests/{id}/output")).send().await.unwrap();
        assert_eq!(output.headers()["content-length"], (size + 2).to_string());
        let (mut pieces, mut read) = (output.bytes_stream(), 0);
        while let Some(piece) = pieces.next().await {
            read += piece.unwrap().len() as u64;
        }
        bounded(0).await;
        assert_eq!(read, size + 2);
    });
}

/// How many bytes an answer has.
async fn read(request: reqwest::RequestBuilder) -> u64 {
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let (mut pieces, mut read) = (answer.bytes_stream(), 0);
    while let Some(piece) = pieces.next().await {
        read += piece.unwrap().len() as u64;
    }
    read
}

#[test]
fn a_large_result_is_read_by_many_in_many_ways_and_never_in_memory_as_a_whole() {
    on_sqlite(async |server| {
        let deployment = server.project("demo").await.running("d", "plain", "plain", LARGE).await;
        deployment.ask(json!("0")).await.fine();
        let (before, size) = (server.memory(), 48 * MIB);
        let keyed = || deployment.request(Method::POST, "/requests").header("idempotency-key", "large").body("48");
        let first = read(keyed()).await;
        let all = ids(&deployment.post("/requests/batch", json!(["48", "50"])).await);
        for id in &all {
            until("it ends", async || status_of(&deployment, id).await == "completed").await;
        }
        until("the memory is given back", async || server.memory() < before + 32 * MIB).await;
        server.forget_peak();

        let get = |rest: &str| read(deployment.request(Method::GET, &format!("/requests/{}{rest}", all[0])));
        let collect = deployment.request(Method::POST, "/requests/collect").json(&all);
        let (details, stream, output, both, repeated) = tokio::join!(
            futures_util::future::join_all((0..4).map(|_| get(""))),
            get("/stream"),
            get("/output"),
            read(collect),
            read(keyed()),
        );
        let grown = server.peak().saturating_sub(before);
        assert!(grown < 64 * MIB, "it costs {} MiB", grown / MIB);
        assert!(
            details.iter().chain([&stream]).all(|read| (size..size + 2_000).contains(read)),
            "{details:?} {stream}"
        );
        assert_eq!((output, repeated), (size + 2, first));
        assert!(both > 98 * MIB, "{both}");
    });
}

#[test]
fn a_result_that_is_too_large_fails_with_the_reason_and_its_process_goes_on() {
    on_sqlite(async |server| {
        let deployment = server.project("demo").await.deployment("d", "plain", "plain").await;
        let version = deployment.version("v1", json!({"instance_type": "4096mb"})).await;
        version.code(LARGE).await;
        let before = server.memory();
        let outcome = deployment.ask(json!("513")).await.outcome();
        assert_snapshot!(outcome, @"failed: The result is larger than 512 MiB; return large data as a file");
        assert!(server.peak().saturating_sub(before) < 64 * MIB, "the result never came to the server");
        assert_snapshot!(deployment.ask(json!("0")).await.outcome(), @r#"completed """#);
    });
}
