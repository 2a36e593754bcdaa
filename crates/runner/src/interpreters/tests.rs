//! Which Pythons are found, and which are left out.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use super::{
    find, find_among,
    places::{Host, candidates},
    probe,
};

fn script(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn the_pythons_of_this_host_are_found_once_each() {
    let found = find().await;

    let first = found.first().expect("the tests need a Python on PATH");
    assert!(first.path.is_file() && first.path.canonicalize().unwrap() == first.path, "{first:?}");
    assert!(first.version.starts_with(&format!("{}.", first.minor)), "{first:?}");
    assert!(first.platform.starts_with("linux-"), "{first:?}");
    let mut installations: Vec<_> = found.iter().map(|python| (&python.base_prefix, &python.version)).collect();
    installations.sort();
    installations.dedup();
    assert_eq!(installations.len(), found.len());
}

#[tokio::test]
async fn a_shim_and_a_link_lead_to_the_installation_behind_them() {
    let real = find().await.remove(0);
    let home = tempfile::tempdir().unwrap();
    let (shim, link) = (home.path().join("python3"), home.path().join("python"));
    script(&shim, &format!("#!/bin/sh\nexec {} \"$@\"\n", real.path.display()));
    symlink(&real.path, &link).unwrap();

    let found = find_among(vec![shim, link, real.path.clone()]).await;

    assert_eq!(found, [real]);
}

#[tokio::test]
async fn a_virtual_environment_leads_to_its_base() {
    let real = find().await.remove(0);
    let home = tempfile::tempdir().unwrap();
    let bin = home.path().join("env/bin");
    fs::create_dir_all(&bin).unwrap();
    symlink(&real.path, bin.join("python")).unwrap();
    let base = real.path.parent().unwrap().display().to_string();
    fs::write(home.path().join("env/pyvenv.cfg"), format!("home = {base}\n")).unwrap();

    assert_eq!(probe(&bin.join("python")).await, Some(real));
}

#[tokio::test]
async fn what_is_no_usable_python_is_left_out() {
    let home = tempfile::tempdir().unwrap();
    let answers = [
        "exit 1",
        "echo nonsense",
        r#"echo '{"implementation":"pypy","version":[3,11,0],"release":true,"executable":"/x","base_prefix":"/x","platform":"x"}'"#,
        r#"echo '{"implementation":"cpython","version":[3,7,9],"release":true,"executable":"/x","base_prefix":"/x","platform":"x"}'"#,
        r#"echo '{"implementation":"cpython","version":[3,15,0],"release":false,"executable":"/x","base_prefix":"/x","platform":"x"}'"#,
    ];
    let mut pythons = vec![home.path().join("missing")];
    for (number, answer) in answers.iter().enumerate() {
        let path = home.path().join(format!("{number}/python3"));
        script(&path, &format!("#!/bin/sh\n{answer}\n"));
        pythons.push(path);
    }

    assert_eq!(find_among(pythons).await, []);
}

#[test]
fn the_usual_places_are_searched_for_python_names_only() {
    let home = tempfile::tempdir().unwrap();
    let at = |path: &str| home.path().join(path);
    let wanted = [
        "bin/python3",
        "usr/python3.12",
        "me/.pyenv/versions/3.11.7/bin/python",
        "me/.local/share/uv/python/cpython-3.13/bin/python3.13",
    ];
    for path in wanted.iter().chain(&[
        "bin/python2",
        "bin/python3-config",
        "bin/python3.",
        "bin/python3.11m",
        "bin/pip",
        "me/.pyenv/shims/python3",
    ]) {
        script(&at(path), &format!("#!/bin/sh\n# {path}\n"));
    }
    fs::write(at("usr/python3.11"), "a program").unwrap();
    symlink(at("usr/python3.11"), at("bin/python3.11")).unwrap();
    let host = Host {
        path: vec![at("me/.pyenv/shims"), at("bin"), PathBuf::from("relative"), at("nowhere")],
        home: Some(at("me")),
        system: vec![at("usr")],
        ..Host::default()
    };

    let found = candidates(&host);

    let expected = ["bin/python3", "bin/python3.11", "usr/python3.12"]
        .iter()
        .chain(&wanted[2..])
        .map(|p| at(p))
        .collect::<Vec<_>>();
    assert_eq!(found, expected);
}
