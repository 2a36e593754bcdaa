//! What a data folder is made of, and what is refused.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use std::os::unix::fs::PermissionsExt;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn sentence<T>(result: Result<T>) -> String {
    result.err().unwrap().to_string()
}

#[test]
fn a_new_folder_is_private_and_so_is_its_key() {
    let base = tempfile::tempdir().unwrap();
    let folder = DataFolder::open(&base.path().join("a/b")).unwrap();
    let key = folder.keys(false).unwrap();

    assert_eq!(mode(folder.path()), 0o700);
    let path = folder.path().join("key");
    assert_eq!(mode(&path), 0o600);
    assert_eq!(fs::read_to_string(&path).unwrap().trim().len(), 64);
    assert_eq!(folder.keys(true).unwrap().check_value(), key.check_value());
}

#[test]
fn a_folder_lets_one_server_in_at_a_time() {
    let base = tempfile::tempdir().unwrap();
    let first = DataFolder::open(base.path()).unwrap();

    let again = sentence(DataFolder::open(base.path()));
    assert!(
        again.starts_with(&format!("Another server (process {}) uses the data folder", std::process::id())),
        "{again}"
    );

    drop(first);
    DataFolder::open(base.path()).unwrap();
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let base = tempfile::tempdir().unwrap();
    let folder = DataFolder::open(base.path()).unwrap();
    folder.keys(false).unwrap();
    let path = folder.path().join("key");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();

    let refusal = sentence(folder.keys(true));

    assert!(refusal.contains("(its mode is 644)") && refusal.contains("chmod 600"), "{refusal}");
}

#[test]
fn a_missing_or_broken_key_is_never_replaced_once_it_is_in_use() {
    let base = tempfile::tempdir().unwrap();
    let folder = DataFolder::open(base.path()).unwrap();
    assert!(sentence(folder.keys(true)).contains("is missing"));

    fs::write(written::temporary(&folder.path().join("key")), "half").unwrap();
    let key = folder.keys(false).unwrap();
    assert_eq!(folder.keys(true).unwrap().check_value(), key.check_value());

    fs::write(folder.path().join("key"), "abc").unwrap();
    assert!(sentence(folder.keys(false)).contains("does not hold a key"));
}

#[test]
fn a_file_may_hold_several_keys_and_the_first_is_in_use() {
    let base = tempfile::tempdir().unwrap();
    let folder = DataFolder::open(base.path()).unwrap();
    let old = folder.keys(false).unwrap().check_value();
    let path = folder.path().join("key");
    let line = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{}\n{line}\n", "ab".repeat(32))).unwrap();

    let keys = folder.keys(true).unwrap();

    assert_eq!(keys.iter().count(), 2);
    assert_ne!(keys.check_value(), old);
    assert!(keys.include(&old) && keys.include(&keys.check_value()) && !keys.include(""));
    fs::write(&path, "").unwrap();
    assert!(sentence(folder.keys(true)).contains("does not hold a key"));
}

#[test]
fn network_file_systems_are_known_by_their_numbers() {
    assert_eq!(filesystem::network_name(0x6969), Some("NFS"));
    assert_eq!(filesystem::network_name(i64::from(0xFF53_4D42_u32 as i32)), Some("CIFS"));
    assert_eq!(filesystem::network_name(0xEF53), None);
    let base = tempfile::tempdir().unwrap();
    DataFolder::open(base.path()).unwrap().require_local().unwrap();
}

#[test]
fn a_folder_that_cannot_be_made_is_told() {
    let base = tempfile::tempdir().unwrap();
    let file = base.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(sentence(DataFolder::open(&file)).contains("cannot be opened"));
}
