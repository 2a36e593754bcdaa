//! What is particular to one provider.

use std::time::Duration;

use futures_util::TryStreamExt;
use modelyard_objects::remote::{Place, Reach, Remote, RemoteError};
use modelyard_testkit::stores::{Fault, GcsServer};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

use crate::kit::{self, bytes, error, read, write};

#[tokio::test]
async fn names_that_no_file_has_here_do_not_break_lists() {
    let stand = kit::s3().await;
    let server = stand.s3_server();
    let remote = stand.open();
    write(&remote, "a/b", "x").await;
    for odd in ["a//b", "dir/", "../x", "./y", "/z", "a/\u{1}", ""] {
        server.put(&format!("some/prefix of files/{odd}"), b"odd");
    }
    let page = remote.list("", None, 100, None).await.unwrap();
    assert_eq!(page.entries.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["a/b"]);
    let page = remote.list("", Some("/"), 100, None).await.unwrap();
    assert_eq!(page.prefixes, ["a/", "dir/"]);
    let page = remote.list("a/", Some("/"), 100, None).await.unwrap();
    assert_eq!((page.entries.len(), page.prefixes.len()), (1, 0));
}

#[tokio::test]
async fn a_provider_that_is_busy_is_asked_again() {
    let stand = kit::s3().await;
    let server = stand.s3_server();
    let remote = stand.open();
    write(&remote, "file", "x").await;
    server.fail_next(Fault::Status(503));
    server.fail_next(Fault::Status(500));
    assert_eq!(read(&remote, "file").await, "x");
    server.fail_next(Fault::Status(503));
    write(&remote, "file", "y").await;
    assert_eq!(read(&remote, "file").await, "y");

    for _ in 0..3 {
        server.fail_next(Fault::Status(503));
    }
    let failed = error(remote.read("file", None).await);
    assert_eq!(failed.to_string(), "reading a file failed at the provider: 503");
}

#[tokio::test]
async fn a_stream_that_was_cut_goes_on_if_the_file_is_the_same() {
    let stand = kit::s3().await;
    let server = stand.s3_server();
    let remote = stand.open();
    let whole = bytes(1_000_000);
    write(&remote, "file", whole.clone()).await;
    for length in [0, 10, 400_000] {
        server.fail_next(Fault::Cut(length));
    }
    assert_eq!(read(&remote, "file").await, whole);

    server.fail_next(Fault::Cut(10));
    let (_, stream) = remote.read("file", None).await.unwrap();
    write(&remote, "file", "another").await;
    let changed = stream.try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(changed.to_string(), "reading a file failed at the provider: the file was changed meanwhile");
}

#[tokio::test]
async fn a_provider_that_refers_elsewhere_is_not_followed() {
    let (stand, other) = (kit::s3().await, kit::s3().await);
    let remote = stand.open();
    write(&remote, "file", "x").await;
    for address in ["http://169.254.169.254/latest/meta-data/", &other.address()] {
        stand.s3_server().fail_next(Fault::Redirect(address.into()));
        let refused = error(remote.read("file", None).await);
        let sentence = "the provider refers us elsewhere";
        assert!(matches!(&refused, RemoteError::BadPlace(text) if text.starts_with(sentence)), "{refused:?}");
        assert!(refused.to_string().contains(address.trim_end_matches('/')), "{refused}");
    }
}

#[tokio::test]
async fn certificates_are_checked_unless_that_is_not_wanted() {
    let stand = kit::s3_with_tls().await;
    let refused = error(stand.open().check().await);
    assert!(
        matches!(&refused, RemoteError::Unreachable { reason, .. } if reason.contains("certificate")),
        "{refused:?}"
    );

    let Place::S3(mut place) = stand.place.clone() else { panic!("it is S3") };
    place.verify = Some(json!(false));
    let remote = Remote::open(Place::S3(place), &kit::reach()).unwrap();
    write(&remote, "file", "x").await;
    assert_eq!(read(&remote, "file").await, "x");
}

#[tokio::test]
async fn a_provider_that_says_nothing_is_given_up() {
    let stand = kit::s3().await;
    let socket = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let remote = Remote::open(stand.at(&format!("http://{}", socket.local_addr().unwrap())), &kit::reach()).unwrap();
    let silence = tokio::spawn(async move {
        let mut connections = Vec::new();
        loop {
            connections.push(socket.accept().await.unwrap());
            // From here on, time passes when nobody has anything to do.
            tokio::time::pause();
        }
    });
    let given_up = error(remote.check().await);
    assert_eq!(given_up.to_string(), "the provider cannot be reached: no answer within 10 seconds");
    tokio::time::resume();
    let given_up = error(remote.get("file").await);
    assert!(given_up.to_string().ends_with(" cannot be reached: no answer within 30 seconds"), "{given_up}");
    silence.abort();
}

fn s3(more: Value) -> Result<Remote, RemoteError> {
    let mut credentials = map(json!({"access_key": "AK", "secret_key": "sk"}));
    let mut configuration = map(json!({"bucket": "models"}));
    for (field, value) in map(more) {
        let fields = if credentials.contains_key(&field) { &mut credentials } else { &mut configuration };
        fields.insert(field, value);
    }
    Remote::open(Place::s3(&credentials, &configuration)?, &Reach::public())
}

