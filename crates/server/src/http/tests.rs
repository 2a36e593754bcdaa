//! Slow, many and stopping clients.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use axum::routing::{get, post};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

use super::*;

const LONG: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_millis(20);

async fn open(router: Router, limits: Limits) -> Front {
    let (_, nobody) = mpsc::channel(1);
    Front::open(bind("127.0.0.1:0").await.unwrap(), nobody, router, limits).unwrap()
}

fn limits() -> Limits {
    Limits { connections: 100, header_read: LONG, body_read: LONG }
}

fn echo() -> Router {
    Router::new().route("/", post(|body: axum::body::Bytes| async move { body }))
}

async fn send(front: &Front, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(front.address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

async fn all(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

async fn close(front: Front) {
    front.wind_down();
    front.quiet().await;
    front.close().await;
}

#[tokio::test]
async fn answers_until_it_is_closed() {
    let front = open(echo(), limits()).await;
    let stream = send(&front, "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi").await;
    assert!(all(stream).await.ends_with("\r\n\r\nhi"));
    let address = front.address;
    close(front).await;
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_client_that_never_sends_its_head_is_given_up() {
    let front = open(echo(), Limits { header_read: SHORT, ..limits() }).await;
    assert_eq!(all(send(&front, "POST / HTT").await).await, "");
    close(front).await;
}

#[tokio::test]
async fn a_client_that_never_sends_its_body_is_given_up() {
    let front = open(echo(), Limits { body_read: SHORT, ..limits() }).await;
    let stream = send(&front, "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhi").await;
    assert!(all(stream).await.starts_with("HTTP/1.1 400"));
    close(front).await;
}

#[tokio::test]
async fn connections_past_the_limit_wait_for_a_place() {
    let front = open(echo(), Limits { connections: 1, ..limits() }).await;
    let first = send(&front, "").await;
    let second = send(&front, "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    drop(first);
    assert!(all(second).await.starts_with("HTTP/1.1 200"));
    close(front).await;
}

#[tokio::test]
async fn what_runs_is_answered_while_it_winds_down() {
    let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let slow = {
        let (begun, go) = (Arc::clone(&begun), Arc::clone(&go));
        get(move || async move {
            begun.notify_one();
            go.notified().await;
            "done"
        })
    };
    let front = open(Router::new().route("/", slow), limits()).await;
    let stream = send(&front, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let idle = send(&front, "").await;
    begun.notified().await;

    front.wind_down();
    go.notify_one();

    assert!(all(stream).await.ends_with("done"));
    assert_eq!(all(idle).await, "");
    front.quiet().await;
    front.close().await;
}

#[tokio::test]
async fn while_it_winds_down_new_connections_have_one_answer_and_hold_nothing_up() {
    let front = open(echo(), limits()).await;
    let fresh = send(&front, "").await;
    front.wind_down();
    let asked = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nhi";
    let late = all(send(&front, asked).await).await;
    assert!(late.contains("connection: close") && late.ends_with("hi"), "{late}");
    let silent = send(&front, "").await;
    let mut fresh = fresh;
    fresh.write_all(asked.as_bytes()).await.unwrap();
    assert!(all(fresh).await.ends_with("hi"), "it was there before, and its first request was on its way");
    front.quiet().await;
    front.close().await;
    assert_eq!(all(silent).await, "");
}
