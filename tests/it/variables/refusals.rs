//! What is refused: bad names and values, what belongs to others, what is there already.

use super::*;

both! {
    async fn bad_bodies_are_refused_at_each_level(server) {
        let scene = Scene::set(&server).await;
        create(&scene.project, "TAKEN", "x", false).await.fine();
        create(&scene.deployment, "TAKEN", "x", false).await.fine();
        create(&scene.version, "TAKEN", "x", false).await.fine();
        let kept = server.kept().await;
        let with = |name: Value, value: Value| json!({ "name": name, "value": value, "secret": false });
        let long = "x".repeat(65_537);
        let cases = [
            (json!({}), "The field 'name' is missing"),
            (json!([]), "The body must be a JSON object"),
            (json!({ "name": "A", "secret": false }), "The field 'value' is missing"),
            (json!({ "name": "A", "value": "x" }), "The field 'secret' is missing"),
            (json!({ "name": "A", "value": "x", "secret": false, "level": 1 }), "The field 'level' is not known here"),
            (json!({ "name": "A", "value": "x", "secret": "hunter2" }), "secret: The field must be true or false"),
            (json!({ "name": "A", "value": "x", "secret": null }), "The field 'secret' must be true or false, but got null"),
            (with(json!(""), json!("x")), "name: The name must not be empty"),
            (with(json!("A-B"), json!("x")), "name: The name 'A-B' is not valid: use letters, digits and underscores, beginning with a letter and not ending with an underscore"),
            (with(json!("_A"), json!("x")), "name: The name '_A' is not valid: use letters, digits and underscores, beginning with a letter and not ending with an underscore"),
            (with(json!("A_"), json!("x")), "name: The name 'A_' is not valid: use letters, digits and underscores, beginning with a letter and not ending with an underscore"),
            (with(json!("1A"), json!("x")), "name: The name '1A' is not valid: use letters, digits and underscores, beginning with a letter and not ending with an underscore"),
            (with(json!("A=B"), json!("x")), "name: The name 'A=B' is not valid: use letters, digits and underscores, beginning with a letter and not ending with an underscore"),
            (with(json!("N".repeat(65)), json!("x")), "name: The name must have at most 64 characters"),
            (with(json!(7), json!("x")), "The field 'name' must be a string, but got the number 7"),
            (with(json!(null), json!("x")), "The field 'name' must be a string, but got null"),
            (with(json!("INT_API_TOKEN"), json!("x")), "The name 'INT_API_TOKEN' belongs to the platform, which sets it itself; choose a name that does not begin with INT_ and is none of UBIOPS_PROJECT, UBIOPS_DEPLOYMENT, UBIOPS_VERSION"),
            (with(json!("UBIOPS_VERSION"), json!("x")), "The name 'UBIOPS_VERSION' belongs to the platform, which sets it itself; choose a name that does not begin with INT_ and is none of UBIOPS_PROJECT, UBIOPS_DEPLOYMENT, UBIOPS_VERSION"),
            (with(json!("A"), json!(null)), "The field 'value' must be a string, but got null"),
            (with(json!("A"), json!(4711)), "value: The value must be a string"),
            (with(json!("A"), json!(["x"])), "The field 'value' must be a string, but got a list"),
            (with(json!("A"), json!("a\0b")), "value: The value must not contain a zero byte: no program can be given one"),
            (with(json!("A"), json!(long)), "value: The value must have at most 65536 bytes, and has 65537"),
            (with(json!("A"), json!("x".repeat(1_000_000))), "value: The value must have at most 65536 bytes, and has 1000000"),
            (with(json!("SYS_DEPLOYMENT_FILE_NAME"), json!("../x")), "The value of SYS_DEPLOYMENT_FILE_NAME must be the name of a file in the package, with or without extension"),
        ];
        for at in scene.levels() {
            for (body, sentence) in &cases {
                let refused = at.post("/environment-variables", body.clone()).await;
                assert_eq!((refused.status, refused.error()), (400, *sentence));
            }
            let huge = with(json!("A"), json!("x".repeat(2 << 20)));
            assert_eq!(at.post("/environment-variables", huge).await.status, 413);
            assert_eq!(create(at, "TAKEN", "y", false).await.status, 409);
        }
        assert_snapshot!(create(&scene.project, "TAKEN", "y", false).await, @r#"409 {"error":"environment variable 'TAKEN' of project demo already exists"}"#);
        assert_snapshot!(create(&scene.version, "TAKEN", "y", false).await, @r#"409 {"error":"environment variable 'TAKEN' of version v1 of deployment d already exists"}"#);
        assert_eq!(server.kept().await, kept);
    }

    async fn bad_changes_are_refused_and_change_nothing(server) {
        let scene = Scene::set(&server).await;
        for at in scene.levels() {
            create(at, "A", "a", false).await.fine();
            let b = create(at, "B", "b", false).await.fine();
            let path = format!("/environment-variables/{}", b.str("id"));
            for (body, status) in [
                (json!({ "name": "A" }), 409),
                (json!({ "name": "INT_A" }), 400),
                (json!({ "name": "B-" }), 400),
                (json!({ "name": 7 }), 400),
                (json!({ "value": 7 }), 400),
                (json!({ "value": "x".repeat(1_000_000) }), 400),
                (json!({ "secret": 1 }), 400),
                (json!({ "colour": "red" }), 400),
                (json!({ "name": "SYS_DEPLOYMENT_FILE_NAME", "value": "/etc/passwd" }), 400),
                (json!([]), 400),
            ] {
                let refused = at.patch(&path, body.clone()).await;
                assert_eq!(refused.status, status, "{body}: {refused}");
                refused.error();
            }
            assert_eq!(at.get(&path).await.fine().json(), b.json());
            for same in [json!({}), json!({ "name": null, "value": null, "secret": null }), json!({ "value": "b" })] {
                assert_eq!(at.patch(&path, same).await.fine().json(), b.json());
            }
        }
    }

    async fn what_belongs_elsewhere_is_not_found(server) {
        let scene = Scene::set(&server).await;
        let stranger = server.project("stranger").await;
        let theirs = stranger.deployment("d", "plain", "plain").await;
        theirs.version("v1", json!({})).await;
        create(&theirs, "S", "hunter2", true).await.fine();
        let ids = [
            create(&scene.project, "A", "x", false).await.fine().str("id"),
            create(&scene.deployment, "A", "x", false).await.fine().str("id"),
            create(&scene.version, "A", "x", false).await.fine().str("id"),
            create(&stranger, "A", "x", false).await.fine().str("id"),
        ];
        for (own, at) in scene.levels().into_iter().enumerate() {
            for (other, id) in ids.iter().enumerate().filter(|(other, _)| *other != own) {
                let path = format!("/environment-variables/{id}");
                for answer in [at.get(&path).await, at.patch(&path, json!({ "value": "y" })).await, at.delete(&path).await] {
                    assert_eq!((answer.status, answer.error()), (404, "Environment variable was not found"), "{own} {other}");
                }
            }
            for odd in ["none", "a%2Fb", "%00", "01890000-0000-7000-8000-00000000000x", &"x".repeat(2000)] {
                assert_eq!(at.get(&format!("/environment-variables/{odd}")).await.status, 404, "{odd}");
            }
        }
        for (body, sentence) in [
            (json!({}), "400 The field 'source_deployment' is missing"),
            (json!({ "source_deployment": null }), "400 The field 'source_deployment' must be a string, but got null"),
            (json!({ "source_deployment": "none" }), "404 Deployment was not found"),
            (json!({ "source_deployment": "d", "source_version": "none" }), "404 Deployment version was not found"),
            (json!({ "source_deployment": "d", "source_version": 1 }), "400 The field 'source_version' must be a string, but got the number 1"),
            (json!({ "source_deployment": "d", "source_project": "stranger" }), "400 The field 'source_project' is not known here"),
        ] {
            for at in [&scene.deployment, &scene.version] {
                let refused = at.post("/copy-environment-variables", body.clone()).await;
                assert_eq!(format!("{} {}", refused.status, refused.error()), sentence);
            }
        }
    }
}
