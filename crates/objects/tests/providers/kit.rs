//! A provider for a test: where it is, what it is called, and what only the test can do there.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{TryStreamExt, stream};
use modelyard_objects::remote::{Azure, Entry, Gcs, Place, Reach, Remote, RemoteError, S3};
use modelyard_testkit::azurite::Azurite;
use modelyard_testkit::stores::{GcsServer, S3Server};

/// A provider, and a place at it.
pub struct Stand {
    pub place: Place,
    server: Server,
}

enum Server {
    S3(S3Server),
    Gcs(GcsServer),
    Azure(Azurite),
}

const PREFIX: &str = "some/prefix of files/";
/// A secret that is none, in base64.
const WRONG: &str = "d3JvbmcrU0VDUkVU";

/// The loopback, where all stores of tests are.
pub fn reach() -> Reach {
    Reach::allowing(vec![(IpAddr::V4(Ipv4Addr::LOCALHOST), 8)])
}

pub async fn s3() -> Stand {
    at_s3(S3Server::start().await)
}

/// One that speaks TLS, whose certificate nobody knows.
pub async fn s3_with_tls() -> Stand {
    at_s3(S3Server::start_with_tls().await)
}

fn at_s3(server: S3Server) -> Stand {
    let place = Place::S3(S3 {
        access_key: S3Server::ACCESS_KEY.into(),
        secret_key: S3Server::SECRET_KEY.into(),
        bucket: S3Server::BUCKET.into(),
        prefix: PREFIX.into(),
        region: None,
        endpoint_url: Some(server.url()),
        signature_version: None,
        verify: None,
        use_ssl: None,
    });
    Stand { place, server: Server::S3(server) }
}

pub async fn gcs() -> Stand {
    let server = GcsServer::start().await;
    let place = Place::Gcs(Gcs {
        json_key_file: GcsServer::key_file(GcsServer::EMAIL).into(),
        bucket: GcsServer::BUCKET.into(),
        prefix: PREFIX.into(),
        base_url: Some(server.url()),
    });
    Stand { place, server: Server::Gcs(server) }
}

pub async fn azure() -> Stand {
    let server = tokio::task::spawn_blocking(Azurite::start).await.unwrap();
    server.make_container("models");
    let place =
        Azure { connection_string: server.connection_string(), container: "models".into(), prefix: PREFIX.into() };
    Stand { place: Place::Azure(place), server: Server::Azure(server) }
}

impl Stand {
    pub fn open(&self) -> Remote {
        Remote::open(self.place.clone(), &reach()).unwrap()
    }

    fn with(&self, s3: impl Fn(&mut S3), gcs: impl Fn(&mut Gcs), azure: impl Fn(&mut Azure)) -> Place {
        let mut place = self.place.clone();
        match &mut place {
            Place::S3(place) => s3(place),
            Place::Gcs(place) => gcs(place),
            Place::Azure(place) => azure(place),
        }
        place
    }

    /// The same bucket with another prefix.
    pub fn below(&self, prefix: &str) -> Remote {
        let place = self.with(
            |place| place.prefix = prefix.into(),
            |place| place.prefix = prefix.into(),
            |place| place.prefix = prefix.into(),
        );
        Remote::open(place, &reach()).unwrap()
    }

    /// Credentials that were never good.
    pub fn with_wrong_credentials(&self) -> Remote {
        let place = self.with(
            |place| place.secret_key = WRONG.into(),
            |place| place.json_key_file = GcsServer::key_file("nobody@else.iam.gserviceaccount.com").into(),
            |place| place.connection_string = place.connection_string.replace(Azurite::KEY, WRONG),
        );
        Remote::open(place, &reach()).unwrap()
    }

    /// A bucket that is not there.
    pub fn with_missing_bucket(&self) -> Remote {
        let place = self.with(
            |place| place.bucket = "missing".into(),
            |place| place.bucket = "missing".into(),
            |place| place.container = "missing".into(),
        );
        Remote::open(place, &reach()).unwrap()
    }

    /// The provider at another address.
    pub fn at(&self, address: &str) -> Place {
        let own = self.address();
        self.with(
            |place| place.endpoint_url = Some(address.into()),
            |place| place.base_url = Some(address.into()),
            |place| place.connection_string = place.connection_string.replace(&own, address),
        )
    }

    /// What a user must not be shown.
    pub fn secrets(&self) -> Vec<&'static str> {
        vec![S3Server::SECRET_KEY, S3Server::ACCESS_KEY, Azurite::KEY, WRONG, "PRIVATE KEY"]
    }

    /// Where the provider is, without a path.
    pub fn address(&self) -> String {
        match &self.server {
            Server::S3(server) => server.url(),
            Server::Gcs(server) => server.url(),
            Server::Azure(server) => server.url().trim_end_matches(Azurite::ACCOUNT).trim_end_matches('/').into(),
        }
    }

    /// Whether the provider knows uploads and parts by numbers; else it knows blocks.
    pub fn has_numbers(&self) -> bool {
        !matches!(self.server, Server::Azure(_))
    }

    /// How many uploads are open. Azure knows of none.
    pub fn open_uploads(&self) -> usize {
        match &self.server {
            Server::S3(server) => server.uploads(),
            Server::Gcs(server) => server.uploads(),
            Server::Azure(_) => 0,
        }
    }

    /// The type that a client is told when it reads a file.
    pub async fn content_type(&self, name: &str) -> String {
        let url = self.open().sign_get(name, Duration::from_secs(60)).await.unwrap();
        let answered = reqwest::get(url).await.unwrap();
        answered.headers()["content-type"].to_str().unwrap().into()
    }

    pub fn s3_server(&self) -> &S3Server {
        match &self.server {
            Server::S3(server) => server,
            _ => panic!("this provider is not S3"),
        }
    }

    /// Headers that the stock client sends with the bytes of a file.
    pub fn headers_of_clients(&self) -> Vec<(&'static str, &'static str)> {
        let mut headers = vec![("Content-Disposition", "multipart/form-data")];
        if let Server::Azure(_) = self.server {
            headers.extend([("x-ms-version", "2020-04-08"), ("x-ms-blob-type", "BlockBlob")]);
        }
        headers
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
