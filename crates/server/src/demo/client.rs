//! What the demo needs of HTTP.

use std::time::Duration;

use reqwest::multipart::{Form, Part};
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use super::Step;

/// Longer than any step should take.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Calls one server with one token.
pub(super) struct Client {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Client {
    /// `base` ends with the project: all paths are below it.
    pub(super) fn new(base: String, token: String) -> Step<Self> {
        // The server is on this machine: no proxy stands between.
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build();
        Ok(Self { http: http.map_err(|e| e.to_string())?, base, token })
    }

    pub(super) async fn get(&self, path: &str) -> Step<Value> {
        self.answer(self.request(Method::GET, path)).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Step<Value> {
        self.answer(self.request(Method::POST, path).json(body)).await
    }

    pub(super) async fn upload(&self, path: &str, name: &'static str, bytes: Vec<u8>) -> Step<Value> {
        let file = Form::new().part("file", Part::bytes(bytes).file_name(name));
        self.answer(self.request(Method::POST, path).multipart(file)).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let address = format!("{}{path}", self.base);
        self.http.request(method, address).header("authorization", format!("Token {}", self.token))
    }

    /// The answer, or in place of an error the sentence that came with it.
    async fn answer(&self, request: RequestBuilder) -> Step<Value> {
        let response = request.send().await.map_err(|e| format!("the server did not answer: {e}"))?;
        let status = response.status();
        let text = response.text().await.map_err(|e| format!("the answer broke off: {e}"))?;
        let value: Value = serde_json::from_str(&text).map_err(|_| format!("the server answered {status}: {text}"))?;
        if status.is_success() {
            return Ok(value);
        }
        Err(format!("the server answered {status}: {}", value["error"].as_str().unwrap_or(&text)))
    }
}
