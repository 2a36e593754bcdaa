//! What people read for what uv prints.

use super::{explain, shorten, without_credentials};
use crate::environments::requirements::check;

fn message(requirements: &str, printed: &str) -> String {
    let lines: Vec<String> = printed.lines().map(str::to_owned).collect();
    explain(&lines, &check(requirements, &[]).unwrap()).message
}

#[test]
fn versions_and_packages_that_do_not_exist_are_named_with_their_line() {
    let head = "Resolved nothing\nerror: No solution found when resolving dependencies\n  cause: ";
    let end = ", we can conclude that your requirements are unsatisfiable.";
    let no_version = format!("{head}Because there is no version of six==99 and you require six==99{end}");
    let explained = explain(
        &[no_version.clone()].map(|l| l.lines().map(str::to_owned).collect::<Vec<_>>()).concat(),
        &check("numpy\nSix==99", &[]).unwrap(),
    );
    assert_eq!(explained.message, "requirements.txt line 2: six==99 does not exist");
    assert_eq!(explained.no_such_version.as_deref(), Some("six"));
    assert_eq!(
        message("six>=50", &format!("{head}Because only six<=1.17.0 is available and you require six>=50{end}")),
        "requirements.txt line 1: six>=50 does not exist, only six<=1.17.0 is available"
    );
    assert_eq!(
        message(
            "a\nno-pkg",
            &format!("{head}Because no-pkg was not found in the package registry and you require no-pkg{end}")
        ),
        "requirements.txt line 2: the package no-pkg was not found in the package index"
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
    let expected = "The requirements cannot be met: a==2 depends on b>=1,<3 and you require a==2, so you require b>=1,<3; \
                    and you require b==9";

    assert_eq!(message("a==2\nb==9", newer), expected);
    assert_eq!(message("a==2\nb==9", older), expected);
}

#[test]
fn a_wrong_python_is_explained_by_uvs_hint() {
    let printed = "error: No solution found when resolving dependencies
  cause: Because t==1.15.0 has no wheels with a matching Python ABI tag (e.g., `cp311`) and you require t==1.15, we can conclude that your requirements are unsatisfiable.

hint: You require CPython 3.11 (`cp311`), but we only found wheels for `t` (v1.15.0) with the following Python ABI tags: `cp27m`, `cp37m`";

    assert_eq!(
        message("t==1.15", printed),
        "The requirements cannot be met: t==1.15.0 has no wheels with a matching Python ABI tag (e.g., `cp311`) and you \
         require t==1.15. You require CPython 3.11 (`cp311`), but we only found wheels for `t` (v1.15.0) with the \
         following Python ABI tags: `cp27m`, `cp37m`"
    );
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
        "The package index could not be reached at http://127.0.0.1:9/simple/six/: Connection refused (os error 111)"
    );

    let direct = "error: Failed to download `six @ https://x.invalid/six.whl`
  cause: Failed to fetch: https://x.invalid/six.whl
  cause: dns error
  cause: failed to lookup address information";
    assert_eq!(
        message("six", direct),
        "The address https://x.invalid/six.whl could not be reached: failed to lookup address information"
    );
    let denied = "error: Failed to fetch: `https://x.invalid/simple/six/`
  Caused by: HTTP status client error (401 Unauthorized) for url (https://x.invalid/simple/six/)";
    assert_eq!(
        message("six", denied),
        "The package index answered with an error: HTTP status client error (401 Unauthorized) for url \
         (https://x.invalid/simple/six/)"
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
        "The package mysqlclient==1.3.0 could not be built from its source: OSError: mysql_config not found"
    );

    let printed = "error: Failed to build `sklearn==0.0.post12`
  cause: Call failed

         [stderr]
         The package is deprecated

         More at https://example.org

hint: Did you mean to install `scikit-learn` instead?";
    assert_eq!(
        message("sklearn", printed),
        "The package sklearn==0.0.post12 could not be built from its source: The package is deprecated. Did you mean to \
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
