//! Whose index settings count, and what uv is told of them.

use std::{fs, path::Path};

use super::{Host, Index, IndexSettings, Source};

fn host(home: &Path, env: &[(&str, &str)]) -> Host {
    let mut env: std::collections::BTreeMap<String, String> =
        env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    env.insert("HOME".to_owned(), home.display().to_string());
    Host { env, etc: home.join("etc"), prefixes: vec![home.join("python")] }
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn args(index: &Index) -> String {
    index.args.join(" ")
}

#[test]
fn without_any_settings_uv_is_told_nothing() {
    let home = tempfile::tempdir().unwrap();

    let index =
        Index::resolve(&IndexSettings::default(), &host(home.path(), &[("AWS_SECRET", "x"), ("UV_OFFLINE", "")]));

    assert_eq!((index.source, args(&index).as_str()), (Source::Default, ""));
    assert!(index.env.is_empty() && index.config.is_none() && index.pip_args().is_empty());
}

#[test]
fn the_operators_settings_beat_all_others() {
    let home = tempfile::tempdir().unwrap();
    write(&home.path().join(".config/uv/uv.toml"), "index-url = \"https://toml/simple\"\n");
    let env = [("UV_INDEX_URL", "https://uv/simple"), ("PIP_INDEX_URL", "https://pip/simple"), ("HTTPS_PROXY", "p:1")];
    let settings = IndexSettings {
        index_url: Some("https://ours/simple".to_owned()),
        extra_index_urls: vec!["https://more/simple".to_owned()],
        ..IndexSettings::default()
    };

    let index = Index::resolve(&settings, &host(home.path(), &env));

    assert_eq!(index.source, Source::Configured);
    assert_eq!(
        args(&index),
        "--default-index https://ours/simple --extra-index-url https://more/simple --index-strategy unsafe-best-match"
    );
    assert_eq!(index.pip_args().join(" "), "--index-url https://ours/simple --extra-index-url https://more/simple");
    assert_eq!(index.env.keys().collect::<Vec<_>>(), ["HTTPS_PROXY"]);
    assert_eq!(index.config, None);
}

#[test]
fn uvs_variables_beat_pips_settings() {
    let home = tempfile::tempdir().unwrap();
    let env = [
        ("UV_DEFAULT_INDEX", "https://uv/simple"),
        ("UV_INDEX_OURS_PASSWORD", "word"),
        ("UV_CACHE_DIR", "/elsewhere"),
        ("PIP_INDEX_URL", "https://pip/simple"),
    ];

    let index = Index::resolve(&IndexSettings::default(), &host(home.path(), &env));

    assert_eq!((index.source, args(&index).as_str()), (Source::Uv, ""));
    assert_eq!(index.env.keys().collect::<Vec<_>>(), ["UV_DEFAULT_INDEX", "UV_INDEX_OURS_PASSWORD"]);
    assert_eq!(index.pip_args(), ["--index-url", "https://uv/simple"]);
}

#[test]
fn a_uv_toml_counts_when_it_names_an_index() {
    let home = tempfile::tempdir().unwrap();
    let env = [("PIP_INDEX_URL", "https://pip/simple")];
    let user = home.path().join(".config/uv/uv.toml");
    write(&home.path().join("etc/uv/uv.toml"), "[[index]]\nurl = \"https://toml/simple\"\n");

    let index = Index::resolve(&IndexSettings::default(), &host(home.path(), &env));
    assert_eq!((index.source, index.config.is_some()), (Source::Uv, true));

    write(&user, "native-tls = true\n");
    let index = Index::resolve(&IndexSettings::default(), &host(home.path(), &env));
    assert_eq!((index.source, index.config.as_deref()), (Source::Pip, Some("native-tls = true\n")));
}

#[test]
fn pips_variables_are_translated() {
    let home = tempfile::tempdir().unwrap();
    let env = [
        ("PIP_INDEX_URL", "https://pip/simple"),
        ("PIP_EXTRA_INDEX_URL", "https://a/simple https://b/simple"),
        ("PIP_FIND_LINKS", "/opt/wheels"),
        ("PIP_TRUSTED_HOST", "a b:8080"),
        ("PIP_CERT", "/etc/ours.pem"),
        ("PIP_DEFAULT_TIMEOUT", "180"),
        ("PIP_NO_INDEX", "false"),
    ];

    let index = Index::resolve(&IndexSettings::default(), &host(home.path(), &env));

    assert_eq!(index.source, Source::Pip);
    assert_eq!(
        args(&index),
        "--default-index https://pip/simple --extra-index-url https://a/simple --extra-index-url https://b/simple \
         --find-links /opt/wheels --index-strategy unsafe-best-match --allow-insecure-host a --allow-insecure-host b:8080"
    );
    assert_eq!(index.env["SSL_CERT_FILE"], "/etc/ours.pem");
    assert_eq!(index.env["UV_HTTP_TIMEOUT"], "180");
    assert_eq!(index.files, [Path::new("/opt/wheels"), Path::new("/etc/ours.pem")]);
    assert!(index.pip_args().is_empty(), "pip reads its settings itself");
}

#[test]
fn pips_files_count_in_pips_order() {
    let home = tempfile::tempdir().unwrap();
    let at = |path: &str| home.path().join(path);
    write(&at("etc/pip.conf"), "[global]\nindex-url = https://system/simple\nproxy: proxy:3128\n");
    write(&at(".config/pip/pip.conf"), "# mine\n[global]\nindex_url = https://user/simple\nno-index = no\n");
    write(&at("python/pip.conf"), "[install]\nextra-index-url =\n    https://a/simple\n    https://b/simple\n");
    write(&at("named.conf"), "[download]\nindex-url = https://download/simple\n[install]\nfind-links = https://l\n");
    let named = at("named.conf").display().to_string();

    let index = Index::resolve(&IndexSettings::default(), &host(home.path(), &[("PIP_CONFIG_FILE", &named)]));
    assert_eq!(
        args(&index),
        "--default-index https://user/simple --extra-index-url https://a/simple --extra-index-url https://b/simple \
         --find-links https://l --index-strategy unsafe-best-match"
    );
    assert_eq!(index.env["HTTPS_PROXY"], "proxy:3128");
    assert!(index.files.is_empty());

    let index = Index::resolve(&IndexSettings::default(), &host(home.path(), &[("PIP_CONFIG_FILE", "/dev/null")]));
    assert_eq!(index.source, Source::Default);
}
