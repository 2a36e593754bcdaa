//! Files in a container of Azure Blob Storage. What we ask ourselves is signed like what others are to do: by URLs for just that.

use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::{Method, Response};
use jiff::Timestamp;
use url::Url;

use super::blocks;
use super::entries::{self, Page};
use super::http::{Call, Http, Pairs, RefusedOr, whole};
use super::provider::{Found, Listing, Part, Provider};
use super::sas::{AccountKey, Grant, VERSION};
use super::xml::Element;
use super::{RemoteError, names};

/// How long the URLs of our own calls are valid: longer than the slowest of them takes.
const OWN_CALLS: Duration = Duration::from_secs(3600);

/// A container, open.
pub(super) struct Container {
    pub http: Http,
    pub key: AccountKey,
    /// Where the container is.
    pub url: Url,
    pub name: String,
    pub prefix: String,
}

/// What is asked of a file.
struct Ask<'a> {
    doing: &'static str,
    method: Method,
    key: &'a str,
    permissions: &'static str,
    query: Pairs,
    headers: Pairs,
    body: Bytes,
}

impl<'a> Ask<'a> {
    fn new(doing: &'static str, method: Method, key: &'a str, permissions: &'static str) -> Self {
        let headers = vec![("x-ms-version", VERSION.to_owned())];
        Self { doing, method, key, permissions, query: Vec::new(), headers, body: Bytes::new() }
    }
}

impl Container {
    fn signed(
        &self,
        key: &str,
        query: &[(&str, String)],
        permissions: &'static str,
        valid: Duration,
    ) -> Result<Url, RemoteError> {
        let mut url = self.url.clone();
        url.set_path(&format!("{}/{}", self.url.path(), names::path(key)));
        let grant = Grant { container: &self.name, blob: Some(key), permissions, valid };
        self.key.url(url, query, &grant, Timestamp::now())
    }

    async fn try_ask(&self, ask: Ask<'_>) -> Result<Response<Incoming>, RefusedOr> {
        let url = self.signed(ask.key, &ask.query, ask.permissions, OWN_CALLS)?;
        let call = Call { doing: ask.doing, method: ask.method, url, headers: ask.headers, body: ask.body };
        self.http.expect(&call).await
    }

    async fn ask(&self, ask: Ask<'_>) -> Result<Response<Incoming>, RemoteError> {
        let (doing, key) = (ask.doing, ask.key);
        self.try_ask(ask).await.map_err(|refused| self.explain(refused, doing, key))
    }

    fn explain(&self, refused: RefusedOr, doing: &'static str, key: &str) -> RemoteError {
        refused.explain(doing, &self.name, Some(key.strip_prefix(&self.prefix).unwrap_or(key)))
    }
}

#[async_trait]
impl Provider for Container {
    fn prefix(&self) -> &str {
        &self.prefix
    }

    fn check_name(&self, key: &str) -> Result<(), RemoteError> {
        match key.contains('\\') {
            true => Err(RemoteError::BadName(
                "a file in Azure has no backslash in its name: Azure makes a slash of it".into(),
            )),
            false => Ok(()),
        }
    }

    async fn list(&self, listing: &Listing<'_>) -> Result<Page, RemoteError> {
        const DOING: &str = "listing files";
        let mut query = vec![("restype", "container".to_owned()), ("comp", "list".to_owned())];
        query.push(("maxresults", listing.limit.to_string()));
        query.push(("prefix", listing.prefix.clone()));
        query.extend(listing.delimiter.map(|delimiter| ("delimiter", delimiter.to_owned())));
        query.extend(listing.after.map(|after| ("marker", after.to_owned())));
        let grant = Grant { container: &self.name, blob: None, permissions: "l", valid: OWN_CALLS };
        let url = self.key.url(self.url.clone(), &query, &grant, Timestamp::now())?;
        let headers = vec![("x-ms-version", VERSION.to_owned())];
        let call = Call { doing: DOING, method: Method::GET, url, headers, body: Bytes::new() };
        let listed = self.http.expect(&call).await.map_err(|refused| refused.explain(DOING, &self.name, None))?;
        let body = whole(DOING, listed.into_body()).await?;
        let document = Element::read(&body)
            .map_err(|cause| RemoteError::failed(DOING, format!("the answer is no document: {cause}")))?;
        Ok(entries::of_container(&document, &self.prefix))
    }

