//! Packages that are no packages.

use super::Scene;
use crate::kit::package::{ECHO, forged, packed, zipped};
use crate::kit::*;

both! {
    async fn bad_packages_are_refused_and_nothing_of_them_is_kept(server) {
        let scene = Scene::set(server).await;
        let code = ECHO.as_bytes();
        let with = |name: &str| zipped(&[("deployment.py", code), (name, b"x")]);
        let cases: Vec<(&str, Vec<u8>, &str)> = vec![
            ("nothing", Vec::new(), "The file is not a zip"),
            ("text", b"this is no zip".to_vec(), "The file is not a zip"),
            ("half a zip", packed(&[("deployment.py", ECHO)])[..60].to_vec(), "The file is not a zip"),
            ("no files", zipped(&[]), "The package has no file 'deployment.py' or 'deployment.R'"),
            ("no main file", packed(&[("main.py", ECHO)]), "The package has no file 'deployment.py' or 'deployment.R' in its folder 'package'"),
            ("only R", packed(&[("deployment.R", "x")]), "deployment.R is R code, and environment 'python3-"),
            ("a way up", with("../evil.py"), "The zip's entry '../evil.py' "),
            ("a way up inside", with("a/../../evil.py"), "The zip's entry 'a/../../evil.py' "),
            ("an absolute path", with("/etc/evil"), "The zip's entry '/etc/evil' "),
            ("a drive", with("C:\\evil"), "The zip's entry 'C:"),
            ("a link", forged::link("evil", "/etc/passwd"), "The zip's entry 'evil' is a symbolic link; a package holds only files and folders"),
            ("a device", forged::device("evil"), "The zip's entry 'evil' is a device; a package holds only files and folders"),
            ("ten million entries", forged::many(10_000_000), "The zip says that it holds 10000000 entries, more than the 100000 that are allowed"),
            ("overlapping entries", forged::overlapping(), "The zip"),
            ("a bomb", zipped(&[("deployment.py", code), ("zeros", &vec![0; 64 << 20])]), "The package unpacks to far more than its own size, as a zip bomb does"),
        ];
        for (what, zip, sentence) in cases {
            let refused = scene.empty.upload(zip).await;
            assert_eq!(refused.status, 400, "{what}: {refused}");
            assert!(refused.error().starts_with(sentence), "{what}: {refused}");
            assert_eq!(scene.empty.get("/revisions").await.len(), 0, "{what}");
            assert_eq!(scene.empty.get("").await["status"], "unavailable", "{what}");
            scene.is_undisturbed(what).await;
        }
    }

    async fn packages_above_the_limit_are_refused_while_they_come(server) {
        let mut server = server;
        server.restart(&[("PACKAGE_SIZE_LIMIT", "100 KB")]).await;
        let scene = Scene::set(server).await;
        let large = zipped(&[("deployment.py", ECHO.as_bytes()), ("noise", &noise(200_000))]);
        assert_snapshot!(scene.empty.upload(large).await, @r#"413 {"error":"Request Entity Too Large"}"#);
        scene.is_undisturbed("a large package").await;
    }

    async fn an_upload_that_breaks_off_leaves_nothing(server) {
        let scene = Scene::set(server).await;
        let pieces = futures_util::stream::iter([
            Ok("--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.zip\"\r\n\r\nPK".to_owned()),
            Err(std::io::Error::other("broken off")),
        ]);
        let request = scene.empty.request(reqwest::Method::POST, "/revisions");
        let request = request.header("content-type", "multipart/form-data; boundary=b").body(reqwest::Body::wrap_stream(pieces));
        request.send().await.unwrap_err();
        until("the piece is gone", async || {
            let kept = scene.server.kept().await;
            kept == *scene.kept.borrow()
        }).await;
        let broken = scene.empty.post_raw("/revisions", "multipart/form-data; boundary=b", "--b\r\nno form").await;
        assert_eq!(broken.status, 400, "{broken}");
        scene.is_undisturbed("a broken form").await;
    }
}

/// Bytes that do not compress.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}
