//! An installation that keeps its own files in an object store: buckets of our own, and blobs.

use reqwest::multipart::{Form, Part};

use super::requests::{CODE, copies};
use super::stand::{Beside, Stand};
use crate::kit::*;

const MARKER: &str = "modelyard-installation";

/// The settings of a server with its files at the stand.
fn settings(stand: &Stand, server: &TestServer) -> Vec<(&'static str, String)> {
    let file = server.data().with_file_name("store.json");
    let told = json!({
        "provider": stand.provider(),
        "credentials": stand.credentials(),
        "configuration": stand.configuration("kept"),
    });
    std::fs::write(&file, told.to_string()).unwrap();
    let mut settings = stand.settings();
    settings.push(("FILES_STORE", file.display().to_string()));
    settings
}

fn borrowed<'a>(settings: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    settings.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

/// Starts the server again with its files at the stand.
async fn move_in(stand: &Stand, server: &mut TestServer) {
    let settings = settings(stand, server);
    server.restart(&borrowed(&settings)).await;
}

/// The names of all files that lie there.
async fn there(project: &At) -> Vec<String> {
    let listed = project.get("/buckets/behind/files").await.fine();
    listed["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["file"].as_str().unwrap().to_owned())
        .filter(|it| it != MARKER)
        .collect()
}

pub async fn own_files_are_kept_there(stand: Stand, mut server: TestServer) {
    let project = server.project("demo").await;
    let bucket = project.at("/buckets/default");
    bucket.store("old", "from before").await;
    move_in(&stand, &mut server).await;
    let project = server.at("/projects/demo");
    let bucket = project.at("/buckets/default");
    project.post("/buckets", stand.body("behind", "kept")).await.fine();

    let url = bucket.store("a/ü.txt", "hello").await;
    assert!(url.contains("/files/") && !url.starts_with(&stand.url()), "{url}");
    assert_eq!(bucket.fetch(&url).await.fine().text(), "hello");
    let part = bucket.fetch_with(&url, &[("range", "bytes=1-3")]).await;
    assert_eq!((part.status, part.text()), (206, "ell".into()));
    assert_eq!(there(&project).await.len(), 1);
    let empty = bucket.store("empty", "").await;
    assert_eq!(bucket.fetch(&empty).await.fine().bytes.len(), 0);

    let old = bucket.download_url("old").await;
    assert_eq!(bucket.fetch(&old).await.fine().text(), "from before");
    assert_eq!((server.objects("files").len(), server.objects("staging").len()), (1, 0));

    // What was replaced stays a while for those who read it, and nobody else sees it.
    bucket.store("a/ü.txt", "other").await;
    assert_eq!(bucket.fetch(&url).await.fine().text(), "other");
    assert_eq!(there(&project).await.len(), 3);
    bucket.delete(&bucket.file("a/ü.txt")).await.fine();
    assert_eq!(bucket.fetch(&url).await.to_string(), r#"404 {"error":"File was not found"}"#);
    bucket.delete(&bucket.file("old")).await.fine();
    until("the file from before is removed", async || server.objects("files").is_empty()).await;
}

pub async fn parts_and_blobs_are_kept_there_too(stand: Stand, mut server: TestServer) {
    server.project("demo").await;
    move_in(&stand, &mut server).await;
    let project = server.at("/projects/demo");
    let bucket = project.at("/buckets/default");
    let upload = bucket.begin_upload("big").await;
    let pieces: Vec<Vec<u8>> = (0..3_u8).map(|at| vec![at; 300_000]).collect();
    let mut named = Vec::new();
    for (at, piece) in pieces.iter().enumerate() {
        named.push(bucket.send_part("big", &upload, at + 1, piece.clone()).await);
    }
    assert_eq!(bucket.complete_upload("big", &upload, json!(named)).await.status, 201);
    let (whole, url) = (pieces.concat(), bucket.download_url("big").await);
    assert!(bucket.fetch(&url).await.fine().bytes == whole);
    let range = bucket.fetch_with(&url, &[("range", "bytes=299990-600010")]).await;
    assert!(range.status == 206 && range.bytes == whole[299_990..=600_010]);

    let form = Form::new().part("file", Part::text("a blob").file_name("x.txt"));
    let blob = project.send(project.request(reqwest::Method::POST, "/blobs").multipart(form)).await.fine();
    assert_eq!(project.get(&format!("/blobs/{}", blob.str("id"))).await.fine().text(), "a blob");
    assert_eq!(server.objects("files").len(), 0);
}

pub async fn requests_use_what_is_kept_there(stand: Stand, mut server: TestServer) {
    server.project("demo").await;
    move_in(&stand, &mut server).await;
    let project = server.at("/projects/demo");
    project.post("/buckets", json!({ "name": "files" })).await.fine();
    let bucket = project.at("/buckets/files");
    let deployment = project.running("d", "photo:file", "upper:file", CODE).await;
    bucket.store("in", "one").await;
    for text in ["one", "one", "two"] {
        if text == "two" {
            bucket.store("in", text).await;
        }
        let answer = deployment.ask(json!({ "photo": "ubiops-file://files/in" })).await;
        assert_eq!(answer.outcome(), format!(r#"completed {{"upper":"ubiops-file://files/out/ü {text}.txt"}}"#));
    }
    assert_eq!(copies(&server), 2);
    assert_eq!(bucket.fetch(&bucket.download_url("out/ü two.txt").await).await.fine().text(), "TWO");
}

pub async fn while_it_is_gone_files_cannot_be_had_and_none_is_lost(stand: Stand, mut server: TestServer) {
    server.project("demo").await;
    move_in(&stand, &mut server).await;
    let bucket = server.at("/projects/demo/buckets/default");
    let url = bucket.store("a", "hello").await;
    drop(stand);
    let sentence = r#"503 {"error":"The store of files does not answer as it should; try again later"}"#;
    assert_eq!(bucket.fetch(&url).await.to_string(), sentence);
    assert_eq!(bucket.put(&bucket.upload_url("b").await, "x").await.to_string(), sentence);
    assert_eq!(bucket.get(&bucket.file("b")).await.status, 404);
    assert_eq!(bucket.get(&bucket.file("a")).await.fine()["size"], 5);
    assert_eq!(server.objects("staging").len(), 0);
}

pub async fn the_place_of_another_installation_is_refused(stand: Stand, mut server: TestServer) {
    server.project("demo").await;
    for _ in 0..2 {
        move_in(&stand, &mut server).await;
    }
    let project = server.at("/projects/demo");
    project.post("/buckets", stand.body("behind", "kept")).await.fine();
    let behind = project.at("/buckets/behind");
    let marker = stand.store(&behind, MARKER, "Files of the Modelyard installation 1\n").await;
    let settings = settings(&stand, &server);
    let said = server.restart_refused(&borrowed(&settings)).await;
    assert!(said.contains("'modelyard-installation' there says that it is another installation's"), "{said}");
    assert_eq!(behind.fetch(&marker).await.fine().text(), "Files of the Modelyard installation 1\n");
}
