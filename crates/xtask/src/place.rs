//! Where things are, and how other programs are run from here.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The root of the checkout.
pub fn root() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    folder.ancestors().nth(2).unwrap_or(folder).to_owned()
}

/// The folder that cargo puts programs of our profile into: ours is one of them.
pub fn built() -> PathBuf {
    let ours = env::current_exe().unwrap_or_default();
    ours.parent().map_or_else(|| root().join("target/debug"), Path::to_owned)
}

/// The cargo that runs us.
pub fn cargo() -> Command {
    program(&env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// A program in the root of the checkout, without settings of ours that may stand in the environment.
pub fn program(name: &(impl AsRef<OsStr> + ?Sized)) -> Command {
    let mut command = Command::new(name);
    command.current_dir(root());
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("MODELYARD_")) {
        command.env_remove(name);
    }
    command
}

/// Runs a program to its end; a sentence when it fails.
pub fn run(command: &mut Command) -> Result<(), String> {
    let name = shown(command);
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{name}` failed: {status}")),
        Err(e) => Err(format!("`{name}` cannot be run: {e}")),
    }
}

/// What a program prints.
pub fn output(command: &mut Command) -> Result<String, String> {
    let name = shown(command);
    let output = command.output().map_err(|e| format!("`{name}` cannot be run: {e}"))?;
    if !output.status.success() {
        return Err(format!("`{name}` failed: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A program with its arguments, as one would type it.
pub fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}
