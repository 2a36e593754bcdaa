//! One server at a time: an exclusive lock that ends with the process, whatever ends it.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::{Result, StartError};

/// The lock of a data folder.
pub(super) struct Lock {
    _file: Flock<File>,
}

impl Lock {
    /// Takes the lock, or says who has it.
    pub(super) fn take(folder: &Path) -> Result<Self> {
        let path = folder.join("lock");
        let failed = |e: std::io::Error| StartError(format!("The lock {} cannot be taken: {e}.", path.display()));
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        let mut file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(file) => file,
            Err((_, Errno::EWOULDBLOCK)) => return Err(taken(folder, &path)),
            Err((_, e)) => return Err(failed(e.into())),
        };
        file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(failed)?;
        Ok(Self { _file: file })
    }
}

fn taken(folder: &Path, path: &Path) -> StartError {
    let pid = fs::read_to_string(path).unwrap_or_default();
    let who = match pid.trim() {
        "" => "Another server".to_owned(),
        pid => format!("Another server (process {pid})"),
    };
    StartError(format!(
        "{who} uses the data folder {}. Stop it first, or name another folder with --data.",
        folder.display()
    ))
}
