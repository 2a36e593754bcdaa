//! Google Cloud Storage: from what users give to a bucket.
//!
//! Calls are signed with the key of the service account itself, so no token is fetched and nothing in the key file says where to go.

use std::sync::Arc;

use ring::signature::RsaKeyPair;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use serde_json::Value;

use super::bucket::Bucket;
use super::http::Http;
use super::place::Gcs;
use super::s3::{below, check_bucket, checked_url};
use super::v4::Signer;
use super::{Reach, RemoteError, names};

const GOOGLE: &str = "https://storage.googleapis.com";
const UNIVERSE: &str = "googleapis.com";

/// What of a key file is used.
#[derive(Deserialize)]
struct KeyFile {
    #[serde(rename = "type")]
    kind: String,
    client_email: Option<String>,
    private_key: Option<String>,
    universe_domain: Option<String>,
}

/// The bucket of a place.
pub(super) fn open(place: Gcs, reach: &Reach) -> Result<Bucket, RemoteError> {
    let signer = signer(&place.json_key_file)?;
    names::check_prefix(&place.prefix)?;
    check_bucket(&place.bucket, false)?;
    let base = place.base_url.as_deref().unwrap_or(GOOGLE);
    let url = below(checked_url("base_url", base)?, &place.bucket)?;
    let http = Http { client: reach.client(&url, true)?, hidden: Arc::new([]) };
    Ok(Bucket { http, signer, url, name: place.bucket, prefix: place.prefix })
}

fn read(key_file: &Value) -> Result<KeyFile, RemoteError> {
    let read = match key_file {
        Value::String(text) => serde_json::from_str(text).ok(),
        value => serde_json::from_value(value.clone()).ok(),
    };
    read.ok_or_else(|| RemoteError::place("json_key_file is not the JSON key file of a service account"))
}

/// Who signs, by its key file.
pub(super) fn signer(key_file: &Value) -> Result<Signer, RemoteError> {
    let key_file = read(key_file)?;
    if key_file.kind != "service_account" {
        let kind = key_file.kind.escape_default();
        return Err(RemoteError::place(format!(
            "json_key_file has the type '{kind}'; only 'service_account' can sign URLs"
        )));
    }
    if key_file.universe_domain.is_some_and(|universe| universe != UNIVERSE) {
        return Err(RemoteError::place(format!("json_key_file names a universe_domain other than {UNIVERSE}")));
    }
    let (Some(email), Some(pem)) = (key_file.client_email, key_file.private_key) else {
        return Err(RemoteError::place("json_key_file has no client_email or no private_key"));
    };
    let key = match PrivateKeyDer::from_pem_slice(pem.as_bytes()) {
        Ok(PrivateKeyDer::Pkcs8(key)) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).ok(),
        Ok(PrivateKeyDer::Pkcs1(key)) => RsaKeyPair::from_der(key.secret_pkcs1_der()).ok(),
        _ => None,
    };
    let key = key.ok_or_else(|| RemoteError::place("the private_key in json_key_file is not an RSA key in PEM"))?;
    Ok(Signer::Google { email, key: Arc::new(key) })
}
