//! Large files come and go as streams, and leave nothing when they break off.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use modelyard_objects::remote::{Remote, RemoteError};
use sha2::{Digest, Sha256};

use crate::kit::{Stand, bytes, error};

const PIECE: usize = 300_000;

pub async fn a_large_file_is_written_and_read_as_a_stream(stand: &Stand) {
    let remote = stand.open();
    // Three parts, the last of them small; and one that ends where a part does.
    for size in [(32 << 20) + 12_345, 16 << 20] {
        let whole = bytes(size);
        let pieces: Vec<_> = whole.chunks(PIECE).map(|piece| Ok::<_, String>(Bytes::copy_from_slice(piece))).collect();
        // Others do this in tasks of their own.
        let writer = remote.clone();
        let writing = async move { writer.write("large", Some("model/x"), stream::iter(pieces)).await };
        let wrote = tokio::spawn(writing).await.unwrap().unwrap();
        assert_eq!(wrote.size, size as u64);

        let (entry, read) = remote.read("large", None).await.unwrap();
        assert_eq!((entry.size, entry.etag), (size as u64, wrote.etag));
        let hash = read.try_fold(Sha256::new(), |mut hash, bytes| async move {
            hash.update(&bytes);
            Ok(hash)
        });
        assert_eq!(tokio::spawn(hash).await.unwrap().unwrap().finalize(), Sha256::digest(&whole));
        assert_eq!(stand.content_type("large").await, "model/x");
        assert_eq!(stand.open_uploads(), 0);
    }
}

pub async fn what_breaks_off_leaves_nothing(stand: &Stand) {
    let remote = stand.open();
    let pieces = (0..100).map(|_| Ok(bytes(PIECE))).chain([Err("the disk is gone")]);
    let broken = error(remote.write("broken", None, stream::iter(pieces)).await);
    assert_eq!(broken.to_string(), "the bytes of the file broke off: the disk is gone");
    assert!(matches!(broken, RemoteError::Broken(_)));
    assert_eq!(stand.open_uploads(), 0);

    // One that is dropped while it waits for bytes, after its first part.
    let (started, seen) = tokio::sync::oneshot::channel();
    let mut started = Some(started);
    let endless = stream::iter(0..).then(move |count| {
        let started = if count == 60 { started.take() } else { None };
        async move {
            if let Some(started) = started {
                let _ = started.send(());
                std::future::pending::<()>().await;
            }
            Ok::<_, String>(bytes(PIECE))
        }
    });
    tokio::select! {
        _ = remote.write("dropped", None, endless) => panic!("it has no end"),
        _ = seen => {}
    }
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while stand.open_uploads() > 0 && tokio::time::Instant::now() < deadline {
        tokio::task::yield_now().await;
    }
    assert_eq!(stand.open_uploads(), 0);
    for name in ["broken", "dropped"] {
        assert_eq!(remote.get(name).await.unwrap(), None);
    }
    assert!(remote.write("bad", Some("text/\nplain"), stream::iter([Ok::<_, String>(Bytes::new())])).await.is_err());
    assert_eq!(read_all_names(&remote).await, Vec::<String>::new());
}

async fn read_all_names(remote: &Remote) -> Vec<String> {
    remote.list("", None, 10, None).await.unwrap().entries.into_iter().map(|entry| entry.name).collect()
}
