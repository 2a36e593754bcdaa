//! One HTTP request at a time, for everything that is not load: deploying, asking, waiting.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::answer::{self, Shape};
use super::{Result, interrupt};

/// A request that will be sent on a connection of its own.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// GET or POST.
    pub method: &'a str,
    /// Path and query.
    pub path: &'a str,
    /// Sent as `Authorization: Token …` when there is one.
    pub token: Option<&'a str>,
    /// The type of the body.
    pub content_type: &'a str,
    /// The body.
    pub body: &'a [u8],
}

/// Status and body of an answer.
#[derive(Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The body as it came.
    pub body: Vec<u8>,
}

impl Request<'_> {
    /// The bytes on the wire; the connection stays open after the answer.
    pub fn encode(&self, address: SocketAddr) -> Vec<u8> {
        let token = self.token.map(|t| format!("Authorization: Token {t}\r\n")).unwrap_or_default();
        let head = format!(
            "{} {} HTTP/1.1\r\nHost: {address}\r\n{token}Content-Type: {}\r\nContent-Length: {}\r\n\r\n",
            self.method,
            self.path,
            self.content_type,
            self.body.len()
        );
        [head.as_bytes(), self.body].concat()
    }

    /// Sends it and waits for the whole answer, for at most `limit`.
    pub fn send(&self, address: SocketAddr, limit: Duration) -> Result<Reply> {
        let what = format!("{} {}", self.method, self.path);
        let said = |e: &dyn std::fmt::Display| format!("{what} failed: {e}");
        let mut stream = TcpStream::connect(address).map_err(|e| said(&e))?;
        stream
            .set_nodelay(true)
            .and_then(|()| stream.set_read_timeout(Some(Duration::from_millis(200))))
            .and_then(|()| stream.write_all(&self.encode(address)))
            .map_err(|e| said(&e))?;
        let from = Instant::now();
        let (mut buffer, mut filled, mut shape) = (vec![0; 16 * 1024], 0, Shape::default());
        loop {
            if let Some(whole) = answer::read(&buffer[..filled], b"", &mut shape).map_err(|e| said(&e))? {
                let status = std::str::from_utf8(&buffer[9..12]).ok().and_then(|s| s.parse().ok());
                let body = buffer[whole.body..whole.end].to_vec();
                return Ok(Reply { status: status.ok_or_else(|| said(&"no status"))?, body });
            }
            interrupt::check()?;
            if filled == buffer.len() {
                buffer.resize(filled * 2, 0);
            }
            match stream.read(&mut buffer[filled..]) {
                Ok(0) => return Err(said(&"the server closed the connection")),
                Ok(n) => filled += n,
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                    if from.elapsed() > limit {
                        return Err(said(&format!("no answer within {} s", limit.as_secs())));
                    }
                }
                Err(e) => return Err(said(&e)),
            }
        }
    }
}

impl Reply {
    /// The body as JSON, when the status is one of success; else an error that shows the answer.
    pub fn json(&self, what: &str) -> Result<Value> {
        let text = || String::from_utf8_lossy(&self.body).chars().take(500).collect::<String>();
        if !(200..300).contains(&self.status) {
            return Err(format!("{what} was answered with {}: {}", self.status, text()));
        }
        serde_json::from_slice(&self.body).map_err(|e| format!("{what} was answered without JSON ({e}): {}", text()))
    }
}

/// A free port on the loopback interface; free at this moment, which is all that can be had.
pub fn free_address() -> Result<SocketAddr> {
    std::net::TcpListener::bind(("127.0.0.1", 0))
        .and_then(|l| l.local_addr())
        .map_err(|e| format!("no free port on 127.0.0.1: {e}"))
}
