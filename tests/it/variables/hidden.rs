//! Secrets: not in the database, not in logs, not in messages.

use super::*;

/// Says what it should not, in many ways.
const CHATTER: &str = "
    import json, logging, os, subprocess, sys

    class Public(Exception):
        def __init__(self, text):
            super().__init__(text)
            self.public_error_message = text

    class Deployment:
        def request(self, data):
            token, key = os.environ['TOKEN'], os.environ['KEY']
            if data == 'public':
                raise Public('the token is ' + token)
            if data == 'raise':
                raise ValueError(token)
            print('token', token)
            sys.stdout.write('in parts ' + token[:10])
            sys.stdout.flush()
            sys.stdout.write(token[10:] + '\\n')
            print(repr(key), json.dumps({'key': key}))
            logging.error('%s|%s', token, key)
            os.write(1, ('raw ' + token[:5]).encode())
            os.write(1, (token[5:] + '\\n').encode())
            subprocess.run(['echo', 'child ' + token])
            print(os.environ['INT_API_TOKEN'])
            print('short', os.environ['PIN'])
            if data == 'die':
                raise SystemExit(token)
            return 'done'
";

const TOKEN: &str = "correct-horse-battery-staple";
const KEY: &str = "-----BEGIN KEY-----\nMIIB\"quo\\ted\n-----END KEY-----\n";

async fn chatting(server: &TestServer) -> Scene {
    let scene = Scene::set(server).await;
    create(&scene.project, "TOKEN", TOKEN, true).await.fine();
    create(&scene.deployment, "KEY", KEY, true).await.fine();
    create(&scene.version, "PIN", "123", true).await.fine();
    scene.version.code(CHATTER).await;
    scene
}

/// All log lines of the project.
async fn log(scene: &Scene) -> String {
    let lines = scene.project.get("/logs?limit=1000").await.fine();
    let lines = lines.json().as_array().unwrap().iter().map(|line| line["log"].as_str().unwrap().to_owned());
    lines.collect::<Vec<_>>().join("\n")
}

both! {
    async fn secrets_are_hidden_in_log_lines(server) {
        let scene = chatting(&server).await;
        let done = scene.version.ask(json!("x")).await;
        assert_snapshot!(done.outcome(), @r#"completed "done""#);
        let query = format!("| deployment_request_id=`{}`", done.str("id"));
        let lines = scene.project.find("/logs", &[("query", &query)]).await.fine();
        let mut lines: Vec<_> = lines.json().as_array().unwrap().iter().map(|it| it["log"].as_str().unwrap().to_owned()).collect();
        lines.retain(|line| !line.is_empty());
        lines.sort();
        let expected = [
            r#"'***\n***\n***\n' {"key": "***\n***\n***\n"}"#, "***", "***", "***", "ERROR:root:***|***", "child ***", "in parts ***",
            "raw ***", "short 123", "token ***",
        ];
        assert_eq!(lines, expected);
    }

    async fn secrets_are_hidden_in_what_callers_read(server) {
        let scene = chatting(&server).await;
        assert_snapshot!(scene.version.ask(json!("public")).await.outcome(), @"failed: the token is ***");
        let failed = scene.version.ask(json!("raise")).await;
        assert_snapshot!(failed.outcome(), @"failed: An exception occurred in the request. See the logs for details.");
        scene.version.ask(json!("die")).await.fine();
        let told = log(&scene).await;
        assert!(told.contains("ValueError: ***") && !told.contains(TOKEN), "{told}");
        let requests = scene.version.get("/requests").await.text();
        assert!(!requests.contains(TOKEN), "{requests}");
    }

    async fn secrets_are_hidden_when_a_start_fails(server) {
        let scene = Scene::set(&server).await;
        create(&scene.project, "TOKEN", TOKEN, true).await.fine();
        let code = "
            import os

            class Failed(Exception):
                public_error_message = 'cannot log in with ' + os.environ['TOKEN']

            class Deployment:
                def __init__(self):
                    raise Failed(os.environ['TOKEN'])

                def request(self, data):
                    return data
        ";
        scene.version.code(code).await;
        assert_snapshot!(scene.version.ask(json!("x")).await.outcome(), @"failed: cannot log in with ***");
        let instances = scene.version.get("/instances").await.text();
        let told = log(&scene).await;
        assert!(!told.contains(TOKEN) && !instances.contains(TOKEN), "{told} {instances}");
        assert_eq!(server.count(&format!("SELECT COUNT(*) FROM instance_events WHERE description LIKE '%{TOKEN}%'")).await, 0);
        assert!(!server.log().contains(TOKEN), "{}", server.log());
    }

    async fn nothing_that_is_kept_holds_a_secret(server) {
        let mut server = server;
        server.restart(&[("LOG_LEVEL", "trace")]).await;
        let scene = chatting(&server).await;
        scene.version.ask(json!("x")).await.fine();
        scene.version.ask(json!("raise")).await.fine();
        let other = scene.project.deployment("copy", "plain", "plain").await;
        other.post("/copy-environment-variables", json!({ "source_deployment": "d" })).await.fine();
        scene.project.patch("/environment-variables/TOKEN", json!({ "secret": "false" })).await;
        log(&scene).await;
        assert!(!server.log().contains(TOKEN), "the server's own log tells it");
        assert_eq!(server.rows_with(TOKEN).await, Vec::<String>::new());
        assert_eq!(server.rows_with("MIIB").await, Vec::<String>::new());
        // What is no secret is found that way.
        create(&scene.project, "PLAIN", TOKEN, false).await.fine();
        assert_eq!(server.rows_with(TOKEN).await.len(), 1);
        assert!(server.stop().success());
        server.start_again(&[]).await;
    }

    async fn a_secret_in_the_place_of_another_is_refused(server) {
        let scene = Scene::telling(&server).await;
        create(&scene.version, "ONE", "hunter2", true).await.fine();
        create(&scene.version, "TWO", "swordfish", true).await.fine();
        server.change("UPDATE variables SET sealed = (SELECT other.sealed FROM variables AS other WHERE other.name = 'ONE') WHERE name = 'TWO'").await;
        let failed = scene.version.ask(json!("TWO")).await;
        assert_snapshot!(failed.outcome(), @"failed: The instance could not be started: its environment variables cannot be read");
        assert!(!server.log().contains("hunter2") && !server.log().contains("swordfish"));
        scene.version.patch("/environment-variables/TWO", json!({ "value": "new" })).await.fine();
        until("it works again", async || scene.version.ask(json!("TWO")).await["result"] == "new").await;
    }
}
