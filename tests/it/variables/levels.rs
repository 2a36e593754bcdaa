//! Making, showing, changing, deleting and copying them; what is inherited.

use super::*;

/// A list as lines of `name=value from what`.
fn lines(list: &Reply) -> String {
    let line = |one: &Value| {
        let value = one["value"].as_str().map_or("null".to_owned(), |value| format!("'{value}'"));
        let secret = if one["secret"] == true { " secret" } else { "" };
        let from = one["inheritance_type"]
            .as_str()
            .map_or(String::new(), |kind| format!(" from {kind} {}", one["inheritance_name"].as_str().unwrap()));
        format!("{}={value}{secret}{from}\n", one["name"].as_str().unwrap())
    };
    list.json().as_array().unwrap_or_else(|| panic!("no list: {list}")).iter().map(line).collect()
}

both! {
    async fn they_are_made_shown_changed_and_deleted_at_each_level(server) {
        let scene = Scene::set(&server).await;
        for at in scene.levels() {
            let made = create(at, "COLOUR", "red", false).await;
            assert_eq!(made.status, 201, "{made}");
            assert_snapshot!(made.only(&["name", "value", "secret"]), @r#"{"name":"COLOUR","value":"red","secret":false}"#);
            let id = made.str("id");
            for key in [id.as_str(), "COLOUR"] {
                assert_eq!(at.get(&format!("/environment-variables/{key}")).await.fine().json(), made.json());
            }
            let changed = at.patch(&format!("/environment-variables/{id}"), json!({ "value": "" })).await.fine();
            assert_snapshot!(changed.only(&["name", "value", "secret"]), @r#"{"name":"COLOUR","value":"","secret":false}"#);
            let renamed = at.patch("/environment-variables/COLOUR", json!({ "name": "TASTE", "value": null })).await.fine();
            assert_eq!((renamed.str("id"), renamed.str("name")), (id.clone(), "TASTE".to_owned()));
            assert_eq!(at.get("/environment-variables/COLOUR").await.status, 404);
            assert_eq!(at.get("/environment-variables").await.each("name"), r#"["TASTE"]"#);
            let deleted = at.delete(&format!("/environment-variables/{id}")).await;
            assert_snapshot!(deleted, @"204");
            assert_snapshot!(at.delete("/environment-variables/TASTE").await, @r#"404 {"error":"Environment variable was not found"}"#);
            assert_eq!(at.get("/environment-variables").await.len(), 0);
        }
    }

    async fn lists_show_what_is_inherited_and_not_shadowed(server) {
        let scene = Scene::set(&server).await;
        for name in ["A", "B", "C"] {
            create(&scene.project, name, "p", name == "A").await.fine();
        }
        for name in ["B", "C", "D"] {
            create(&scene.deployment, name, "d", name == "D").await.fine();
        }
        create(&scene.version, "C", "v", false).await.fine();
        assert_snapshot!(lines(&scene.project.get("/environment-variables").await), @r"
        A=null secret
        B='p'
        C='p'
        ");
        assert_snapshot!(lines(&scene.deployment.get("/environment-variables").await), @r"
        A=null secret from project demo
        B='d'
        C='d'
        D=null secret
        ");
        assert_snapshot!(lines(&scene.version.get("/environment-variables").await), @r"
        A=null secret from project demo
        B='d' from deployment d
        C='v'
        D=null secret from deployment d
        ");
        // Inherited ones are shown where they belong.
        assert_eq!(scene.version.get("/environment-variables/A").await.status, 404);
        let plain = scene.project.get("/environment-variables").await;
        assert!(plain[0].get("inheritance_type").is_none(), "{plain}");
    }

    async fn a_secret_is_never_shown_and_stays_one(server) {
        let scene = Scene::set(&server).await;
        for at in scene.levels() {
            let made = create(at, "TOKEN", "hunter2", true).await.fine();
            assert_snapshot!(made.only(&["value", "secret"]), @r#"{"value":null,"secret":true}"#);
            let path = format!("/environment-variables/{}", made.str("id"));
            for shown in [at.get(&path).await, at.patch(&path, json!({ "value": "hunter3" })).await] {
                assert_snapshot!(shown.fine().only(&["value", "secret"]), @r#"{"value":null,"secret":true}"#);
            }
            for change in [json!({ "secret": false }), json!({ "secret": false, "value": "new" })] {
                assert_snapshot!(at.patch(&path, change).await, @r#"400 {"error":"secret: a secret cannot be made readable again; delete the variable and create another"}"#);
            }
            create(at, "LATER", "hunter4", false).await.fine();
            let hidden = at.patch("/environment-variables/LATER", json!({ "secret": true })).await.fine();
            assert_snapshot!(hidden.only(&["value", "secret"]), @r#"{"value":null,"secret":true}"#);
            let all = at.get("/environment-variables").await.text();
            assert!(!all.contains("hunter"), "{all}");
        }
    }

    async fn copies_take_the_place_of_the_same_names_and_only_they_are_returned(server) {
        let scene = Scene::set(&server).await;
        let other = scene.project.deployment("other", "plain", "plain").await;
        let target = other.version("v1", json!({})).await;
        create(&scene.project, "P", "inherited", false).await.fine();
        create(&scene.deployment, "A", "d", false).await.fine();
        create(&scene.deployment, "S", "hunter2", true).await.fine();
        create(&scene.version, "V", "v", false).await.fine();
        create(&other, "A", "old", true).await.fine();
        create(&other, "KEPT", "kept", false).await.fine();

        let copied = other.post("/copy-environment-variables", json!({ "source_deployment": "d" })).await;
        assert_eq!(copied.status, 201, "{copied}");
        assert_snapshot!(lines(&copied), @r"
        A='d'
        S=null secret
        ");
        assert_snapshot!(copied.each("inheritance_type"), @"[null,null]");
        assert_snapshot!(lines(&other.get("/environment-variables").await), @r"
        A='d'
        KEPT='kept'
        P='inherited' from project demo
        S=null secret
        ");
        let from_version = json!({ "source_deployment": "d", "source_version": "v1" });
        assert_snapshot!(lines(&target.post("/copy-environment-variables", from_version).await), @"V='v'");
        let from_deployment = json!({ "source_deployment": "d" });
        assert_eq!(target.post("/copy-environment-variables", from_deployment).await.len(), 2);
        let itself = json!({ "source_deployment": "other" });
        assert_eq!(other.post("/copy-environment-variables", itself).await.len(), 3);
    }

    async fn environments_have_secrets_for_their_builds(server) {
        let scene = Scene::set(&server).await;
        let zip = package::packed(&[("deployment.py", TELL), ("requirements.txt", "six==1.17.0")]);
        scene.version.upload(zip).await.fine();
        let name = scene.version.get("").await.str("environment");
        let environment = scene.project.at(&format!("/environments/{name}"));
        let made = environment.post("/secrets", json!({ "name": "TOKEN", "value": "hunter2", "secret": true })).await;
        assert_eq!(made.status, 201, "{made}");
        let path = format!("/secrets/{}", made.str("id"));
        for shown in [made, environment.get(&path).await, environment.patch(&path, json!({ "name": "KEY" })).await] {
            assert_snapshot!(shown.fine().only(&["value", "secret"]), @r#"{"value":null,"secret":true}"#);
        }
        assert_snapshot!(environment.get("/secrets").await.each("name"), @r#"["KEY"]"#);
        assert_eq!(scene.version.get("/environment-variables").await.len(), 0);
        let copied = environment.post("/copy-secrets", json!({ "source_environment": name })).await;
        assert_eq!((copied.status, copied.each("name").as_str()), (201, r#"["KEY"]"#));
        let missing = environment.post("/copy-secrets", json!({ "source_environment": "none" })).await;
        assert_snapshot!(missing, @r#"404 {"error":"Environment was not found"}"#);
        assert_snapshot!(environment.delete("/secrets/KEY").await, @"204");
        let base = scene.project.get("/environments?environment_type=base").await[0]["name"].as_str().unwrap().to_owned();
        let refused = scene.project.post(&format!("/environments/{base}/secrets"), json!({ "name": "A", "value": "b", "secret": true })).await;
        assert!(refused.status == 400 && refused.error().ends_with("is a base environment: it is not built, so it takes no secrets"), "{refused}");
    }

    async fn each_change_leaves_an_event_without_the_value(server) {
        let scene = Scene::set(&server).await;
        let before = scene.project.get("/audit").await.len();
        create(&scene.project, "A", "hunter2", false).await.fine();
        scene.project.patch("/environment-variables/A", json!({ "value": "hunter3", "secret": true })).await.fine();
        scene.project.patch("/environment-variables/A", json!({ "value": "hunter3" })).await.fine();
        create(&scene.version, "B", "hunter2", false).await.fine();
        scene.version.patch("/environment-variables/B", json!({ "name": "C", "value": "hunter4" })).await.fine();
        let from = json!({ "source_deployment": "d", "source_version": "v1" });
        scene.deployment.post("/copy-environment-variables", from).await.fine();
        scene.deployment.delete("/environment-variables/C").await.fine();
        let events = scene.project.get("/audit").await;
        assert_eq!(events.len(), before + 6);
        let newest: Vec<_> = events.json().as_array().unwrap().iter().take(6).map(|event| {
            let text = |key: &str| event[key].as_str().unwrap();
            format!("{} {} {}: {}", text("action"), text("object_type"), text("object_name"), text("event"))
        }).collect();
        assert_snapshot!(newest.join("\n"), @r"
        delete deployment d: Deleted environment variable C for deployment d
        update deployment d: Copied environment variables from version v1 of deployment d to deployment d: C
        update deployment_version v1: Updated environment variable B for version v1 of deployment d: name from 'B' to 'C', value
        create deployment_version v1: Created environment variable B for version v1 of deployment d
        update project demo: Updated environment variable A for project demo: value, secret from 'false' to 'true'
        create project demo: Created environment variable A for project demo
        ");
        assert_eq!(scene.deployment.get("/audit").await.each("event").matches("environment variable").count(), 4);
    }

    async fn old_clients_get_null_for_an_empty_text_in_lists(server) {
        let scene = Scene::set(&server).await;
        create(&scene.version, "EMPTY", "", false).await.fine();
        for (release, wanted) in [("3.12.0", "[null]"), ("4.8.0", "[null]"), ("4.12.0", r#"[""]"#)] {
            let request = scene.version.request(reqwest::Method::GET, "/environment-variables");
            let listed = scene.version.send(request.header("user-agent", format!("UbiOps/python/{release}"))).await;
            assert_eq!(listed.each("value"), wanted, "{release}");
        }
    }
}
