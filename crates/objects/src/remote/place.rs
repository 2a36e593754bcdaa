//! Where files lie at a provider, and the credentials for it, as users give them.

use std::fmt;

use serde_json::Value;

/// A place for files at a provider.
#[derive(Clone, Debug)]
pub enum Place {
    /// Amazon S3, or a store that speaks its language.
    S3(S3),
    /// Google Cloud Storage.
    Gcs(Gcs),
    /// Azure Blob Storage.
    Azure(Azure),
}

/// A bucket of Amazon S3, or of a store that speaks its language.
#[derive(Clone)]
pub struct S3 {
    /// The access key.
    pub access_key: String,
    /// Its secret.
    pub secret_key: String,
    /// The bucket's name.
    pub bucket: String,
    /// What the names of all files begin with: empty, or ends with `/`.
    pub prefix: String,
    /// Amazon's region, as `eu-central-1`. Not needed with an endpoint.
    pub region: Option<String>,
    /// The address of another store than Amazon's; the bucket is then a part of the path.
    pub endpoint_url: Option<String>,
    /// How calls are signed: `s3v4` or `v4`, which is the same and all there is.
    pub signature_version: Option<String>,
    /// Whether certificates are checked; true unless said otherwise. Only a boolean is taken.
    pub verify: Option<Value>,
    /// False: no TLS. Only where the endpoint does not say it itself.
    pub use_ssl: Option<bool>,
}

/// A bucket of Google Cloud Storage.
#[derive(Clone)]
pub struct Gcs {
    /// The key file of a service account, as text or as an object.
    pub json_key_file: Value,
    /// The bucket's name.
    pub bucket: String,
    /// What the names of all files begin with: empty, or ends with `/`.
    pub prefix: String,
    /// The address of a stand-in for Google's; never read from what users give.
    pub base_url: Option<String>,
}

/// A container of Azure Blob Storage.
#[derive(Clone)]
pub struct Azure {
    /// The account, its key and where it is, as Azure shows it.
    pub connection_string: String,
    /// The container's name.
    pub container: String,
    /// What the names of all files begin with: empty, or ends with `/`.
    pub prefix: String,
}

impl fmt::Debug for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3")
            .field("bucket", &self.bucket)
            .field("prefix", &self.prefix)
            .field("region", &self.region)
            .field("endpoint_url", &self.endpoint_url.as_deref().map(without_credentials))
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Gcs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bucket, prefix, .. } = self;
        f.debug_struct("Gcs").field("bucket", bucket).field("prefix", prefix).finish_non_exhaustive()
    }
}

impl fmt::Debug for Azure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { container, prefix, .. } = self;
        f.debug_struct("Azure").field("container", container).field("prefix", prefix).finish_non_exhaustive()
    }
}

/// A URL may hold a user and a password, and is not checked yet.
fn without_credentials(url: &str) -> &str {
    url.rsplit_once('@').map_or(url, |(_, host)| host)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_secret_is_shown() {
        let map = |value: Value| value.as_object().unwrap().clone();
        let keys = map(json!({"access_key": "XXXX", "secret_key": "XXXX"}));
        let bucket = map(json!({"bucket": "b", "endpoint_url": "https://XXXX:XXXX@h"}));
        let key_file = map(json!({"json_key_file": {"private_key": "XXXX"}}));
        let connection = map(json!({"connection_string": "AccountKey=XXXX"}));
        for place in [
            Place::s3(&keys, &bucket).unwrap(),
            Place::gcs(&key_file, &map(json!({"bucket": "b"}))).unwrap(),
            Place::azure(&connection, &map(json!({"container": "b"}))).unwrap(),
        ] {
            let shown = format!("{place:?}");
            assert!(shown.contains("\"b\"") && !shown.contains("XXXX"), "{shown}");
        }
    }
}
