//! The workers, in Python and in R: carried in the binary, and laid out in the data folder for the interpreters that run them.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use modelyard_runner::interpreters::Interpreter;
use nix::sys::signal::Signal;
use sha2::{Digest, Sha256};
use tokio::process::Command;
use tokio::task::JoinSet;

/// Paths, and contents.
const FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/worker_files.rs"));

/// Lays the workers out below `folder` and gives the folder that holds them. Each content has a folder of its own, so that
/// what instances of another release use stays as it is; a folder that is there is complete.
pub(crate) fn lay_out(folder: &Path) -> io::Result<PathBuf> {
    let place = folder.join(&digest()[..16]);
    if place.is_dir() {
        return Ok(place);
    }
    let temporary = folder.join("new");
    if temporary.exists() {
        fs::remove_dir_all(&temporary)?;
    }
    for (name, bytes) in FILES {
        let path = temporary.join(name);
        fs::create_dir_all(path.parent().unwrap_or(folder))?;
        fs::write(&path, bytes)?;
    }
    open_to_all(&temporary)?;
    fs::rename(&temporary, &place)?;
    Ok(place)
}

/// Compiles the package behind the back of a start. Instances run without, but each would compile it anew, since they may
/// not write here.
pub(crate) fn compile_behind(place: &Path, interpreters: &[Interpreter], behind: &mut JoinSet<()>) {
    behind.spawn(compile(place.to_owned(), interpreters.to_vec()));
}

/// Compiles the package for each interpreter that has not done so yet.
async fn compile(place: PathBuf, interpreters: Vec<Interpreter>) {
    for python in interpreters {
        let mark = place.join(format!("compiled-{}", python.version));
        if mark.exists() {
            continue;
        }
        let compiled = compile_for(&python, &place.join("modelyard_worker")).await;
        if let Err(e) = compiled.and_then(|()| open_to_all(&place)).and_then(|()| fs::write(&mark, "")) {
            tracing::warn!("the worker could not be compiled for Python {}: {e}", python.version);
        }
    }
}

async fn compile_for(python: &Interpreter, package: &Path) -> io::Result<()> {
    let mut command = Command::new(&python.path);
    // The files never change, so nobody has to compare times.
    command.args(["-I", "-S", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]).arg(package);
    // A Ctrl-C in a terminal is meant for the server alone.
    command.stdin(Stdio::null()).process_group(0).kill_on_drop(true);
    // SAFETY: between fork and exec only async-signal-safe functions may run, and this is one system call.
    unsafe {
        command.pre_exec(|| nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(io::Error::from));
    }
    let output = command.output().await?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}

/// Instances run as users of their own and have to read it, whatever the server's umask is.
fn open_to_all(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            open_to_all(&path)?;
        } else {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
        }
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))
}

fn digest() -> String {
    let mut digest = Sha256::new();
    for (name, bytes) in FILES {
        digest.update(name.as_bytes());
        digest.update(bytes.len().to_be_bytes());
        digest.update(bytes);
    }
    hex::encode(digest.finalize())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn the_package_is_laid_out_once_and_readable_by_all() {
        let base = tempfile::tempdir().unwrap();
        fs::create_dir_all(base.path().join("new/half")).unwrap();

        let place = lay_out(base.path()).unwrap();

        let package = place.join("modelyard_worker");
        assert_eq!((mode(&package), mode(&package.join("__main__.py"))), (0o755, 0o644));
        assert!(!place.join("half").exists());
        assert_eq!(lay_out(base.path()).unwrap(), place);
    }

    #[tokio::test]
    async fn the_package_is_compiled_once_for_each_interpreter() {
        let base = tempfile::tempdir().unwrap();
        let place = lay_out(base.path()).unwrap();
        let mut found = modelyard_runner::interpreters::find().await;
        found.truncate(1);
        let python = found.pop().unwrap();

        compile(place.clone(), vec![python.clone()]).await;

        let tag = python.minor.replace('.', "");
        let compiled = place.join(format!("modelyard_worker/__pycache__/wire.cpython-{tag}.pyc"));
        assert_eq!(mode(&compiled), 0o644);
        fs::remove_file(&compiled).unwrap();
        compile(place.clone(), vec![python]).await;
        assert!(!compiled.exists(), "it was compiled twice");
    }
}
