//! A store beside the floor: `s3s-fs`, which speaks S3 and keeps files in a folder. It takes everybody for its owner, as it is without
//! keys, and does not wait for the disk.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::super::child::{self, Guarded};
use super::super::{Result, http};
use super::wire::Wire;
use crate::place::root;

/// The version that is installed when there is none.
const VERSION: &str = "0.14.1";
/// How long its installation may take: it is compiled.
const INSTALLATION: Duration = Duration::from_secs(1800);
const BUCKET: &str = "bench";

/// A running store; it and its folder are gone when dropped.
pub struct Store {
    // The process must end before its folder goes.
    _process: Guarded,
    _folder: TempDir,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Store {
    /// Starts one with a folder below `home`, where our server has its own.
    pub fn start(home: &Path) -> Result<Self> {
        let said = |e: &dyn std::fmt::Display| format!("s3s-fs cannot be set up: {e}");
        let program = installed()?;
        let folder = tempfile::Builder::new().prefix("s3s-fs-").tempdir_in(home).map_err(|e| said(&e))?;
        fs::create_dir(folder.path().join(BUCKET)).map_err(|e| said(&e))?;
        let address = http::free_address()?;
        let mut command = Command::new(program);
        command.args(["--host", &address.ip().to_string(), "--port", &address.port().to_string()]);
        command.arg(folder.path()).env("RUST_LOG", "error");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = Guarded::start("s3s-fs", &mut command)?;
        Wire::wait_for("s3s-fs", address, &mut process)?;
        Ok(Self { _process: process, _folder: folder, address })
    }
}

/// The path of a file there.
pub fn path(name: &str) -> String {
    format!("/{BUCKET}/{name}")
}

/// The program; compiled and installed among our build results when there is none.
fn installed() -> Result<PathBuf> {
    let folder = root().join("target/s3s-fs");
    let program = folder.join("bin/s3s-fs");
    if !program.exists() {
        eprintln!("s3s-fs was not found: installing {VERSION} into {}", folder.display());
        let mut command = Command::new("cargo");
        command.args(["install", "--quiet", "--locked", "--version", VERSION, "--features", "binary", "--root"]);
        child::output("cargo install s3s-fs", command.arg(&folder).arg("s3s-fs"), INSTALLATION)?;
    }
    Ok(program)
}
