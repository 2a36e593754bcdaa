//! A private copy of a folder, for hosts that offer no overlay.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::path::Path;

use super::orders::Ids;

/// Copies files, folders and links; nothing else can be in a package.
pub(super) fn tree(from: &Path, to: &Path, owner: Option<Ids>) -> io::Result<()> {
    if !to.is_dir() {
        fs::create_dir(to)?;
    }
    own(to, owner)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            tree(&entry.path(), &target, owner)?;
        } else if kind.is_symlink() {
            symlink(fs::read_link(entry.path())?, &target)?;
            own(&target, owner)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), &target)?;
            let mode = fs::metadata(&target)?.permissions().mode();
            fs::set_permissions(&target, fs::Permissions::from_mode(mode | 0o600))?;
            own(&target, owner)?;
        }
    }
    Ok(())
}

fn own(path: &Path, owner: Option<Ids>) -> io::Result<()> {
    owner.map_or(Ok(()), |ids| lchown(path, Some(ids.uid), Some(ids.gid)))
}
