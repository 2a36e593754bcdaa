//! What a start does with the secrets that are there: none may be unreadable, and all get the key in use.

use modelyard_store::{Store, variables};
use modelyard_types::{Error, Result};

use crate::secrets::Keyring;

/// How many are encrypted anew in one transaction.
const AT_ONCE: i64 = 100;

/// Refuses a key file that lacks a key which secrets need, and encrypts with the key in use what others protect.
pub(crate) async fn take_up(store: &Store, keys: &Keyring) -> Result<()> {
    for (key, count) in variables::keys(store).await? {
        if !keys.has(&key) {
            return Err(Error::Invalid(format!(
                "{count} secrets in the database are protected with the key {key}, which the key file does not hold; add that \
                 key's line to it, from a backup or from another server of the installation"
            )));
        }
    }
    let mut renewed = 0;
    loop {
        let mut tx = store.begin().await?;
        let some = variables::sealed_otherwise(&mut tx, keys.present(), AT_ONCE).await?;
        if some.is_empty() {
            break;
        }
        for mut variable in some {
            let value = keys.plain(&variable)?;
            keys.put(&mut variable, &value, true)?;
            variables::update(&mut tx, &variable).await?;
            renewed += 1;
        }
        tx.commit().await?;
    }
    if renewed > 0 {
        tracing::info!(secrets = renewed, key = keys.present(), "secrets are protected with another key from now on");
    }
    Ok(())
}
