//! Signed URLs, in the hands of a client that has no credentials and sends what the stock client sends.

use std::time::Duration;

use modelyard_objects::remote::Remote;
use reqwest::{Client, StatusCode};
use tokio::time::Instant;

use crate::files::NAMES;
use crate::kit::{Stand, read, write};

const HOUR: Duration = Duration::from_secs(3600);

/// Sends bytes to a URL.
pub async fn put(stand: &Stand, url: &str, body: impl Into<reqwest::Body>) -> reqwest::Response {
    let body = body.into();
    let length = body.as_bytes().unwrap().len();
    let mut request = Client::new().put(url).body(body).header("Content-Length", length);
    for (name, value) in stand.headers_of_clients() {
        request = request.header(name, value);
    }
    request.send().await.unwrap()
}

async fn fetch(url: &str) -> (StatusCode, String) {
    let response = Client::new().get(url).send().await.unwrap();
    (response.status(), response.text().await.unwrap())
}

pub async fn a_client_without_credentials_reads_and_writes_by_urls(stand: &Stand) {
    let remote = stand.open();
    for name in NAMES {
        let url = remote.sign_put(name, HOUR).await.unwrap();
        let answered = put(stand, &url, format!("by url: {name}")).await;
        assert!(answered.status().is_success(), "{name}: {}", answered.text().await.unwrap());
        assert_eq!(read(&remote, name).await, format!("by url: {name}"));

        let url = remote.sign_get(name, HOUR).await.unwrap();
        assert_eq!(fetch(&url).await, (StatusCode::OK, format!("by url: {name}")));
    }
    let answered = put(stand, &remote.sign_put("empty", HOUR).await.unwrap(), "").await;
    assert!(answered.status().is_success(), "{}", answered.text().await.unwrap());
    assert_eq!(remote.get("empty").await.unwrap().unwrap().size, 0);
    let missing = fetch(&remote.sign_get("nothing", HOUR).await.unwrap()).await;
    assert_eq!(missing.0, StatusCode::NOT_FOUND);
}

pub async fn a_url_is_good_for_one_call(stand: &Stand) {
    let remote = stand.open();
    write(&remote, "file", "mine").await;
    write(&remote, "other", "secret").await;
    let reading = remote.sign_get("file", HOUR).await.unwrap();

    assert_refused(fetch(&reading.replace("/file?", "/other?")).await.0);
    assert_refused(put(stand, &reading, "written").await.status());
    assert_refused(fetch(&tampered(&reading)).await.0);
    assert_refused(fetch(&reading[..reading.find('?').unwrap()]).await.0);
    let writing = remote.sign_put("file", HOUR).await.unwrap();
    assert_refused(put(stand, &writing.replace("/file?", "/other?"), "x").await.status());
    assert_refused(Client::new().delete(&writing).send().await.unwrap().status());
    assert_eq!((read(&remote, "file").await, read(&remote, "other").await), ("mine".into(), "secret".into()));
}

pub async fn a_url_expires(stand: &Stand) {
    let remote = stand.open();
    write(&remote, "file", "x").await;
    let url = remote.sign_get("file", Duration::from_secs(1)).await.unwrap();
    refused_at_last(&url).await;
    let longer = remote.sign_get("file", HOUR).await.unwrap();
    assert_eq!(fetch(&longer).await.0, StatusCode::OK);
}

async fn refused_at_last(url: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while fetch(url).await.0 == StatusCode::OK {
        assert!(Instant::now() < deadline, "the URL does not expire");
    }
    assert_refused(fetch(url).await.0);
}

/// Another digit at the end of the signature.
fn tampered(url: &str) -> String {
    let start = url.to_lowercase().find("sig").unwrap();
    let start = start + url[start..].find('=').unwrap() + 1;
    let other = if url[start..].starts_with('a') { 'b' } else { 'a' };
    format!("{}{other}{}", &url[..start], &url[start + 1..])
}

fn assert_refused(status: StatusCode) {
    assert!(matches!(status.as_u16(), 400 | 401 | 403), "{status}");
}

/// Signs a part as a client asks for it.
pub async fn sign_part(remote: &Remote, name: &str, upload: &str, part: Option<u32>) -> String {
    remote.sign_part(name, upload, part, HOUR).await.unwrap()
}
