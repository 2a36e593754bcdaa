//! Zips made to do harm are refused with a sentence.

use super::{
    Limits,
    crafted::{End, Raw, deflated, folder, stored, zip, zip_with},
    tests::look,
};

fn main() -> Raw {
    stored("deployment.py", "")
}

fn refusal_of(bytes: &[u8]) -> String {
    look(bytes, "", &Limits::default()).unwrap_err()
}

/// Why a zip with a good main file and this entry is refused.
fn refusal(entry: Raw) -> String {
    refusal_of(&zip(&[main(), entry]))
}

#[test]
fn what_is_no_zip_is_refused() {
    for bytes in [&b""[..], b"PK", b"PK\x05\x06", &[0; 100], "a,b\n1,2\n".repeat(20_000).as_bytes()] {
        assert_eq!(refusal_of(bytes), "The file is not a zip");
    }
    assert!(refusal_of(&zip(&[])).starts_with("The package has no file"));
}

#[test]
fn a_zip_that_was_cut_off_is_refused() {
    let whole = zip(&[main(), deflated("data", "abc".repeat(1000))]);

    for length in 0..whole.len() {
        refusal_of(&whole[..length]);
    }
    for start in 1..whole.len() {
        refusal_of(&whole[start..]);
    }
}

#[test]
fn names_that_leave_the_package_are_refused() {
    for (name, why) in [
        ("../x", "leaves the package by '..'"),
        ("a/../../x", "leaves the package by '..'"),
        ("a/..", "leaves the package by '..'"),
        ("/etc/passwd", "has an absolute path"),
        ("..\\x", "has a backslash in its name; folders are separated by '/' (another zip program helps)"),
        ("C:/x", "has a path with a drive letter"),
        ("c:x", "has a path with a drive letter"),
        ("a//b", "has an empty part in its path"),
        ("", "has no name"),
        (".", "has no name"),
        ("a\0b", "has a name with control characters"),
        ("a\nb", "has a name with control characters"),
    ] {
        let sentence = refusal(stored(name, "data"));

        assert!(sentence.starts_with("The zip's entry '") && sentence.ends_with(why), "{name:?}: {sentence}");
    }
}

#[test]
fn names_that_are_too_long_too_deep_or_not_text_are_refused() {
    assert_eq!(refusal(stored(b"a\xff", "")), "The zip's entry 'a\u{fffd}' has a name that is not UTF-8");
    assert!(refusal(stored("a/".repeat(33) + "b", "")).ends_with("lies too deep in folders"));
    assert!(refusal(stored("a".repeat(256), "")).ends_with("has a name of more than 255 bytes"));
    let sentence = refusal(stored("long/".repeat(300), ""));
    assert!(sentence.ends_with("…' has a path that is too long") && sentence.len() < 200, "{sentence}");
}

#[test]
fn links_and_devices_are_refused() {
    for (mode, kind) in [
        (0o120_777, "a symbolic link"),
        (0o020_666, "a device"),
        (0o060_666, "a device"),
        (0o010_666, "a named pipe"),
        (0o140_666, "a socket"),
        (0o040_755, "neither a file nor a folder"),
    ] {
        for host in [0, 3] {
            let sentence = refusal(Raw { mode, host, ..stored("x", "/etc/passwd") });
            assert_eq!(sentence, format!("The zip's entry 'x' is {kind}; a package holds only files and folders"));
        }
    }
}

#[test]
fn names_that_stand_twice_are_refused() {
    assert_eq!(refusal(stored("./deployment.py", "other")), "The zip holds 'deployment.py' twice");
    let sentence = refusal_of(&zip(&[main(), stored("a", ""), stored("a/b/c", "")]));
    assert_eq!(sentence, "The zip holds 'a' both as a file and as a folder");
    let sentence = refusal_of(&zip(&[main(), stored("a", ""), folder("a/")]));
    assert_eq!(sentence, "The zip holds 'a' twice");
}

#[test]
fn encrypted_and_exotic_entries_are_refused() {
    for flags in [1, 1 << 6, 1 << 13] {
        assert_eq!(refusal(Raw { flags, ..stored("x", "abc") }), "The zip's entry 'x' is encrypted");
    }
    assert_eq!(refusal(Raw { method: 99, ..stored("x", "abc") }), "The zip's entry 'x' is encrypted");
    for method in [1, 6, 9, 12, 14, 93, 95, 98] {
        let sentence = refusal(Raw { method, ..stored("x", "abc") });
        assert!(sentence.contains(&format!("compression method {method};")), "{sentence}");
    }
}

#[test]
fn a_forged_count_of_entries_is_refused_before_anything_is_allocated() {
    let forged = |entries_64| zip_with(&[main()], &End { entries_64: Some(entries_64), ..End::default() });

    let sentence = refusal_of(&forged(10_000_000));
    assert_eq!(sentence, "The zip says that it holds 10000000 entries, more than the 100000 that are allowed");
    assert!(refusal_of(&forged(u64::MAX)).starts_with("The zip says that it holds"));
    assert_eq!(refusal_of(&forged(2)), "The zip's directory holds fewer entries than it says");
    assert_eq!(refusal_of(&forged(0)), "The zip's directory holds more entries than it says");
    let short = zip_with(&[main()], &End { entries: Some(65_000), ..End::default() });
    assert_eq!(refusal_of(&short), "The zip's directory holds fewer entries than it says");
}

