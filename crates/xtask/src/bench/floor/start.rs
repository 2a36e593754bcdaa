//! Starting the floor, and the cold start of its Python side alone.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::super::child::Guarded;
use super::super::http::Request;
use super::super::load::Aim;
use super::super::python::Package;
use super::super::work::Work;
use super::super::{Result, interrupt};

/// How long the Python side may take to be ready.
const LIMIT: Duration = Duration::from_secs(60);

/// A running floor; it ends when dropped.
#[derive(Debug)]
pub struct Floor {
    process: Guarded,
    address: SocketAddr,
    work: Work,
}

impl Floor {
    /// Starts a floor that runs `package`, and waits until it can answer.
    pub fn start(program: &Path, package: &Package) -> Result<Floor> {
        Self::start_as(program, package, &script(package)?, None)
    }

    /// Starts one that runs `package` for streams.
    pub fn start_stream(program: &Path, package: &Package) -> Result<Floor> {
        let script = written(package, "floor_stream.py", super::STREAM)?;
        Self::start_as(program, package, &script, Some("stream"))
    }

    fn start_as(program: &Path, package: &Package, script: &Path, kind: Option<&str>) -> Result<Floor> {
        let mut command = Command::new(program);
        command.args(["bench", "floor"]).arg(&package.python).args([script, &package.folder]).args(kind);
        let mut process = Guarded::start("the floor", command.stdin(Stdio::null()).stdout(Stdio::piped()))?;
        let stdout = process.child().stdout.take().ok_or("the floor has no output")?;
        let line = first_line(stdout)?;
        let address = line.strip_prefix("listening ").and_then(|a| a.parse().ok());
        let address = address.ok_or("the floor did not start; its reason stands above")?;
        Ok(Floor { process, address, work: package.work })
    }

    /// What to send it.
    pub fn aim(&self) -> Result<Aim> {
        let body = serde_json::to_vec(&self.work.input()).map_err(|e| e.to_string())?;
        let request = Request { method: "POST", path: "/", token: None, content_type: "application/json", body: &body };
        let proof = self.work.floor_proof().into();
        Ok(Aim { address: self.address, request: request.encode(self.address), proof })
    }

    /// Its process, whose descendants are the Python loop.
    pub fn pid(&self) -> i32 {
        self.process.pid()
    }
}

/// Reads byte by byte, because only a plain read lets Ctrl-C through.
fn first_line(mut output: impl Read) -> Result<String> {
    let (mut line, mut byte) = (Vec::new(), [0]);
    loop {
        interrupt::check()?;
        match output.read(&mut byte) {
            Ok(1) if byte != *b"\n" => line.push(byte[0]),
            Ok(_) => return Ok(String::from_utf8_lossy(&line).into_owned()),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(format!("the floor said nothing: {e}")),
        }
    }
}

fn script(package: &Package) -> Result<PathBuf> {
    written(package, "floor_loop.py", super::LOOP)
}

fn written(package: &Package, name: &str, text: &str) -> Result<PathBuf> {
    let path = package.folder.with_file_name(name);
    std::fs::write(&path, text).map_err(|e| format!("{} cannot be written: {e}", path.display()))?;
    Ok(path)
}

/// From nothing to the first answer of the Python side alone, without any server: start, import, one request.
pub fn cold(package: &Package) -> Result<Duration> {
    let script = script(package)?;
    let body = serde_json::to_vec(&package.work.input()).map_err(|e| e.to_string())?;
    let (mut ours, theirs) = UnixStream::pair().map_err(|e| format!("no socket: {e}"))?;
    let said = |e: std::io::Error| format!("the Python loop did not answer: {e}");
    ours.set_read_timeout(Some(LIMIT)).map_err(said)?;
    let from = Instant::now();
    let mut command = Command::new(&package.python);
    command.arg(&script).arg(&package.folder).stdin(Stdio::from(OwnedFd::from(theirs)));
    let _process = Guarded::start("the Python loop", &mut command)?;
    // The command still holds the other end; without it the loop's death would go unnoticed.
    drop(command);
    let length = u32::try_from(body.len()).map_err(|e| e.to_string())?.to_be_bytes();
    ours.write_all(&[&length[..], &body].concat()).map_err(said)?;
    let ready = read_frame(&mut ours).map_err(said)?;
    let answer = read_frame(&mut ours).map_err(said)?;
    let took = from.elapsed();
    let right = ready.is_empty() && String::from_utf8_lossy(&answer).contains(package.work.floor_proof());
    if right { Ok(took) } else { Err("the Python loop answered something else".into()) }
}

fn read_frame(stream: &mut UnixStream) -> std::io::Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut frame = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut frame)?;
    Ok(frame)
}
