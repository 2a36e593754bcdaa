//! What instances see, and which of them are replaced when that changes.

use super::*;
use crate::instances::running;

/// Waits until instances have this value.
async fn becomes(scene: &Scene, name: &str, value: &str) {
    until(&format!("{name} is {value}"), async || scene.told(name).await == value).await;
}

/// How often the instances of a version were to be replaced.
async fn generation(server: &TestServer, version: &str) -> i64 {
    server.count(&format!("SELECT generation FROM versions WHERE name = '{version}'")).await
}

both! {
    async fn changes_at_each_level_reach_running_instances(server) {
        let scene = Scene::telling(&server).await;
        assert_eq!(scene.told("COLOUR").await, "-");
        for (at, value) in scene.levels().into_iter().zip(["red", "green", "blue"]) {
            create(at, "COLOUR", value, false).await.fine();
            becomes(&scene, "COLOUR", value).await;
        }
        scene.version.delete("/environment-variables/COLOUR").await.fine();
        becomes(&scene, "COLOUR", "green").await;
        scene.deployment.patch("/environment-variables/COLOUR", json!({ "value": "grün \n'\"$x" })).await.fine();
        becomes(&scene, "COLOUR", "grün \n'\"$x").await;
        scene.deployment.patch("/environment-variables/COLOUR", json!({ "name": "TASTE" })).await.fine();
        becomes(&scene, "COLOUR", "red").await;
        scene.project.delete("/environment-variables/COLOUR").await.fine();
        becomes(&scene, "COLOUR", "-").await;
        create(&scene.project, "TOKEN", "hunter2", true).await.fine();
        becomes(&scene, "TOKEN", "hunter2").await;
    }

    async fn a_change_that_nobody_sees_replaces_nothing(server) {
        let scene = Scene::set(&server).await;
        scene.version.patch("", json!({ "minimum_instances": 1 })).await.fine();
        create(&scene.version, "COLOUR", "blue", false).await.fine();
        scene.version.code(TELL).await;
        scene.deployment.version("other", json!({})).await;
        let instances = running(&scene.version, 1).await;
        let before = generation(&server, "v1").await;
        let other = generation(&server, "other").await;
        create(&scene.project, "COLOUR", "red", false).await.fine();
        scene.project.patch("/environment-variables/COLOUR", json!({ "value": "green" })).await.fine();
        scene.project.delete("/environment-variables/COLOUR").await.fine();
        scene.version.patch("/environment-variables/COLOUR", json!({ "value": "blue" })).await.fine();
        assert_eq!(generation(&server, "v1").await, before);
        assert_eq!(generation(&server, "other").await, other + 3);
        assert_eq!(scene.told("COLOUR").await, "blue");
        assert_eq!(running(&scene.version, 1).await, instances);
    }

    async fn requests_in_work_are_not_cut_short_by_a_change(server) {
        let scene = Scene::set(&server).await;
        let code = "
            import os, socket

            class Deployment:
                def request(self, data):
                    if data.isdigit():
                        with socket.create_connection(('127.0.0.1', int(data))) as gate:
                            gate.recv(1)
                    return os.environ.get('COLOUR', '-')
        ";
        scene.version.code(code).await;
        let gate = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, waiting) = (gate.local_addr().unwrap().port(), scene.version.clone());
        let in_work = tokio::spawn(async move { waiting.ask(json!(port.to_string())).await });
        let (held, _) = gate.accept().await.unwrap();
        create(&scene.version, "COLOUR", "red", false).await.fine();
        // A new instance serves while the old one still works.
        becomes(&scene, "COLOUR", "red").await;
        drop(held);
        assert_snapshot!(in_work.await.unwrap().outcome(), @r#"completed "-""#);
    }

    async fn the_platform_tells_where_it_is_and_nothing_of_its_host(server) {
        let mut server = server;
        server.restart(&[("LOG_LEVEL", "info")]).await;
        let scene = Scene::set(&server).await;
        let code = "
            import json, os

            class Deployment:
                def __init__(self, context):
                    self.context = context

                def request(self, data):
                    names = sorted(os.environ)
                    context = self.context['environment_variables']
                    same = all(os.environ[name] == value for name, value in context.items())
                    shown = {name: os.environ[name] for name in names if name[:3] in ('UBI', 'SYS', 'USE')}
                    shown['url'] = os.environ['INT_API_URL']
                    shown['token'] = len(os.environ['INT_API_TOKEN'])
                    return json.dumps([names, sorted(context), same, shown])
        ";
        create(&scene.project, "MINE", "x", true).await.fine();
        scene.version.code(code).await;
        let told = scene.version.ask(json!("")).await.str("result");
        let told: Value = serde_json::from_str(&told).unwrap();
        let expected = ["HOME", "INT_API_TOKEN", "INT_API_URL", "LANG", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MINE",
            "PATH", "SYS_DEPLOYMENT_FILE_NAME", "TMPDIR", "UBIOPS_DEPLOYMENT", "UBIOPS_PROJECT", "UBIOPS_VERSION", "USER"];
        assert_eq!(told[0], json!(expected));
        assert_snapshot!(told[1], @r#"["INT_API_TOKEN","INT_API_URL","MINE","SYS_DEPLOYMENT_FILE_NAME","UBIOPS_DEPLOYMENT","UBIOPS_PROJECT","UBIOPS_VERSION"]"#);
        assert_eq!(told[2], true);
        assert_eq!(told[3]["url"], server.address());
        assert_eq!(told[3]["token"], 40);
        let mut shown = told[3].clone();
        shown.as_object_mut().unwrap().remove("url");
        assert_snapshot!(shown, @r#"{"SYS_DEPLOYMENT_FILE_NAME":"deployment","UBIOPS_DEPLOYMENT":"d","UBIOPS_PROJECT":"demo","UBIOPS_VERSION":"v1","USER":"deployment","token":40}"#);
    }

    async fn variables_of_the_system_count_for_the_instance_alone(server) {
        let scene = Scene::telling(&server).await;
        for (name, value) in [("PATH", "/nowhere"), ("HOME", "/tmp"), ("PYTHONPATH", "/tmp/more"), ("LD_PRELOAD", "/nowhere.so")] {
            create(&scene.version, name, value, false).await.fine();
        }
        becomes(&scene, "LD_PRELOAD", "/nowhere.so").await;
        for (name, value) in [("PATH", "/nowhere"), ("HOME", "/tmp"), ("PYTHONPATH", "/tmp/more")] {
            assert_eq!(scene.told(name).await, value);
        }
        server.get("/projects").await.fine();
    }

    async fn a_variable_names_the_main_file(server) {
        let scene = Scene::set(&server).await;
        let (one, two) = ("class Deployment:\n    def request(self, data):\n        return 'one'\n", "class Deployment:\n    def request(self, data):\n        return 'two'\n");
        let zip = || package::packed(&[("first.py", one), ("second.py", two)]);
        let refused = scene.version.upload(zip()).await;
        assert_snapshot!(refused, @r#"400 {"error":"The package has no file 'deployment.py' or 'deployment.R' in its folder 'package'"}"#);
        create(&scene.project, "ML_MODEL_FILE_NAME", "first", false).await.fine();
        scene.version.package(zip()).await;
        assert_snapshot!(scene.version.ask(json!("")).await.outcome(), @r#"completed "one""#);
        create(&scene.version, "SYS_DEPLOYMENT_FILE_NAME", "second.py", false).await.fine();
        until("the other file runs", async || scene.version.ask(json!("")).await["result"] == "two").await;
    }

    async fn full_levels_still_start(server) {
        let scene = Scene::telling(&server).await;
        for (at, name) in scene.levels().into_iter().zip(["A", "B", "C"]) {
            for number in 0..3 {
                create(at, &format!("{name}{number}"), &"x".repeat(65_536), number == 0).await.fine();
            }
            let refused = create(at, "MORE", &"x".repeat(65_536), false).await;
            assert!(refused.status == 400 && refused.error().contains("may take 262144 bytes together"), "{refused}");
        }
        until("all is there", async || scene.told("C2").await.len() == 65_536).await;
        assert_eq!(scene.told("A0").await.len(), 65_536);
    }

    async fn the_token_of_an_instance_is_known_has_no_rights_and_ends_with_it(server) {
        let scene = Scene::telling(&server).await;
        let token = scene.told("INT_API_TOKEN").await;
        let instance = server.signed(Some(&format!("Token {token}")));
        assert_snapshot!(instance.get("/projects").await, @"200 []");
        assert_snapshot!(instance.get("/projects/demo").await, @r#"404 {"error":"Project was not found"}"#);
        assert_snapshot!(instance.get("/projects/demo/environment-variables").await, @r#"404 {"error":"Project was not found"}"#);
        assert_eq!(server.count("SELECT COUNT(*) FROM tokens").await, 1);
        create(&scene.version, "NEW", "x", false).await.fine();
        becomes(&scene, "NEW", "x").await;
        until("the token is revoked", async || instance.get("/projects").await.status == 401).await;
        assert_ne!(scene.told("INT_API_TOKEN").await, token);
    }
}
