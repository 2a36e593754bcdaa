//! The worker package: carried in the binary, and laid out in the data folder for the interpreters that run it.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// Paths inside of the package, and contents.
const FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/worker_files.rs"));

/// Lays the package out below `folder` and gives the folder that holds it. Each content has a folder of its own, so that
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
        let path = temporary.join("modelyard_worker").join(name);
        if let Some(parent) = path.parent() {
            // Instances run as users of their own and have to read it.
            fs::DirBuilder::new().recursive(true).mode(0o755).create(parent)?;
        }
        fs::write(&path, bytes)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
    }
    fs::rename(&temporary, &place)?;
    Ok(place)
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

    #[test]
    fn the_package_is_laid_out_once_and_readable_by_all() {
        let base = tempfile::tempdir().unwrap();
        fs::create_dir_all(base.path().join("new/half")).unwrap();

        let place = lay_out(base.path()).unwrap();

        let main = place.join("modelyard_worker/__main__.py");
        assert_eq!(fs::metadata(&main).unwrap().permissions().mode() & 0o777, 0o644);
        assert!(!place.join("half").exists());
        assert_eq!(lay_out(base.path()).unwrap(), place);
    }
}
