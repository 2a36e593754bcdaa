//! The binaries that are measured: built for release, unless told otherwise.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::child::Guarded;
use super::{Options, Result};

/// What a benchmark starts.
#[derive(Debug, Clone)]
pub struct Binaries {
    /// This program, which is also the floor.
    pub floor: PathBuf,
    /// The server.
    pub server: PathBuf,
    /// Where environments, models and data folders of benchmarks are kept.
    pub home: PathBuf,
    /// `release` or `debug`.
    pub profile: &'static str,
}

/// Builds what is to be measured; `None` when this very program must be replaced by its release build first.
pub fn prepare(options: &Options) -> Result<Option<Binaries>> {
    let debug = cfg!(debug_assertions);
    if !options.this_profile {
        build(&["--release", "-p", "xtask"])?;
        if debug {
            return Ok(None);
        }
    }
    if !options.floor_only && options.server.is_none() {
        let profile: &[&str] = if debug { &[] } else { &["--release"] };
        build(&[profile, &["-p", "modelyard-server", "--bin", "modelyard"]].concat())?;
    }
    let floor = own_path()?;
    let built = floor.with_file_name("modelyard");
    let home = target(&floor)?.join("bench");
    std::fs::create_dir_all(&home).map_err(|e| format!("{} cannot be made: {e}", home.display()))?;
    let profile = if debug { "debug" } else { "release" };
    Ok(Some(Binaries { server: options.server.clone().unwrap_or(built), floor, home, profile }))
}

/// Replaces this process by the release build of itself, with the same arguments.
pub fn hand_over_to_release() -> Result<()> {
    let program = target(&own_path()?)?.join("release/xtask");
    let error = Command::new(&program).args(std::env::args_os().skip(1)).exec();
    Err(format!("{} cannot be started: {error}", program.display()))
}

fn own_path() -> Result<PathBuf> {
    std::env::current_exe().map_err(|e| format!("this program does not know its own path: {e}"))
}

/// The folder that holds `debug` and `release`.
fn target(program: &Path) -> Result<&Path> {
    program.parent().and_then(Path::parent).ok_or_else(|| "this program lies in no target folder".into())
}

fn build(arguments: &[&str]) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.arg("build").args(arguments).current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    eprintln!("cargo build {}", arguments.join(" "));
    let status = Guarded::start("cargo build", &mut command)?.wait(std::time::Duration::from_secs(3600))?;
    if status.success() { Ok(()) } else { Err("the build failed; its reason stands above".into()) }
}