    async fn head(&self, key: &str) -> Result<Option<Found>, RemoteError> {
        const DOING: &str = "reading about a file";
        match self.try_ask(Ask::new(DOING, Method::HEAD, key, "r")).await {
            Ok(response) => Found::of(DOING, response.headers()).map(Some),
            Err(refused) => match self.explain(refused, DOING, key) {
                RemoteError::Missing(_) => Ok(None),
                error => Err(error),
            },
        }
    }

    async fn get(
        &self,
        key: &str,
        range: Option<&Range<u64>>,
        etag: Option<&str>,
    ) -> Result<Response<Incoming>, RemoteError> {
        let mut ask = Ask::new("reading a file", Method::GET, key, "r");
        ask.headers.extend(range.map(|range| ("range", format!("bytes={}-{}", range.start, range.end - 1))));
        ask.headers.extend(etag.map(|etag| ("if-match", format!("\"{etag}\""))));
        self.ask(ask).await
    }

    async fn put(&self, key: &str, content_type: Option<&str>, bytes: Bytes) -> Result<Found, RemoteError> {
        let mut ask = Ask::new("writing a file", Method::PUT, key, "cw");
        ask.headers.push(("x-ms-blob-type", "BlockBlob".into()));
        ask.headers.extend(content_type.map(|it| ("x-ms-blob-content-type", it.to_owned())));
        let size = bytes.len() as u64;
        ask.body = bytes;
        let response = self.ask(ask).await?;
        Ok(Found::written(response.headers(), size))
    }

    async fn delete(&self, key: &str) -> Result<bool, RemoteError> {
        let mut ask = Ask::new("removing a file", Method::DELETE, key, "d");
        ask.headers.push(("x-ms-delete-snapshots", "include".into()));
        match self.ask(ask).await {
            Ok(_) => Ok(true),
            Err(RemoteError::Missing(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn sign(&self, method: Method, key: &str, valid: Duration) -> Result<String, RemoteError> {
        let permissions = if method == Method::GET { "r" } else { "cw" };
        Ok(self.signed(key, &[], permissions, valid)?.into())
    }

    async fn begin(&self, key: &str, _: Option<&str>) -> Result<String, RemoteError> {
        // Azure has blocks of a file and knows of no uploads, so that the id is ours to make, and to know again.
        blocks::new_upload(&self.key, &self.name, key)
    }

    fn sign_part(&self, key: &str, upload: &str, part: Option<u32>, valid: Duration) -> Result<String, RemoteError> {
        if part.is_some() {
            return Err(RemoteError::BadUpload("a part of an upload to Azure has an id and no number".into()));
        }
        Ok(self.signed(key, &blocks::query(&blocks::id(upload)), "w", valid)?.into())
    }

    async fn put_part(&self, key: &str, upload: &str, number: u32, bytes: Bytes) -> Result<Part, RemoteError> {
        let block = format!("{upload}/{number}");
        let mut ask = Ask::new("writing a part of a file", Method::PUT, key, "w");
        ask.query = blocks::query(&blocks::id(&block));
        ask.body = bytes;
        self.ask(ask).await.map(|_| Part::Block(block))
    }

    async fn complete(
        &self,
        key: &str,
        upload: &str,
        content_type: Option<&str>,
        parts: &[Part],
    ) -> Result<Option<String>, RemoteError> {
        blocks::check_upload(&self.key, &self.name, key, upload)?;
        let mut ask = Ask::new("completing an upload", Method::PUT, key, "cw");
        ask.query.push(("comp", "blocklist".into()));
        ask.headers.push(("content-type", "application/xml".into()));
        ask.headers.extend(content_type.map(|it| ("x-ms-blob-content-type", it.to_owned())));
        ask.body = blocks::list(parts)?.into();
        Ok(Found::written(self.ask(ask).await?.headers(), 0).etag)
    }

    async fn abort(&self, key: &str, upload: &str) -> Result<(), RemoteError> {
        // Blocks that are in no list are removed by Azure within a week; there is no call for it.
        blocks::check_upload(&self.key, &self.name, key, upload)
    }
}