#[test]
fn a_directory_that_is_elsewhere_is_refused() {
    let elsewhere = "The zip is damaged: its directory is not where its end says";
    for end in [
        End { directory_start: Some(0), ..End::default() },
        End { directory_start: Some(u32::MAX), ..End::default() },
        End { directory_bytes: Some(0), ..End::default() },
    ] {
        assert_eq!(refusal_of(&zip_with(&[main()], &end)), elsewhere);
    }
    let huge = zip_with(&[main()], &End { directory_bytes: Some(u32::MAX), ..End::default() });
    assert_eq!(refusal_of(&huge), "The zip's directory is larger than allowed");
    let split = zip_with(&[main()], &End { disk: 1, ..End::default() });
    assert_eq!(refusal_of(&split), "The zip is split into several files, which is not supported");
    let prefixed = [b"#!/bin/sh\n".to_vec(), zip(&[main()])].concat();
    assert_eq!(refusal_of(&prefixed), elsewhere);
}

#[test]
fn overlapping_entries_are_refused() {
    // The quoting bomb: each entry's data is the headers of all that follow, then one kernel of data.
    let kernel = stored("kernel", vec![0; 1000]);
    let quoting = Raw { packed: 1036, unpacked: 1036, ..stored("a", "") };
    assert_eq!(refusal_of(&zip(&[main(), quoting, kernel])), "The zip's entries overlap each other");

    let first = stored("same", "data");
    let again = Raw { header: Some(0), ..first.clone() };
    let second = Raw { name: b"other".to_vec(), ..again };
    let sentence = refusal_of(&zip(&[first, second, main()]));
    assert_eq!(sentence, "The zip is damaged: its directory and its entry 'other' disagree");
}

#[test]
fn entries_outside_of_the_file_are_refused() {
    let outside = "The zip is damaged: its directory points outside of the file";
    assert_eq!(refusal(Raw { packed: 5000, ..stored("x", "abc") }), outside);
    assert_eq!(refusal(Raw { header: Some(u32::MAX - 1), ..stored("x", "abc") }), outside);
    let large = [1_u16, 24].into_iter().flat_map(u16::to_le_bytes).chain([0xFF; 24]).collect();
    let sentence = refusal(Raw { packed: u32::MAX, header: Some(u32::MAX), extra: large, ..stored("x", "abc") });
    assert_eq!(sentence, outside);
    assert_eq!(refusal(Raw { packed: u32::MAX, extra: vec![1, 0, 99, 0], ..stored("x", "abc") }), outside);
    assert!(refusal(Raw { local_name: b"y".to_vec(), ..stored("x", "abc") }).ends_with("entry 'x' disagree"));
}

#[test]
fn what_unpacks_to_too_much_is_refused_while_unpacking() {
    let zeros = vec![0; 3 << 20];
    let limits = Limits { unpacked_bytes: 1 << 20, ..Limits::default() };
    let bomb = zip(&[main(), deflated("zeros", &zeros)]);
    let sentence = look(&bomb, "", &limits).unwrap_err();
    assert_eq!(sentence, "The package unpacks to more than the 1048576 bytes that are allowed");

    let limits = Limits { ratio_from: 1 << 20, ..Limits::default() };
    let sentence = look(&bomb, "", &limits).unwrap_err();
    assert_eq!(sentence, "The package unpacks to far more than its own size, as a zip bomb does");

    let liar = zip(&[main(), Raw { unpacked: 10, ..deflated("zeros", &zeros) }]);
    assert_eq!(refusal_of(&liar), "The zip's entry 'zeros' is damaged");
}

#[test]
fn damaged_data_is_refused() {
    for entry in [
        Raw { crc: 1, ..stored("x", "abc") },
        Raw { unpacked: 2, ..stored("x", "abc") },
        Raw { unpacked: 4, ..deflated("x", "abc") },
        Raw { data: vec![0xFF; 5], ..deflated("x", "abc") },
    ] {
        assert_eq!(refusal(entry), "The zip's entry 'x' is damaged");
    }
}

#[test]
fn sizes_over_the_limits_are_refused() {
    let limits = Limits { zip_bytes: 50, dependency_bytes: 3, ..Limits::default() };
    let sentence = look(&zip(&[main()]), "", &limits).unwrap_err();
    assert!(sentence.ends_with("more than the 50 that are allowed"), "{sentence}");

    let limits = Limits { dependency_bytes: 3, ..Limits::default() };
    let sentence = look(&zip(&[main(), stored("requirements.txt", "six\n")]), "", &limits).unwrap_err();
    assert_eq!(sentence, "The file 'requirements.txt' is larger than the 3 bytes that are allowed");

    let sentence = refusal(stored("requirements.txt", b"s\xff"));
    assert_eq!(sentence, "The file 'requirements.txt' is not text in UTF-8");

    let limits = Limits { entries: 3, ..Limits::default() };
    let sentence = look(&zip(&[main(), stored("a/b/c/d/e", "")]), "", &limits).unwrap_err();
    assert_eq!(sentence, "The zip holds more folders than allowed");
}
