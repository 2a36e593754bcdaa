//! Uploads in parts, whose bytes a client sends to signed URLs.

use modelyard_objects::remote::{Part, Remote, RemoteError};

use crate::kit::{Stand, bytes, error, read, write};
use crate::urls::{put, sign_part};

const NAME: &str = "folder/large file+%2F";
/// As large as parts but the last have to be.
const SIZE: usize = 5 << 20;

/// Uploads a part as the stock client does, and answers by what it is named.
async fn upload(stand: &Stand, remote: &Remote, id: &str, number: u32, body: bytes::Bytes) -> Part {
    let block = format!("{NAME}_{number}");
    let url = match stand.has_numbers() {
        true => sign_part(remote, NAME, id, Some(number)).await,
        false => sign_part(remote, NAME, &block, None).await,
    };
    let answered = put(stand, &url, body).await;
    assert!(answered.status().is_success(), "{}", answered.text().await.unwrap());
    match stand.has_numbers() {
        true => Part::Tag { number, etag: answered.headers()["etag"].to_str().unwrap().into() },
        false => Part::Block(block),
    }
}

pub async fn parts_are_uploaded_in_any_order(stand: &Stand) {
    let remote = stand.open();
    let id = remote.begin(NAME).await.unwrap();
    let whole = bytes(2 * SIZE + 10);
    let parts = [whole.slice(..SIZE), whole.slice(SIZE..2 * SIZE), whole.slice(2 * SIZE..)];
    let mut done = Vec::new();
    for number in [2, 3, 1] {
        done.push(upload(stand, &remote, &id, number, parts[number as usize - 1].clone()).await);
    }
    assert_eq!(remote.get(NAME).await.unwrap(), None);
    // A part that is uploaded again replaces the first. Blocks are put together in the order of their list.
    done[1] = upload(stand, &remote, &id, 3, parts[2].clone()).await;
    done.rotate_right(1);

    remote.complete(NAME, &id, &done).await.unwrap();

    assert_eq!(read(&remote, NAME).await, whole);
    assert_eq!(stand.open_uploads(), 0);
}

pub async fn parts_that_do_not_fit_are_refused(stand: &Stand) {
    let remote = stand.open();
    write(&remote, NAME, "before").await;
    let id = remote.begin(NAME).await.unwrap();
    let first = upload(stand, &remote, &id, 1, bytes(SIZE)).await;
    let (wrong, missing) = match stand.has_numbers() {
        true => {
            let etag = "\"00000000000000000000000000000000\"";
            (Part::Tag { number: 1, etag: etag.into() }, Part::Tag { number: 2, etag: etag.into() })
        }
        false => (Part::Block("another".into()), Part::Block("missing".into())),
    };
    let other_kind = match stand.has_numbers() {
        true => Part::Block("a block".into()),
        false => Part::Tag { number: 1, etag: "e".into() },
    };
    for parts in [vec![wrong], vec![first.clone(), missing], vec![other_kind], vec![]] {
        let refused = error(remote.complete(NAME, &id, &parts).await);
        assert!(matches!(refused, RemoteError::BadUpload(_)), "{parts:?}: {refused:?}");
    }
    if stand.has_numbers() {
        for bad in [(0, "e".to_owned()), (10_001, "e".to_owned()), (2, "e".repeat(300))] {
            let part = Part::Tag { number: bad.0, etag: bad.1 };
            let refused = error(remote.complete(NAME, &id, &[first.clone(), part]).await);
            assert!(matches!(refused, RemoteError::BadUpload(_)), "{refused:?}");
        }
    }
    for id in ["unknown", "", &"u".repeat(100_000)] {
        let refused = error(remote.complete(NAME, id, std::slice::from_ref(&first)).await);
        assert!(matches!(refused, RemoteError::BadUpload(_)), "{id}: {refused:?}");
    }
    let numbers: &[Option<u32>] = if stand.has_numbers() { &[None, Some(0), Some(10_001)] } else { &[Some(1)] };
    for part in numbers {
        let refused = error(remote.sign_part(NAME, &id, *part, std::time::Duration::from_secs(60)).await);
        assert!(matches!(refused, RemoteError::BadUpload(_)), "{part:?}: {refused:?}");
    }
    assert_eq!(read(&remote, NAME).await, "before");
    remote.complete(NAME, &id, &[first]).await.unwrap();
    assert_eq!(read(&remote, NAME).await, bytes(SIZE));
}

pub async fn an_upload_is_called_off(stand: &Stand) {
    let remote = stand.open();
    let id = remote.begin(NAME).await.unwrap();
    let part = upload(stand, &remote, &id, 1, bytes(10)).await;
    remote.abort(NAME, &id).await.unwrap();

    assert_eq!(stand.open_uploads(), 0);
    assert_eq!(remote.get(NAME).await.unwrap(), None);
    assert!(matches!(remote.abort(NAME, "unknown").await, Err(RemoteError::BadUpload(_))));
    // Azure knows of no uploads; its blocks are there for a week.
    if stand.has_numbers() {
        assert!(matches!(remote.complete(NAME, &id, &[part]).await, Err(RemoteError::BadUpload(_))));
        assert!(matches!(remote.abort(NAME, &id).await, Err(RemoteError::BadUpload(_))));
    }
}
