//! A stand-in for Google Cloud Storage, in this process: its XML calls, as far as files need them.
//!
//! It is no Google. It checks the signature of each call with the public key of its one service account, and when it expires; the files
//! behind it are those of our S3 server. That the real one understands us is not shown by it.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hyper::body::Incoming;
use hyper::{Method, Request, Uri};
use jiff::fmt::strtime;
use jiff::{SignedDuration, Timestamp};
use percent_encoding::percent_decode_str;
use ring::digest::{SHA256, digest};
use ring::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use s3s::service::{S3Service, S3ServiceBuilder};

use super::files::Files;
use super::server::{Answer, Server, text};

/// A key that was made for this and is used nowhere else.
const PRIVATE_KEY: &str = include_str!("gcs_test_key.pem");

/// A store with one empty bucket.
pub struct GcsServer {
    server: Server,
    files: Files,
}

impl GcsServer {
    /// The service account.
    pub const EMAIL: &str = "tests@modelyard-tests.iam.gserviceaccount.com";
    /// The bucket that there is.
    pub const BUCKET: &str = "models";

    /// Starts a store.
    pub async fn start() -> Self {
        let files = Files::default();
        files.state().buckets.entry(Self::BUCKET.into()).or_default();
        let service = S3ServiceBuilder::new(files.clone()).build();
        let (key, behind) = (Arc::new(public_key()), files.clone());
        let server = Server::start(Arc::new(move |request| {
            Box::pin(answer(service.clone(), key.clone(), behind.clone(), request))
        }));
        Self { server: server.await, files }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address)
    }

    /// The key file of an account, with the key of the one that it knows.
    pub fn key_file(email: &str) -> String {
        let pem = PRIVATE_KEY.replace('\n', "\\n");
        // What says where to fetch tokens leads nowhere.
        format!(
            r#"{{"type": "service_account", "project_id": "modelyard-tests", "private_key_id": "1", "private_key": "{pem}",
            "client_email": "{email}", "token_uri": "http://169.254.169.254/token", "universe_domain": "googleapis.com"}}"#
        )
    }

    /// A line from the middle of the key.
    pub fn line_of_key() -> &'static str {
        PRIVATE_KEY.lines().nth(5).expect("the key has many lines")
    }

    /// How many uploads are neither completed nor called off.
    pub fn uploads(&self) -> usize {
        self.files.state().uploads.len()
    }
}

async fn answer(service: S3Service, key: Arc<Vec<u8>>, files: Files, request: Request<Incoming>) -> Answer {
    if let Err(code) = check(&request, &key) {
        return text(403, &format!("<Error><Code>{code}</Code><Message>The call is refused.</Message></Error>"));
    }
    // Unlike S3, Google says whether there was something to remove.
    let removes = request.method() == Method::DELETE && !request.uri().query().unwrap_or_default().contains("uploadId");
    if removes && !is_there(&files, request.uri()) {
        return text(404, "<Error><Code>NoSuchKey</Code><Message>The file is not there.</Message></Error>");
    }
    super::s3::answer(hyper::service::Service::call(&service, unsigned(request)).await)
}

/// Whether a call is signed by the account, for now, for just this.
fn check(request: &Request<Incoming>, key: &[u8]) -> Result<(), &'static str> {
    let query = request.uri().query().unwrap_or_default();
    let (signed, signature) = query.rsplit_once("&X-Goog-Signature=").ok_or("AccessDenied")?;
    let field = |name: &str| {
        let pairs = signed.split('&').filter_map(|pair| pair.split_once('='));
        let value = pairs.into_iter().find(|(found, _)| *found == name)?.1;
        percent_decode_str(value).decode_utf8().ok().map(|value| value.into_owned())
    };
    let get = |name: &str| field(name).ok_or("AuthorizationQueryParametersError");
    let (moment, credential) = (get("X-Goog-Date")?, get("X-Goog-Credential")?);
    let scope = credential.strip_prefix(&format!("{}/", GcsServer::EMAIL)).ok_or("InvalidAccessKeyId")?;
    let whole = get("X-Goog-Algorithm")? == "GOOG4-RSA-SHA256" && get("X-Goog-SignedHeaders")? == "host";
    if !whole || scope != format!("{}/auto/storage/goog4_request", &moment[..8.min(moment.len())]) {
        return Err("AuthorizationQueryParametersError");
    }
    let host = request.headers().get("host").and_then(|host| host.to_str().ok()).ok_or("AccessDenied")?;
    let (method, path) = (request.method(), request.uri().path());
    let mut pairs: Vec<_> = signed.split('&').collect();
    pairs.sort();
    let canonical = format!("{method}\n{path}\n{}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD", pairs.join("&"));
    let hash = hex::encode(digest(&SHA256, canonical.as_bytes()));
    let signed_text = format!("GOOG4-RSA-SHA256\n{moment}\n{scope}\n{hash}");
    let signature = hex::decode(signature).map_err(|_| "SignatureDoesNotMatch")?;
    let verified = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key).verify(signed_text.as_bytes(), &signature);
    verified.map_err(|_| "SignatureDoesNotMatch")?;
    let begun =
        strtime::parse("%Y%m%dT%H%M%S%z", moment.replace('Z', "+0000")).and_then(|moment| moment.to_timestamp());
    let begun = begun.map_err(|_| "AuthorizationQueryParametersError")?;
    let valid = get("X-Goog-Expires")?.parse().map_err(|_| "AuthorizationQueryParametersError")?;
    match Timestamp::now() < begun + SignedDuration::from_secs(valid) {
        true => Ok(()),
        false => Err("ExpiredToken"),
    }
}

fn is_there(files: &Files, uri: &Uri) -> bool {
    let Ok(path) = percent_decode_str(uri.path()).decode_utf8() else { return false };
    let Some((bucket, key)) = path.trim_start_matches('/').split_once('/') else { return false };
    // Of a bucket that is not there, the store behind says so.
    files.state().buckets.get(bucket).is_none_or(|files| files.contains_key(key))
}

/// The call without what was checked, for a store that checks nothing.
fn unsigned(mut request: Request<Incoming>) -> Request<Incoming> {
    let query = request.uri().query().unwrap_or_default();
    let kept: Vec<_> = query.split('&').filter(|pair| !pair.starts_with("X-Goog-")).collect();
    let path = format!("{}?{}", request.uri().path(), kept.join("&"));
    *request.uri_mut() = path.parse().expect("a part of a URL is one");
    request
}

fn public_key() -> Vec<u8> {
    let base64: String = PRIVATE_KEY.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = BASE64_STANDARD.decode(base64).expect("the key is in base64");
    RsaKeyPair::from_pkcs8(&der).expect("the key is good").public_key().as_ref().to_vec()
}
