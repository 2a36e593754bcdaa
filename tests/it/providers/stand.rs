//! A provider of a test: what a bucket is told of it, and what only the test can do there.

use modelyard_testkit::azurite::Azurite;
use modelyard_testkit::stores::{GcsServer, S3Server};
use reqwest::Client;

use crate::kit::*;

/// A provider with an empty bucket.
pub enum Stand {
    S3(S3Server),
    Gcs(GcsServer),
    Azure(Azurite),
}

const CONTAINER: &str = "models";
/// A secret that is none, in base64.
const WRONG: &str = "d3JvbmcrU0VDUkVU";

impl Stand {
    pub async fn s3() -> Self {
        Stand::S3(S3Server::start().await)
    }

    pub async fn gcs() -> Self {
        Stand::Gcs(GcsServer::start().await)
    }

    pub async fn azure() -> Self {
        let server = Azurite::start();
        let made = Client::new().put(server.container_url(CONTAINER)).send().await.unwrap();
        assert!(made.status().is_success(), "{}", made.text().await.unwrap());
        Stand::Azure(server)
    }

    /// What a server is set to, so that it reaches this.
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
            Stand::Gcs(_) => {
                let file: Value = serde_json::from_str(&GcsServer::key_file(GcsServer::EMAIL)).unwrap();
                let key = file["private_key"].as_str().unwrap().lines().nth(5).unwrap().to_owned();
                vec![key, "PRIVATE KEY".into()]
            }
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

    /// What is sent to create a bucket here.
    pub fn body(&self, name: &str, prefix: &str) -> Value {
        json!({
            "name": name,
            "provider": self.provider(),
            "credentials": self.credentials(),
            "configuration": self.configuration(prefix),
        })
    }

    /// A project `demo` with a bucket `files` here.
    pub async fn bucket(&self, server: &TestServer) -> At {
        let project = server.project("demo").await;
        project.post("/buckets", self.body("files", "some/prefix of files")).await.fine();
        project.at("/buckets/files")
    }

    /// Whether uploads and parts have numbers; else parts have ids.
    pub fn has_numbers(&self) -> bool {
        !matches!(self, Stand::Azure(_))
    }

    /// Sends bytes to a signed address, as the stock clients do it.
    pub async fn put(&self, url: &str, body: impl Into<reqwest::Body>) -> Reply {
        let mut request = Client::new().put(url).header("content-disposition", "multipart/form-data");
        if let Stand::Azure(_) = self {
            request = request.header("x-ms-version", "2020-04-08").header("x-ms-blob-type", "BlockBlob");
        }
        let body = body.into();
        // Azure wants to know that there is nothing.
        if body.as_bytes() == Some(b"") {
            request = request.header("content-length", "0");
        }
        Reply::read(request.body(body).send().await.expect("the provider answers")).await
    }

    /// Stores a file through a bucket, and gives the address to fetch it from.
    pub async fn store(&self, bucket: &At, name: &str, body: impl Into<reqwest::Body>) -> String {
        self.put(&bucket.upload_url(name).await, body).await.fine();
        bucket.download_url(name).await
    }
}
