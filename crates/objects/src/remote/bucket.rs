//! Files in a bucket of S3 or Google Cloud Storage, which speak one language (XML) and differ in their signatures.

use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::ETAG;
use hyper::{Method, Response};
use jiff::Timestamp;
use url::Url;

use super::entries::{self, Page};
use super::http::{Call, Http, Pairs, RefusedOr, whole};
use super::provider::{self, Found, Listing, Part, Provider};
use super::refusal::Refusal;
use super::v4::Signer;
use super::xml::{self, Element};
use super::{RemoteError, names};

/// How many parts a file may have.
const MOST_PARTS: u32 = 10_000;

/// How long the tag of a part may be, in bytes; those we know have 34.
const LONGEST_TAG: usize = 256;

/// A bucket, open.
pub(super) struct Bucket {
    pub http: Http,
    pub signer: Signer,
    /// Where the bucket is.
    pub url: Url,
    pub name: String,
    pub prefix: String,
}

/// What is asked of a bucket or a file in it.
struct Ask<'a> {
    doing: &'static str,
    method: Method,
    key: Option<&'a str>,
    query: Pairs,
    headers: Pairs,
    body: Bytes,
}

impl<'a> Ask<'a> {
    fn new(doing: &'static str, method: Method, key: impl Into<Option<&'a str>>) -> Self {
        Self { doing, method, key: key.into(), query: Vec::new(), headers: Vec::new(), body: Bytes::new() }
    }
}

impl Bucket {
    fn url_of(&self, key: Option<&str>) -> Url {
        let Some(key) = key else { return self.url.clone() };
        let mut url = self.url.clone();
        url.set_path(&format!("{}/{}", self.url.path().trim_end_matches('/'), names::path(key)));
        url
    }

    fn call(&self, ask: Ask<'_>) -> Result<Call, RemoteError> {
        let url = self.url_of(ask.key);
        let (url, added) = self.signer.call(&ask.method, &url, &ask.query, &ask.headers, &ask.body)?;
        let mut headers = ask.headers;
        headers.extend(added);
        Ok(Call { doing: ask.doing, method: ask.method, url, headers, body: ask.body })
    }

    async fn ask(&self, ask: Ask<'_>) -> Result<Response<Incoming>, RemoteError> {
        let (doing, key) = (ask.doing, ask.key);
        let answered = self.http.expect(&self.call(ask)?).await;
        answered.map_err(|refused| self.explain(refused, doing, key))
    }

    fn explain(&self, refused: RefusedOr, doing: &'static str, key: Option<&str>) -> RemoteError {
        refused.explain(doing, &self.name, key.map(|key| key.strip_prefix(&self.prefix).unwrap_or(key)))
    }

    /// The document that answers.
    async fn document(&self, ask: Ask<'_>) -> Result<Element, RemoteError> {
        let (doing, key) = (ask.doing, ask.key);
        let (head, body) = self.ask(ask).await?.into_parts();
        let body = whole(doing, body).await?;
        let document = Element::read(&body)
            .map_err(|cause| RemoteError::failed(doing, format!("the answer is no document: {cause}")))?;
        // What takes long is begun to be answered before it is known how it ends.
        match document.name == "Error" {
            true => {
                let refusal = Refusal::from_document(&head, &document, &self.http.hidden);
                Err(self.explain(RefusedOr::Refused(refusal), doing, key))
            }
            false => Ok(document),
        }
    }
}

#[async_trait]
impl Provider for Bucket {
    fn prefix(&self) -> &str {
        &self.prefix
    }

    async fn list(&self, listing: &Listing<'_>) -> Result<Page, RemoteError> {
        let mut ask = Ask::new("listing files", Method::GET, None);
        ask.query = vec![("list-type", "2".into()), ("max-keys", listing.limit.to_string())];
        ask.query.push(("prefix", listing.prefix.clone()));
        ask.query.extend(listing.delimiter.map(|delimiter| ("delimiter", delimiter.to_owned())));
        ask.query.extend(listing.after.map(|after| ("continuation-token", after.to_owned())));
        let document = self.document(ask).await?;
        Ok(entries::of_bucket(&document, &self.prefix))
    }

    async fn head(&self, key: &str) -> Result<Option<Found>, RemoteError> {
        const DOING: &str = "reading about a file";
        let asked = self.http.expect(&self.call(Ask::new(DOING, Method::HEAD, key))?).await;
        match asked {
            Ok(response) => Found::of(DOING, response.headers()).map(Some),
            // A refusal of this says nothing; one of the file itself says why.
            Err(RefusedOr::Refused(_)) => match self.get(key, None, None).await {
                Ok(response) => Found::of(DOING, response.headers()).map(Some),
                Err(RemoteError::Missing(_)) => Ok(None),
                Err(error) => Err(error),
            },
            Err(RefusedOr::Failed(error)) => Err(error),
        }
    }

    async fn get(
        &self,
        key: &str,
        range: Option<&Range<u64>>,
        etag: Option<&str>,
    ) -> Result<Response<Incoming>, RemoteError> {
        let mut ask = Ask::new("reading a file", Method::GET, key);
        // As it is stored: Google unpacks files for those who do not say that they take packed ones.
        ask.headers.push(("accept-encoding", "gzip".into()));
        ask.headers.extend(range.map(|range| ("range", format!("bytes={}-{}", range.start, range.end - 1))));
        ask.headers.extend(etag.map(|etag| ("if-match", format!("\"{etag}\""))));
        self.ask(ask).await
    }

