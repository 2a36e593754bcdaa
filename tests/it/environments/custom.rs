//! Environments that users make: creation, names, changes, who uses them, deletion.

use super::*;

both! {
    async fn one_is_made_built_used_and_deleted(server) {
        let project = server.project("demo").await;
        let base = python(&project).await;
        let body = json!({ "name": "six-env", "base_environment": base, "description": "has six", "labels": { "team": "red" } });
        let made = project.post("/environments", body).await;
        assert_eq!((made.status, &made["base_environment"]), (201, &json!(base)), "{made}");
        assert_snapshot!(
            made.only(&["name", "display_name", "project", "description", "labels", "status", "system", "implicit", "hidden", "deprecated", "gpu_required", "supports_request_format"]),
            @r#"{"name":"six-env","display_name":"six-env","project":"demo","description":"has six","labels":{"team":"red"},"status":"unavailable","system":false,"implicit":false,"hidden":false,"deprecated":false,"gpu_required":false,"supports_request_format":true}"#
        );
        assert_snapshot!(
            made.only(&["active_revision", "active_build", "latest_revision", "latest_build"]),
            @r#"{"active_revision":null,"active_build":null,"latest_revision":null,"latest_build":null}"#
        );
        let environment = project.at("/environments/six-env");
        let uploaded = upload(&environment, "requirements.txt", "six==1.16.0\n").await;
        assert_eq!((uploaded.status, &uploaded["success"]), (201, &json!(true)), "{uploaded}");
        let build = ended(&environment, &uploaded).await;
        assert_snapshot!(build.only(&["status", "error_message", "trigger"]), @r#"{"status":"success","error_message":null,"trigger":"Environment file upload"}"#);
        assert!(build["size"].as_i64().unwrap() > 10_000, "{build}");
        let shown = environment.get("").await;
        assert_eq!(shown["status"], "available");
        for (field, value) in [("active_revision", "revision"), ("latest_revision", "revision"), ("active_build", "build"), ("latest_build", "build")] {
            assert_eq!(shown[field], uploaded[value], "{field}");
        }

        let version = telling_six(&project, "d", "six-env").await;
        assert_snapshot!(version.ask(json!("x")).await.outcome(), @r#"completed "1.16.0""#);
        assert_eq!(version.get("").await["environment"], "six-env");
        let usage = environment.get("/usage").await;
        assert_snapshot!(usage[0]["environment"], @r#""six-env""#);
        assert_eq!((usage.each("version"), usage.each("deployment")), (r#"["v1"]"#.into(), r#"["d"]"#.into()));
        assert_snapshot!(environment.delete("").await, @r#"409 {"error":"Environment 'six-env' is in use by version 'v1' of deployment 'd': give them another environment, or delete them first"}"#);

        version.delete("").await.fine();
        assert_eq!(environment.delete("").await.status, 204);
        assert_snapshot!(environment.get("").await, @r#"404 {"error":"Environment was not found"}"#);
        let events = project.get("/audit?limit=50").await.each("event");
        for event in ["Created environment six-env", "Uploaded a file for environment six-env", "Deleted environment six-env"] {
            assert!(events.contains(event), "{event}: {events}");
        }
    }

    async fn creation_refuses_what_cannot_be_honoured(server) {
        let project = server.project("demo").await;
        let base = python(&project).await;
        environment(&project, "mine").await;
        let alias = format!("ubuntu22-04-{base}");
        for (body, status, sentence) in [
            (json!({ "name": "mine", "base_environment": base }), 409, "environment 'mine' already exists"),
            (json!({ "name": base, "base_environment": base }), 409, "already exists: it is a base environment"),
            (json!({ "name": alias, "base_environment": base }), 409, "already exists: it is a base environment"),
            (json!({ "name": "python3-99", "base_environment": base }), 400, "name: 'python3-99' is kept for a base environment"),
            (json!({ "name": "implicit-x", "base_environment": base }), 400, "name: names that begin with 'implicit-' are kept"),
            (json!({ "name": "Mine", "base_environment": base }), 400, "name: The name 'Mine' is not valid"),
            (json!({ "name": "a.b", "base_environment": base }), 400, "name: The name 'a.b' is not valid"),
            (json!({ "name": "", "base_environment": base }), 400, "name: The name must not be empty"),
            (json!({ "name": "a".repeat(1025), "base_environment": base }), 400, "name: The name must have at most 1024"),
            (json!({ "name": "x" }), 400, "base_environment is required: environments made from Docker images are not offered"),
            (json!({ "name": "x", "base_environment": null }), 400, "base_environment is required"),
            (json!({ "name": "x", "base_environment": "cobol" }), 400, "base_environment 'cobol' was not found; there are python3-"),
            (json!({ "name": "x", "base_environment": "mine" }), 400, "base_environment 'mine' is not a base environment; there are python3-"),
            (json!({ "name": "x", "base_environment": base, "supports_request_format": false }), 400, "supports_request_format: "),
            (json!({ "name": "x", "base_environment": base, "display_name": "" }), 400, "display_name must not be empty"),
            (json!({ "name": "x", "base_environment": base, "description": "d".repeat(401) }), 400, "description must have at most 400"),
            (json!({ "name": "x", "base_environment": base, "hidden": true }), 400, "The field 'hidden' is not known here"),
            (json!({ "base_environment": base }), 400, "The field 'name' is missing"),
        ] {
            let refused = project.post("/environments", body.clone()).await;
            assert_eq!(refused.status, status, "{body}: {refused}");
            assert!(refused.error().contains(sentence), "{body}: {refused}");
        }
        assert_eq!(project.get("/environments?environment_type=custom").await.each("name"), r#"["mine"]"#);
        // Another project may have one of the same name.
        environment(&server.project("other").await, "mine").await;
    }

    async fn each_spelling_of_a_base_is_understood(server) {
        let project = server.project("demo").await;
        let base = python(&project).await;
        for (at, spelt) in [base.clone(), base.replace("python3-", "python3."), format!("ubuntu22-04-{base}")].iter().enumerate() {
            let made = project.post("/environments", json!({ "name": format!("e{at}"), "base_environment": spelt })).await;
            assert_eq!(made["base_environment"], *base, "{spelt}: {made}");
        }
    }

    async fn an_environment_is_renamed_and_described(server) {
        let project = server.project("demo").await;
        let environment = with_six(&project, "old", "1.16.0").await;
        let version = telling_six(&project, "d", "old").await;
        let body = json!({ "name": "new", "display_name": "Shown", "description": "told", "labels": { "a": "b" } });
        let changed = environment.patch("", body).await;
        assert_snapshot!(changed.only(&["name", "display_name", "description", "labels", "status"]), @r#"{"name":"new","display_name":"Shown","description":"told","labels":{"a":"b"},"status":"available"}"#);
        assert_eq!(version.get("").await["environment"], "new");
        assert_eq!(version.get("").await["environment_display_name"], "Shown");
        assert_eq!(environment.get("").await.status, 404);
        let environment = project.at("/environments/new");
        let cleared = environment.patch("", json!({ "description": null, "labels": null, "display_name": null })).await;
        assert_snapshot!(cleared.only(&["name", "display_name", "description", "labels"]), @r#"{"name":"new","display_name":"new","description":"","labels":{}}"#);

        assert_eq!(environment.patch("", json!({ "base_environment": "python3-8" })).await.status, 400);
        let base = python(&project).await;
        assert_eq!(environment.patch("", json!({ "name": base })).await.status, 409);
        super::environment(&project, "other").await;
        assert_snapshot!(environment.patch("", json!({ "name": "other" })).await, @r#"409 {"error":"environment 'other' already exists"}"#);
        let refused = project.patch(&format!("/environments/{base}"), json!({ "description": "x" })).await;
        assert_eq!(refused.error(), format!("'{base}' is a base environment, which cannot be changed"));
        let refused = project.delete(&format!("/environments/{base}")).await;
        assert_eq!(refused.error(), format!("'{base}' is a base environment, which cannot be changed"));
    }

    async fn lists_tell_base_and_custom_apart(server) {
        let project = server.project("demo").await;
        let base = python(&project).await;
        let red = json!({ "name": "red", "base_environment": base, "labels": { "colour": "red" } });
        project.post("/environments", red).await.fine();
        environment(&project, "blue").await;
        assert_eq!(project.get("/environments?environment_type=custom").await.each("name"), r#"["blue","red"]"#);
        assert_eq!(project.get("/environments?labels=colour:red,x:y").await.each("name"), r#"["red"]"#);
        assert_eq!(project.get("/environments?system=False").await.len(), 2);
        assert_eq!(project.get("/environments?supports_request_format=False").await.len(), 0);
        let all = project.get("/environments").await.len();
        assert_eq!(project.get("/environments?environment_type=base").await.len() + 2, all);
    }

    async fn usage_tells_how_an_environment_is_used(server) {
        let project = server.project("demo").await;
        let base = python(&project).await;
        let deployment = project.deployment("d", "plain", "plain").await;
        deployment.version("plain", json!({})).await;
        let own = deployment.version("own", json!({})).await;
        own.package(package::packed(&[("deployment.py", SIX), ("requirements.txt", "six==1.16.0")])).await;
        let other = server.project("other").await.deployment("d", "plain", "plain").await;
        other.version("foreign", json!({})).await;
        let usage = project.at(&format!("/environments/{base}/usage"));
        assert_eq!(usage.get("").await.each("version"), r#"["own","plain"]"#);
        assert_eq!(usage.get("?environment_type=base").await.each("version"), r#"["plain"]"#);
        assert_eq!(usage.get("?environment_type=custom").await.each("version"), r#"["own"]"#);
        assert_snapshot!(usage.get("?environment_type=odd").await, @r#"400 {"error":"environment_type must be one of base, custom, all, but got 'odd'"}"#);
        assert_snapshot!(project.get("/environments/none/usage").await, @r#"404 {"error":"Environment was not found"}"#);
    }
}
