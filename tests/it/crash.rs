//! Ends of the server: crashes, second starts, keys that do not fit.

use std::os::unix::fs::PermissionsExt;

use crate::kit::*;

const SLOW: &str = "
    import time
    class Deployment:
        def request(self, data):
            time.sleep(float(data))
            return data
";

/// Asks and gives up: the server ends meanwhile.
fn ask_in_vain(deployment: &At, seconds: &str) {
    let (deployment, seconds) = (deployment.clone(), seconds.to_owned());
    tokio::task::spawn(
        async move { deployment.request(reqwest::Method::POST, "/requests").json(&seconds).send().await },
    );
}

both! {
    async fn a_killed_server_starts_again_and_leaves_nothing_running(server) {
        let mut server = server;
        let deployment = server.project("demo").await.running("d", "plain", "plain", SLOW).await;
        let answered = deployment.ask(json!("0")).await.str("id");
        for _ in 0..3 {
            ask_in_vain(&deployment, "60");
        }
        until("one runs and two wait", async || {
            let running = deployment.get("/requests?status=processing").await.len();
            let waiting = deployment.get("/requests?status=pending").await.len();
            running >= 1 && running + waiting == 3
        })
        .await;
        // Their rows are written once they have run for a second.
        until("they are recorded", async || server.kept().await.rows("requests") == 4).await;
        let old: Vec<_> = server.processes();
        assert!(!old.is_empty());

        server.crash();
        server.start_again(&[]).await;

        let deployment = server.at("/projects/demo/deployments/d");
        assert_snapshot!(deployment.get("/requests?status=processing").await, @"200 []");
        assert_snapshot!(deployment.get("/requests?status=pending").await, @"200 []");
        let failed = deployment.get("/requests?status=failed").await;
        assert_eq!(failed.len(), 3, "{failed}");
        for at in 0..3 {
            let id = failed[at]["id"].as_str().unwrap();
            let shown = deployment.get(&format!("/requests/{id}")).await;
            assert_eq!((&shown["status"], &shown["success"]), (&json!("failed"), &json!(false)));
            let begun = !shown["time_started"].is_null();
            let when = if begun { "while the request was running" } else { "before the request had begun" };
            assert_eq!(shown["error_message"], format!("The server stopped {when}"));
        }
        assert_eq!(deployment.get(&format!("/requests/{answered}")).await["status"], "completed");
        let still: Vec<_> = server.processes().into_iter().filter(|line| old.contains(line)).collect();
        assert!(still.is_empty(), "{still:?}");
        assert_snapshot!(deployment.ask(json!("0")).await.outcome(), @r#"completed "0""#);
    }

    async fn a_kill_while_building_is_taken_up_again(server) {
        let mut server = server;
        let deployment = server.project("demo").await.deployment("d", "plain", "plain").await;
        let version = deployment.version("v1", json!({})).await;
        let code = "import six\nclass Deployment:\n    def request(self, data):\n        return six.__version__\n";
        let zip = package::packed(&[("deployment.py", code), ("requirements.txt", "six==1.17.0")]);
        let revision = version.upload(zip).await.fine().str("revision");
        server.crash();
        server.start_again(&[]).await;
        let version = server.at("/projects/demo/deployments/d/versions/v1");
        assert_eq!(version.built(&revision).await["status"], "success");
        assert_snapshot!(version.ask(json!("x")).await.outcome(), @r#"completed "1.17.0""#);
    }

    async fn one_folder_has_one_server(server) {
        let (status, said) = server.start_twice();
        assert_eq!(status.code(), Some(1));
        assert!(said.starts_with("modelyard: "), "{said}");
        assert!(said.contains("data folder") && !said.contains("panicked"), "{said}");
        server.get("/projects").await.fine();
    }

    async fn key_and_token_are_private_and_stay(server) {
        let mut server = server;
        let key = std::fs::read(server.data().join("key")).unwrap();
        let token = server.token();
        assert!(token.len() == 40 && token.bytes().all(|byte| byte.is_ascii_hexdigit()), "{token}");
        for name in ["key", "admin-token"] {
            let mode = std::fs::metadata(server.data().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        assert!(server.log().contains("admin token"), "{}", server.log());
        assert!(!server.log().contains(&token), "{}", server.log());
        server.project("demo").await;
        server.restart(&[]).await;
        assert_eq!(std::fs::read(server.data().join("key")).unwrap(), key);
        assert_eq!(server.token(), token);
        server.get("/projects/demo").await.fine();
    }

    async fn another_key_is_refused(server) {
        let mut server = server;
        assert!(server.stop().success());
        let path = server.data().join("key");
        let key = std::fs::read_to_string(&path).unwrap();
        let turned: String = key.chars().map(|c| match c { '0' => '1', '1' => '0', 'a' => 'b', 'b' => 'a', c => c }).collect();
        std::fs::write(&path, turned).unwrap();
        let (status, said) = server.start_twice();
        assert_eq!(status.code(), Some(1));
        assert!(said.contains("key"), "{said}");
        std::fs::write(&path, key).unwrap();
        server.start_again(&[]).await;
    }
}

#[test]
fn broken_connections_to_the_database_are_replaced() {
    run(Database::Postgres, async |server| {
        let deployment = server.project("demo").await.running("d", "plain", "plain", package::ECHO).await;
        deployment.ask(json!("x")).await.fine();
        server.break_connections().await;
        assert_eq!(server.get("/projects/demo").await.status, 200);
        server.break_connections().await;
        server.project("other").await;
        server.break_connections().await;
        let answer = deployment.ask(json!("x")).await;
        assert_snapshot!(answer.outcome(), @r#"completed "x""#);
        // Its row is written behind the caller's back, and a broken connection must not lose it.
        deployment.get(&format!("/requests/{}", answer.str("id"))).await.fine();
    });
}

#[test]
fn a_kill_in_the_first_start_is_healed_by_the_next() {
    run(Database::Sqlite, async |server| {
        let mut server = server;
        for file in ["key", "modelyard.db", "modelyard.db-wal", "logs.db", "worker", "objects", "admin-token"] {
            server.crash_in_first_start(file);
            server.start_again(&[]).await;
            assert_eq!(server.get("/user").await["email"], "admin@modelyard.local", "killed at {file}");
            assert_eq!(server.get("/projects").await.each("name"), r#"["default"]"#, "killed at {file}");
        }
    });
}

both! {
    async fn what_was_accepted_survives_kills_at_any_moment(server) {
        let mut server = server;
        server.project("demo").await;
        let mut accepted = Vec::new();
        for round in 0..4 {
            let writers = (0..4).map(|writer| {
                let project = server.at("/projects/demo");
                tokio::task::spawn(async move { write_until_refused(&project, round, writer).await })
            });
            let writers: Vec<_> = writers.collect();
            let project = server.at("/projects/demo");
            let done = async || project.get("/requests?object_type=deployment&limit=1000").await.len();
            let before = done().await;
            until("some work is done", async || done().await > before + 10).await;
            server.crash();
            for writer in writers {
                accepted.extend(writer.await.unwrap());
            }
            server.start_again(&[]).await;
            assert_snapshot!(server.get("/projects/demo/requests?object_type=deployment&status=processing").await, @"200 []");
        }
        assert!(accepted.len() > 4, "{accepted:?}");
        for (name, revision) in accepted {
            let version = server.at(&format!("/projects/demo/deployments/{name}/versions/v1"));
            version.get("").await.fine();
            if let Some(revision) = revision {
                let built = version.built(&revision).await;
                assert_eq!(built["status"], "success", "{name}: {built}");
                assert_eq!(version.ask(json!("x")).await.outcome(), r#"completed "x""#);
            }
        }
    }
}

/// Makes deployments, uploads code and asks, until the server is gone. Gives what was accepted: deployments with a
/// version, and their revisions.
async fn write_until_refused(project: &At, round: usize, writer: usize) -> Vec<(String, Option<String>)> {
    let mut accepted = Vec::new();
    for count in 0.. {
        let name = format!("d-{round}-{writer}-{count}");
        let body = json!({ "name": name, "input_type": "plain", "output_type": "plain" });
        let Some(_) = project.try_post("/deployments", body).await else { break };
        let deployment = project.at(&format!("/deployments/{name}"));
        let Some(_) = deployment.try_post("/versions", json!({ "version": "v1" })).await else { break };
        accepted.push((name, None));
        let version = deployment.at("/versions/v1");
        let Some(uploaded) = version.try_upload(package::packed(&[("deployment.py", package::ECHO)])).await else {
            break;
        };
        accepted.last_mut().unwrap().1 = Some(uploaded.str("revision"));
        // Refused while the code is being built, then answered.
        let mut answered = 0;
        while answered < 3 {
            let Some(reply) = version.try_post("/requests", json!("x")).await else { return accepted };
            answered += usize::from(reply.status == 200);
        }
    }
    accepted
}
