//! Files that are no environments, requirements that are not taken, and ids of others.

use super::*;
use crate::kit::package::{forged, packed, zipped};

both! {
    async fn bad_files_are_refused_and_nothing_of_them_is_kept(server) {
        let environment = environment(&server.project("demo").await, "e").await;
        let kept = server.kept().await;
        let six = b"six==1.16.0".as_slice();
        let with = |name: &str| zipped(&[("requirements.txt", six), (name, b"x")]);
        let cases: Vec<(&str, &str, Vec<u8>, &str)> = vec![
            ("nothing", "e.zip", Vec::new(), "The file is not a zip"),
            ("text", "e.zip", b"this is no zip".to_vec(), "The file is not a zip"),
            ("half a zip", "e.zip", packed(&[("requirements.txt", "six")])[..60].to_vec(), "The file is not a zip"),
            ("an image", "image.tar", b"x".to_vec(), "The file is neither a zip nor a requirements.txt"),
            ("bytes", "requirements.txt", vec![0xff, 0xfe, 0xff], "The file requirements.txt is not text in UTF-8"),
            ("bytes in a zip", "e.zip", zipped(&[("requirements.txt", b"\xc3\x28")]), "The file 'requirements.txt' is not text in UTF-8"),
            ("a large file", "requirements.txt", vec![b'#'; (1 << 20) + 1], "The file requirements.txt is larger than"),
            ("two places", "e.zip", zipped(&[("requirements.txt", six), ("a/requirements.txt", six)]), "The zip has dependency files in several places: at its top, in 'a'; keep those of one"),
            ("a way up", "e.zip", with("../evil.py"), "The zip's entry '../evil.py' "),
            ("a way up inside", "e.zip", with("a/../../evil.py"), "The zip's entry 'a/../../evil.py' "),
            ("an absolute path", "e.zip", with("/etc/evil"), "The zip's entry '/etc/evil' "),
            ("a drive", "e.zip", with("C:\\evil"), "The zip's entry 'C:"),
            ("a link", "e.zip", forged::link("evil", "/etc/passwd"), "The zip's entry 'evil' is a symbolic link"),
            ("a device", "e.zip", forged::device("evil"), "The zip's entry 'evil' is a device"),
            ("ten million entries", "e.zip", forged::many(10_000_000), "The zip says that it holds 10000000 entries"),
            ("overlapping entries", "e.zip", forged::overlapping(), "The zip"),
            ("a bomb", "e.zip", zipped(&[("requirements.txt", six), ("zeros", &vec![0; 64 << 20])]), "The package unpacks to far more than its own size, as a zip bomb does"),
        ];
        for (what, name, bytes, sentence) in cases {
            let refused = upload(&environment, name, bytes).await;
            assert_eq!(refused.status, 400, "{what}: {refused}");
            assert!(refused.error().starts_with(sentence), "{what}: {refused}");
        }
        assert_eq!(environment.get("/revisions").await.len(), 0);
        assert_eq!(environment.get("").await["status"], "unavailable");
        assert_eq!(server.kept().await, kept);
    }

    async fn requirements_that_are_not_taken_fail_with_their_line(server) {
        let environment = environment(&server.project("demo").await, "e").await;
        for (requirements, sentence) in [
            ("six\n-e .".to_owned(), "requirements.txt line 2: the option -e is not supported; list packages only"),
            ("--index-url https://elsewhere.example/simple".to_owned(), "requirements.txt line 1: the option --index-url is not taken from a package"),
            ("x @ file:///etc/passwd".to_owned(), "requirements.txt line 1: files are not installed from the package or this machine"),
            ("x @ git+ssh://git@example.org/x".to_owned(), "requirements.txt line 1: addresses that start with git+ssh: are not supported"),
            ("-six".to_owned(), "requirements.txt line 1: the option -six is not supported"),
            ("six\n".repeat(10_001), "requirements.txt has more than 10000 lines"),
            ("six ==== 1".to_owned(), "requirements.txt line 1: 'six ==== 1' is not a requirement"),
        ] {
            let build = built(&environment, &requirements).await;
            let told = build.str("error_message");
            assert!(build["status"] == "failed" && told.starts_with(sentence), "{build}");
        }
        assert_eq!(environment.get("").await["status"], "failed");
        assert_eq!(built(&environment, &"six\n".repeat(10_000)).await["status"], "success");
    }

    async fn ids_of_others_are_not_found(server) {
        let project = server.project("demo").await;
        let mine = with_six(&project, "mine", "1.16.0").await;
        let theirs = with_six(&server.project("other").await, "theirs", "1.16.0").await;
        let near = with_six(&project, "near", "1.16.0").await;
        let ids = async |environment: &At| {
            let shown = environment.get("").await;
            (shown.str("active_revision"), shown.str("active_build"))
        };
        let (own, _) = ids(&mine).await;
        for (revision, build) in [ids(&theirs).await, ids(&near).await] {
            let foreign = mine.at(&format!("/revisions/{revision}"));
            assert_snapshot!(foreign.get("").await, @r#"404 {"error":"Revision was not found"}"#);
            assert_snapshot!(foreign.get("/download").await, @r#"404 {"error":"Revision was not found"}"#);
            assert_snapshot!(foreign.get("/builds").await, @r#"404 {"error":"Revision was not found"}"#);
            assert_snapshot!(foreign.post("/rebuild", json!({})).await, @r#"404 {"error":"Revision was not found"}"#);
            let foreign = mine.at(&format!("/revisions/{own}/builds/{build}"));
            assert_snapshot!(foreign.get("").await, @r#"404 {"error":"Build was not found"}"#);
            assert_snapshot!(foreign.get("/dependency-files").await, @r#"404 {"error":"Build was not found"}"#);
            assert_snapshot!(foreign.patch("", json!({ "status": "cancelled" })).await, @r#"404 {"error":"Build was not found"}"#);
        }
        assert_snapshot!(project.get("/environments/theirs").await, @r#"404 {"error":"Environment was not found"}"#);
        assert_snapshot!(project.delete("/environments/theirs").await, @r#"404 {"error":"Environment was not found"}"#);
        let form = Form::new().text("source_environment", "theirs");
        assert_snapshot!(send(&mine, form).await, @r#"400 {"error":"source_environment 'theirs' was not found"}"#);
        let base = python(&project).await;
        let refused = upload(&project.at(&format!("/environments/{base}")), "requirements.txt", "six").await;
        assert_eq!((refused.status, refused.error().ends_with("which cannot be changed")), (400, true), "{refused}");
    }
}
