//! Whatever the bytes: no panic, and nothing outside of the destination.

use std::fs;

use proptest::prelude::*;

use super::{
    Limits, Refusal,
    crafted::{Raw, deflated, stored, zip},
    extract, inspect,
};

fn limits() -> Limits {
    Limits { unpacked_bytes: 1 << 20, entries: 100, ..Limits::default() }
}

/// Inspects and extracts; true when both accepted. Fails when anything appears beside the destination.
fn try_out(bytes: &[u8]) -> bool {
    let home = tempfile::tempdir().unwrap();
    let (path, dest) = (home.path().join("p.zip"), home.path().join("code"));
    fs::write(&path, bytes).unwrap();
    let done = match inspect(&path, &limits(), "", super::Language::Python) {
        Ok(package) => extract(&path, &package.root, &dest, &limits()).is_ok(),
        Err(Refusal::Content(sentence)) => {
            assert!(!sentence.contains(char::is_control), "{sentence:?}");
            false
        }
        Err(Refusal::Io(error)) => panic!("blames our side: {error}"),
    };
    let names: Vec<_> = fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 1 + usize::from(done), "{names:?}");
    done
}

fn part() -> impl Strategy<Value = String> {
    prop_oneof![
        5 => "[a-c]{1,2}",
        1 => Just("..".to_owned()),
        1 => Just(".".to_owned()),
        1 => any::<String>(),
        1 => "[/\\\\:.A-C\\x00]{1,4}",
    ]
}

fn path() -> impl Strategy<Value = String> {
    (prop::collection::vec(part(), 1..4), any::<bool>())
        .prop_map(|(parts, slash)| parts.join("/") + if slash { "/" } else { "" })
}

proptest! {
    #[test]
    fn any_bytes_are_judged(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        prop_assert!(!try_out(&bytes));
    }

    #[test]
    fn any_damage_is_judged(damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = zip(&[
            stored("m/deployment.py", "x = 1"),
            deflated("m/requirements.txt", "six\n".repeat(50)),
            Raw { mode: 0o100_755, ..deflated("m/a/b", "echo") },
        ]);
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        try_out(&bytes);
    }

    #[test]
    fn any_names_are_judged(paths in prop::collection::vec(path(), 0..5)) {
        let mut entries = vec![stored("deployment.py", "")];
        entries.extend(paths.iter().map(|path| stored(path, if path.ends_with('/') { "" } else { "data" })));
        try_out(&zip(&entries));
    }

    #[test]
    fn what_goes_in_comes_out(
        files in prop::collection::btree_map("[a-z]{1,3}(/[a-z]{1,3}){0,3}\\.x", prop::collection::vec(any::<u8>(), 0..300), 0..8),
    ) {
        let mut entries = vec![stored("top/deployment.py", "")];
        entries.extend(files.iter().map(|(name, data)| deflated(format!("top/{name}"), data)));
        let home = tempfile::tempdir().unwrap();
        let (path, dest) = (home.path().join("p.zip"), home.path().join("code"));
        fs::write(&path, zip(&entries)).unwrap();

        let package = inspect(&path, &limits(), "", super::Language::Python).unwrap();
        extract(&path, &package.root, &dest, &limits()).unwrap();

        prop_assert_eq!(package.files, files.len() as u64 + 1);
        for (name, data) in files {
            prop_assert_eq!(fs::read(dest.join(name)).unwrap(), data);
        }
    }
}
