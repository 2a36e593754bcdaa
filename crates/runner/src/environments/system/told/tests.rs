//! What `apt-get` says, and what is made of it.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;

use super::{Case, explain, kind_of_key, unreachable};
use crate::environments::run::Done;
use crate::ubiops_yaml::{Apt, Lined, Origins};

fn lined(text: &str, line: usize) -> Lined {
    Lined { text: text.to_owned(), line }
}

fn done(said: &str) -> Done {
    let errors = said.lines().map(|line| line.trim().to_owned()).collect();
    Done { status: ExitStatus::from_raw(100 << 8), output: Vec::new(), errors, out_of_memory: false }
}

fn told(said: &str) -> (String, Result<(), String>) {
    let packages = vec![lined("tree", 3), lined("hello=9.9", 4), lined("lib:arm64", 5)];
    let apt = Apt { line: 1, packages, keys: Origins::default(), sources: Origins::default() };
    let wanted = [apt];
    let sources = [lined("deb [trusted=yes] https://example.org/apt/ stable main", 8)];
    let folder = Path::new("/nowhere");
    let case = Case { wanted: &wanted, sources: &sources, folder, memory: 1_000_000_000 };
    (explain(&done(said), &case), unreachable(&done(said), &case))
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    for (said, wanted) in [
        (
            "Reading package lists...\nE: Unable to locate package tree",
            "ubiops.yaml line 3: the system package tree was not found; check its name, or add the source that has it to \
             apt.sources",
        ),
        (
            "E: Version '9.9' for 'hello' was not found",
            "ubiops.yaml line 4: the system package hello has no version 9.9; leave the version out to get the newest",
        ),
        (
            "E: Package 'lib:arm64' has no installation candidate",
            "ubiops.yaml line 5: the system package lib:arm64 cannot be had; check its name, or add the source that has it to \
             apt.sources",
        ),
        (
            "E: Unable to locate package other",
            "ubiops.yaml: the system package other was not found; check its name, or add the source that has it to apt.sources",
        ),
        (
            "W: GPG error: https://example.org/apt stable InRelease: The following signatures couldn't be verified because the \
             public key is not available: NO_PUBKEY 0E98404D386FA1D9\nE: The repository 'https://example.org/apt stable \
             InRelease' is not signed.",
            "ubiops.yaml line 8: the source https://example.org/apt is not signed by a key that is known; add its key to \
             apt.keys",
        ),
        (
            "E: The repository 'https://example.org/apt stable Release' does not have a Release file.",
            "ubiops.yaml line 8: the source https://example.org/apt cannot be reached or has not what is asked of it: it has no \
             Release file; check its address",
        ),
        (
            "dpkg: error processing package tree (--configure):\n installed tree package post-installation script subprocess \
             returned error exit status 1\nE: Sub-process /usr/bin/dpkg returned an error code (1)",
            "The system package tree could not be installed: a script of it failed, or the files of two packages contradict each \
             other; see the log of the build. Scripts run without a network and without services",
        ),
        ("E: Something else", "The system packages could not be installed: Something else"),
        ("", "The system packages could not be installed: apt-get ended without a word"),
    ] {
        assert_eq!(told(said).0, wanted, "{said}");
    }
    assert!(told("E: write (28: No space left on device)").0.starts_with("The disk is full"), "of us all");
}

#[test]
fn sources_of_the_host_may_fail_and_those_that_were_asked_for_may_not() {
    let failed = |address: &str| {
        told(&format!("W: Failed to fetch {address}/dists/stable/InRelease  Could not resolve 'example.org'")).1
    };
    assert_eq!(failed("https://deb.example.com/debian"), Ok(()));
    assert_eq!(
        failed("https://example.org/apt").expect_err("it was asked for"),
        "ubiops.yaml line 8: the source https://example.org/apt/dists/stable/InRelease cannot be reached or has not what is asked \
         of it: Could not resolve 'example.org'; check its address"
    );
}

#[test]
fn keys_are_told_from_what_is_none() {
    let armoured = "\n-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQ==\n-----END PGP PUBLIC KEY BLOCK-----\n";
    assert_eq!(kind_of_key(armoured.as_bytes(), 1), Ok("asc"));
    assert_eq!(kind_of_key(&[0x99, 1, 2], 1), Ok("gpg"));
    assert_eq!(kind_of_key(&[0xc6, 1, 2], 1), Ok("gpg"));
    for none in ["", "<html>", "-----BEGIN PGP PRIVATE KEY BLOCK-----", "ABCDEF0123456789"] {
        assert!(
            kind_of_key(none.as_bytes(), 7)
                .expect_err("it is none")
                .starts_with("ubiops.yaml line 7: this is no key; "),
            "{none}"
        );
    }
}
