//! `modelyard demo`: shows what it promises, fails when it cannot, and leaves nothing behind.

use std::path::Path;
use std::process::Command;

use crate::program::{modelyard, names, text};

/// The demo with a folder for temporary files and a home of its own.
fn demo(folder: &Path) -> Command {
    let mut command = modelyard(folder, &["demo", "--once"]);
    command.env("TMPDIR", folder);
    command
}

#[test]
fn deploys_a_model_asks_it_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();

    let output = demo(folder.path()).output().unwrap();

    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}{}", text(&output.stderr));
    assert!(said.contains(r#"answered  {"species":"virginica","probability":"#), "{said}");
    for step in ["start a server", "upload the model", "build its environment", "ask again"] {
        assert!(said.contains(step), "{said}");
    }
    assert_eq!(names(folder.path()).unwrap(), [""; 0]);
}

#[test]
fn a_step_that_fails_is_told_and_ends_the_demo() {
    let folder = tempfile::tempdir().unwrap();

    let output = demo(folder.path()).env("MODELYARD_NO_INDEX", "true").output().unwrap();

    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
    let said = text(&output.stderr);
    assert!(said.contains("modelyard: The demo failed: the build failed: "), "{said}");
    assert_eq!(names(folder.path()).unwrap(), [""; 0]);
}
