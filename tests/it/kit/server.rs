//! A server process of a test: started, stopped, killed, started again on the same folder.

use std::ops::Deref;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, io};

use modelyard_testkit::postgres::{self, PrivatePostgres};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::{At, PATIENCE, leftovers};

/// Which database a server uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    /// A file in its data folder.
    Sqlite,
    /// A database of its own in the PostgreSQL of the test run.
    Postgres,
}

/// Settings beside the usual ones: names of environment variables without their prefix, and values.
pub type Settings<'a> = &'a [(&'a str, &'a str)];

/// A server, and the API under `/v2.1` as its administrator. Dropping it stops it, and fails when something is left over.
pub struct TestServer {
    api: At,
    folder: TempDir,
    database: Option<postgres::Database>,
    process: Child,
    starts: u32,
}

impl Deref for TestServer {
    type Target = At;

    fn deref(&self) -> &At {
        &self.api
    }
}

impl TestServer {
    /// Starts a server with an empty folder.
    pub async fn start(database: Database) -> Self {
        let folder = tempfile::Builder::new().prefix("modelyard-it-").tempdir().unwrap();
        let data = folder.path().join("data");
        fs::create_dir(&data).unwrap();
        // Environments are built with one copy of uv for all tests.
        fs::create_dir_all(shared_tools()).unwrap();
        std::os::unix::fs::symlink(shared_tools(), data.join("tools")).unwrap();
        let database = (database == Database::Postgres).then(|| PrivatePostgres::shared().database());
        let process = spawn(folder.path(), database.as_ref(), &[], 0);
        let api = At::new(String::new(), "");
        let mut server = Self { api, folder, database, process, starts: 0 };
        server.introduce().await;
        server
    }

    /// Starts again on the same folder, after the last process ended.
    pub async fn start_again(&mut self, settings: Settings<'_>) {
        self.starts += 1;
        self.process = spawn(self.folder.path(), self.database.as_ref(), settings, self.starts);
        self.introduce().await;
    }

    /// Starts again on the same folder, by a command that was changed before.
    pub(super) async fn start_as(&mut self, change: impl FnOnce(&mut Command)) {
        self.starts += 1;
        let mut command = command(self.folder.path(), self.database.as_ref(), &[], self.starts);
        change(&mut command);
        self.process = command.spawn().expect("the server was built");
        self.introduce().await;
    }

