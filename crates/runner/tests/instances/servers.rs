//! A server that is killed, and the one after it.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use modelyard_runner::local::LocalRunner;

use crate::harness::{Bench, cgroups_of, processes_with, settings, until};

/// The folder of the server to be; unset in the tests' own process.
const FOLDER: &str = "MODELYARD_TEST_FOLDER";

fn kill_and_follow(name: &str, at_most: u8) {
    if std::env::var(FOLDER).is_ok() {
        return serve(at_most);
    }
    let folder = tempfile::tempdir().unwrap();
    let mut server = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(FOLDER, folder.path())
        .env("TMPDIR", folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines().map(Result::unwrap);
    let ids = lines.find_map(|line| line.split_once("serving ").map(|(_, ids)| ids.to_owned())).unwrap();
    let (instance, installation) = ids.split_once(' ').unwrap();
    // The first process, the worker and its child.
    until("all three run", || processes_with(instance).len() == 3);

    server.kill().unwrap();
    server.wait().unwrap();

    until("nothing of the old life runs", || processes_with(instance).is_empty());
    let scratch = folder.path().join("runner/scratch");
    assert_eq!(scratch.read_dir().unwrap().count(), 1);
    let mut next = settings(folder.path());
    next.installation = installation.to_owned();
    let runner = LocalRunner::open(next).unwrap();
    assert_eq!(scratch.read_dir().unwrap().count(), 0);
    assert_eq!(folder.path().join("runner/records").read_dir().unwrap().count(), 0);
    tokio::runtime::Runtime::new().unwrap().block_on(runner.shut_down());
    assert_eq!(cgroups_of(installation), Vec::<String>::new());
}

/// Plays a server until it is killed.
fn serve(at_most: u8) {
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let bench = Bench::with(|settings| {
            settings.folder = std::path::PathBuf::from(std::env::var(FOLDER).unwrap()).join("runner");
            settings.at_most = at_most;
        });
        let code = "import subprocess, sys
subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1000)', data], start_new_session=True)";
        let (mut instance, process) = bench.request(code).await;
        let id = instance.spec.instance.to_string();
        instance.ask(&process, 1, &id).unwrap();
        println!("serving {id} {}", bench.installation);
        std::future::pending::<()>().await;
    });
}

#[test]
fn a_killed_server_takes_its_instances_with_it_and_the_next_one_cleans_up() {
    kill_and_follow("servers::a_killed_server_takes_its_instances_with_it_and_the_next_one_cleans_up", 3);
}

#[test]
fn so_it_is_without_cgroups() {
    kill_and_follow("servers::so_it_is_without_cgroups", 2);
}
