//! A private PostgreSQL for tests: in a temporary folder, under an unprivileged user, gone when the test process is.

mod binaries;

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::folders::random_name;
pub use binaries::{Binaries, Owner};

/// Names a server that is running already, as the URL of an administrator; then no other is started.
/// Whoever runs many test processes sets it, so that they share one.
pub const SHARED: &str = "MODELYARD_TEST_POSTGRES";

/// How long a server may take to start.
const PATIENCE: Duration = Duration::from_secs(60);
const USER: &str = "modelyard";

/// A running server.
pub struct PrivatePostgres {
    binaries: Binaries,
    /// Up to the name of the database, with the slash.
    url: String,
    /// Ends the server and removes its folder when its standard input ends.
    keeper: Option<Child>,
}

/// A database of its own, dropped with this value.
pub struct Database {
    server: &'static PrivatePostgres,
    name: String,
}

impl PrivatePostgres {
    /// The server of this process, started by the first call.
    ///
    /// # Panics
    /// When there is none and none can be installed or started; the message says what was tried.
    pub fn shared() -> &'static Self {
        static SERVER: OnceLock<PrivatePostgres> = OnceLock::new();
        SERVER.get_or_init(|| Self::start().unwrap_or_else(|cause| panic!("no PostgreSQL for tests: {cause}")))
    }

    /// Finds or installs PostgreSQL and starts a server, unless [`SHARED`] names one.
    pub fn start() -> Result<Self, String> {
        if let Ok(url) = std::env::var(SHARED) {
            let at = url.rfind('/').ok_or(format!("{SHARED} is not a URL"))?;
            return Ok(Self { binaries: Binaries::find()?, url: url[..=at].to_owned(), keeper: None });
        }
        let mut last = String::new();
        // Another program may take the free port before the server does.
        for _ in 0..3 {
            match Self::try_start() {
                Ok(server) => return Ok(server),
                Err(cause) => last = cause,
            }
        }
        Err(last)
    }

    fn try_start() -> Result<Self, String> {
        let owner = Owner::choose()?;
        let folder = owner.folder()?;
        let started = Self::start_in(&folder, &owner);
        if started.is_err() {
            let _ = fs::remove_dir_all(&folder);
        }
        started
    }

    fn start_in(folder: &Path, owner: &Owner) -> Result<Self, String> {
        let binaries = Binaries::find()?.runnable_by(owner, folder)?;
        let password = random_name();
        initialise(&binaries, owner, folder, &password)?;
        let port = TcpListener::bind(("127.0.0.1", 0))
            .and_then(|socket| socket.local_addr())
            .map_err(|cause| format!("no free port: {cause}"))?
            .port();
        let keeper = keep(&binaries, owner, folder, port)?;
        let url = format!("postgres://{USER}:{password}@127.0.0.1:{port}/");
        // From here on, dropping this value ends the server.
        let server = Self { binaries, url, keeper: Some(keeper) };
        wait_until_ready(folder)?;
        Ok(server)
    }

    /// The URL of an administrator, for [`SHARED`].
    pub fn url(&self) -> String {
        format!("{}postgres", self.url)
    }

    /// Makes an empty database.
    ///
    /// # Panics
    /// When the server refuses.
    pub fn database(&'static self) -> Database {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("t{}_{count}_{}", std::process::id(), random_name());
        self.tell(&format!("CREATE DATABASE {name} TEMPLATE template0"));
        Database { server: self, name }
    }

    fn tell(&self, statement: &str) {
        let mut psql = Command::new(self.binaries.psql());
        psql.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--command", statement, "--dbname", &self.url()]);
        let output = psql.output().expect("psql was found beside the server");
        assert!(output.status.success(), "{statement}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            drop(keeper.stdin.take());
            let _ = keeper.wait();
        }
    }
}

impl Database {
    /// The URL to open it with.
    pub fn url(&self) -> String {
        format!("{}{}", self.server.url, self.name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.server.tell(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
    }
}

fn initialise(binaries: &Binaries, owner: &Owner, folder: &Path, password: &str) -> Result<(), String> {
    let secret = folder.join("password");
    fs::File::create(&secret)
        .and_then(|mut file| file.write_all(password.as_bytes()))
        .and_then(|()| fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)))
        .map_err(|cause| format!("{}: {cause}", secret.display()))?;
    owner.give(&secret)?;
    let mut command = owner.command(&binaries.initdb(), folder);
    command.arg("--pgdata").arg(folder.join("data")).arg("--pwfile").arg(&secret).args([
        "--username",
        USER,
        "--auth=password",
        "--encoding=UTF8",
        "--locale=C",
        "--no-sync",
    ]);
    let output = command.output().map_err(|cause| format!("initdb: {cause}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("initdb: {}", String::from_utf8_lossy(&output.stderr))),
    }
}

/// Runs the server until the keeper's standard input ends, which it does when this process ends, however it ends.
const KEEP: &str = r#"
trap '' INT TERM HUP
folder=$1; shift
"$@" >"$folder/log" 2>&1 </dev/null &
server=$!
read -r _
kill -QUIT "$server" 2>/dev/null
wait "$server"
cd / && rm -rf "$folder"
"#;

fn keep(binaries: &Binaries, owner: &Owner, folder: &Path, port: u16) -> Result<Child, String> {
    let mut command = owner.command(Path::new("/bin/sh"), folder);
    command.args(["-c", KEEP, "keeper"]).arg(folder).arg(binaries.postgres()).arg("-D").arg(folder.join("data"));
    for setting in [
        "listen_addresses=127.0.0.1".to_owned(),
        format!("port={port}"),
        format!("unix_socket_directories={}", folder.display()),
        "max_connections=200".to_owned(),
        "shared_buffers=32MB".to_owned(),
        "fsync=off".to_owned(),
        "synchronous_commit=off".to_owned(),
        "full_page_writes=off".to_owned(),
        "wal_level=minimal".to_owned(),
        "max_wal_senders=0".to_owned(),
    ] {
        command.arg("-c").arg(setting);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    command.spawn().map_err(|cause| format!("the server cannot be run: {cause}"))
}

/// The server says `ready` in the eighth line of its pid file.
fn wait_until_ready(folder: &Path) -> Result<(), String> {
    let since = Instant::now();
    let log = || fs::read_to_string(folder.join("log")).unwrap_or_default();
    while since.elapsed() < PATIENCE {
        let state = fs::read_to_string(folder.join("data/postmaster.pid")).unwrap_or_default();
        if state.lines().nth(7).is_some_and(|line| line.trim() == "ready") {
            return Ok(());
        }
        if log().contains("FATAL") {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Err(format!("the server did not start: {}", log()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_goes_with_its_keeper() {
        let server = PrivatePostgres::try_start().expect("a server starts");
        server.tell("SELECT 1");
        let folder = Path::new("/proc").join(server.keeper.as_ref().expect("its own").id().to_string()).join("cwd");
        let folder = fs::read_link(folder).expect("the keeper lives in the server's folder");
        assert!(folder.join("data").is_dir());
        drop(server);
        assert!(!folder.exists());
    }
}
