//! `modelyard config`, `modelyard version`, and what a command line must not hold.

use std::fs;

use serde_json::Value;

use crate::program::{modelyard, refusal, text};

fn config(folder: &std::path::Path, arguments: &[&str], variables: &[(&str, &str)]) -> Value {
    let mut command = modelyard(folder, &[&["config", "--json"], arguments].concat());
    let output = command.envs(variables.iter().copied()).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn flags_beat_variables_beat_the_file_beats_defaults_and_each_origin_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("my.toml");
    fs::write(&file, "listen = \"file:1\"\ndata = \"from-file\"\nbuilds_at_once = 5\n").unwrap();
    let shown = config(
        folder.path(),
        &["--config", "my.toml", "--listen", "flag:3", "--unsafe-run"],
        &[
            ("MODELYARD_LISTEN", "variable:2"),
            ("MODELYARD_DATA", "from-variable"),
            ("MODELYARD_DATABASE_URL", "postgres://u:secret@h/d"),
        ],
    );

    let of =
        |key: &str| format!("{} from {}", shown[key]["value"].as_str().unwrap(), shown[key]["from"].as_str().unwrap());
    assert_eq!(of("listen"), "flag:3 from --listen");
    assert_eq!(of("data"), "from-variable from MODELYARD_DATA");
    assert_eq!(of("builds_at_once"), "5 from my.toml");
    assert_eq!(of("shutdown_grace"), "20 s from default");
    assert_eq!(of("unsafe_run"), "true from --unsafe-run");
    assert_eq!(of("database_url"), "postgres://u:***@h/d from MODELYARD_DATABASE_URL");
}

#[test]
fn the_table_for_people_says_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let output = modelyard(folder.path(), &["config"]).env("MODELYARD_LISTEN", "[::1]:99").output().unwrap();
    let shown = text(&output.stdout);
    let line = shown.lines().find(|line| line.starts_with("listen ")).unwrap();
    assert_eq!(line.split_whitespace().collect::<Vec<_>>(), ["listen", "[::1]:99", "MODELYARD_LISTEN"]);
}

#[test]
fn what_is_not_known_is_refused_before_anything_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let said = refusal(modelyard(folder.path(), &["serve"]).env("MODELYARD_LISTN", "127.0.0.1:0"));
    assert_eq!(
        said,
        "modelyard: The environment sets MODELYARD_LISTN, which is not a setting. Did you mean MODELYARD_LISTEN?\n"
    );
    let said = refusal(&mut modelyard(folder.path(), &["serve", "--config", "missing.toml"]));
    assert!(said.starts_with("modelyard: The file missing.toml cannot be read"), "{said}");
    let said =
        refusal(modelyard(folder.path(), &["serve", "--data", "data"]).env("MODELYARD_LOG_LEVEL", "loud=yes=no"));
    assert!(said.contains("log_level"), "{said}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);

    let output = modelyard(folder.path(), &["serve", "--colour", "red"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn the_version_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let output = modelyard(folder.path(), &["version"]).output().unwrap();
    assert_eq!(text(&output.stdout), format!("modelyard {}\n", env!("CARGO_PKG_VERSION")));
}
