//! Small private files that are there completely or not at all, whatever happens in between.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Writes a file under a temporary name beside `path`, for its owner only, and puts it safely on the disk.
pub(crate) fn write_private(path: &Path, text: &str) -> io::Result<PathBuf> {
    let temporary = temporary(path);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    sync_folder(&temporary)?;
    Ok(temporary)
}

/// Gives the file its name.
pub(crate) fn publish(path: &Path) -> io::Result<()> {
    fs::rename(temporary(path), path)?;
    sync_folder(path)
}

/// Removes the temporary file; fine when there is none.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(temporary(path)) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// The name of a file that is not there yet.
pub(crate) fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

fn sync_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}
