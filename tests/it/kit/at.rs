//! A place below the server's address, spoken to with a token: the API itself, a project, a deployment, a version.

use reqwest::header::AUTHORIZATION;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;

use super::Reply;

/// A place. Paths are relative to it.
#[derive(Clone)]
pub struct At {
    client: Client,
    address: String,
    authorization: Option<String>,
}

impl At {
    /// The API at an address, with prefix; `token` without its scheme.
    pub fn new(address: String, token: &str) -> Self {
        Self { client: Client::new(), address, authorization: Some(format!("Token {token}")) }
    }

    /// A place below this one.
    pub fn at(&self, path: &str) -> At {
        At { address: format!("{}{path}", self.address), ..self.clone() }
    }

    /// The same place, with another `Authorization` header or none.
    pub fn signed(&self, authorization: Option<&str>) -> At {
        At { authorization: authorization.map(str::to_owned), ..self.clone() }
    }

    /// The same place, reached with a connection for each request. A stopping server closes those that idle, and one that
    /// is kept may be closed while a request leaves.
    pub fn unpooled(&self) -> At {
        let client = Client::builder().pool_max_idle_per_host(0).build().expect("a client can be made");
        At { client, ..self.clone() }
    }

    /// The whole address.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The `Authorization` header.
    pub fn authorization(&self) -> &str {
        self.authorization.as_deref().unwrap_or_default()
    }

    /// A request that is yet to be filled and sent.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.address));
        match &self.authorization {
            Some(value) => request.header(AUTHORIZATION, value),
            None => request,
        }
    }

    /// Sends a request as it is.
    pub async fn send(&self, request: RequestBuilder) -> Reply {
        Reply::read(request.send().await.expect("the server answers")).await
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Reply {
        self.send(self.request(Method::GET, path)).await
    }

    /// GET with a query whose values are written as they are meant.
    pub async fn find(&self, path: &str, query: &[(&str, &str)]) -> Reply {
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        self.get(&format!("{path}?{query}")).await
    }

    /// POST with a JSON body.
    pub async fn post(&self, path: &str, body: Value) -> Reply {
        self.send(self.request(Method::POST, path).json(&body)).await
    }

    /// POST with a JSON body to a server that may go away: nothing when it did. Refusals for lack of code are fine.
    pub async fn try_post(&self, path: &str, body: Value) -> Option<Reply> {
        Self::try_send(self.request(Method::POST, path).json(&body)).await
    }

    /// Sends to a server that may go away.
    pub async fn try_send(request: RequestBuilder) -> Option<Reply> {
        let answer = request.send().await.ok()?;
        Reply::try_read(answer).await.inspect(|reply| assert!(reply.status < 500, "{reply}"))
    }

    /// POST with a body of one's own.
    pub async fn post_raw(&self, path: &str, kind: &str, body: impl Into<reqwest::Body>) -> Reply {
        self.send(self.request(Method::POST, path).header("content-type", kind).body(body)).await
    }

    /// PATCH with a JSON body.
    pub async fn patch(&self, path: &str, body: Value) -> Reply {
        self.send(self.request(Method::PATCH, path).json(&body)).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Reply {
        self.send(self.request(Method::DELETE, path)).await
    }
}