    /// Starts again to die somewhere, maybe before it listens; says whether it came to that.
    pub(super) async fn start_with_crash(&mut self, crash_at: &str) -> bool {
        self.starts += 1;
        let mut command = command(self.folder.path(), self.database.as_ref(), &[], self.starts);
        self.process = command.env("CRASH_AT", crash_at).spawn().expect("the server was built");
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE && !self.has_ended() {
            if self.find_address() {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        false
    }

    /// Whether the process has ended.
    pub fn has_ended(&mut self) -> bool {
        self.process.try_wait().unwrap().is_some()
    }

    /// Stops with a signal and starts again with other settings.
    pub async fn restart(&mut self, settings: Settings<'_>) {
        assert!(self.stop().success(), "{}", self.log());
        self.start_again(settings).await;
    }

    /// Stops, and starts again with settings that are refused; gives what is said of them.
    pub async fn restart_refused(&mut self, settings: Settings<'_>) -> String {
        assert!(self.stop().success(), "{}", self.log());
        self.starts += 1;
        self.process = spawn(self.folder.path(), self.database.as_ref(), settings, self.starts);
        // What it asks may be answered by this very thread.
        super::until("the start ends", async || self.has_ended()).await;
        assert!(!self.process.wait().unwrap().success(), "{}", self.log());
        self.log()
    }

    /// Starts a second process on the same folder, and gives its exit status and what it said.
    pub fn start_twice(&self) -> (ExitStatus, String) {
        let status = spawn(self.folder.path(), self.database.as_ref(), &[], u32::MAX).wait().unwrap();
        (status, fs::read_to_string(self.log_file(u32::MAX)).unwrap())
    }

    /// Begins with an empty folder again, and crashes as soon as a file of the data folder is there. SQLite only.
    pub fn crash_in_first_start(&mut self, file: &str) {
        assert!(self.database.is_none() && self.stop().success());
        for entry in fs::read_dir(self.data()).unwrap().flatten() {
            if entry.file_type().unwrap().is_dir() {
                fs::remove_dir_all(entry.path()).unwrap();
            } else {
                fs::remove_file(entry.path()).unwrap();
            }
        }
        self.starts += 1;
        self.process = spawn(self.folder.path(), None, &[], self.starts);
        let (path, begun) = (self.data().join(file), Instant::now());
        while !path.exists() {
            assert!(begun.elapsed() < PATIENCE, "{file} does not come:\n{}", self.log());
            std::thread::yield_now();
        }
        self.crash();
    }

    /// The process id.
    pub(super) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.process.id().cast_signed()), signal).unwrap();
    }

    /// Asks the process to stop and waits for its end.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.ended()
    }

    /// Ends the process as a crash does.
    pub fn crash(&mut self) {
        self.signal(Signal::SIGKILL);
        let status = self.ended();
        assert_eq!(status.signal(), Some(Signal::SIGKILL as i32), "it had ended by itself: {status}\n{}", self.log());
    }

    /// Waits for the end of the process.
    pub fn ended(&mut self) -> ExitStatus {
        self.try_ended().unwrap_or_else(|| panic!("the server does not end:\n{}", self.log()))
    }

    /// Whether the process comes to its end.
    pub fn ends(&mut self) -> bool {
        self.try_ended().is_some()
    }

    fn try_ended(&mut self) -> Option<ExitStatus> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(status) = self.process.try_wait().unwrap() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        None
    }

    /// The address without a prefix, such as `http://127.0.0.1:4711`.
    pub fn origin(&self) -> &str {
        self.api.address().strip_suffix("/v2.1").unwrap()
    }

    /// What stands beside the API: `/healthz` and the like.
    pub fn root(&self) -> At {
        At::new(self.origin().to_owned(), &self.token()).signed(None)
    }

    /// The administrator's token.
    pub fn token(&self) -> String {
        fs::read_to_string(self.data().join("admin-token")).unwrap().trim().to_owned()
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The stored objects of an area, as paths: `files` for those of buckets, `staging` for uploads on their way.
    pub fn objects(&self, area: &str) -> Vec<PathBuf> {
        let objects = self.data().join("objects");
        let mut folders = vec![if area == "staging" { objects.join(area) } else { objects.join("objects").join(area) }];
        let mut found = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() { folders.push(path) } else { found.push(path) }
            }
        }
        found
    }

    /// Where the database is: a URL, or the path of a file.
    pub fn database(&self) -> String {
        match &self.database {
            Some(database) => database.url(),
            None => self.data().join("modelyard.db").display().to_string(),
        }
    }

    /// What the process printed since its start.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file(self.starts)).unwrap_or_default()
    }

    /// Processes that work for this server.
    pub fn processes(&self) -> Vec<String> {
        leftovers::processes(self.folder.path(), self.process.id())
    }

    /// Bytes of memory that the server itself holds.
    pub fn memory(&self) -> u64 {
        self.kernel_says("VmRSS:")
    }

    /// The most it ever held, since [`forget_peak`](Self::forget_peak).
    pub fn peak(&self) -> u64 {
        self.kernel_says("VmHWM:")
    }

    /// From now on the peak is counted anew.
    pub fn forget_peak(&self) {
        fs::write(format!("/proc/{}/clear_refs", self.process.id()), "5").unwrap();
    }

    fn kernel_says(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }

    fn log_file(&self, start: u32) -> PathBuf {
        self.folder.path().join(format!("log-{start}"))
    }

    /// Reads where it listens, if it has said so.
    fn find_address(&mut self) -> bool {
        let log = self.log();
        let address = log.lines().find_map(|line| line.split_once(" listens on ")).map(|(_, rest)| rest.trim());
        if let Some(address) = address {
            self.api = At::new(format!("{address}/v2.1"), &self.token());
        }
        address.is_some()
    }

    /// Waits until it says where it listens.
    async fn introduce(&mut self) {
        let begun = Instant::now();
        loop {
            if self.find_address() {
                return;
            }
            let log = self.log();
            let ended = self.process.try_wait().unwrap();
            assert!(ended.is_none() && begun.elapsed() < PATIENCE, "the server does not start: {ended:?}\n{log}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        let running = matches!(self.process.try_wait(), Ok(None));
        if std::thread::panicking() {
            let log = self.log();
            let end: Vec<_> = log.lines().rev().take(40).collect();
            eprintln!("the server's log, its end:");
            end.iter().rev().for_each(|line| eprintln!("  {line}"));
        }
        if running {
            self.signal(Signal::SIGTERM);
        }
        let status = self.try_ended();
        if status.is_none() {
            self.signal(Signal::SIGKILL);
            self.try_ended();
        }
        if std::thread::panicking() {
            return;
        }
        assert!(!running || status.is_some_and(|status| status.success()), "it ended with {status:?}:\n{}", self.log());
        // The kernel takes a moment to end what was killed.
        let begun = Instant::now();
        while !self.processes().is_empty() && begun.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(5));
        }
        let left = self.processes();
        assert!(left.is_empty(), "processes are left over: {left:#?}\n{}", self.log());
        let mounts = leftovers::mounts(self.folder.path());
        assert!(mounts.is_empty(), "mounts are left over: {mounts:#?}");
        let id = fs::read_to_string(self.data().join("server-id")).unwrap();
        let cgroups = leftovers::cgroups(id.trim());
        assert!(cgroups.is_empty(), "cgroups are left over: {cgroups:#?}");
    }
}

fn shared_tools() -> PathBuf {
    env::current_exe().unwrap().parent().unwrap().join("tools")
}

fn spawn(folder: &Path, database: Option<&postgres::Database>, settings: Settings<'_>, start: u32) -> Child {
    command(folder, database, settings, start).spawn().expect("the server was built")
}

fn command(folder: &Path, database: Option<&postgres::Database>, settings: Settings<'_>, start: u32) -> Command {
    let log = fs::File::create(folder.join(format!("log-{start}"))).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_modelyard-under-test"));
    command.arg("serve").arg("--data").arg(folder.join("data")).args(["--listen", "127.0.0.1:0"]);
    for (name, _) in env::vars().filter(|(name, _)| name.starts_with("MODELYARD_")) {
        command.env_remove(name);
    }
    // The tables of the host that runs the tests are not the tests' to change.
    command.env("MODELYARD_INSTANCE_EGRESS", "all");
    if let Some(database) = database {
        command.env("MODELYARD_DATABASE_URL", database.url());
    }
    for (name, value) in settings {
        command.env(format!("MODELYARD_{name}"), value);
    }
    command.current_dir(folder).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    // A test that is ended from outside takes its server with it.
    // SAFETY: between fork and exec only async-signal-safe functions may run, and this is one system call.
    unsafe {
        command.pre_exec(|| nix::sys::prctl::set_pdeathsig(Signal::SIGTERM).map_err(io::Error::from));
    }
    command
}
