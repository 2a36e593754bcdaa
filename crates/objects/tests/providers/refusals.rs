//! What goes wrong is told apart, in sentences without credentials.

use std::net::{IpAddr, Ipv6Addr};

use bytes::Bytes;
use futures_util::stream;
use modelyard_objects::remote::{Reach, Remote, RemoteError};
use tokio::net::TcpListener;

use crate::kit::{Stand, error, reach, write};

/// All that can be asked, and what it answers.
async fn everything(remote: &Remote) -> Vec<RemoteError> {
    let nothing = stream::iter([Ok::<_, String>(Bytes::from_static(b"x"))]);
    vec![
        error(remote.check().await),
        error(remote.list("", Some("/"), 10, None).await),
        error(remote.get("file").await),
        error(remote.read("file", None).await),
        error(remote.write("file", None, nothing).await),
        error(remote.delete("file").await),
    ]
}

pub async fn wrong_credentials_and_missing_buckets_are_told_apart(stand: &Stand) {
    write(&stand.open(), "file", "x").await;
    for refused in everything(&stand.with_wrong_credentials()).await {
        let sentence = refused.to_string();
        assert!(matches!(refused, RemoteError::Refused { .. }), "{refused:?}");
        assert!(sentence.starts_with("the provider refused ") && sentence.contains("403"), "{sentence}");
        assert!(!stand.secrets().iter().any(|secret| sentence.contains(secret)), "{sentence}");
    }
    for refused in everything(&stand.with_missing_bucket()).await {
        assert_eq!(refused.to_string(), "there is no bucket or container 'missing' at the provider");
        assert!(matches!(refused, RemoteError::NoBucket(_)));
    }
}

pub async fn what_cannot_be_reached_is_named(stand: &Stand) {
    // A port that was free a moment ago, a name that is none, and one without TLS.
    let socket = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = socket.local_addr().unwrap().port();
    drop(socket);
    for (address, host) in [
        (format!("http://127.0.0.1:{port}"), format!("127.0.0.1:{port}")),
        ("http://store.invalid".into(), "store.invalid".into()),
        (stand.address().replace("http://", "https://"), stand.address().replace("http://", "")),
    ] {
        let remote = Remote::open(stand.at(&address), &reach()).unwrap();
        let refused = error(remote.check().await);
        assert!(matches!(refused, RemoteError::Unreachable { .. }), "{refused:?}");
        assert!(refused.to_string().contains(&format!("{host} cannot be reached: ")), "{refused}");
    }
    let socket = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = socket.local_addr().unwrap().port();
    for host in ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "0177.0.0.1", "[::ffff:127.0.0.1]", "127.1"] {
        let address = format!("http://{host}:{port}");
        let refused = error(Remote::open(stand.at(&address), &Reach::public()).unwrap().check().await);
        assert!(matches!(refused, RemoteError::Forbidden { .. }), "{host}: {refused:?}");
        let sentence = refused.to_string();
        assert!(sentence.contains("which is in a network that this installation does not reach"), "{sentence}");
        assert!(sentence.contains("127.0.0.1") || sentence.contains("::1"), "{sentence}");
    }
    // What is allowed is what was named, and nothing was dialled before.
    let other = Reach::allowing(vec![(IpAddr::V6(Ipv6Addr::LOCALHOST), 128)]);
    let refused = error(Remote::open(stand.at(&format!("http://127.0.0.1:{port}")), &other).unwrap().check().await);
    assert!(matches!(refused, RemoteError::Forbidden { .. }), "{refused:?}");
    assert!(tokio::time::timeout(std::time::Duration::ZERO, socket.accept()).await.is_err());
}

pub async fn names_that_cannot_be_are_refused(stand: &Stand) {
    let remote = stand.open();
    for name in ["", "/", "a//b", "a/", "/a", "..", "a/../b", "./a", "a\nb", "a\0", &"x".repeat(1025)] {
        assert!(matches!(remote.get(name).await, Err(RemoteError::BadName(_))), "{name:?}");
        assert!(matches!(
            remote.sign_put(name, std::time::Duration::from_secs(60)).await,
            Err(RemoteError::BadName(_))
        ));
    }
}
