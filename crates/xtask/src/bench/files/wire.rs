//! A connection that files go through: bodies are sent and read piece by piece, and never held.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::super::child::Guarded;
use super::super::{Result, interrupt};

/// How long nothing may move.
const LIMIT: Duration = Duration::from_secs(120);
/// How long the start of a server may take.
const START: Duration = Duration::from_secs(10);
/// How much is read at a time.
const PIECE: usize = 256 << 10;
/// The longest head of an answer.
const MAX_HEAD: usize = 16 << 10;

/// A connection that is used again and again.
pub struct Wire {
    address: SocketAddr,
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
}

/// What is sent: a piece, again and again until so many bytes have gone.
#[derive(Clone, Copy)]
pub struct Content<'a> {
    /// The piece.
    pub piece: &'a [u8],
    /// All bytes.
    pub size: u64,
}

/// The head of an answer.
struct Head {
    status: u16,
    length: u64,
}

impl Content<'_> {
    /// No content.
    pub const NONE: Self = Self { piece: &[], size: 0 };
}

impl Wire {
    /// Connects.
    pub fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).map_err(|e| format!("{address} cannot be reached: {e}"))?;
        stream
            .set_nodelay(true)
            .and_then(|()| stream.set_read_timeout(Some(Duration::from_millis(200))))
            .and_then(|()| stream.set_write_timeout(Some(LIMIT)))
            .map_err(|e| format!("a connection cannot be set up: {e}"))?;
        Ok(Self { address, stream, buffer: vec![0; PIECE], filled: 0 })
    }

    /// Waits until a server that was just started listens.
    pub fn wait_for(name: &str, address: SocketAddr, process: &mut Guarded) -> Result<()> {
        let from = Instant::now();
        while Self::open(address).is_err() {
            process.check()?;
            if from.elapsed() > START {
                return Err(format!("{name} does not listen"));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// PUTs content; must be answered with success.
    pub fn put(&mut self, path: &str, content: Content<'_>) -> Result<()> {
        self.ask("PUT", path, "", content, &mut |_| Ok(())).map(drop)
    }

    /// GETs a path; `sink` is given the body piece by piece. Gives its size.
    pub fn get(&mut self, path: &str, sink: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<u64> {
        self.ask("GET", path, "", Content::NONE, sink)
    }

    /// Asks the API, whose answer is JSON.
    pub fn json(&mut self, method: &str, path: &str, token: &str) -> Result<serde_json::Value> {
        let mut body = Vec::new();
        let header = format!("Authorization: Token {token}\r\n");
        self.ask(method, path, &header, Content::NONE, &mut |piece| {
            body.extend_from_slice(piece);
            Ok(())
        })?;
        serde_json::from_slice(&body).map_err(|e| format!("{method} {path} was answered without JSON: {e}"))
    }

    fn ask(
        &mut self,
        method: &str,
        path: &str,
        header: &str,
        content: Content<'_>,
        sink: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<u64> {
        let said = |e: &dyn std::fmt::Display| format!("{method} {path:.80} failed: {e}");
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\n{header}Content-Length: {}\r\n\r\n",
            self.address, content.size
        );
        self.send(head.as_bytes(), content).map_err(|e| said(&e))?;
        let head = self.head().map_err(|e| said(&e))?;
        if !(200..300).contains(&head.status) {
            let mut body = Vec::new();
            self.body(head.length.min(500), &mut |piece| {
                body.extend_from_slice(piece);
                Ok(())
            })?;
            return Err(said(&format!("it was answered with {}: {}", head.status, String::from_utf8_lossy(&body))));
        }
        self.body(head.length, sink).map_err(|e| said(&e))?;
        Ok(head.length)
    }

    fn send(&mut self, head: &[u8], content: Content<'_>) -> Result<()> {
        let mut left = content.size;
        let mut write = |bytes: &[u8]| self.stream.write_all(bytes).map_err(|e| e.to_string());
        // What is small leaves in one packet.
        if content.size <= content.piece.len().min(PIECE) as u64 {
            let body = content.piece.get(..usize::try_from(content.size).unwrap_or(0)).unwrap_or_default();
            return write(&[head, body].concat());
        }
        write(head)?;
        while left > 0 {
            interrupt::check()?;
            let length = usize::try_from(left).unwrap_or(usize::MAX).min(content.piece.len());
            write(&content.piece[..length])?;
            left -= length as u64;
        }
        Ok(())
    }

    /// Reads the head of an answer; what came behind it stays in the buffer.
    fn head(&mut self) -> Result<Head> {
        loop {
            let text = &self.buffer[..self.filled];
            if let Some(at) = text.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = parse(&String::from_utf8_lossy(&text[..at]))?;
                self.buffer.copy_within(at + 4..self.filled, 0);
                self.filled -= at + 4;
                return Ok(head);
            }
            if self.filled > MAX_HEAD {
                return Err("the head of the answer does not end".into());
            }
            self.fill()?;
        }
    }

    /// Reads so many bytes.
    fn body(&mut self, size: u64, sink: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut left = size;
        while left > 0 {
            if self.filled == 0 {
                self.fill()?;
            }
            let length = self.filled.min(usize::try_from(left).unwrap_or(usize::MAX));
            sink(&self.buffer[..length])?;
            self.buffer.copy_within(length..self.filled, 0);
            self.filled -= length;
            left -= length as u64;
        }
        Ok(())
    }

    fn fill(&mut self) -> Result<()> {
        let from = Instant::now();
        loop {
            interrupt::check()?;
            match self.stream.read(&mut self.buffer[self.filled..]) {
                Ok(0) => return Err("the server closed the connection".into()),
                Ok(n) => {
                    self.filled += n;
                    return Ok(());
                }
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                    if from.elapsed() > LIMIT {
                        return Err(format!("nothing came for {} s", LIMIT.as_secs()));
                    }
                }
                Err(e) => return Err(e.to_string()),
            }
        }
    }
}

fn parse(head: &str) -> Result<Head> {
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let status = status.ok_or_else(|| format!("the answer has no status: {head:.200}"))?;
    let mut length = if status == 204 { Some(0) } else { None };
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok();
        }
    }
    Ok(Head { status, length: length.ok_or_else(|| format!("the answer has no length: {head:.200}"))? })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;

    #[test]
    fn heads_tell_status_and_length() {
        let head = parse("HTTP/1.1 201 Created\r\nserver: x\r\nCONTENT-length: 12").unwrap();
        assert_eq!((head.status, head.length), (201, 12));
        assert_eq!(parse("HTTP/1.1 204 No Content").unwrap().length, 0);
        assert!(parse("HTTP/1.1 200 OK").is_err() && parse("nonsense").is_err());
    }
}
