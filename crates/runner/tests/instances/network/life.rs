//! What the network of instances leaves on the host: nothing that nobody takes away.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use modelyard_runner::local::LocalRunner;
use modelyard_runner::runner::Runner;
use modelyard_runner::walls::NetworkMode;
use modelyard_types::network::Egress;

use super::world::{INSIDE_IT, PROGRAMS, is_here};
use super::{bench, block_on, trying};
use crate::harness::{Bench, settings, until};

/// Links and tables of ours, and whether the host forwards.
fn on_the_host() -> (Vec<String>, Vec<String>, String) {
    let mut links: Vec<_> = fs::read_dir("/proc/sys/net/ipv4/conf")
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("mdy"))
        .collect();
    links.sort();
    let nft = Command::new("nft").args(["list", "tables"]).env("PATH", PROGRAMS).output().unwrap();
    let text = String::from_utf8(nft.stdout).unwrap();
    let mut tables: Vec<_> = text.lines().map(|line| line.rsplit(' ').next().unwrap().to_owned()).collect();
    tables.sort();
    (links, tables, fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap().trim().to_owned())
}

fn nothing() -> (Vec<String>, Vec<String>, String) {
    (vec![], vec![], "0".into())
}

#[test]
fn what_is_put_up_is_taken_down() {
    if !is_here("network::life::what_is_put_up_is_taken_down") {
        return;
    }
    block_on(async {
        assert_eq!(on_the_host(), nothing());
        let bench = bench(Some(NetworkMode::Filtered), |_| ());
        let (public, _) = trying(&bench, Some(Egress::Public)).await;
        let (open, _) = trying(&bench, Some(Egress::Open)).await;
        let (none, _) = trying(&bench, Some(Egress::None)).await;
        let (links, tables, forwards) = on_the_host();
        assert_eq!((links.len(), tables.len(), forwards.as_str()), (2, 2, "1"), "{links:?} {tables:?}");
        for instance in [public, open, none] {
            bench.runner.stop(instance.spec.instance, 1).await;
        }
        assert_eq!(on_the_host().0, Vec::<String>::new());
        bench.close().await;
        assert_eq!(on_the_host(), nothing());
    });
}

#[test]
fn what_the_host_did_before_stays() {
    if !is_here("network::life::what_the_host_did_before_stays") {
        return;
    }
    block_on(async {
        fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
        let bench = bench(Some(NetworkMode::Filtered), |_| ());
        assert_eq!(on_the_host().1.len(), 1, "no table keeps the host from forwarding for others");
        bench.close().await;
        assert_eq!(on_the_host(), (vec![], vec![], "1".into()));
    });
}

#[test]
fn two_servers_do_not_disturb_each_other() {
    if !is_here("network::life::two_servers_do_not_disturb_each_other") {
        return;
    }
    block_on(async {
        let (one, two) = (bench(Some(NetworkMode::Filtered), |_| ()), bench(Some(NetworkMode::Filtered), |_| ()));
        let (mut of_one, process) = trying(&one, None).await;
        let (mut of_two, other) = trying(&two, None).await;
        let (links, tables, _) = on_the_host();
        assert_eq!((links.len(), tables.len()), (2, 3), "{links:?} {tables:?}");
        let internet = r#"{"internet": ["9.9.9.9", 80]}"#;
        assert_eq!(of_one.ask(&process, 1, internet).unwrap()["internet"], "the world");
        one.close().await;
        // The first made the host forward; the second still needs it.
        assert_eq!(of_two.ask(&other, 1, internet).unwrap()["internet"], "the world");
        two.close().await;
        assert_eq!(on_the_host(), nothing());
    });
}

#[test]
fn a_block_in_use_is_refused_with_a_sentence() {
    if !is_here("network::life::a_block_in_use_is_refused_with_a_sentence") {
        return;
    }
    block_on(async {
        let bench = bench(Some(NetworkMode::Filtered), |settings| {
            settings.network = Some("93.184.0.0/16".parse().unwrap());
        });
        let refused = bench.runner.reach().of(None).unwrap_err();
        assert!(refused.contains("instance_network 93.184.0.0/16 is in use: the interface uplink has"), "{refused}");
        bench.close().await;
        assert_eq!(on_the_host(), nothing());
    });
}

#[test]
fn a_block_that_is_used_up_refuses_the_next_instance() {
    if !is_here("network::life::a_block_that_is_used_up_refuses_the_next_instance") {
        return;
    }
    block_on(async {
        let bench = bench(Some(NetworkMode::Filtered), |settings| {
            settings.network = Some("10.77.0.0/31".parse().unwrap());
        });
        let _first = trying(&bench, None).await;
        let mut second = bench.start(bench.spec("class Deployment:\n    def request(self, data): return data\n")).await;
        let reason = second.ended().reason;
        assert!(reason.contains("All addresses of 10.77.0.0/31 are taken by instances"), "{reason}");
        bench.close().await;
    });
}

/// The folder of the server to be; unset in the tests' own process.
const FOLDER: &str = "MODELYARD_TEST_FOLDER";

#[test]
fn what_a_killed_server_left_is_taken_down_by_the_next_one() {
    let name = "network::life::what_a_killed_server_left_is_taken_down_by_the_next_one";
    if !is_here(name) {
        return;
    }
    if std::env::var(FOLDER).is_ok() {
        return block_on(serve());
    }
    let folder = tempfile::tempdir().unwrap();
    let mut server = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(FOLDER, folder.path())
        .env(INSIDE_IT.0, INSIDE_IT.1)
        .env("TMPDIR", folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines().map(Result::unwrap);
    let installation = lines.find_map(|line| line.split_once("serving ").map(|(_, name)| name.to_owned())).unwrap();
    assert_eq!(on_the_host().0.len(), 1);

    server.kill().unwrap();
    server.wait().unwrap();

    let (_, tables, forwards) = on_the_host();
    assert_eq!((tables.len(), forwards.as_str()), (2, "1"));
    // A life that does not filter any more takes down what the one before put up.
    let mut next = settings(folder.path());
    next.installation = installation;
    let runner = LocalRunner::open(next).unwrap();
    until("the kernel has cleared the namespace", || on_the_host() == nothing());
    tokio::runtime::Runtime::new().unwrap().block_on(runner.shut_down());
}

/// Plays a server until it is killed.
async fn serve() {
    let bench: Bench = bench(Some(NetworkMode::Filtered), |settings| {
        settings.folder = std::path::PathBuf::from(std::env::var(FOLDER).unwrap()).join("runner");
    });
    let _instance = trying(&bench, None).await;
    println!("serving {}", bench.installation);
    std::future::pending::<()>().await;
}
