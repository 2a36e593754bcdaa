//! Uploads that lie, stall or break off, and files that are too large: nothing is left of them.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::kit::*;

/// Begins a PUT by hand: its head, and some of the body.
async fn begun(url: &str, head: &str, body: &str) -> TcpStream {
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_at(rest.find('/').unwrap());
    let mut stream = TcpStream::connect(host).await.unwrap();
    let text = format!("PUT {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{head}\r\n\r\n{body}");
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

async fn answer(mut stream: TcpStream) -> String {
    let mut text = String::new();
    // A connection that is reset has been given up, too.
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_string(&mut text)).await.unwrap();
    text
}

both! {
    async fn a_file_that_breaks_off_was_never_there(server) {
        let project = server.project("demo").await;
        let bucket = project.at("/buckets/default");
        let more = "x".repeat(3 << 20);
        for head in ["content-length: 9000000", "transfer-encoding: chunked"] {
            let url = bucket.upload_url("x").await;
            let body = if head.starts_with('c') { more.clone() } else { format!("{:x}\r\n{more}", 9_000_000) };
            drop(begun(&url, head, &body).await);
            until("it was noticed", async || server.objects("staging").is_empty()).await;
            // The address is not used up by that.
            bucket.put(&url, "whole").await.fine();
            assert_eq!(bucket.fetch(&bucket.download_url("x").await).await.fine().text(), "whole");
        }
    }

    async fn bytes_past_the_length_are_not_of_the_file(server) {
        let project = server.project("demo").await;
        let bucket = project.at("/buckets/default");
        let told = answer(begun(&bucket.upload_url("x").await, "content-length: 4", "12345678").await).await;
        assert!(told.starts_with("HTTP/1.1 200"), "{told}");
        assert_eq!(bucket.fetch(&bucket.download_url("x").await).await.fine().text(), "1234");
        for head in ["content-length: -1", "content-length: x", "content-length: 4\r\ncontent-length: 5", "content-length: 99999999999999999999999"] {
            let told = answer(begun(&bucket.upload_url("y").await, head, "1234").await).await;
            assert!(told.starts_with("HTTP/1.1 400"), "{head}: {told}");
        }
        assert_eq!(bucket.get("/files/y").await.status, 404);
    }

    async fn a_sender_who_stalls_is_given_up(server) {
        let mut server = server;
        server.restart(&[("BODY_READ_TIMEOUT", "200 ms")]).await;
        let bucket = server.at("/projects/default/buckets/default");
        let told = answer(begun(&bucket.upload_url("x").await, "content-length: 9000000", &"x".repeat(2 << 20)).await).await;
        assert!(told.contains("The file was not received to its end: the client paused for too long"), "{told}");
        assert_eq!((bucket.get("/files/x").await.status, server.objects("staging").len()), (404, 0));
    }

    async fn files_have_a_largest_size(server) {
        let mut server = server;
        server.restart(&[("FILE_SIZE_LIMIT", "1 MB")]).await;
        let bucket = server.at("/projects/default/buckets/default");
        bucket.store("fits", vec![0; 1_000_000]).await;
        let url = bucket.upload_url("x").await;
        assert_snapshot!(bucket.put(&url, vec![0; 1_000_001]).await, @r#"413 {"error":"Request Entity Too Large"}"#);
        let chunks = futures_util::stream::iter((0..40).map(|_| Ok::<_, std::io::Error>(vec![0_u8; 100_000])));
        assert_eq!(bucket.put(&url, reqwest::Body::wrap_stream(chunks)).await.status, 413);
        // So has a file of parts.
        let upload = bucket.send(bucket.request(reqwest::Method::POST, "/files/x/start-multipart-upload")).await.fine().str("upload_id");
        let mut parts = Vec::new();
        for number in 1..=2 {
            let path = format!("/files/x?upload_id={upload}&part_number={number}");
            let url = bucket.send(bucket.request(reqwest::Method::POST, &path)).await.fine().str("url");
            let sent = bucket.put(&url, vec![0; 600_000]).await.fine();
            parts.push(json!({ "PartNumber": number, "ETag": sent.headers["etag"].to_str().unwrap() }));
        }
        let whole = json!({ "upload_id": upload, "parts": parts });
        assert_eq!(bucket.post("/files/x/complete-multipart-upload", whole).await.status, 413);
        assert_eq!((bucket.get("/files/x").await.status, server.objects("staging").len()), (404, 0));
    }

    async fn a_killed_server_keeps_what_it_answered_and_no_more(server) {
        let mut server = server;
        let bucket = server.at("/projects/default/buckets/default");
        bucket.store("kept", "1").await;
        let stalled = begun(&bucket.upload_url("x").await, "content-length: 9000000", &"x".repeat(3 << 20)).await;
        until("it is being written", async || !server.objects("staging").is_empty()).await;
        server.crash();
        drop(stalled);
        server.start_again(&[]).await;
        let bucket = server.at("/projects/default/buckets/default");
        assert_eq!(bucket.fetch(&bucket.download_url("kept").await).await.fine().text(), "1");
        assert_eq!((bucket.get("/files/x").await.status, server.objects("staging").len()), (404, 0));
        tokio::time::timeout(Duration::from_secs(60), bucket.store("x", "2")).await.unwrap();
    }
}

both! {
    async fn a_server_that_dies_at_the_commit_has_the_file_or_has_it_not(server) {
        let mut server = server;
        assert!(server.stop().success());
        for (point, kept) in [("file_before_commit", false), ("file_after_commit", true)] {
            assert!(server.start_to_die_at(point, 1).await);
            let bucket = server.at("/projects/default/buckets/default");
            let url = bucket.upload_url(point).await;
            let sent = reqwest::Client::new().put(&url).body("whole").send().await;
            assert!(sent.is_err(), "the server died before it answered");
            server.died_at(point);
            server.start_again(&[]).await;
            let bucket = server.at("/projects/default/buckets/default");
            assert_eq!(bucket.get(&bucket.file(point)).await.status == 200, kept);
            // The client tries again, and finds it fine either way.
            let (_, ticket) = url.split_once("/files/").unwrap();
            let again = format!("{}/files/{ticket}", server.address().trim_end_matches("/v2.1"));
            bucket.put(&again, "whole").await.fine();
            assert_eq!(bucket.fetch(&bucket.download_url(point).await).await.fine().text(), "whole");
            assert!(server.stop().success());
        }
        server.start_again(&[]).await;
    }
}
