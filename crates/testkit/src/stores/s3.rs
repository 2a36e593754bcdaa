//! A store that speaks S3, in this process. Signatures are checked.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::BodyExt;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;

use super::Fault;
use super::files::{File, Files};
use super::server::{Answer, Answering, Failure, Server, text};

/// A store with one empty bucket.
pub struct S3Server {
    server: Server,
    scheme: &'static str,
    files: Files,
}

impl S3Server {
    /// The access key.
    pub const ACCESS_KEY: &str = "AKIATEST";
    /// Its secret.
    pub const SECRET_KEY: &str = "wJalr/XUtnFEMI+K7MDENG";
    /// The bucket that there is.
    pub const BUCKET: &str = "models";

    /// Starts a store.
    pub async fn start() -> Self {
        let (files, answering) = Self::answering();
        Self { server: Server::start(answering).await, scheme: "http", files }
    }

    /// Starts a store that speaks TLS, with a certificate that nobody has signed but itself.
    pub async fn start_with_tls() -> Self {
        let (files, answering) = Self::answering();
        Self { server: Server::start_with_tls(answering).await, scheme: "https", files }
    }

    fn answering() -> (Files, Answering) {
        let files = Files::default();
        files.state().buckets.entry(Self::BUCKET.into()).or_default();
        let mut service = S3ServiceBuilder::new(files.clone());
        service.set_auth(SimpleAuth::from_single(Self::ACCESS_KEY, Self::SECRET_KEY));
        let service = service.build();
        let answering: Answering = Arc::new(move |request| {
            let answering = hyper::service::Service::call(&service, request);
            Box::pin(async move { answer(answering.await) })
        });
        (files, answering)
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.server.address)
    }

    /// Lets the next answer go wrong.
    pub fn fail_next(&self, fault: Fault) {
        self.server.fail_next(fault);
    }

    /// Puts a file there that has a name which clients may not be able to say.
    pub fn put(&self, key: &str, bytes: &'static [u8]) {
        let file = File::new(Bytes::from_static(bytes), None);
        self.files.state().buckets.entry(Self::BUCKET.into()).or_default().insert(key.into(), file);
    }

    /// How many uploads are neither completed nor called off.
    pub fn uploads(&self) -> usize {
        self.files.state().uploads.len()
    }
}

pub(super) fn answer(answer: Result<s3s::HttpResponse, s3s::HttpError>) -> Answer {
    match answer {
        Ok(answer) => answer.map(|body| body.map_err(|cause| -> Failure { cause }).boxed_unsync()),
        Err(_) => text(500, ""),
    }
}
