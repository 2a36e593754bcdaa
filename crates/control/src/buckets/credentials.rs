//! Credentials for providers: encrypted in their rows, and opened only to speak to the provider.

use modelyard_store::{Bucket, Store, buckets};
use modelyard_types::buckets::Settings;
use modelyard_types::{BucketId, Error, Result};
use zeroize::Zeroizing;

use crate::secrets::{Cell, Keyring, Sealed};

/// How many are encrypted anew in one transaction.
const AT_ONCE: i64 = 100;

/// Encrypts credentials for the row of a bucket.
pub(super) fn seal(keys: &Keyring, id: BucketId, credentials: &Settings) -> Result<Sealed> {
    let plain = serde_json::to_string(credentials).map(Zeroizing::new);
    let plain = plain.map_err(|cause| Error::internal("writing credentials", cause))?;
    keys.seal(cell(id), &plain)
}

/// The credentials of a bucket.
pub(super) fn open(keys: &Keyring, bucket: &Bucket) -> Result<Settings> {
    let plain = plain(keys, bucket)?;
    // What is wrong with it would be said with parts of it.
    serde_json::from_str(&plain).map_err(|_| Error::Internal(format!("the credentials of {} are no object", bucket.id)))
}

fn plain(keys: &Keyring, bucket: &Bucket) -> Result<Zeroizing<String>> {
    match (&bucket.sealed, &bucket.key_id) {
        (Some(sealed), Some(key)) => keys.open(cell(bucket.id), key, sealed),
        _ => Err(Error::Internal(format!("bucket {} has no credentials", bucket.id))),
    }
}

fn cell(id: BucketId) -> Cell {
    Cell { table: "buckets", column: "credentials", row: id.0 }
}

/// Refuses a key file that lacks a key which credentials need, and encrypts with the key in use what others protect.
pub(crate) async fn take_up_keys(store: &Store, keys: &Keyring) -> Result<()> {
    for (key, count) in buckets::keys(store).await? {
        if !keys.has(&key) {
            return Err(Error::Invalid(format!(
                "the credentials of {count} buckets in the database are protected with the key {key}, which the key file does not \
                 hold; add that key's line to it, from a backup or from another server of the installation"
            )));
        }
    }
    let mut renewed = 0;
    loop {
        let mut tx = store.begin().await?;
        let some = buckets::sealed_otherwise(&mut tx, keys.present(), AT_ONCE).await?;
        if some.is_empty() {
            break;
        }
        for mut bucket in some {
            let sealed = keys.seal(cell(bucket.id), &plain(keys, &bucket)?)?;
            (bucket.sealed, bucket.key_id) = (Some(sealed.bytes), Some(sealed.key_id));
            buckets::update(&mut tx, &bucket).await?;
            renewed += 1;
        }
        tx.commit().await?;
    }
    if renewed > 0 {
        let key = keys.present();
        tracing::info!(buckets = renewed, key, "the credentials of buckets are protected with another key from now on");
    }
    Ok(())
}
