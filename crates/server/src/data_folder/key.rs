//! The key of the installation: 32 random bytes in a file, and a value in the database that tells whether they belong together.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::written;
use crate::{Result, StartError};

/// The key that secrets at rest are protected with. Never shown.
pub struct Key([u8; 32]);

impl Key {
    /// A value that only this key gives, and that tells nothing of it.
    pub fn check_value(&self) -> String {
        hex::encode(Sha256::new().chain_update(b"modelyard key check\0").chain_update(self.0).finalize())
    }
}

/// Reads the key, or makes it when it is missing and nothing depends on it yet.
pub(super) fn read_or_make(path: &Path, installed: bool) -> Result<Key> {
    let failed = |e| StartError(format!("The key file {} cannot be used: {e}.", path.display()));
    match fs::symlink_metadata(path) {
        Ok(about) if about.is_file() && about.permissions().mode() & 0o077 != 0 => Err(StartError(format!(
            "Others than its owner can use the key file {place} (its mode is {mode:03o}). Make it private with `chmod 600 \
             {place}` and start again; if others may have read it, treat what it protects as known to them.",
            place = path.display(),
            mode = about.permissions().mode() & 0o777,
        ))),
        Ok(_) => read(path),
        Err(e) if e.kind() == ErrorKind::NotFound && installed => Err(StartError(format!(
            "The key file {} is missing, but the database belongs to an installation whose secrets it protects. Put the \
             file back from a backup, or copy it from another server of the installation, with mode 600.",
            path.display()
        ))),
        Err(e) if e.kind() == ErrorKind::NotFound => make(path).map_err(failed),
        Err(e) => Err(failed(e)),
    }
}

fn read(path: &Path) -> Result<Key> {
    let text = fs::read_to_string(path)
        .map_err(|e| StartError(format!("The key file {} cannot be read: {e}.", path.display())))?;
    let mut key = [0; 32];
    hex::decode_to_slice(text.trim(), &mut key).map_err(|_| {
        StartError(format!(
            "The key file {} does not hold a key (64 hexadecimal digits). Put it back from a backup.",
            path.display()
        ))
    })?;
    Ok(Key(key))
}

fn make(path: &Path) -> std::io::Result<Key> {
    let key: [u8; 32] = rand::random();
    written::write_private(path, &(hex::encode(key) + "\n"))?;
    written::publish(path)?;
    Ok(Key(key))
}
