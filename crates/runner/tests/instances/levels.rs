//! The levels of walls, and what holds at the lower ones.

use std::os::unix::process::CommandExt;
use std::process::Command;

use modelyard_runner::process::Exit;
use modelyard_runner::runner::Runner;
use serde_json::json;

use crate::harness::{Bench, processes_with, until};

#[tokio::test(flavor = "multi_thread")]
async fn the_walls_are_listed_with_what_they_lack() {
    let bench = Bench::open();
    let walls = bench.runner.walls();
    println!("level {}", walls.level);
    for wall in &walls.list {
        println!("{:24} offered {:5} used {:5} {}", wall.name, wall.offered, wall.used, wall.detail);
    }
    assert!(walls.list.iter().all(|wall| wall.offered || !wall.detail.is_empty()));
    assert!(walls.list.iter().all(|wall| wall.offered || !wall.used));
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn below_the_configured_level_nothing_runs() {
    for unsafe_run in [false, true] {
        let bench = Bench::with(|settings| {
            settings.at_most = 1;
            settings.required_level = 2;
            settings.unsafe_run = unsafe_run;
        });
        let spec = bench.spec("class Deployment:\n    def request(self, data): return 1\n");
        struct Deaf;
        impl modelyard_runner::process::Listener for Deaf {
            fn event(&self, _: modelyard_runner::process::ProcessKey, _: modelyard_runner::process::ProcessEvent) {}
            fn ended(&self, _: modelyard_types::ids::InstanceId, _: u64, _: modelyard_runner::process::Ended) {}
        }
        let started = bench.runner.start(spec.into(), std::sync::Arc::new(Deaf)).await;
        assert_eq!(started.is_ok(), unsafe_run);
        if let Err(refused) = started {
            let text = refused.to_string();
            assert!(text.contains("level 1 and level 2 is configured") && text.contains("--unsafe-run"), "{text}");
        }
        bench.close().await;
    }
}

/// What holds at every level.
async fn lives_and_dies(bench: Bench) {
    let code = "import os, subprocess, sys
if data == 'die': os._exit(3)
if data != 'fine': subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1000)', data], start_new_session=True)
open('beside', 'w').write(data)
return [os.getuid() != 0, os.path.exists('deployment.py')]";
    let (mut instance, process) = bench.request(code).await;
    assert_eq!(instance.ask(&process, 1, "fine"), Ok(json!([true, true])));
    assert!(!instance.spec.package.join("beside").exists());
    let mark = format!("mark-{}", instance.spec.instance);
    instance.ask(&process, 2, &mark).unwrap();
    until("the child runs", || processes_with(&mark).len() == 1);
    crate::harness::hand(&process, 3, "die");
    assert_eq!(instance.gone().exit, Some(Exit::Status(3)));
    let again = instance.ready();
    until("the child of the dead process is gone", || processes_with(&mark).is_empty());
    instance.ask(&again, 1, &mark).unwrap();
    bench.runner.stop(instance.spec.instance, 1).await;
    assert!(processes_with(&mark).is_empty());
    assert!(processes_with(&instance.spec.instance.to_string()).is_empty());
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_namespaces_and_cgroups_it_is_level_2() {
    let bench = Bench::with(|settings| settings.at_most = 2);
    assert_eq!(bench.runner.walls().level, 2);
    assert!(!bench.has_namespaces());
    lives_and_dies(bench).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_cgroups_memory_and_processes_meet_rough_limits() {
    let bench = Bench::with(|settings| settings.at_most = 2);
    let code = "import os, time
kept = []
try:
    while data == 'more': kept.append(bytearray(b'x' * (8 << 20)))
except MemoryError: return 'no more memory'
while data == 'fork':
    try:
        if os.fork() == 0: time.sleep(1000)
    except OSError: return 'no more processes'";
    let (mut instance, process) = bench.request(code).await;
    assert_eq!(instance.ask(&process, 1, "more"), Ok(json!("no more memory")));
    assert_eq!(instance.ask(&process, 2, "fork"), Ok(json!("no more processes")));
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_process_of_a_server_that_is_root_is_not_root() {
    let bench = Bench::with(|settings| settings.at_most = 1);
    assert_eq!(bench.runner.walls().level, 1);
    let (mut instance, process) = bench.request("import os\nreturn os.getresuid()").await;
    let uids = instance.ask(&process, 1, "").unwrap();
    assert!(uids.as_array().unwrap().iter().all(|uid| *uid != 0), "{uids}");
    bench.close().await;
}

/// Runs the test of this name again as an ordinary user where we are root; true when that is done here and now.
fn as_an_ordinary_user(name: &str) -> bool {
    if !nix::unistd::geteuid().is_root() {
        return true;
    }
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env("TMPDIR", "/tmp")
        .env("HOME", "/nonexistent")
        .env("PATH", "/usr/bin:/bin")
        .current_dir("/")
        .gid(54_321)
        .uid(54_321)
        .status()
        .unwrap();
    assert!(status.success());
    false
}

#[test]
fn an_ordinary_user_has_level_2_and_namespaces_where_they_are() {
    if as_an_ordinary_user("levels::an_ordinary_user_has_level_2_and_namespaces_where_they_are") {
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let bench = Bench::open();
            let offered = |name: &str| bench.runner.walls().list.iter().any(|wall| wall.name == name && wall.offered);
            assert_eq!(bench.has_namespaces(), offered("user namespace") && offered("mount namespace"));
            assert_eq!(bench.runner.walls().level, 2);
            lives_and_dies(bench).await;
        });
    }
}

#[test]
fn a_plain_process_is_still_cleaned_up_after() {
    if as_an_ordinary_user("levels::a_plain_process_is_still_cleaned_up_after") {
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let bench = Bench::with(|settings| settings.at_most = 1);
            assert_eq!(bench.runner.walls().level, 1);
            lives_and_dies(bench).await;
        });
    }
}
