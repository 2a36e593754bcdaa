//! A provider with an empty bucket: what a bucket of the platform is told of it.

use serde_json::{Value, json};

use super::{GcsServer, S3Server};
use crate::azurite::Azurite;

/// A provider with an empty bucket.
pub enum Stand {
    /// Amazon's language.
    S3(S3Server),
    /// A stand-in for Google's.
    Gcs(GcsServer),
    /// Microsoft's emulator of its own.
    Azure(Azurite),
}

const CONTAINER: &str = "models";
/// A secret that is none, in base64.
const WRONG: &str = "d3JvbmcrU0VDUkVU";

impl Stand {
    /// Starts a store that speaks S3.
    pub async fn s3() -> Self {
        Stand::S3(S3Server::start().await)
    }

    /// Starts a stand-in for Google Cloud Storage.
    pub async fn gcs() -> Self {
        Stand::Gcs(GcsServer::start().await)
    }

    /// Starts Azurite, with a container.
    pub async fn azure() -> Self {
        let server = Azurite::start();
        server.make_container(CONTAINER);
        Stand::Azure(server)
    }

    /// What a platform is set to, so that it reaches this: without the prefix that settings have in the environment.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let mut settings = vec![("BUCKET_NETWORKS", "127.0.0.1".to_owned())];
        if let Stand::Gcs(server) = self {
            settings.push(("GOOGLE_STORAGE_URL", server.url()));
        }
        settings
    }

    /// The contract's word for it.
    pub fn provider(&self) -> &'static str {
        match self {
            Stand::S3(_) => "amazon_s3",
            Stand::Gcs(_) => "google_cloud_storage",
            Stand::Azure(_) => "azure_blob_storage",
        }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        match self {
            Stand::S3(server) => server.url(),
            Stand::Gcs(server) => server.url(),
            Stand::Azure(server) => server.url().to_owned(),
        }
    }

    /// Credentials that work.
    pub fn credentials(&self) -> Value {
        match self {
            Stand::S3(_) => json!({ "access_key": S3Server::ACCESS_KEY, "secret_key": S3Server::SECRET_KEY }),
            Stand::Gcs(_) => json!({ "json_key_file": GcsServer::key_file(GcsServer::EMAIL) }),
            Stand::Azure(server) => json!({ "connection_string": server.connection_string() }),
        }
    }

    /// Credentials that do not work: a wrong secret, and those of somebody who has no rights here.
    pub fn bad_credentials(&self) -> Vec<Value> {
        match self {
            Stand::S3(_) => vec![
                json!({ "access_key": S3Server::ACCESS_KEY, "secret_key": WRONG }),
                json!({ "access_key": "AKIASTRANGER", "secret_key": S3Server::SECRET_KEY }),
            ],
            Stand::Gcs(_) => {
                let stranger = GcsServer::key_file("nobody@else.iam.gserviceaccount.com");
                vec![json!({ "json_key_file": stranger })]
            }
            Stand::Azure(server) => vec![
                json!({ "connection_string": server.connection_string().replace(Azurite::KEY, WRONG) }),
                json!({ "connection_string": server.connection_string().replace("AccountName=devaccount", "AccountName=stranger") }),
            ],
        }
    }

    /// What must be readable nowhere.
    pub fn secrets(&self) -> Vec<String> {
        match self {
            Stand::S3(_) => vec![S3Server::SECRET_KEY.into(), WRONG.into()],
            Stand::Gcs(_) => vec![GcsServer::line_of_key().into(), "PRIVATE KEY".into()],
            Stand::Azure(_) => vec![Azurite::KEY.into(), WRONG.into()],
        }
    }

    /// The bucket of this name at the provider, with a prefix.
    pub fn configuration_of(&self, name: &str, prefix: &str) -> Value {
        match self {
            Stand::S3(server) => {
                json!({ "bucket": name, "prefix": prefix, "endpoint_url": server.url(), "use_ssl": "False", "verify": "True" })
            }
            Stand::Gcs(_) => json!({ "bucket": name, "prefix": prefix }),
            Stand::Azure(_) => json!({ "container": name, "prefix": prefix }),
        }
    }

    /// The bucket that there is.
    pub fn configuration(&self, prefix: &str) -> Value {
        self.configuration_of(CONTAINER, prefix)
    }
}
