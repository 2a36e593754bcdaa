//! Finding Azurite, or installing it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::folders::{run, target_folder};

/// The package of the npm registry that holds it.
const PACKAGE: &str = "azurite@3.37.0";
const PROGRAM: &str = "azurite-blob";

/// That on PATH; else that of the npm registry, which is installed into the target folder.
pub fn find_or_install() -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(PROGRAM)).find(|program| program.is_file());
    if let Some(program) = found {
        return Ok(program);
    }
    let target = target_folder();
    let folder = target.join("azurite");
    let program = folder.join("node_modules/.bin").join(PROGRAM);
    let complete = folder.join("complete");
    fs::create_dir_all(&folder).map_err(|cause| format!("{}: {cause}", folder.display()))?;
    // Several test processes may come here at once.
    let lock = fs::File::create(target.join("azurite.lock"))
        .and_then(|lock| lock.lock().map(|()| lock))
        .map_err(|cause| format!("the lock of the installation: {cause}"))?;
    if !complete.exists() {
        eprintln!("Azurite was not found: installing {PACKAGE} of the npm registry into {}", folder.display());
        let quiet = ["install", "--no-audit", "--no-fund", "--loglevel=error", "--ignore-scripts", "--prefix"];
        run(Command::new("npm").args(quiet).arg(&folder).arg(PACKAGE))?;
        fs::write(&complete, PACKAGE).map_err(|cause| format!("{}: {cause}", complete.display()))?;
    }
    drop(lock);
    match program.is_file() {
        true => Ok(program),
        false => Err(format!("{PACKAGE} does not hold {PROGRAM}")),
    }
}