    async fn put(&self, key: &str, content_type: Option<&str>, bytes: Bytes) -> Result<Found, RemoteError> {
        let mut ask = Ask::new("writing a file", Method::PUT, key);
        ask.headers.extend(content_type.map(|it| ("content-type", it.to_owned())));
        let size = bytes.len() as u64;
        ask.body = bytes;
        let response = self.ask(ask).await?;
        Ok(Found::written(response.headers(), size))
    }

    async fn delete(&self, key: &str) -> Result<bool, RemoteError> {
        // S3 does not tell whether there was something to remove.
        if matches!(self.signer, Signer::S3 { .. }) && self.head(key).await?.is_none() {
            return Ok(false);
        }
        match self.ask(Ask::new("removing a file", Method::DELETE, key)).await {
            Ok(_) => Ok(true),
            Err(RemoteError::Missing(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn sign(&self, method: Method, key: &str, valid: Duration) -> Result<String, RemoteError> {
        Ok(self.signer.url(&method, &self.url_of(Some(key)), &[], valid, Timestamp::now())?.into())
    }

    async fn begin(&self, key: &str, content_type: Option<&str>) -> Result<String, RemoteError> {
        let mut ask = Ask::new("beginning an upload", Method::POST, key);
        ask.query.push(("uploads", String::new()));
        ask.headers.extend(content_type.map(|it| ("content-type", it.to_owned())));
        let document = self.document(ask).await?;
        let upload = document.text_of("UploadId").map(str::to_owned);
        upload.ok_or_else(|| RemoteError::failed("beginning an upload", "the answer names no upload"))
    }

    fn sign_part(&self, key: &str, upload: &str, part: Option<u32>, valid: Duration) -> Result<String, RemoteError> {
        let part =
            part.ok_or_else(|| RemoteError::BadUpload("a part of an upload to this bucket has a number".into()))?;
        let query = part_query(upload, part)?;
        Ok(self.signer.url(&Method::PUT, &self.url_of(Some(key)), &query, valid, Timestamp::now())?.into())
    }

    async fn put_part(&self, key: &str, upload: &str, number: u32, bytes: Bytes) -> Result<Part, RemoteError> {
        let mut ask = Ask::new("writing a part of a file", Method::PUT, key);
        ask.query = part_query(upload, number)?;
        ask.body = bytes;
        let response = self.ask(ask).await?;
        match provider::text(response.headers(), ETAG.as_str()) {
            Some(etag) => Ok(Part::Tag { number, etag: etag.to_owned() }),
            None => Err(RemoteError::failed("writing a part of a file", "the answer has no ETag")),
        }
    }

    async fn complete(
        &self,
        key: &str,
        upload: &str,
        _: Option<&str>,
        parts: &[Part],
    ) -> Result<Option<String>, RemoteError> {
        let mut ask = Ask::new("completing an upload", Method::POST, key);
        ask.query.push(("uploadId", upload.to_owned()));
        ask.headers.push(("content-type", "application/xml".into()));
        ask.body = list_of(parts)?.into();
        let document = self.document(ask).await?;
        Ok(document.text_of("ETag").map(|etag| etag.trim_matches('"').to_owned()))
    }

    async fn abort(&self, key: &str, upload: &str) -> Result<(), RemoteError> {
        let mut ask = Ask::new("calling an upload off", Method::DELETE, key);
        ask.query.push(("uploadId", upload.to_owned()));
        self.ask(ask).await.map(|_| ())
    }
}

fn part_query(upload: &str, part: u32) -> Result<Pairs, RemoteError> {
    match (1..=MOST_PARTS).contains(&part) {
        true => Ok(vec![("partNumber", part.to_string()), ("uploadId", upload.to_owned())]),
        false => Err(RemoteError::BadUpload(format!("parts have numbers from 1 to {MOST_PARTS}"))),
    }
}

/// The parts as the provider wants them: in their order, each once.
fn list_of(parts: &[Part]) -> Result<String, RemoteError> {
    let refused = |why: &str| RemoteError::BadUpload(why.into());
    let mut tags = Vec::with_capacity(parts.len());
    for part in parts {
        match part {
            Part::Tag { number, etag } => tags.push((*number, etag)),
            Part::Block(_) => {
                return Err(refused("the parts of an upload to this bucket are named by number and ETag"));
            }
        }
    }
    tags.sort();
    if tags.is_empty() || tags.iter().any(|(number, _)| !(1..=MOST_PARTS).contains(number)) {
        return Err(refused("an upload is completed with at least one part, and parts have numbers from 1 to 10000"));
    }
    if tags.iter().any(|(_, etag)| etag.len() > LONGEST_TAG) {
        return Err(refused("the ETag of a part is too long to be one"));
    }
    if tags.windows(2).any(|two| two[0].0 == two[1].0) {
        return Err(refused("a part is named twice"));
    }
    let mut list = String::from("<CompleteMultipartUpload>");
    for (number, etag) in tags {
        let etag = xml::escape(etag);
        list += &format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>");
    }
    Ok(list + "</CompleteMultipartUpload>")
}
