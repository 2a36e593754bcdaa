//! A provider for a test: where it is, what it is called, and what only the test can do there.

use std::net::{IpAddr, Ipv4Addr};

use bytes::Bytes;
use futures_util::{TryStreamExt, stream};
use modelyard_objects::remote::{Entry, Place, Reach, Remote, RemoteError, S3};
use modelyard_testkit::stores::S3Server;

/// A provider, and a place at it.
pub struct Stand {
    pub place: Place,
    server: Server,
}

enum Server {
    S3(S3Server),
}

/// The loopback, where all stores of tests are.
pub fn reach() -> Reach {
    Reach::allowing(vec![(IpAddr::V4(Ipv4Addr::LOCALHOST), 8)])
}

pub async fn s3() -> Stand {
    let server = S3Server::start().await;
    let place = Place::S3(S3 {
        access_key: S3Server::ACCESS_KEY.into(),
        secret_key: S3Server::SECRET_KEY.into(),
        bucket: S3Server::BUCKET.into(),
        prefix: "some/prefix of files/".into(),
        region: None,
        endpoint_url: Some(server.url()),
        signature_version: None,
        verify: None,
        use_ssl: None,
    });
    Stand { place, server: Server::S3(server) }
}

impl Stand {
    pub fn open(&self) -> Remote {
        Remote::open(self.place.clone(), &reach()).unwrap()
    }

    /// The same bucket with another prefix.
    pub fn below(&self, prefix: &str) -> Remote {
        let mut place = self.place.clone();
        match &mut place {
            Place::S3(place) => place.prefix = prefix.into(),
            other => panic!("{other:?}"),
        }
        Remote::open(place, &reach()).unwrap()
    }

    /// Credentials that were never good.
    pub fn with_wrong_credentials(&self) -> Remote {
        let mut place = self.place.clone();
        match &mut place {
            Place::S3(place) => place.secret_key = "wrong/SECRET".into(),
            other => panic!("{other:?}"),
        }
        Remote::open(place, &reach()).unwrap()
    }

    /// A bucket that is not there.
    pub fn with_missing_bucket(&self) -> Remote {
        let mut place = self.place.clone();
        match &mut place {
            Place::S3(place) => place.bucket = "missing".into(),
            other => panic!("{other:?}"),
        }
        Remote::open(place, &reach()).unwrap()
    }

    /// The provider at another address.
    pub fn at(&self, address: &str) -> Place {
        let mut place = self.place.clone();
        match &mut place {
            Place::S3(place) => place.endpoint_url = Some(address.into()),
            other => panic!("{other:?}"),
        }
        place
    }

    /// What a user must not be shown.
    pub fn secrets(&self) -> Vec<String> {
        match &self.server {
            Server::S3(_) => vec![S3Server::SECRET_KEY.into(), S3Server::ACCESS_KEY.into(), "wrong/SECRET".into()],
        }
    }

    /// Where the provider is, without a path.
    pub fn address(&self) -> String {
        match &self.server {
            Server::S3(server) => server.url(),
        }
    }

    /// Whether the provider knows uploads and parts by numbers; else it knows blocks.
    pub fn has_numbers(&self) -> bool {
        match &self.server {
            Server::S3(_) => true,
        }
    }

    /// How many uploads are open, where the provider can tell.
    pub fn open_uploads(&self) -> usize {
        match &self.server {
            Server::S3(server) => server.uploads(),
        }
    }

    pub fn content_type(&self, key: &str) -> Option<String> {
        match &self.server {
            Server::S3(server) => server.content_type(key),
        }
    }

    pub fn s3_server(&self) -> &S3Server {
        match &self.server {
            Server::S3(server) => server,
        }
    }

    /// Headers that the stock client sends with the bytes of a file.
    pub fn headers_of_clients(&self) -> Vec<(&'static str, &'static str)> {
        vec![("Content-Disposition", "multipart/form-data")]
    }
}

pub fn bytes(length: usize) -> Bytes {
    (0..length).map(|at| (at * 31 % 251) as u8).collect()
}

pub async fn write(remote: &Remote, name: &str, bytes: impl Into<Bytes>) -> Entry {
    let bytes = bytes.into();
    remote.write(name, None, stream::iter([Ok::<_, String>(bytes)])).await.unwrap()
}

pub async fn read(remote: &Remote, name: &str) -> Bytes {
    let (_, stream) = remote.read(name, None).await.unwrap();
    stream.try_collect::<Vec<_>>().await.unwrap().concat().into()
}

/// The error of something whose success cannot be shown.
pub fn error<T>(result: Result<T, RemoteError>) -> RemoteError {
    result.err().unwrap()
}
