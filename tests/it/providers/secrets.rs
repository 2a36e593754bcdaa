//! Credentials are sealed, and stay with us.

use std::fs;
use std::path::PathBuf;

use super::stand::{Beside, Stand};
use crate::kit::*;

/// All files below a folder; links are not followed.
fn files_below(folder: PathBuf) -> Vec<PathBuf> {
    let (mut folders, mut found) = (vec![folder], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path());
            }
        }
    }
    found
}

pub async fn credentials_are_nowhere_to_be_read(stand: Stand, server: TestServer) {
    let bucket = stand.bucket(&server).await;
    stand.store(&bucket, "f", "x").await;
    let mut answers = vec![
        server.post("/projects/demo/buckets", stand.body("more", "p")).await.text(),
        bucket.get("").await.text(),
        server.get("/projects/demo/buckets").await.text(),
        bucket.patch("", json!({ "credentials": stand.credentials(), "description": "d" })).await.text(),
        bucket.upload_url("g").await,
        bucket.download_url("f").await,
    ];
    for credentials in stand.bad_credentials() {
        answers.push(bucket.patch("", json!({ "credentials": credentials })).await.text());
    }
    answers.push(server.get("/projects/demo/audit").await.text());
    answers.push(server.log());
    let files = files_below(server.data());
    assert!(files.len() > 3, "{files:?}");
    for secret in stand.secrets() {
        for answer in &answers {
            assert!(!answer.contains(&secret), "{answer}");
        }
        for file in &files {
            let bytes = fs::read(file).unwrap_or_default();
            assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{}", file.display());
        }
    }
}
