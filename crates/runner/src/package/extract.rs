//! Unpacks a package into a folder that appears whole or not at all.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, BufWriter, Write},
    os::{
        fd::AsRawFd,
        unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    },
    path::{Path, PathBuf},
};

use super::{Limits, Refusal, contents, directory, layout, names};

/// Unpacks what lies below `root` (see [`super::Package::root`]) in the zip into the new folder `dest`.
///
/// The files go into `dest` + `.unpacking` first, are flushed to disk, and get their name by one rename; a crash leaves
/// at most that folder, which the next call replaces. A `dest` that exists is complete and left as it is. Two calls
/// for one `dest` at the same time are the caller's to avoid.
pub fn extract(zip: &Path, root: &str, dest: &Path, limits: &Limits) -> Result<(), Refusal> {
    if dest.try_exists()? {
        return Ok(());
    }
    let file = File::open(zip)?;
    let entries = directory::read(&file, limits)?;
    names::check_collisions(&entries, limits)?;

    let temporary = temporary_name(dest)?;
    remove(&temporary)?;
    let done = fill(&file, &entries, root, &temporary, limits).and_then(|()| publish(&temporary, dest));
    if done.is_err() {
        remove(&temporary)?;
    }
    done
}

fn temporary_name(dest: &Path) -> Result<PathBuf, Refusal> {
    let name = dest.file_name().ok_or_else(|| io::Error::other("the destination has no name"))?;
    let mut name = name.to_owned();
    name.push(".unpacking");
    Ok(dest.with_file_name(name))
}

fn remove(folder: &Path) -> Result<(), Refusal> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Refusal::Io(e)),
        _ => Ok(()),
    }
}

fn fill(zip: &File, entries: &[directory::Entry], root: &str, to: &Path, limits: &Limits) -> Result<(), Refusal> {
    make_folder(to)?;
    let mut budget = contents::Budget::new(limits, zip.metadata()?.len());
    for entry in entries {
        let Some(name) = layout::below(root, &entry.name) else { continue };
        let path = to.join(name);
        if entry.folder {
            make_folder(&path)?;
            continue;
        }
        if let Some(parent) = path.parent() {
            make_folder(parent)?;
        }
        let mode = if entry.executable { 0o755 } else { 0o644 };
        let target = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path)?;
        target.set_permissions(Permissions::from_mode(mode))?;
        let mut target = BufWriter::with_capacity(256 << 10, target);
        contents::unpack(zip, entry, &mut budget, &mut target)?;
        target.flush()?;
    }
    Ok(())
}

/// Makes a folder and those above it, readable by every user whatever our umask.
fn make_folder(folder: &Path) -> Result<(), Refusal> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent().filter(|parent| !parent.is_dir()) {
        make_folder(parent)?;
    }
    DirBuilder::new().mode(0o755).create(folder)?;
    fs::set_permissions(folder, Permissions::from_mode(0o755))?;
    Ok(())
}

/// Flushes the folder to disk and gives it its name.
fn publish(temporary: &Path, dest: &Path) -> Result<(), Refusal> {
    let folder = File::open(temporary)?;
    // One call for all files instead of one each: a package of thousands of files would wait for the disk as often.
    // SAFETY: the descriptor is open for as long as `folder` lives.
    if unsafe { libc::syncfs(folder.as_raw_fd()) } != 0 {
        return Err(Refusal::Io(io::Error::last_os_error()));
    }
    fs::rename(temporary, dest)?;
    if let Some(parent) = dest.parent() {
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        File::open(parent)?.sync_all()?;
    }
    Ok(())
}

/// Writes the one file called `name` in the zip to `to`; false when there is none.
pub(crate) fn extract_one(zip: &File, name: &str, to: &mut dyn Write, limits: &Limits) -> Result<bool, Refusal> {
    let entries = directory::read(zip, limits)?;
    let Some(entry) = entries.iter().find(|entry| entry.name == name && !entry.folder) else { return Ok(false) };
    let mut budget = contents::Budget::new(limits, zip.metadata()?.len());
    contents::unpack(zip, entry, &mut budget, to)?;
    Ok(true)
}
