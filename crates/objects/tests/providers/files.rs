//! Files are written, read, looked at and removed.

use std::time::Duration;

use futures_util::{TryStreamExt, stream};
use modelyard_objects::remote::RemoteError;

use crate::kit::{Stand, bytes, error, read, write};

/// Names that are easy to get wrong.
pub const NAMES: [&str; 18] = [
    "plain.txt",
    "with blank and  two",
    " blank first",
    "a/folder/file",
    "a%2Fb",
    "100%",
    "%",
    "plus+minus",
    "hash#question?and&equals=",
    "quote'double\"back`tick",
    "semi;colon:comma,at@dollar$",
    "<angle> [square] {curly} (round)",
    "tilde~caret^pipe|star*bang!",
    "ünïcödé/文件/🦀",
    "..a/b..",
    ".hidden",
    "UPPER and upper",
    "e\u{301} and é",
];

pub async fn files_of_all_sizes_come_back(stand: &Stand) {
    let remote = stand.open();
    for size in [0, 1, 1000, 3 << 20] {
        let name = format!("file of {size}");
        let wrote =
            remote.write(&name, Some("text/x-test"), stream::iter([Ok::<_, String>(bytes(size))])).await.unwrap();
        assert_eq!((wrote.name.as_str(), wrote.size), (name.as_str(), size as u64));
        let found = remote.get(&name).await.unwrap().unwrap();
        assert_eq!((found.name, found.size), (name.clone(), size as u64));
        assert!(found.etag.is_some() && found.etag == wrote.etag, "{:?} {:?}", found.etag, wrote.etag);
        assert!((found.created - wrote.created).abs() < 60_000_000);
        assert_eq!(read(&remote, &name).await, bytes(size));
        assert_eq!(stand.content_type(&name).await, "text/x-test");
    }
    write(&remote, "file of 1", "another").await;
    assert_eq!(read(&remote, "file of 1").await, "another");
    assert_eq!(remote.get("file of 1").await.unwrap().unwrap().size, 7);
}

/// Names with a backslash, which Azure makes a slash of.
pub async fn a_backslash_stays_one_or_is_refused(stand: &Stand) {
    let remote = stand.open();
    for name in ["back\\slash", "C:\\folder\\file", "end\\"] {
        if stand.has_numbers() {
            write(&remote, name, name).await;
            assert_eq!(read(&remote, name).await, name);
            let url = remote.sign_get(name, Duration::from_secs(60)).await.unwrap();
            assert_eq!(reqwest::get(url).await.unwrap().text().await.unwrap(), name);
        } else {
            let refused = error(remote.sign_put(name, Duration::from_secs(60)).await);
            assert!(refused.to_string().contains("no backslash"), "{refused}");
        }
    }
    let listed = remote.list("", None, 10, None).await.unwrap().entries.len();
    assert_eq!(listed, if stand.has_numbers() { 3 } else { 0 });
}

pub async fn names_of_all_kinds_are_files_of_their_own(stand: &Stand) {
    let remote = stand.open();
    // With the prefix it is as long as a name may be.
    let longest = "x".repeat(1024 - "some/prefix of files/".len());
    write(&remote, &longest, "long").await;
    assert_eq!(read(&remote, &longest).await, "long");
    assert!(remote.delete(&longest).await.unwrap());
    for name in NAMES {
        write(&remote, name, name).await;
    }
    for name in NAMES {
        assert_eq!(read(&remote, name).await, name);
        assert_eq!(remote.get(name).await.unwrap().unwrap().size, name.len() as u64, "{name}");
    }
    let mut listed: Vec<_> = remote.list("", None, 1000, None).await.unwrap().entries;
    listed.sort_by(|a, b| a.name.cmp(&b.name));
    let mut names = NAMES;
    names.sort();
    assert_eq!(listed.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), names);
    for name in NAMES {
        assert!(remote.delete(name).await.unwrap(), "{name}");
    }
    assert_eq!(remote.list("", None, 1000, None).await.unwrap().entries, []);
}

pub async fn what_is_not_there_is_no_error_to_look_at(stand: &Stand) {
    let remote = stand.open();
    remote.check().await.unwrap();
    assert_eq!(remote.get("nothing").await.unwrap(), None);
    assert!(!remote.delete("nothing").await.unwrap());
    let missing = error(remote.read("nothing", None).await);
    assert_eq!(missing.to_string(), "there is no file 'nothing'");

    write(&remote, "file", "x").await;
    assert!(remote.delete("file").await.unwrap());
    assert!(!remote.delete("file").await.unwrap());
    assert_eq!(remote.get("file").await.unwrap(), None);
}

pub async fn a_file_is_read_in_ranges(stand: &Stand) {
    let remote = stand.open();
    write(&remote, "digits", "0123456789").await;
    for (range, wanted) in [(0..1, "0"), (0..10, "0123456789"), (3..7, "3456"), (9..10, "9"), (8..100, "89")] {
        let (entry, stream) = remote.read("digits", Some(range)).await.unwrap();
        assert_eq!(entry.size, 10);
        assert_eq!(stream.try_collect::<Vec<_>>().await.unwrap().concat(), wanted.as_bytes());
    }
    #[expect(clippy::reversed_empty_ranges, reason = "a range that cannot be")]
    for bad in [10..11, 100..200, 3..3, 7..3] {
        let refused = error(remote.read("digits", Some(bad.clone())).await);
        assert!(matches!(refused, RemoteError::BadName(_)), "{bad:?}: {refused:?}");
    }
}

pub async fn two_prefixes_are_two_places(stand: &Stand) {
    let (one, other, whole) = (stand.below("one/"), stand.below("one/two/"), stand.below(""));
    write(&one, "file", "one").await;
    write(&other, "file", "other").await;

    assert_eq!(read(&one, "two/file").await, "other");
    assert_eq!(read(&whole, "one/file").await, "one");
    let names: Vec<_> = other.list("", None, 10, None).await.unwrap().entries.into_iter().map(|it| it.name).collect();
    assert_eq!(names, ["file"]);
    assert!(matches!(other.get("../file").await, Err(RemoteError::BadName(_))));
}
