//! What is in force, what is refused, and that the documentation lists every setting.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use super::*;

fn given(
    file: Option<&str>,
    environment: &[(&str, &str)],
    flags: &[(&'static str, &str)],
) -> (tempfile::TempDir, Given) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("modelyard.toml");
    if let Some(text) = file {
        std::fs::write(&path, text).unwrap();
    }
    let given = Given {
        flags: flags.iter().map(|(key, value)| (*key, "--flag", (*value).to_owned())).collect(),
        file: file.map(|_| path),
        environment: environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
    };
    (folder, given)
}

fn refusal(file: Option<&str>, environment: &[(&str, &str)]) -> String {
    let (folder, given) = given(file, environment, &[]);
    load(&given).unwrap_err().replace(&folder.path().display().to_string(), "DIR")
}

#[test]
fn defaults_are_valid_and_shown_as_they_are_written() {
    let in_force = load(&Given::default()).unwrap();
    for entry in TABLE {
        assert_eq!((entry.show)(&in_force.settings), entry.default, "{}", entry.key);
        assert_eq!(in_force.origins[entry.key], "default");
    }
}

#[test]
fn flags_beat_the_environment_which_beats_the_file() {
    let file = "listen = \"a:1\"\nbuilds_at_once = 7\nfind_links = [\"/a\", \"/b\"]\nlog_level = \"debug\"";
    let environment = [("MODELYARD_LISTEN", "b:2"), ("MODELYARD_LOG_LEVEL", "warn"), ("PATH", "/bin")];
    let (_folder, given) = given(Some(file), &environment, &[("listen", "c:3")]);

    let in_force = load(&given).unwrap();

    assert_eq!(in_force.settings.listen.0, "c:3");
    assert_eq!(in_force.settings.log_level, "warn");
    assert_eq!(in_force.settings.builds_at_once, 7);
    assert_eq!(in_force.settings.find_links, ["/a", "/b"]);
    assert_eq!(in_force.origins["listen"], "--flag");
    assert_eq!(in_force.origins["log_level"], "MODELYARD_LOG_LEVEL");
    assert!(in_force.origins["builds_at_once"].ends_with("modelyard.toml"));
    assert_eq!(in_force.origins["data"], "default");
}

#[test]
fn the_file_can_be_named_by_a_variable() {
    let (_folder, mut given) = given(Some("builds_at_once = 3"), &[], &[]);
    let path = given.file.take().unwrap().display().to_string();
    given.environment.push(("MODELYARD_CONFIG".to_owned(), path));
    assert_eq!(load(&given).unwrap().settings.builds_at_once, 3);
}

#[test]
fn what_is_not_known_is_refused_with_the_nearest_name() {
    assert_eq!(
        refusal(Some("lisen = \"a:1\""), &[]),
        "The file DIR/modelyard.toml sets lisen, which is not a setting. Did you mean listen?"
    );
    assert_eq!(
        refusal(None, &[("MODELYARD_DATABASEURL", "x")]),
        "The environment sets MODELYARD_DATABASEURL, which is not a setting. Did you mean MODELYARD_DATABASE_URL?"
    );
    assert_eq!(
        refusal(None, &[("MODELYARD_colour", "x")]),
        "The environment sets MODELYARD_colour, which is not a setting. `modelyard config` lists those there are."
    );
    assert!(refusal(Some("[server]\nlisten = \"a:1\""), &[]).contains("server"));
}

#[test]
fn bad_values_are_refused_with_their_origin_and_the_rule() {
    assert_eq!(
        refusal(None, &[("MODELYARD_LISTEN", "8080")]),
        "The setting listen (from MODELYARD_LISTEN) is not valid: it must be HOST:PORT, like 127.0.0.1:8080 or [::]:8080."
    );
    assert_eq!(
        refusal(Some("package_size_limit = \"10 apples\""), &[]),
        "The setting package_size_limit (from DIR/modelyard.toml) is not valid: it must be a size like 10 MB, 512 MiB or 4096."
    );
    for (variable, value) in [
        ("MODELYARD_WALLS_LEVEL", "0"),
        ("MODELYARD_UNSAFE_RUN", "maybe"),
        ("MODELYARD_BUILDS_AT_ONCE", "0"),
        ("MODELYARD_SHUTDOWN_GRACE", "20"),
        ("MODELYARD_LOG_FORMAT", "xml"),
        ("MODELYARD_DATABASE_URL", "mysql://x"),
        ("MODELYARD_PACKAGE_SIZE_LIMIT", "99999999999999999999 TB"),
        ("MODELYARD_PACKAGE_SIZE_LIMIT", "-1"),
        ("MODELYARD_REQUEST_MEMORY", "127 MiB"),
    ] {
        assert!(refusal(None, &[(variable, value)]).contains(variable), "{variable} {value}");
    }
    assert!(refusal(Some("= 3"), &[]).contains("is not valid TOML"));
}

#[test]
fn a_missing_file_is_refused() {
    let given = Given { file: Some("/nowhere/modelyard.toml".into()), ..Given::default() };
    assert!(load(&given).unwrap_err().starts_with("The file /nowhere/modelyard.toml cannot be read"));
}

#[test]
fn sizes_and_times_are_read_as_people_write_them() {
    let environment = [
        ("MODELYARD_PACKAGE_SIZE_LIMIT", "512MiB"),
        ("MODELYARD_INSTANCE_MEMORY", "3 gb"),
        ("MODELYARD_REQUEST_MEMORY", "128 MiB"),
        ("MODELYARD_SHUTDOWN_GRACE", "1500 ms"),
        ("MODELYARD_LOG_RETENTION", "2 d"),
    ];
    let (_folder, given) = given(None, &environment, &[]);
    let settings = load(&given).unwrap().settings;
    assert_eq!(settings.package_size_limit, Size(512 << 20));
    assert_eq!(settings.instance_memory, Some(Size(3_000_000_000)));
    assert_eq!(settings.request_memory, Some(RequestMemory(128 << 20)));
    assert_eq!(settings.shutdown_grace.0, Duration::from_millis(1500));
    assert_eq!(settings.log_retention.0, Duration::from_secs(2 * 86_400));
}

#[test]
fn a_password_is_never_shown() {
    for url in
        ["postgres://me:hunter2@db:5432/x", "postgres://me@db/x?password=hunter2", "postgres://me:a@hunter2@db/x"]
    {
        let (_folder, given) = given(None, &[("MODELYARD_DATABASE_URL", url)], &[]);
        let in_force = load(&given).unwrap();
        assert_eq!(in_force.settings.database_url.as_ref().unwrap().0, url);
        for shown in [as_text(&in_force), as_json(&in_force).to_string(), format!("{in_force:?}")] {
            assert!(!shown.contains("hunter2"), "{shown}");
            assert!(shown.contains("postgres://me"), "{shown}");
        }
    }
}

#[test]
fn the_documentation_lists_every_setting() {
    let documented = include_str!("../../../../docs/configuration.md");
    for entry in TABLE {
        let default = if entry.default.is_empty() { String::new() } else { format!("`{}`", entry.default) };
        let row = format!("| `{}` | {default} | {} |", entry.key, entry.help.trim());
        assert!(documented.contains(&row), "docs/configuration.md lacks this row:\n{row}");
    }
}

#[test]
fn networks_are_written_as_people_write_them() {
    let networks = |text: &str| {
        let (_folder, given) = given(None, &[("MODELYARD_BUCKET_NETWORKS", text)], &[]);
        load(&given).map(|in_force| in_force.settings.bucket_networks.0)
    };
    let read = networks("10.0.0.0/8, 127.0.0.1,fd00::/8,0.0.0.0/0,::/0").unwrap();
    let shown: Vec<String> = read.iter().map(|(address, bits)| format!("{address}/{bits}")).collect();
    assert_eq!(shown, ["10.0.0.0/8", "127.0.0.1/32", "fd00::/8", "0.0.0.0/0", "::/0"]);
    assert_eq!(networks("").unwrap(), []);
    for bad in ["10.0.0.1/8", "10.0.0.0/33", "fd00::1/64", "localhost", "10.0.0.0/", "/8", "10/8", "fd00::/129"] {
        let refused = networks(bad).unwrap_err();
        assert!(refused.contains("it must be networks with commas between them"), "{bad}: {refused}");
    }
}
