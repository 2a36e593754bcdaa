//! Where things are put: temporary folders, and the one that cargo builds into.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder that cargo builds into: tests run from below it.
pub fn target_folder() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    let target = program.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file());
    target.map_or_else(std::env::temp_dir, Path::to_owned)
}

/// A temporary folder of a random name, which is not there yet.
pub fn temporary_folder(purpose: &str) -> PathBuf {
    std::env::temp_dir().join(format!("modelyard-{purpose}-{}", random_name()))
}

/// A name that nobody else has.
pub fn random_name() -> String {
    use std::hash::{BuildHasher as _, RandomState};
    format!("{:016x}", RandomState::new().hash_one(std::process::id()))
}

/// Runs a program to its end; what it says when it fails is the error.
pub fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|cause| format!("{command:?}: {cause}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr))),
    }
}
