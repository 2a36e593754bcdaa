//! What tests through the API do at a provider.

pub use modelyard_testkit::stores::Stand;
use reqwest::Client;

use crate::kit::*;

/// A provider beside a server.
pub trait Beside {
    /// What is sent to create a bucket here.
    fn body(&self, name: &str, prefix: &str) -> Value;
    /// A project `demo` with a bucket `files` here.
    async fn bucket(&self, server: &TestServer) -> At;
    /// Whether uploads and parts have numbers; else parts have ids.
    fn has_numbers(&self) -> bool;
    /// Sends bytes to a signed address, as the stock clients do it.
    async fn put(&self, url: &str, body: impl Into<reqwest::Body>) -> Reply;
    /// Stores a file through a bucket, and gives the address to fetch it from.
    async fn store(&self, bucket: &At, name: &str, body: impl Into<reqwest::Body>) -> String;
}

impl Beside for Stand {
    fn body(&self, name: &str, prefix: &str) -> Value {
        json!({
            "name": name,
            "provider": self.provider(),
            "credentials": self.credentials(),
            "configuration": self.configuration(prefix),
        })
    }

    async fn bucket(&self, server: &TestServer) -> At {
        let project = server.project("demo").await;
        project.post("/buckets", self.body("files", "some/prefix of files")).await.fine();
        project.at("/buckets/files")
    }

    fn has_numbers(&self) -> bool {
        !matches!(self, Stand::Azure(_))
    }

    async fn put(&self, url: &str, body: impl Into<reqwest::Body>) -> Reply {
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

    async fn store(&self, bucket: &At, name: &str, body: impl Into<reqwest::Body>) -> String {
        self.put(&bucket.upload_url(name).await, body).await.fine();
        bucket.download_url(name).await
    }
}
