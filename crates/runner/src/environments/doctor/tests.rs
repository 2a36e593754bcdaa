//! What people read for what uv prints.

use std::{os::unix::process::ExitStatusExt, path::Path, process::ExitStatus};

use proptest::prelude::*;

use super::{Case, Done, Explained, Look, explain, names, shorten, without_credentials};
use crate::environments::requirements::check;

fn explained(requirements: &str, printed: &str, status: i32) -> Explained {
    let offered = ["3.13", "3.11"].map(str::to_owned);
    let requirements = check(requirements, &[]).unwrap();
    let case = Case {
        requirements: &requirements,
        python: "3.11",
        offered: &offered,
        folder: Path::new("/"),
        memory: 512_000_000,
    };
    let errors = printed.lines().map(str::to_owned).collect();
    explain(&Done { status: ExitStatus::from_raw(status), output: Vec::new(), errors, out_of_memory: false }, &case)
}

fn message(requirements: &str, printed: &str) -> String {
    explained(requirements, printed, 0x200).message
}

/// The sentence for a proof that uv printed.
fn proof(requirements: &str, because: &str) -> String {
    message(requirements, &format!("error: No solution found when resolving dependencies\n  cause: {because}"))
}

#[test]
fn versions_and_packages_that_do_not_exist_are_named_with_their_line() {
    let head = "Resolved nothing\nerror: No solution found when resolving dependencies\n  cause: ";
    let end = ", we can conclude that your requirements are unsatisfiable.";
    let no_version = format!("{head}Because there is no version of six==99 and you require six==99{end}");
    let told = explained("numpy\nSix==99", &no_version, 0x200);
    assert_eq!(told.message, "requirements.txt line 2: six==99 does not exist");
    assert_eq!(told.look, Some(Look::Nearest { wanted: "six==99".to_owned() }));
    assert_eq!(
        message("six>=50", &format!("{head}Because only six<=1.17.0 is available and you require six>=50{end}")),
        "requirements.txt line 1: six>=50 does not exist"
    );
    assert_eq!(
        message(
            "a\nno-pkg",
            &format!("{head}Because no-pkg was not found in the package registry and you require no-pkg{end}")
        ),
        "requirements.txt line 2: the package no-pkg was not found in the package index; check its name"
    );
}

#[test]
fn conflicts_are_told_in_one_sentence_in_both_forms_of_uvs_output() {
    let newer = "error: No solution found when resolving dependencies
  cause: Because a==2 depends on b>=1,<3 and you require a==2, we can conclude that you require b>=1,<3.
         And because you require b==9, we can conclude that your requirements are unsatisfiable.";
    let older = "  × No solution found when resolving dependencies:
  ╰─▶ Because a==2 depends on b>=1,<3 and you require a==2, we can
      conclude that you require b>=1,<3.
      And because you require b==9, we can conclude that your requirements
      are unsatisfiable.";
    let expected = "requirements.txt lines 1 and 2 cannot both be met: line 1 asks for a==2, which needs b>=1,<3, and line \
                    2 asks for b==9; change the version of one of them, so that both accept the same b";

    assert_eq!(message("a==2\nb==9", newer), expected);
    assert_eq!(message("a==2\nb==9", older), expected);
}

#[test]
fn a_package_without_a_wheel_names_the_pythons_that_have_one() {
    let printed = "error: No solution found when resolving dependencies
  cause: Because t==1.15.0 has no wheels with a matching Python ABI tag (e.g., `cp311`) and you require t==1.15, we can conclude that your requirements are unsatisfiable.

hint: You require CPython 3.11 (`cp311`), but we only found wheels for `t` (v1.15.0) with the following Python ABI tags: `cp27m`, `cp37m`";

    assert_eq!(
        message("t==1.15", printed),
        "requirements.txt line 1: t==1.15.0 has no wheel for Python 3.11 on this server and no source to build it from; it \
         has wheels for Python 3.7 or 2.7, which this server does not offer; take another version of it"
    );
    let newer = printed.replace("cp37m", "cp313");
    assert!(message("t==1.15", &newer).ends_with(
        "it has wheels for Python 3.13, which this server offers, and for 2.7; take such a base environment"
    ));
}

#[test]
fn a_line_that_is_no_requirement_is_shown_with_its_number() {
    let printed = "error: Couldn't parse requirement in `requirements.txt` at position 4
  cause: no such comparison operator \"=\", must be one of ~= == != <= >= < > ===
         six=1.17
            ^^^^^";

    assert_eq!(
        message("abc\nsix=1.17\n", printed),
        "requirements.txt line 2: 'six=1.17' is not a requirement: no such comparison operator \"=\", must be one of \
         ~= == != <= >= < > ==="
    );
}

