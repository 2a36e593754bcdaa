//! Encryption of what must not lie readable in the database.
//!
//! A value is sealed with XChaCha20-Poly1305 under a random nonce, and bound to its table, its column and the id of its row: moved
//! anywhere else it cannot be opened. The first key seals; all open, so that a key can be replaced.

use bytes::Bytes;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use modelyard_types::{Error, Result};
use sha2::{Digest, Sha256};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::files::Signer;

const NONCE: usize = 24;

/// How much longer a value is when it is sealed.
pub(crate) const SEAL: usize = NONCE + 16;

/// The keys of the installation, the one in use first. Never shown.
pub struct Keyring {
    keys: Vec<Key>,
    /// What signs addresses, made of the same keys.
    signing: Vec<Zeroizing<[u8; 32]>>,
}

struct Key {
    id: String,
    cipher: XChaCha20Poly1305,
}

/// Where a value lies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell {
    pub(crate) table: &'static str,
    pub(crate) column: &'static str,
    pub(crate) row: Uuid,
}

/// An encrypted value, and which key opens it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sealed {
    pub(crate) key_id: String,
    pub(crate) bytes: Bytes,
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|key| &key.id)).finish()
    }
}

impl Keyring {
    /// The keys of a key file, in its order.
    pub fn new<'a>(keys: impl IntoIterator<Item = &'a [u8; 32]>) -> Self {
        let (keys, signing) =
            keys.into_iter().map(|key| (Key::new(key), derived(b"modelyard signed addresses\0", key))).unzip();
        Self { keys, signing }
    }

    /// The id of the key that seals.
    pub(crate) fn present(&self) -> &str {
        self.keys.first().map_or("", |key| &key.id)
    }

    /// Whether there is a key of this id.
    pub(crate) fn has(&self, id: &str) -> bool {
        self.keys.iter().any(|key| key.id == id)
    }

    /// Who signs addresses, with keys of its own.
    pub(crate) fn signer(&self) -> Signer {
        Signer::new(self.signing.clone())
    }

    /// Encrypts a value for a place.
    pub(crate) fn seal(&self, cell: Cell, plain: &str) -> Result<Sealed> {
        let key = self.keys.first().ok_or_else(|| Error::Internal("the installation has no key".into()))?;
        let nonce = rand::random::<[u8; NONCE]>();
        let bound = cell.bound_to(&key.id);
        let payload = Payload { msg: plain.as_bytes(), aad: &bound };
        let sealed = key.cipher.encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.map_err(|_| Error::Internal("a value could not be encrypted".into()))?;
        Ok(Sealed { key_id: key.id.clone(), bytes: [nonce.as_slice(), &sealed].concat().into() })
    }

    /// Decrypts the value of a place.
    pub(crate) fn open(&self, cell: Cell, key_id: &str, sealed: &[u8]) -> Result<Zeroizing<String>> {
        let failed = |why: &str| {
            let Cell { table, column, row } = cell;
            Error::Internal(format!("the {column} of {row} in {table} cannot be decrypted: {why}"))
        };
        let key = self.keys.iter().find(|key| key.id == key_id);
        let key = key.ok_or_else(|| failed(&format!("the key file has no key {key_id}")))?;
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE>().ok_or_else(|| failed("it is too short"))?;
        let bound = cell.bound_to(key_id);
        let plain = key.cipher.decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: &bound });
        let plain = plain.map_err(|_| failed("it was changed, or belongs somewhere else"))?;
        let text = String::from_utf8(plain).map_err(|_| failed("it is no text"))?;
        Ok(Zeroizing::new(text))
    }
}

/// The file's keys serve several ends; each has a key of its own.
fn derived(purpose: &[u8], key: &[u8; 32]) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(<[u8; 32]>::from(Sha256::new().chain_update(purpose).chain_update(key).finalize()))
}

impl Key {
    fn new(key: &[u8; 32]) -> Self {
        let id = hex::encode(&derived(b"modelyard key id\0", key)[..8]);
        let sealing = derived(b"modelyard sealed values\0", key);
        Self { id, cipher: XChaCha20Poly1305::new((&*sealing).into()) }
    }
}

impl Cell {
    /// What a value is bound to: no two places give the same bytes.
    fn bound_to(self, key_id: &str) -> Vec<u8> {
        [self.table.as_bytes(), b"\0", self.column.as_bytes(), b"\0", key_id.as_bytes(), b"\0", self.row.as_bytes()]
            .concat()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn cell() -> Cell {
        Cell { table: "variables", column: "value", row: Uuid::now_v7() }
    }

    #[test]
    fn what_is_sealed_can_be_opened_in_its_place_only() {
        let (keys, cell) = (Keyring::new([&[7; 32]]), cell());
        let sealed = keys.seal(cell, "hunter2").unwrap();

        assert_eq!(keys.open(cell, &sealed.key_id, &sealed.bytes).unwrap().as_str(), "hunter2");
        assert!(!sealed.bytes.windows(7).any(|bytes| bytes == b"hunter2"));
        let elsewhere =
            [Cell { row: Uuid::now_v7(), ..cell }, Cell { table: "buckets", ..cell }, Cell { column: "name", ..cell }];
        for place in elsewhere {
            assert!(keys.open(place, &sealed.key_id, &sealed.bytes).is_err(), "{place:?}");
        }
        for at in 0..sealed.bytes.len() {
            let mut changed = sealed.bytes.to_vec();
            changed[at] ^= 1;
            assert!(keys.open(cell, &sealed.key_id, &changed).is_err(), "byte {at}");
            assert!(keys.open(cell, &sealed.key_id, &sealed.bytes[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn the_same_value_is_sealed_differently_each_time() {
        let (keys, cell) = (Keyring::new([&[7; 32]]), cell());
        assert_ne!(keys.seal(cell, "x").unwrap(), keys.seal(cell, "x").unwrap());
    }

    #[test]
    fn older_keys_open_and_the_first_seals() {
        let (old, cell) = (Keyring::new([&[1; 32]]), cell());
        let sealed = old.seal(cell, "x").unwrap();
        let both = Keyring::new([&[2; 32], &[1; 32]]);

        assert_eq!(both.open(cell, &sealed.key_id, &sealed.bytes).unwrap().as_str(), "x");
        assert_ne!(both.seal(cell, "x").unwrap().key_id, sealed.key_id);
        let other = Keyring::new([&[2; 32]]).open(cell, &sealed.key_id, &sealed.bytes).unwrap_err().to_string();
        assert!(other.contains(&format!("no key {}", sealed.key_id)), "{other}");
    }

    #[test]
    fn keys_are_not_shown() {
        let shown = format!("{:?}", Keyring::new([&[0xab; 32]]));
        assert!(!shown.contains("abab"), "{shown}");
    }
}
