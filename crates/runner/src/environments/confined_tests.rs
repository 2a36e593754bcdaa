//! Source packages, whose code runs when they are built: what it can see, and how it ends.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{
    BuildError, BuildUser, Builder, Given, Settings,
    confined::{Confined, Seen, changes_user, has_namespaces, spawn_in},
    tests::{Bench, host_index, python},
};
use crate::{init::reach, interpreters, uv::Index};

/// A folder with one source package whose `setup.py` is `code`, and the index that is this folder.
pub(super) fn source_package(folder: &Path, code: &str) -> Index {
    let inner = folder.join("probe-1.0");
    fs::create_dir_all(&inner).unwrap();
    fs::write(inner.join("setup.py"), code).unwrap();
    fs::write(inner.join("PKG-INFO"), "Metadata-Version: 1.0\nName: probe\nVersion: 1.0\n").unwrap();
    let archive = folder.join("probe-1.0.tar.gz");
    let status = Command::new("tar").arg("-czf").arg(archive).arg("-C").arg(folder).arg("probe-1.0").status().unwrap();
    assert!(status.success());
    let mut index = host_index();
    index.args.extend(["--find-links".to_owned(), folder.display().to_string()]);
    index.files.push(folder.to_path_buf());
    index
}

const REPORTING: &str = r#"
import json, os, setuptools
def readable(path):
    try:
        return bool(os.listdir(path)) if os.path.isdir(path) else bool(open(path).read())
    except OSError:
        return False
def writable(path):
    try:
        open(os.path.join(path, "probe"), "w").close()
        return True
    except OSError:
        return False
report = {
    "uid": os.getuid(), "groups": os.getgroups(), "environment": sorted(os.environ),
    "secret": readable(SECRET), "shared": writable(SHARED), "tmp": writable("/tmp"),
    "processes": len([p for p in os.listdir("/proc") if p.isdigit()]), "new": open("/proc/self/status").read(),
}
os.makedirs("probe", exist_ok=True)
with open("probe/__init__.py", "w") as out:
    out.write("report = " + repr(json.dumps(report)))
setuptools.setup(name="probe", version="1.0", packages=["probe"])
"#;

#[tokio::test]
async fn variables_of_a_build_reach_its_source_packages_and_no_other_build() {
    let packages = tempfile::tempdir().unwrap();
    let code = r#"
import os, setuptools
os.makedirs("probe", exist_ok=True)
with open("probe/__init__.py", "w") as out:
    out.write("token = " + repr(os.environ.get("TOKEN")) + "; lang = " + repr(os.environ["LANG"]))
setuptools.setup(name="probe", version="1.0", packages=["probe"])
"#;
    let mut bench = Bench::new().await;
    let settings = Settings { index: source_package(packages.path(), code), ..bench.builder.settings.clone() };
    bench.builder = Builder::open(settings).unwrap();
    let mut keys = Vec::new();
    for (value, mark) in [(Some("one"), "1"), (Some("two"), "2"), (None, "")] {
        let env = value.iter().flat_map(|value| [("TOKEN", *value), ("LANG", "xx")]);
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        bench.given = Given { env, mark: mark.to_owned() };

        let built = bench.build("probe==1.0").await.unwrap();

        let told = python(&built, "import probe; print(probe.token, probe.lang)");
        assert_eq!(told.trim(), format!("{} C.UTF-8", value.unwrap_or("None")));
        assert!(!keys.contains(&built.key));
        keys.push(built.key);
    }
}

#[tokio::test]
async fn a_source_package_is_built_by_nobody_who_sees_nothing_of_ours() {
    let packages = tempfile::tempdir().unwrap();
    let secrets = tempfile::tempdir().unwrap();
    fs::write(secrets.path().join("token"), "secret").unwrap();
    let interpreter = interpreters::find().await.remove(0);
    let mut bench = Bench::new().await;
    let shared = bench.home.path().join("environments/shared");
    let code = REPORTING
        .replace("SECRET", &format!("{:?}", secrets.path().join("token")))
        .replace("SHARED", &format!("{:?}", shared.join("cache")));
    let index = source_package(packages.path(), &code);
    let settings = Settings { index, ..bench.builder.settings.clone() };
    bench.builder = Builder::open(settings).unwrap();

    let built = bench.build("probe==1.0").await.unwrap();

    let report: serde_json::Value = serde_json::from_str(&python(&built, "import probe; print(probe.report)")).unwrap();
    let environment = report["environment"].to_string();
    assert!(!environment.contains("CARGO") && !environment.contains("PYENV"), "{environment}");
    assert!(bench.logged("building them from their source") && !bench.logged("no usable wheels"));
    let status = report["new"].as_str().unwrap();
    assert!(status.contains("NoNewPrivs:\t1") && status.contains("CapEff:\t0000000000000000"), "{status}");
    if changes_user() {
        assert_eq!((&report["uid"], &report["groups"]), (&json!(60_900), &json!([])));
    }
    if has_namespaces() {
        for hidden in ["secret", "shared"] {
            assert_eq!(report[hidden], false, "{report}");
        }
        assert!(report["processes"].as_u64().unwrap() < 20, "{report}");
    }
    assert!(!secrets.path().join("probe").exists());
    assert_eq!(built.base_prefix, interpreter.base_prefix);
}