#[test]
fn an_index_that_cannot_be_reached_is_said_to_be() {
    let printed = "error: Request failed after 3 retries in 9.7s
  cause: Failed to fetch: http://me:secret@127.0.0.1:9/simple/six/
  cause: error sending request for url (http://127.0.0.1:9/simple/six/)
  cause: client error (Connect)
  cause: tcp connect error
  cause: Connection refused (os error 111)";
    assert_eq!(
        message("six", printed),
        "The package index could not be reached at http://127.0.0.1:9/simple/six/: the connection was refused (tried 4 \
         times); the operator checks the address and port, and that the index is running"
    );

    let direct = "error: Failed to download `six @ https://x.invalid/six.whl`
  cause: Failed to fetch: https://x.invalid/six.whl
  cause: dns error
  cause: failed to lookup address information";
    assert_eq!(
        message("six", direct),
        "requirements.txt line 1: the address could not be reached at https://x.invalid/six.whl: its name is not known \
         (DNS); the operator checks the address and this server's name resolution"
    );
    let denied = "error: Failed to fetch: `https://x.invalid/simple/six/`
  Caused by: HTTP status client error (401 Unauthorized) for url (https://x.invalid/simple/six/)";
    assert_eq!(
        message("six", denied),
        "The package index https://x.invalid/simple/six/ answered 401 Unauthorized; the operator gives the index the \
         right address and credentials (settings index_url and extra_index_urls)"
    );
}

#[test]
fn a_source_package_that_does_not_build_shows_its_own_error() {
    let printed = "error: Failed to build `mysqlclient==1.3.0`
  cause: The build backend returned an error
  cause: Call to `setuptools.build_meta:__legacy__.get_requires_for_build_wheel` failed (exit status: 1)

         [stderr]
         /bin/sh: 1: mysql_config: not found
         Traceback (most recent call last):
           File \"<string>\", line 14, in <module>
         OSError: mysql_config not found

hint: Build failures usually indicate a problem with the package or the build environment";
    assert_eq!(
        message("mysqlclient", printed),
        "requirements.txt line 1: mysqlclient==1.3.0 could not be built from its source: OSError: mysql_config not found"
    );

    let printed = "error: Failed to build `sklearn==0.0.post12`
  cause: Call failed

         [stderr]
         The package is deprecated

         More at https://example.org

hint: Did you mean to install `scikit-learn` instead?";
    assert_eq!(
        message("sklearn", printed),
        "requirements.txt line 1: sklearn==0.0.post12 could not be built from its source: The package is deprecated. Did you mean to \
         install `scikit-learn` instead?"
    );
}

#[test]
fn anything_else_is_kept_in_one_line() {
    assert_eq!(message("", "error: No room\n  cause: the disk is full\n"), "No room: the disk is full");
    assert_eq!(message("", "thread main panicked\n"), "uv failed: thread main panicked");
    assert_eq!(message("", ""), "uv failed without a word");
    assert_eq!(shorten(&"é".repeat(5000)).chars().count(), 1024);
}

#[test]
fn credentials_in_addresses_are_left_out() {
    assert_eq!(
        without_credentials("a https://u:p@h/x@y and 'http://t@h' (git+https://x@h:1/) mail a@b"),
        "a https://h/x@y and 'http://h' (git+https://h:1/) mail a@b"
    );
}

#[test]
fn chains_of_packages_lead_back_to_the_lines_that_ask() {
    let end = "we can conclude that your requirements are unsatisfiable.";
    let conflict = format!(
        "Because all versions of pear depend on apple<2 and all versions of plum depend on apple>=3, we can conclude that \
         all versions of pear and all versions of plum are incompatible.\n         And because all versions of fig depend \
         on pear, we can conclude that all versions of fig and all versions of plum are incompatible.\n         And \
         because you require fig and plum, {end}"
    );
    assert_eq!(
        proof("# c\nfig\nplum", &conflict),
        "requirements.txt lines 2 and 3 cannot both be met: line 2 asks for fig, which needs pear, which needs apple<2, and \
         line 3 asks for plum, which needs apple>=3; change the version of one of them, so that both accept the same apple"
    );
    let missing = "Because nothere-x was not found in the package registry and all versions of mid depend on nothere-x, we \
                   can conclude that all versions of mid cannot be used.\n         And because you require mid, ";
    assert_eq!(
        proof("mid", &format!("{missing}{end}")),
        "requirements.txt line 1: mid needs nothere-x, which was not found in the package index"
    );
    let version = "Because there is no version of apple==9 and all versions of mid2 depend on apple==9, we can conclude that \
                   all versions of mid2 cannot be used.\n         And because you require mid2, ";
    assert_eq!(
        proof("mid2", &format!("{version}{end}")),
        "requirements.txt line 1: mid2 needs apple==9, which does not exist"
    );
    assert_eq!(
        proof("apple>3.5,<3.0", "you require apple<3.0 and apple>3.5, which are incompatible"),
        "requirements.txt line 1: apple<3.0 and apple>3.5 exclude each other; leave one of them out"
    );
    assert_eq!(
        proof("a\nb", "Because a thing and you require a and you require b, we can conclude that x."),
        "requirements.txt lines 1 and 2 cannot be met together: a thing and you require a and you require b, so x"
    );
}

#[test]
fn a_package_for_another_python_names_those_on_offer() {
    let end = "we can conclude that your requirements are unsatisfiable.";
    let told = |needs: &str| {
        proof("new==1.0", &format!("Because new==1.0 requires Python {needs} and you require new==1.0, {end}"))
    };
    assert_eq!(
        told(">=3.12"),
        "requirements.txt line 1: new==1.0 needs Python >=3.12, and this environment has 3.11; take a base environment with \
         Python 3.13"
    );
    assert!(told(">=3.14").ends_with("this server offers no such Python"), "{}", told(">=3.14"));
}

#[test]
fn typos_and_module_names_are_recognized() {
    for (written, meant) in [
        ("nunpy", Some("numpy")),
        ("Pnadas", Some("pandas")),
        ("scikit_leran", Some("scikit-learn")),
        ("sklearn", Some("scikit-learn")),
        ("cv2", Some("opencv-python")),
        ("our-own-tools", None),
        ("six2x", None),
    ] {
        assert_eq!(names::near(written), meant, "{written}");
    }
}

#[test]
fn pythons_are_compared_as_numbers() {
    for (minor, needs, fits) in [
        ("3.9", ">=3.10", false),
        ("3.10", ">=3.9,<4", true),
        ("3.12", "<3.12", false),
        ("3.12", "<3.12.4", true),
        ("3.12", ">=3.9, !=3.12.*", false),
        ("3.12", "!=3.12.1", true),
        ("3.13", "~=3.8", true),
        ("3.13", "==3.13.*", true),
        ("3.13", ">3.13", false),
    ] {
        assert_eq!(names::fits(minor, needs), fits, "{minor} {needs}");
    }
}

#[test]
fn a_lack_of_room_is_told_as_such() {
    let full = "error: Failed to download `big==1.0`\n  cause: failed to write to file `/data/cache/.tmp/big`: No space left \
                on device (os error 28)";
    let told = message("big", full);
    assert!(told.starts_with("The disk is full: the environment does not fit into / ("), "{told}");
    assert!(told.contains(" MB are free there now)"), "{told}");
    let own = "error: Failed to build `big==1.0`\n  cause: x\n\n   [stderr]\n   OSError: [Errno 28] No space left on device: \
               '/tmp/x'";
    assert!(message("big", own).starts_with("The build filled its folder /tmp, "));
    let memory = "The build needed more than the 512 MB of memory that a step of it may have; ";
    assert!(explained("big", "", libc::SIGKILL).message.starts_with(memory));
    assert!(explained("big", "", 137 << 8).message.starts_with(memory));
    assert!(
        message("big", "error: Failed to build `x`\n  cause: y\n\n   [stderr]\n   MemoryError").starts_with(memory)
    );
}

#[test]
fn an_index_that_refuses_asks_for_credentials() {
    let printed = "error: No solution found when resolving dependencies
  cause: Because apple was not found in the package registry and you require apple, we can conclude that your requirements are unsatisfiable.

hint: An index URL (http://me:secret@h/simple) could not be queried due to a lack of valid authentication credentials (401 Unauthorized)";
    assert_eq!(
        message("apple", printed),
        "The package index http://h/simple answered 401 Unauthorized; the operator gives the index the right address and \
         credentials (settings index_url and extra_index_urls)"
    );
}

proptest! {
    /// Whatever uv prints, the sentence is one line of a length that can be shown, and nobody's password.
    #[test]
    fn a_sentence_is_one_line_without_credentials(
        parts in prop::collection::vec(
            prop_oneof![
                Just("error: No solution found when resolving dependencies".to_owned()),
                Just("\n  cause: Because a==1 depends on b<2 and you require a==1 and b==9".to_owned()),
                Just(", we can conclude that ".to_owned()),
                Just("\n".to_owned()),
                Just("\n  cause: Failed to fetch: https://me:hunter2@example.org/x?token=hunter2".to_owned()),
                Just("error: Failed to build `a==1`".to_owned()),
                Just(" (https://hunter2@example.org/simple?sig=hunter2&x=1)".to_owned()),
                Just("\nhint: An index (https://u:hunter2@h) 403 Forbidden".to_owned()),
                ".{0,40}",
            ],
            0..12,
        ),
        status in prop::sample::select(vec![0x100, 0x200, 9, 137 << 8]),
    ) {
        let told = explained("a==1\nb==9", &parts.concat(), status).message;
        prop_assert!(!told.is_empty() && told.chars().count() <= 1024);
        prop_assert!(!told.contains(['\n', '\r', '\u{1b}']), "{}", told);
        prop_assert!(!told.contains("hunter2"), "{}", told);
    }
}
