//! The server's process, from an empty data folder or on the one it had.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::super::build::Binaries;
use super::super::child::{Guarded, tail};
use super::super::http::{self, Request};
use super::super::{Options, Result, interrupt};

/// How long a start may take.
const LIMIT: Duration = Duration::from_secs(60);

/// A running server; it and its data are gone when dropped.
#[derive(Debug)]
pub struct Server {
    // The process must end before its data folder goes: fields are dropped in this order.
    process: Option<Guarded>,
    data: TempDir,
    log: PathBuf,
    program: PathBuf,
    arguments: Vec<String>,
    /// Where it listens.
    pub address: SocketAddr,
    /// The administrator's token.
    pub token: String,
    /// The interpreter that versions ask for: that of the floor.
    pub environment: String,
}

impl Server {
    /// Starts a server on an empty data folder, in its usual configuration.
    pub fn start_new(options: &Options, binaries: &Binaries) -> Result<Server> {
        let data = tempfile::Builder::new().prefix("data-").tempdir_in(&binaries.home);
        let (major, minor) = super::super::python::version(&options.python)?;
        let mut server = Server {
            process: None,
            data: data.map_err(|e| format!("no data folder in {}: {e}", binaries.home.display()))?,
            log: binaries.home.join("server.log"),
            program: binaries.server.clone(),
            arguments: options.serve_arg.clone(),
            address: http::free_address()?,
            token: String::new(),
            environment: format!("python{major}-{minor}"),
        };
        remove_if_there(&server.log)?;
        server.start()?;
        let path = server.folder().join("admin-token");
        let token = fs::read_to_string(&path).map_err(|e| format!("{} cannot be read: {e}", path.display()))?;
        server.token = token.trim().into();
        Ok(server)
    }

    /// Ends it and starts it again on its data; returns the time from its start until it says it is ready.
    pub fn restart(&mut self) -> Result<Duration> {
        self.process = None;
        self.address = http::free_address()?;
        self.start()
    }

    fn folder(&self) -> PathBuf {
        self.data.path().join("data")
    }

    fn start(&mut self) -> Result<Duration> {
        let mut command = Command::new(&self.program);
        command
            .args(["serve", "--listen", &self.address.to_string(), "--data"])
            .arg(self.folder())
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(append(&self.log)?)
            .stderr(append(&self.log)?);
        let from = Instant::now();
        let mut process = Guarded::start("the server", &mut command)?;
        let ready = self.until_ready(&mut process, from);
        self.process = Some(process);
        ready.map_err(|e| self.with_log(&e))
    }

    fn until_ready(&self, process: &mut Guarded, from: Instant) -> Result<Duration> {
        let ask = Request { method: "GET", path: "/readyz", token: None, content_type: "application/json", body: b"" };
        loop {
            process.check()?;
            match ask.send(self.address, LIMIT) {
                Ok(reply) if reply.status == 200 => return Ok(from.elapsed()),
                Ok(_) | Err(_) if from.elapsed() < LIMIT => sleep(Duration::from_millis(1)),
                Ok(reply) => return Err(format!("the server is not ready: /readyz says {}", reply.status)),
                Err(e) => return Err(format!("the server is not ready: {e}")),
            }
        }
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        self.process.as_ref().map_or(-1, Guarded::pid)
    }

    /// An error with the last lines of the server's log, where the reason usually stands.
    pub fn with_log(&self, error: &str) -> String {
        if interrupt::check().is_err() {
            return error.into();
        }
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        format!("{error}\nthe end of {}:\n{}", self.log.display(), tail(&log, 15))
    }
}

fn append(path: &Path) -> Result<File> {
    let file = File::options().create(true).append(true).open(path);
    file.map_err(|e| format!("{} cannot be written: {e}", path.display()))
}

fn remove_if_there(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(format!("{} cannot be removed: {e}", path.display())),
        _ => Ok(()),
    }
}
