//! Removing folders that user code wrote in.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Removes a folder and all that is in it, also where somebody took the right to do so away.
pub(crate) fn remove(folder: &Path) {
    if fs::remove_dir_all(folder).is_ok() || !folder.exists() {
        return;
    }
    open_up(folder);
    if let Err(e) = fs::remove_dir_all(folder) {
        tracing::warn!(folder = %folder.display(), "a folder could not be removed: {e}");
    }
}

/// Removes all that is in a folder.
pub(super) fn empty(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path());
        } else {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn open_up(folder: &Path) {
    let _ = fs::set_permissions(folder, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&entry.path());
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_closed_folder_goes_too_and_what_a_link_points_to_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (inside, outside) = (folder.path().join("in"), folder.path().join("out"));
        fs::create_dir_all(inside.join("a/b")).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("file"), "x").unwrap();
        std::os::unix::fs::symlink(&outside, inside.join("a/link")).unwrap();
        fs::set_permissions(inside.join("a"), fs::Permissions::from_mode(0o000)).unwrap();

        remove(&inside);

        assert!(!inside.exists());
        assert!(outside.join("file").exists());
    }
}
