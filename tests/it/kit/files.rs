//! Files of buckets, as clients send and fetch them: by signed addresses, without a token.

use reqwest::{Body, Client, Method};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{At, Reply, Value, json};

impl At {
    /// The address of a file of this bucket: its name in one segment, as the stock clients write it.
    pub fn file(&self, name: &str) -> String {
        let name = percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC);
        format!("/files/{name}")
    }

    /// A signed address to send a file of this bucket to.
    pub async fn upload_url(&self, name: &str) -> String {
        self.send(self.request(Method::POST, &self.file(name))).await.fine().str("url")
    }

    /// A signed address to fetch a file of this bucket from.
    pub async fn download_url(&self, name: &str) -> String {
        self.get(&format!("{}/download", self.file(name))).await.fine().str("url")
    }

    /// Sends a file of this bucket, and gives the signed address to fetch it from.
    pub async fn store(&self, name: &str, body: impl Into<Body>) -> String {
        self.put(&self.upload_url(name).await, body).await.fine();
        self.download_url(name).await
    }

    /// Begins an upload in parts in a bucket of our own; gives its id.
    pub async fn begin_upload(&self, name: &str) -> String {
        let path = format!("{}/start-multipart-upload", self.file(name));
        let begun = self.send(self.request(Method::POST, &path)).await;
        assert_eq!((begun.status, &begun["provider"]), (201, &json!("ubiops")), "{begun}");
        begun.str("upload_id")
    }

    /// Asks for the address of a part.
    pub async fn part_url(&self, name: &str, upload: &str, number: &str) -> Reply {
        let path = format!("{}?upload_id={upload}&part_number={number}", self.file(name));
        self.send(self.request(Method::POST, &path)).await
    }

    /// Sends a part, and gives how it is named.
    pub async fn send_part(&self, name: &str, upload: &str, number: usize, bytes: impl Into<Body>) -> Value {
        let url = self.part_url(name, upload, &number.to_string()).await.fine().str("url");
        let sent = self.put(&url, bytes).await.fine();
        json!({ "ETag": sent.headers["etag"].to_str().expect("a text"), "PartNumber": number })
    }

    /// Ends an upload with these parts.
    pub async fn complete_upload(&self, name: &str, upload: &str, parts: Value) -> Reply {
        let path = format!("{}/complete-multipart-upload", self.file(name));
        self.post(&path, json!({ "upload_id": upload, "parts": parts })).await
    }

    /// PUT to a signed address, as the stock clients do it.
    pub async fn put(&self, url: &str, body: impl Into<Body>) -> Reply {
        let request = Client::new().put(url).header("content-disposition", "multipart/form-data").body(body);
        Reply::read(request.send().await.expect("the server answers")).await
    }

    /// GET of a signed address.
    pub async fn fetch(&self, url: &str) -> Reply {
        self.fetch_with(url, &[]).await
    }

    /// GET of a signed address with headers.
    pub async fn fetch_with(&self, url: &str, headers: &[(&str, &str)]) -> Reply {
        let request =
            headers.iter().fold(Client::new().get(url), |request, (name, value)| request.header(*name, *value));
        Reply::read(request.send().await.expect("the server answers")).await
    }

    /// GET of a path that goes out as it is written, which clients would mend; the whole answer as text.
    pub async fn raw_get(&self, path: &str) -> String {
        let (host, base) =
            self.address().strip_prefix("http://").and_then(|it| it.split_once('/')).expect("an address");
        let mut stream = TcpStream::connect(host).await.expect("the server listens");
        let token = self.authorization();
        let text = format!(
            "GET /{base}{path} HTTP/1.1\r\nhost: {host}\r\nauthorization: {token}\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(text.as_bytes()).await.expect("the server reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("the server answers");
        answer
    }
}
