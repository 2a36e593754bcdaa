//! The keys of the installation: 32 random bytes in a file, and a value in the database that tells whether they belong together.
//!
//! A file may hold several keys, one a line: the first is in use, the others are still known while a key is replaced.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::written;
use crate::{Result, StartError};

/// The keys that secrets at rest are protected with, the one in use first. Never shown.
pub struct Keys(Vec<Zeroizing<[u8; 32]>>);

impl Keys {
    /// A value that only the key in use gives, and that tells nothing of it.
    pub fn check_value(&self) -> String {
        self.0.first().map(|key| check_value(key)).unwrap_or_default()
    }

    /// Whether one of the keys gives this value.
    pub fn include(&self, check: &str) -> bool {
        self.0.iter().any(|key| check_value(key) == check)
    }

    /// The keys themselves.
    pub fn iter(&self) -> impl Iterator<Item = &[u8; 32]> {
        self.0.iter().map(|key| &**key)
    }
}

fn check_value(key: &[u8; 32]) -> String {
    hex::encode(Sha256::new().chain_update(b"modelyard key check\0").chain_update(key).finalize())
}

/// Reads the keys, or makes one when the file is missing and nothing depends on it yet.
pub(super) fn read_or_make(path: &Path, installed: bool) -> Result<Keys> {
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

fn read(path: &Path) -> Result<Keys> {
    let text = fs::read_to_string(path)
        .map_err(|e| StartError(format!("The key file {} cannot be read: {e}.", path.display())))?;
    let text = Zeroizing::new(text);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let keys = lines.map(|line| {
        let mut key = Zeroizing::new([0; 32]);
        hex::decode_to_slice(line, &mut *key).map(|()| key)
    });
    match keys.collect::<Result<Vec<_>, _>>() {
        Ok(keys) if !keys.is_empty() => Ok(Keys(keys)),
        _ => Err(StartError(format!(
            "The key file {} does not hold a key (64 hexadecimal digits a line). Put it back from a backup.",
            path.display()
        ))),
    }
}

fn make(path: &Path) -> std::io::Result<Keys> {
    let key = Zeroizing::new(rand::random::<[u8; 32]>());
    let line = Zeroizing::new(hex::encode(*key) + "\n");
    written::write_private(path, &line)?;
    written::publish(path)?;
    Ok(Keys(vec![key]))
}