fn map(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

#[tokio::test]
async fn what_s3_cannot_be_is_refused() {
    for (fields, about) in [
        (json!({}), "one of region and endpoint_url is needed"),
        (json!({"region": "x", "signature_version": "s3"}), "signature_version"),
        (json!({"region": "x", "verify": "/etc/ca.pem"}), "verify can be true or false"),
        (json!({"region": "EU.evil.example"}), "region"),
        (json!({"region": "x", "access_key": ""}), "access_key"),
        (json!({"region": "x", "secret_key": "a\nb"}), "secret_key"),
        (json!({"region": "x", "bucket": "Models"}), "name of a bucket"),
        (json!({"region": "x", "bucket": "evil.example/"}), "name of a bucket"),
        (json!({"region": "x", "prefix": "no-slash"}), "prefix"),
        (json!({"endpoint_url": "ftp://host"}), "https://"),
        (json!({"endpoint_url": "https://u:p@host"}), "user or a password"),
        (json!({"endpoint_url": "https://host?a=b"}), "query"),
        (json!({"endpoint_url": "https://host", "use_ssl": false}), "use_ssl"),
        (json!({"endpoint_url": "http://host", "use_ssl": true}), "use_ssl"),
        (json!({"endpoint_url": "https://host", "bucket": ".."}), "name of a bucket"),
    ] {
        let refused = s3(fields.clone()).unwrap_err();
        assert!(
            matches!(&refused, RemoteError::BadPlace(sentence) if sentence.contains(about)),
            "{fields}: {refused:?}"
        );
    }
}

#[tokio::test]
async fn amazons_addresses_follow_from_bucket_and_region() {
    let signed = async |fields| s3(fields).unwrap().sign_get("a b", Duration::from_secs(60)).await.unwrap();
    for (fields, start) in [
        (json!({"region": "eu-central-1"}), "https://models.s3.eu-central-1.amazonaws.com/a%20b?X-Amz-Algorithm="),
        (json!({"region": "cn-north-1"}), "https://models.s3.cn-north-1.amazonaws.com.cn/a%20b?"),
        (json!({"region": "x", "use_ssl": false}), "http://models.s3.x.amazonaws.com/a%20b?"),
        (json!({"region": "x", "bucket": "a.b.c"}), "https://s3.x.amazonaws.com/a.b.c/a%20b?"),
        (json!({"endpoint_url": "https://host:9000/base/"}), "https://host:9000/base/models/a%20b?"),
        (json!({"endpoint_url": "host", "use_ssl": false}), "http://host/models/a%20b?"),
        (json!({"endpoint_url": "host", "bucket": "My_Models"}), "https://host/My_Models/a%20b?"),
        (
            json!({"region": "x", "prefix": "p q/", "signature_version": "s3v4", "verify": false}),
            "https://models.s3.x.amazonaws.com/p%20q/a%20b?",
        ),
    ] {
        let url = signed(fields).await;
        assert!(url.starts_with(start), "{url}");
    }
}

#[tokio::test]
async fn what_google_and_azure_cannot_be_is_refused() {
    let key_file = |change: Value| {
        let mut key = map(serde_json::from_str(&GcsServer::key_file("a@b")).unwrap());
        key.extend(map(change));
        key
    };
    for (key, about) in [
        (json!("no JSON"), "not the JSON key file"),
        (json!(key_file(json!({"type": "authorized_user"}))), "'authorized_user'"),
        (json!(key_file(json!({"universe_domain": "evil.example"}))), "universe_domain"),
        (json!(key_file(json!({"private_key": null}))), "no client_email or no private_key"),
        (json!(key_file(json!({"private_key": "XXXX"}))), "not an RSA key"),
    ] {
        let place = Place::gcs(&map(json!({"json_key_file": key})), &map(json!({"bucket": "models"}))).unwrap();
        let refused = Remote::open(place, &Reach::public()).unwrap_err().to_string();
        assert!(refused.contains(about) && !refused.contains("XXXX"), "{refused}");
    }
    for (connection, about) in [
        ("UseDevelopmentStorage=true", "UseDevelopmentStorage"),
        ("AccountName=a;SharedAccessSignature=XXXX", "no URLs can be signed"),
        ("AccountName=a", "AccountName and AccountKey"),
        ("AccountName=a;AccountKey=XXXX!", "base64"),
        ("AccountName=a.evil.example/;AccountKey=XXXX", "AccountName"),
        ("AccountName=a;AccountKey=XXXX;EndpointSuffix=evil/", "EndpointSuffix"),
        ("AccountName=a;AccountKey=XXXX;DefaultEndpointsProtocol=file", "DefaultEndpointsProtocol"),
        ("AccountName=a;AccountKey=XXXX;BlobEndpoint=https://u:XXXX@h", "BlobEndpoint"),
        ("nothing", "without '='"),
    ] {
        let refused = azure(connection, "models").unwrap_err().to_string();
        assert!(refused.contains(about) && !refused.contains("XXXX"), "{refused}");
    }
    for container in ["ab", "Models", "a_b", "-ab", "ab-", "a--b", "$root", &"a".repeat(64)] {
        let refused = azure("AccountName=a;AccountKey=XXXX", container).unwrap_err().to_string();
        assert!(refused.contains("name of a container"), "{refused}");
    }
    let remote = azure("AccountName=acc;AccountKey=XXXX;EndpointSuffix=core.windows.net", "models").unwrap();
    let url = remote.sign_get("a b", Duration::from_secs(60)).await.unwrap();
    assert!(url.starts_with("https://acc.blob.core.windows.net/models/a%20b?se="), "{url}");
}

fn azure(connection: &str, container: &str) -> Result<Remote, RemoteError> {
    let place = Place::azure(&map(json!({"connection_string": connection})), &map(json!({"container": container})));
    Remote::open(place.unwrap(), &Reach::public())
}
