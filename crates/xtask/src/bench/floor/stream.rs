//! The floor's server for streams: one thread that copies what the Python loop tells to the caller, chunk by chunk.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use super::super::Result;

const BLANK: &[u8] = b"\r\n\r\n";
const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

/// Starts the Python loop, prints `listening ADDRESS` and serves one caller after another until it is ended.
pub fn serve(python: &str, script: &str, package: &str) -> Result<()> {
    let (ours, theirs) = UnixStream::pair().map_err(|e| format!("no socket: {e}"))?;
    let mut python = Command::new(python)
        .args([script, package])
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .spawn()
        .map_err(|e| format!("{python} cannot be started: {e}"))?;
    let served = listen(ours);
    let ended = python.wait();
    served.map_err(|e| format!("the floor stopped: {e} (its Python loop: {ended:?})"))
}

fn listen(mut worker: UnixStream) -> std::io::Result<()> {
    worker.read_exact(&mut [0; 4])?;
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    println!("listening {}", listener.local_addr()?);
    loop {
        let (mut caller, _) = listener.accept()?;
        caller.set_nodelay(true)?;
        let body = body_of(&mut caller)?;
        let length = u32::try_from(body.len()).map_err(std::io::Error::other)?.to_be_bytes();
        worker.write_all(&[&length[..], &body].concat())?;
        caller.write_all(HEAD)?;
        copy(&mut worker, &mut caller)?;
    }
}

/// The body of a request that comes whole in one piece after its head.
fn body_of(caller: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let count = caller.read(&mut buffer)?;
        text.extend_from_slice(&buffer[..count]);
        let head = text.windows(BLANK.len()).position(|part| part == BLANK).map(|at| at + BLANK.len());
        if let Some(head) = head.filter(|head| text.len() > *head) {
            return Ok(text.split_off(head));
        }
        if count == 0 {
            return Err(std::io::Error::other("the caller sent no request"));
        }
    }
}

/// All updates that one read brings go on by one write.
fn copy(worker: &mut UnixStream, caller: &mut TcpStream) -> std::io::Result<()> {
    let (mut waiting, mut buffer, mut text) = (Vec::new(), vec![0; 64 * 1024], Vec::new());
    loop {
        let count = worker.read(&mut buffer)?;
        if count == 0 {
            return Err(std::io::Error::other("the Python loop ended"));
        }
        waiting.extend_from_slice(&buffer[..count]);
        let (mut at, mut over) = (0, false);
        text.clear();
        while let Some(update) = frame_at(&waiting, at) {
            at += 4 + update.len();
            over |= update.is_empty();
            if !update.is_empty() {
                text.extend_from_slice(b"data:");
                text.extend_from_slice(update);
                text.extend_from_slice(b"\n\n");
            }
        }
        waiting.drain(..at);
        if !text.is_empty() {
            caller.write_all(&[format!("{:x}\r\n", text.len()).as_bytes(), &text, b"\r\n"].concat())?;
        }
        if over {
            return caller.write_all(b"0\r\n\r\n");
        }
    }
}

fn frame_at(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let length = u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize;
    bytes.get(at + 4..at + 4 + length)
}
