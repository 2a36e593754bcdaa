//! Bytes that are no HTTP.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Scene;
use crate::kit::*;

/// What the server answers to these bytes, until it closes.
async fn spoken(server: &TestServer, bytes: &[u8]) -> String {
    let address = server.origin().strip_prefix("http://").unwrap();
    let mut socket = TcpStream::connect(address).await.unwrap();
    // It may close before it has read everything.
    let _ = socket.write_all(bytes).await;
    let _ = socket.shutdown().await;
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

both! {
    async fn what_is_no_http_is_closed(server) {
        let scene = Scene::set(server).await;
        let large = format!("GET /v2.1/projects HTTP/1.1\r\nhost: x\r\nlarge: {}\r\n\r\n", "x".repeat(1 << 20));
        let many = format!("GET /v2.1/projects HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(10_000));
        let cases: [(&str, &[u8]); 6] = [
            ("noise", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
            ("a half head", b"GET /v2.1/projects HT"),
            ("two lengths", b"POST /v2.1/projects HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}"),
            ("a negative length", b"POST /v2.1/projects HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n"),
            ("a large head", large.as_bytes()),
            ("many headers", many.as_bytes()),
        ];
        for (what, bytes) in cases {
            let answer = spoken(&scene.server, bytes).await;
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{what}: {answer}");
            scene.is_undisturbed(what).await;
        }
    }
}