#[tokio::test]
async fn a_source_package_that_fails_says_why() {
    let packages = tempfile::tempdir().unwrap();
    let index = source_package(packages.path(), "raise RuntimeError('no compiler for you')");
    let bench = Bench::with(index, Duration::from_secs(300)).await;

    let message = bench.message("probe==1.0").await;

    let wanted = "could not be built from its source: RuntimeError: no compiler for you";
    assert!(message.starts_with("requirements.txt line 1: probe"), "{message}");
    assert!(message.contains(wanted), "{message}");
}

const SLEEPING: &str = r#"
import os, sys, time
if os.fork() == 0:
    os.setsid()
    time.sleep(1000)
print("asleep", file=sys.stderr, flush=True)
time.sleep(1000)
"#;

/// Whether a process runs whose command line holds these words.
fn runs(words: &str) -> bool {
    fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&command).contains(words)
    })
}

#[tokio::test]
async fn a_cancelled_build_ends_with_all_its_processes() {
    let packages = tempfile::tempdir().unwrap();
    let index = source_package(packages.path(), SLEEPING);
    let bench = Bench::with(index, Duration::from_secs(300)).await;
    let cancel = CancellationToken::new();
    let root = bench.home.path().display().to_string();

    let spec = bench.spec("probe==1.0");
    let build = bench.builder.build(&spec, &|_| {}, &cancel);
    tokio::pin!(build);
    let ended = loop {
        // The interpreter that runs `setup.py` has a path in the scope's cache.
        if runs(&format!("{root}/environments/scopes")) {
            cancel.cancel();
        }
        tokio::select! {
            ended = &mut build => break ended,
            () = tokio::time::sleep(Duration::from_millis(20)) => {}
        }
    };

    assert!(matches!(ended, Err(BuildError::Cancelled)), "{ended:?}");
    assert!(!runs(&root), "nothing of the build is left");
    assert_eq!(bench.folders(), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_build_ends_when_its_time_is_up() {
    let packages = tempfile::tempdir().unwrap();
    let index = source_package(packages.path(), SLEEPING);
    let bench = Bench::with(index, Duration::from_secs(5)).await;

    let ended = bench.build("probe==1.0").await;

    assert!(matches!(ended, Err(BuildError::TimedOut(_))), "{ended:?}");
    assert!(bench.work_is_gone());
}

#[tokio::test]
async fn landlock_keeps_files_where_nothing_can_be_hidden() {
    assert!(reach::version() >= 1, "this test needs Landlock");
    let place = tempfile::tempdir().unwrap();
    let secret = tempfile::tempdir().unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o777)).unwrap();
    fs::set_permissions(secret.path(), fs::Permissions::from_mode(0o777)).unwrap();
    fs::write(secret.path().join("token"), "secret").unwrap();
    let code = r#"
try() { if ("$@") 2>/dev/null; then echo yes; else echo no; fi; }
try cp /etc/resolv.conf "$1/file"; try cat "$2/token"; try cp /etc/resolv.conf "$2/file"
"#;
    let args = ["-c".into(), code.into(), "sh".into(), place.path().into(), secret.path().into()].to_vec();
    let seen = |path: &Path, writable| Seen { path: path.to_path_buf(), writable };
    let confined = Confined {
        args,
        env: vec![("PATH".into(), "/usr/bin:/bin".into())],
        sees: vec![seen(place.path(), true)],
        ..Confined::of("/bin/sh".into(), BuildUser::default())
    };

    let output = spawn_in(&confined, false).await.unwrap().wait_with_output().await.unwrap();

    let told = String::from_utf8_lossy(&output.stdout);
    assert_eq!(told, "yes\nno\nno\n", "{}", String::from_utf8_lossy(&output.stderr));
}
