//! Lists: pages, prefixes, delimiters, and what cannot be listed.

use std::collections::BTreeSet;

use futures_util::{StreamExt, TryStreamExt, stream};
use modelyard_objects::remote::{Remote, RemoteError};

use crate::kit::{Stand, write};

/// All names below a prefix, and how many pages they took.
async fn all(
    remote: &Remote,
    prefix: &str,
    delimiter: Option<&str>,
    limit: usize,
) -> (Vec<String>, Vec<String>, usize) {
    let (mut names, mut prefixes, mut pages, mut after) = (Vec::new(), Vec::new(), 0, None);
    loop {
        let page = remote.list(prefix, delimiter, limit, after.as_deref()).await.unwrap();
        assert!(page.entries.len() + page.prefixes.len() <= limit.min(1000));
        names.extend(page.entries.into_iter().map(|entry| entry.name));
        prefixes.extend(page.prefixes);
        pages += 1;
        after = page.next;
        if after.is_none() {
            return (names, prefixes, pages);
        }
    }
}

pub async fn a_list_is_cut_into_pages(stand: &Stand) {
    let remote = stand.open();
    let names: BTreeSet<_> = (0..1200).map(|number| format!("many/file {number:04}")).collect();
    let writing = stream::iter(&names).map(|name| {
        let remote = remote.clone();
        async move { remote.write(name, None, stream::iter([Ok::<_, String>("x".into())])).await.map(|_| ()) }
    });
    writing.buffer_unordered(16).try_collect::<()>().await.unwrap();

    let (listed, _, pages) = all(&remote, "many/", None, 500).await;
    assert_eq!((listed.len(), pages), (1200, 3));
    assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), names);
    // A page has a thousand at most.
    let (listed, _, pages) = all(&remote, "", None, 5000).await;
    assert_eq!((listed.len(), pages), (1200, 2));
    let (listed, ..) = all(&remote, "many/file 011", None, 3).await;
    assert_eq!(listed, (110..120).map(|number| format!("many/file 0{number}")).collect::<Vec<_>>());
}

pub async fn names_with_something_in_common_are_listed_as_that(stand: &Stand) {
    let remote = stand.open();
    for name in ["a", "b/1", "b/2", "b/c/3", "d e/1", "f%2F/1", "g&h/1"] {
        write(&remote, name, "x").await;
    }
    let strings = |texts: &[&str]| texts.iter().map(|text| text.to_string()).collect::<Vec<_>>();
    let (names, prefixes, _) = all(&remote, "", Some("/"), 1000).await;
    assert_eq!((names, prefixes), (strings(&["a"]), strings(&["b/", "d e/", "f%2F/", "g&h/"])));
    let (names, prefixes, pages) = all(&remote, "b/", Some("/"), 1).await;
    assert_eq!((names, prefixes, pages), (strings(&["b/1", "b/2"]), strings(&["b/c/"]), 3));
    let (names, prefixes, _) = all(&remote, "nothing", Some("/"), 1000).await;
    assert_eq!((names, prefixes), (strings(&[]), strings(&[])));

    let entry = remote.list("a", None, 1, None).await.unwrap().entries.remove(0);
    assert_eq!(remote.get("a").await.unwrap(), Some(entry.clone()));
    assert!(remote.list("", Some(""), 1, None).await.is_err());
    assert!(remote.list("\n", None, 1, None).await.is_err());
    let long = "x".repeat(100_000);
    for (prefix, delimiter, after) in [(&*long, None, None), ("", Some(&*long), None), ("", None, Some(&*long))] {
        assert!(matches!(remote.list(prefix, delimiter, 1, after).await, Err(RemoteError::BadName(_))));
    }
}
