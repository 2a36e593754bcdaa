//! Files of buckets at providers: sent to and fetched from the provider itself, listed and deleted through us.

use form_urlencoded::byte_serialize;
use reqwest::Method;

use super::stand::{Beside, Stand};
use crate::kit::*;

/// As large as parts but the last have to be at S3.
const PART: usize = 5 << 20;

fn gone(reply: &Reply) {
    assert_eq!(reply.to_string(), r#"404 {"error":"File was not found"}"#);
}

pub async fn a_file_goes_round(stand: Stand, server: TestServer) {
    let bucket = stand.bucket(&server).await;
    let name = "a/b c.txt";
    let asked = bucket.send(bucket.request(Method::POST, &bucket.file(name))).await.fine();
    assert_eq!(asked["provider"], stand.provider());
    let url = asked.str("url");
    assert!(url.starts_with(&stand.url()) && url.contains("/some/prefix%20of%20files/a/b%20c.txt?"), "{url}");
    gone(&bucket.get(&bucket.file(name)).await);
    stand.put(&url, "hello").await.fine();

    let shown = bucket.get(&bucket.file(name)).await.fine();
    assert_eq!(shown.only(&["file", "size"]), r#"{"file":"a/b c.txt","size":5}"#);
    assert!(shown.str("time_created").ends_with('Z'), "{shown}");
    let fetched = bucket.download_url(name).await;
    assert!(fetched.starts_with(&stand.url()), "{fetched}");
    assert_eq!(bucket.fetch(&fetched).await.fine().text(), "hello");
    assert_eq!(bucket.get("/files").await.fine()["files"], json!([shown.json()]));
    // A slash at the beginning means nothing, as elsewhere.
    assert_eq!(bucket.get(&bucket.file("/a/b c.txt")).await.fine().json(), shown.json());

    let empty = stand.store(&bucket, "empty", "").await;
    assert_eq!(bucket.fetch(&empty).await.fine().bytes.len(), 0);
    assert_eq!(bucket.delete(&bucket.file(name)).await.to_string(), "204");
    for after in [
        bucket.get(&bucket.file(name)).await,
        bucket.delete(&bucket.file(name)).await,
        bucket.get(&format!("{}/download", bucket.file(name))).await,
    ] {
        gone(&after);
    }
}

pub async fn names_of_all_kinds_are_files_of_their_own(stand: Stand, server: TestServer) {
    let bucket = stand.bucket(&server).await;
    let names = ["ü漢🦀 b.txt", "a%2Fb", "%2e%2e/x", "a+b&c=d?e#f", "\"quoted\" 'x'", "...", "~a!*()"];
    for name in names {
        let url = stand.store(&bucket, name, name.to_owned()).await;
        assert_eq!(bucket.fetch(&url).await.fine().text(), name);
        assert_eq!(bucket.get(&bucket.file(name)).await.fine()["file"], name);
    }
    let listed = bucket.get("/files").await.fine();
    let listed: Vec<_> = listed["files"].as_array().unwrap().iter().map(|it| it["file"].as_str().unwrap()).collect();
    let mut sorted = names.to_vec();
    sorted.sort_unstable();
    assert_eq!(listed, sorted);
    for bad in ["../a", "a//b", "a/", "a\nb", &"x".repeat(1024)] {
        let told = bucket.send(bucket.request(Method::POST, &bucket.file(bad))).await;
        assert_eq!(told.status, 400, "{bad:?} {told}");
    }
}

/// Files and prefixes of all pages of a list, and how many pages those were.
async fn all(bucket: &At, query: &[(&str, &str)]) -> (Vec<String>, Vec<String>, usize) {
    let (mut files, mut prefixes, mut pages, mut token) = (Vec::new(), Vec::new(), 0, None);
    loop {
        let mut query = query.to_vec();
        query.extend(token.as_deref().map(|token| ("continuation_token", token)));
        let page = bucket.find("/files", &query).await.fine();
        files.extend(page["files"].as_array().unwrap().iter().map(|it| it["file"].as_str().unwrap().to_owned()));
        prefixes.extend(page["prefixes"].as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned()));
        pages += 1;
        token = page["continuation_token"].as_str().map(str::to_owned);
        if token.is_none() {
            return (files, prefixes, pages);
        }
    }
}

pub async fn lists_have_pages_and_prefixes(stand: Stand, server: TestServer) {
    let bucket = stand.bucket(&server).await;
    for name in ["a", "b/1", "b/2", "b/c/3", "d e/1"] {
        stand.store(&bucket, name, "x").await;
    }
    let texts = |texts: &[&str]| texts.iter().map(|it| it.to_string()).collect::<Vec<_>>();
    assert_eq!(all(&bucket, &[("delimiter", "/")]).await, (texts(&["a"]), texts(&["b/", "d e/"]), 1));
    assert_eq!(all(&bucket, &[("prefix", "b/")]).await, (texts(&["b/1", "b/2", "b/c/3"]), vec![], 1));
    assert_eq!(
        all(&bucket, &[("prefix", "/b/"), ("delimiter", "/")]).await,
        (texts(&["b/1", "b/2"]), texts(&["b/c/"]), 1)
    );
    let (files, _, pages) = all(&bucket, &[("limit", "2")]).await;
    assert_eq!((files, pages), (texts(&["a", "b/1", "b/2", "b/c/3", "d e/1"]), 3));
    assert_eq!(all(&bucket, &[("prefix", "nothing"), ("delimiter", "")]).await, (vec![], vec![], 1));

    let token = bucket.find("/files", &[("limit", "1")]).await.fine().str("continuation_token");
    bucket.find("/files", &[("limit", "1"), ("continuation_token", &token)]).await.fine();
    let sentence = r#"400 {"error":"continuation_token is not one that this list has given"}"#;
    for forged in [&token[1..], &format!("{token}A"), "x", "b/1", &"x".repeat(10_000)] {
        assert_eq!(bucket.find("/files", &[("continuation_token", forged)]).await.to_string(), sentence);
    }
    assert_eq!(bucket.find("/files", &[("prefix", "a"), ("continuation_token", &token)]).await.to_string(), sentence);
    assert_eq!(bucket.find("/files", &[("prefix", &"x".repeat(5_000))]).await.status, 400);
}

/// Begins an upload; gives its id.
async fn begin(bucket: &At, name: &str) -> String {
    let begun =
        bucket.send(bucket.request(Method::POST, &format!("{}/start-multipart-upload", bucket.file(name)))).await;
    assert_eq!(begun.status, 201, "{begun}");
    begun.str("upload_id")
}

/// Sends a part as the stock client does; gives how it is named.
async fn part(stand: &Stand, bucket: &At, name: &str, upload: &str, number: usize, body: Vec<u8>) -> Value {
    let block = format!("{name}_{number}");
    let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let query = match stand.has_numbers() {
        true => format!("?upload_id={}&part_number={number}", encoded(upload)),
        false => format!("?upload_id={}", encoded(&block)),
    };
    let asked = bucket.send(bucket.request(Method::POST, &format!("{}{query}", bucket.file(name)))).await.fine();
    let sent = stand.put(&asked.str("url"), body).await.fine();
    match stand.has_numbers() {
        true => json!({ "ETag": sent.headers["etag"].to_str().unwrap(), "PartNumber": number }),
        false => json!({ "BlockId": block }),
    }
}

async fn complete(bucket: &At, name: &str, upload: &str, parts: Value) -> Reply {
    bucket
        .post(
            &format!("{}/complete-multipart-upload", bucket.file(name)),
            json!({ "upload_id": upload, "parts": parts }),
        )
        .await
}

pub async fn files_are_sent_in_parts(stand: Stand, server: TestServer) {
    let bucket = stand.bucket(&server).await;
    let name = "large file+%2F/ü";
    let upload = begin(&bucket, name).await;
    let whole: Vec<u8> = (0..PART + 10).map(|at| (at * 31 % 251) as u8).collect();
    let second = part(&stand, &bucket, name, &upload, 2, whole[PART..].to_vec()).await;
    let first = part(&stand, &bucket, name, &upload, 1, whole[..PART].to_vec()).await;
    gone(&bucket.get(&bucket.file(name)).await);

    let done = complete(&bucket, name, &upload, json!([first, second])).await;

    assert_eq!((done.status, done.str("provider")), (201, stand.provider().to_owned()));
    assert_eq!(bucket.get(&bucket.file(name)).await.fine()["size"], whole.len());
    assert!(bucket.fetch(&bucket.download_url(name).await).await.fine().bytes == whole);
}

pub async fn parts_that_do_not_fit_are_refused(stand: Stand, server: TestServer) {
    let bucket = stand.bucket(&server).await;
    stand.store(&bucket, "f", "before").await;
    let upload = begin(&bucket, "f").await;
    let first = part(&stand, &bucket, "f", &upload, 1, b"one".to_vec()).await;
    let (wrong, missing, other) = match stand.has_numbers() {
        true => (
            json!({ "ETag": "\"0000\"", "PartNumber": 1 }),
            json!({ "ETag": "\"0000\"", "PartNumber": 2 }),
            json!({ "BlockId": "b" }),
        ),
        false => (
            json!({ "BlockId": "wrong" }),
            json!({ "BlockId": "missing" }),
            json!({ "ETag": "\"0\"", "PartNumber": 1 }),
        ),
    };
    for parts in [json!([wrong]), json!([first, missing]), json!([other]), json!([])] {
        let refused = complete(&bucket, "f", &upload, parts.clone()).await;
        assert_eq!(refused.status, 400, "{parts} {refused}");
        assert!(!refused.error().is_empty());
    }
    for id in ["unknown", ""] {
        let refused = complete(&bucket, "f", id, json!([first])).await;
        assert_eq!(refused.status, 400, "{id} {refused}");
    }
    if stand.has_numbers() {
        let path = format!("{}?upload_id={upload}", bucket.file("f"));
        let refused = bucket.send(bucket.request(Method::POST, &path)).await;
        assert_eq!(refused.to_string(), r#"400 {"error":"part_number is required with upload_id"}"#);
    }
    assert_eq!(bucket.fetch(&bucket.download_url("f").await).await.fine().text(), "before");
    complete(&bucket, "f", &upload, json!([first])).await.fine();
    assert_eq!(bucket.fetch(&bucket.download_url("f").await).await.fine().text(), "one");
}

pub async fn a_deleted_bucket_leaves_its_files(stand: Stand, server: TestServer) {
    let bucket = stand.bucket(&server).await;
    let url = stand.store(&bucket, "stays", "here").await;
    server.delete("/projects/demo/buckets/files").await.fine();
    assert_eq!(bucket.get("/files").await.to_string(), r#"404 {"error":"Bucket was not found"}"#);
    assert_eq!(bucket.fetch(&url).await.fine().text(), "here");

    let project = server.at("/projects/demo");
    project.post("/buckets", stand.body("again", "some")).await.fine();
    let again = project.at("/buckets/again");
    assert_eq!(again.get("/files").await.fine()["files"][0]["file"], "prefix of files/stays");
    server.delete("/projects/demo").await.fine();
    assert_eq!(bucket.fetch(&url).await.fine().text(), "here");
}
