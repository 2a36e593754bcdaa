//! Files of environments: what they may be, how they come back, copies, and their time.

use super::*;
use crate::kit::package::{packed, zipped};

both! {
    async fn a_zip_comes_back_with_its_dependency_files(server) {
        let environment = environment(&server.project("demo").await, "e").await;
        let zip = packed(&[("requirements.txt", "six==1.16.0\n"), ("ubiops.yaml", "# nothing\n"), ("notes.md", "x")]);
        let uploaded = upload(&environment, "e.zip", zip.clone()).await.fine();
        assert_eq!(ended(&environment, &uploaded).await["status"], "success");
        let revision = environment.at(&format!("/revisions/{}", uploaded.str("revision")));
        let shown = revision.get("").await;
        assert_snapshot!(shown.only(&["environment", "created_by", "expired"]), @r#"{"environment":"e","created_by":"admin@modelyard.local","expired":false}"#);
        let files = revision.get(&format!("/builds/{}/dependency-files", uploaded.str("build"))).await;
        assert_eq!(files.json(), &json!([
            { "name": "requirements.txt", "content": "six==1.16.0\n" }, { "name": "ubiops.yaml", "content": "# nothing\n" }
        ]));
        let download = revision.get("/download").await;
        assert_eq!(download.bytes, zip);
        let disposition = download.headers["content-disposition"].to_str().unwrap();
        assert_eq!(disposition, format!("attachment; filename=\"e_{}.zip\"", uploaded.str("revision")));
    }

    async fn a_bare_file_is_taken_and_comes_back(server) {
        let environment = environment(&server.project("demo").await, "e").await;
        let uploaded = upload(&environment, "requirements.txt", "six==1.16.0").await.fine();
        assert_eq!(ended(&environment, &uploaded).await["status"], "success");
        let revision = environment.at(&format!("/revisions/{}", uploaded.str("revision")));
        let download = revision.get("/download").await;
        assert_eq!(download.bytes, b"six==1.16.0");
        assert!(download.headers["content-disposition"].to_str().unwrap().ends_with(".txt\""));
    }

    async fn the_same_files_are_ready_without_a_build(server) {
        let project = server.project("demo").await;
        with_six(&project, "first", "1.16.0").await;
        let second = with_six(&project, "second", "1.16.0").await;
        let query = [("query", "| environment_name=`second`")];
        until("the log is written", async || {
            project.find("/logs", &query).await.fine().each("log").contains("The environment was there already")
        })
        .await;
        // Nothing that uv says is among them: no process of a build ran.
        let mut lines: Vec<String> = serde_json::from_str(&project.find("/logs", &query).await.each("log")).unwrap();
        lines.sort();
        assert!(lines[0].starts_with("Importing the packages takes ") && lines[0].contains(": six "), "{lines:?}");
        assert_eq!(lines[1..], ["The environment was there already", "These requirements were locked before; using the same versions"]);
        let shown = second.get("").await;
        assert_eq!(shown["status"], "available");
        assert_eq!(server.files("environments/work"), Vec::<String>::new());
    }

    async fn without_a_dependency_file_the_build_fails(server) {
        let environment = environment(&server.project("demo").await, "e").await;
        for zip in [packed(&[("readme.md", "x")]), zipped(&[]), packed(&[("environment.yaml", "a: b")])] {
            let uploaded = upload(&environment, "e.zip", zip).await.fine();
            let build = ended(&environment, &uploaded).await;
            assert_snapshot!(build.only(&["status", "error_message"]), @r#"{"status":"failed","error_message":"Could not find the requirements file"}"#);
            assert_eq!(environment.get("").await["status"], "failed");
        }
        let shown = environment.get("").await;
        assert_snapshot!(shown.only(&["active_build", "active_revision"]), @r#"{"active_build":null,"active_revision":null}"#);
    }

    async fn what_is_not_supported_fails_the_build_with_a_sentence(server) {
        let environment = environment(&server.project("demo").await, "e").await;
        for (name, content, sentence) in [
            ("ubiops.yaml", "apt:\n  packages:\n    - git\n", "ubiops.yaml line 1: this server does not install system packages (apt): its setting build_apt is off; remove apt, or ask the operator for the packages git"),
            ("install_packages.R", "x", "The file install_packages.R is for R, and the environment is one of Python; remove it"),
            ("renv.lock", "{}", "The file renv.lock is for R, and the environment is one of Python; remove it"),
        ] {
            let zip = zipped(&[("requirements.txt", b"six"), (name, content.as_bytes())]);
            let build = ended(&environment, &upload(&environment, "e.zip", zip).await.fine()).await;
            assert_eq!((&build["status"], &build["error_message"]), (&json!("failed"), &json!(sentence)));
        }
    }

    async fn the_latest_file_is_copied_from_another_environment(server) {
        let project = server.project("demo").await;
        let source = with_six(&project, "source", "1.16.0").await;
        let copy = environment(&project, "copy").await;
        let form = |from: &str| Form::new().text("source_environment", from.to_owned());
        let copied = send(&copy, form("source")).await.fine();
        let build = ended(&copy, &copied).await;
        assert_snapshot!(build.only(&["status", "trigger"]), @r#"{"status":"success","trigger":"Environment copy"}"#);
        // The file stays when its first environment goes.
        source.delete("").await.fine();
        until("what was left behind is cleared away", async || server.kept().await.rows("leftovers") == 0).await;
        let download = copy.get(&format!("/revisions/{}/download", copied.str("revision"))).await;
        assert_eq!(download.text(), "six==1.16.0\n");

        environment(&project, "empty").await;
        let base = python(&project).await;
        for (from, sentence) in [
            ("copy", "source_environment must be another environment: this one has its file already".to_owned()),
            ("empty", "source_environment 'empty' has no file to copy".to_owned()),
            ("none", "source_environment 'none' was not found".to_owned()),
            (base.as_str(), format!("source_environment '{base}' has no file that was uploaded for it")),
        ] {
            let refused = send(&copy, form(from)).await;
            assert_eq!((refused.status, refused.error()), (400, sentence.as_str()));
        }
        let both = form("copy").part("file", Part::bytes(b"six".to_vec()).file_name("requirements.txt"));
        assert_snapshot!(send(&copy, both).await, @r#"400 {"error":"Give either a file or source_environment, not both"}"#);
        // As clients send a form with nothing in it.
        let nothing = copy.post_raw("/revisions", "multipart/form-data; boundary=b", "--b--\r\n").await;
        assert_snapshot!(nothing, @r#"400 {"error":"Give a file, or source_environment to take the file of another environment"}"#);
        assert_eq!(copy.get("/revisions").await.len(), 1);
    }

    async fn files_past_their_time_go_but_for_the_one_in_use_and_the_last(server) {
        let mut server = server;
        let environment = with_six(&server.project("demo").await, "e", "1.16.0").await;
        let old = environment.get("").await.str("active_revision");
        let active = upload(&environment, "requirements.txt", "six==1.17.0").await.fine();
        ended(&environment, &active).await;
        let failed = upload(&environment, "requirements.txt", "six==999.0").await.fine();
        ended(&environment, &failed).await;
        assert_eq!(server.kept().await.rows("environment_revisions"), 3);

        server.restart(&[("ENVIRONMENT_FILE_RETENTION", "1 ms")]).await;

        let environment = server.at("/projects/demo/environments/e");
        let revision = environment.at(&format!("/revisions/{old}"));
        until("the oldest file has gone", async || revision.get("").await["expired"] == true).await;
        assert_snapshot!(revision.get("/download").await, @r#"400 {"error":"The file of this revision is no longer stored; upload it again"}"#);
        assert_snapshot!(revision.post("/rebuild", json!({})).await, @r#"400 {"error":"The file of this revision is no longer stored; upload it again"}"#);
        assert_eq!(environment.get("/revisions").await.each("expired"), "[false,false,true]");
        for kept in [&active, &failed] {
            environment.get(&format!("/revisions/{}/download", kept.str("revision"))).await.fine();
        }
        until("the object has gone", async || server.files("objects").len() == 2).await;
    }
}
