//! Runs the program, waits for what it prints, and ends it.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};
use std::{env, io, thread};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

pub const MODELYARD: &str = env!("CARGO_BIN_EXE_modelyard");

/// How long a condition may take to come true before a test gives up.
const PATIENCE: Duration = Duration::from_secs(120);

/// Any command, without settings of ours that may stand in the environment of the tests.
pub fn command(program: impl AsRef<Path>) -> Command {
    let mut command = Command::new(program.as_ref());
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("MODELYARD_")) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

/// The program with these arguments, in a folder.
pub fn modelyard(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = command(MODELYARD);
    command.args(arguments).current_dir(folder);
    if matches!(arguments, ["serve" | "demo", ..]) {
        // The tables of the host that runs the tests are not the tests' to change.
        command.env("MODELYARD_INSTANCE_EGRESS", "all");
    }
    command
}

/// What it printed, as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs a program that has to refuse, and gives its sentence.
pub fn refusal(command: &mut Command) -> String {
    let output: Output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stderr)
}

/// A server that runs. Dropping it kills it.
pub struct Server {
    child: Child,
    log: PathBuf,
    pub address: SocketAddr,
}

impl Server {
    /// Starts a command that is to serve, and waits until it listens.
    pub fn start(command: &mut Command, log: PathBuf) -> Self {
        let file = File::create(&log).unwrap();
        // A test that is ended from outside takes its server with it.
        // SAFETY: between fork and exec only async-signal-safe functions may run, and this is one system call.
        unsafe {
            command.pre_exec(|| nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(io::Error::from));
        }
        let child = command.stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap();
        let mut server = Self { child, log, address: ([0, 0, 0, 0], 0).into() };
        let mut address = None;
        until("the server listens", || {
            assert!(server.child.try_wait().unwrap().is_none(), "it ended:\n{}", server.log());
            let log = server.log();
            let line = log.lines().find_map(|line| line.split_once(" listens on http://"));
            address = line.and_then(|(_, address)| address.trim().parse().ok());
            address.is_some()
        });
        server.address = address.unwrap();
        server
    }

    /// Serves the folder `data` below `folder` on a free port.
    pub fn of(folder: &Path) -> Self {
        let mut command = modelyard(folder, &["serve", "--data", "data", "--listen", "127.0.0.1:0"]);
        Self::start(&mut command, folder.join("log"))
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    pub fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        until("the server has ended", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// The status and the body of a GET.
    pub async fn get(&self, path: &str) -> (u16, String) {
        let answer = reqwest::get(format!("http://{}{path}", self.address)).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{}", self.log());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until a condition holds.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "this never came true: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The names in a folder, sorted.
pub fn names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names = entries.collect::<io::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}
