//! What user code reaches in the network, and what it does not.
//!
//! Everything happens in worlds of namespaces that the tests make: the host's tables are not touched, and no address of the
//! real world is asked.

mod life;
mod table;
mod world;

use modelyard_runner::environments::BuildUser;
use modelyard_runner::local::LocalSettings;
use modelyard_runner::process::Process;
use modelyard_runner::walls::NetworkMode;
use modelyard_types::network::Egress;
use serde_json::{Value, json};

use crate::harness::{Bench, Instance};
use world::{HOST, PLATFORM, TRY, is_here, is_here_as, places};

fn block_on(test: impl Future<Output = ()>) {
    tokio::runtime::Runtime::new().unwrap().block_on(test);
}

/// A bench whose settings say this of the network, and whose platform answers.
fn bench(egress: Option<NetworkMode>, change: impl FnOnce(&mut LocalSettings)) -> Bench {
    Bench::with(|settings| {
        settings.egress = egress;
        settings.platform = Some(PLATFORM);
        settings.guests = Some(world::platform());
        change(settings);
    })
}

/// An instance, ready, that tries to connect.
async fn trying(bench: &Bench, egress: Option<Egress>) -> (Instance, std::sync::Arc<Process>) {
    running(bench, egress, TRY).await
}

async fn running(bench: &Bench, egress: Option<Egress>, body: &str) -> (Instance, std::sync::Arc<Process>) {
    let body = body.replace('\n', "\n        ");
    let mut spec = bench.spec(&format!("class Deployment:\n    def request(self, data):\n        {body}\n"));
    spec.egress = egress;
    let mut instance = bench.start(spec).await;
    let process = instance.ready();
    (instance, process)
}

/// What an instance of this network reaches.
async fn reached(bench: &Bench, egress: Option<Egress>) -> Value {
    let (mut instance, process) = trying(bench, egress).await;
    instance.ask(&process, 1, &places(&[])).unwrap()
}

/// Figures to look at, with `--no-capture`, beside those of `speed`: what a network of its own costs.
#[test]
fn a_cold_start_with_each_network() {
    if !is_here("network::a_cold_start_with_each_network") {
        return;
    }
    block_on(async {
        for mode in [NetworkMode::All, NetworkMode::None, NetworkMode::Filtered] {
            println!("instance_egress {}", mode.as_str());
            crate::speed::cold_starts(bench(Some(mode), |_| ())).await;
        }
    });
}

/// What those who cannot have it are told.
pub fn is_refused() {
    let bench = Bench::with(|settings| settings.egress = Some(NetworkMode::Filtered));
    let refused = bench.runner.reach().of(None).unwrap_err();
    assert!(refused.contains("instance_egress is filtered, and this host does not offer it"), "{refused}");
}

const REFUSED: &str = "Connection refused";

#[test]
fn the_internet_is_reached_and_nothing_private_unless_it_is_opened() {
    if !is_here("network::the_internet_is_reached_and_nothing_private_unless_it_is_opened") {
        return;
    }
    block_on(async {
        world::host_listens();
        let bench = bench(None, |_| ());
        assert_eq!(bench.runner.reach().mode, NetworkMode::Filtered, "{:?}", bench.runner.walls().list);
        let closed = json!({
            "internet": "the world",
            "by name": "the world",
            "names": "the names",
            "private": REFUSED,
            "neighbour": REFUSED,
            "host": REFUSED,
            "platform": "the platform",
            "metadata 0": REFUSED,
            "metadata 1": REFUSED,
            "metadata 2": REFUSED,
        });
        assert_eq!(reached(&bench, None).await, closed);
        assert_eq!(reached(&bench, Some(Egress::Public)).await, closed);
        let mut open = closed;
        open["private"] = json!("the world");
        open["neighbour"] = json!("the world");
        assert_eq!(reached(&bench, Some(Egress::Open)).await, open);
        bench.close().await;
    });
}

/// What an instance says that reaches nothing but the platform.
fn nothing_but_the_platform(reached: &Value) {
    for (place, said) in reached.as_object().unwrap() {
        match place.as_str() {
            "platform" => assert_eq!(said, "the platform"),
            "by name" => assert_ne!(said, "the world"),
            "names" => assert_eq!(said, REFUSED),
            _ => assert_eq!(said, "Network is unreachable", "{place}"),
        }
    }
}

#[test]
fn a_project_may_reach_nothing_but_the_platform() {
    if is_here("network::a_project_may_reach_nothing_but_the_platform") {
        block_on(async {
            let bench = bench(Some(NetworkMode::Filtered), |_| ());
            nothing_but_the_platform(&reached(&bench, Some(Egress::None)).await);
            bench.close().await;
        });
    }
}

#[test]
fn so_may_all_of_a_server() {
    if is_here("network::so_may_all_of_a_server") {
        block_on(async {
            let bench = bench(Some(NetworkMode::None), |_| ());
            nothing_but_the_platform(&reached(&bench, None).await);
            let refused = bench.runner.reach().of(Some(Egress::Public)).unwrap_err();
            assert!(refused.contains("instance_egress is none"), "{refused}");
            bench.close().await;
        });
    }
}

#[test]
fn an_ordinary_user_has_all_or_nothing() {
    let name = "network::an_ordinary_user_has_all_or_nothing";
    if !is_here_as(name, Some(54_321)) {
        return;
    }
    block_on(async {
        let usual = bench(None, |_| ());
        assert_eq!(usual.runner.reach().mode, NetworkMode::All);
        let offered = |name: &str| usual.runner.walls().list.iter().any(|wall| wall.name == name && wall.offered);
        let own = usual.runner.walls().level >= 2 && offered("network namespace");
        let listener = tokio::net::TcpListener::bind(PLATFORM).await.unwrap();
        drop(listener);
        let all = reached(&usual, None).await;
        assert_eq!((&all["internet"], &all["private"]), (&json!("the world"), &json!("the world")));
        if own {
            nothing_but_the_platform(&reached(&usual, Some(Egress::None)).await);
        }
        let refused = usual.runner.reach().of(Some(Egress::Public)).unwrap_err();
        assert!(refused.contains("the server is not root"), "{refused}");
        usual.close().await;
        is_refused();
        if own {
            let none = bench(Some(NetworkMode::None), |_| ());
            nothing_but_the_platform(&reached(&none, None).await);
            none.close().await;
        }
    });
}

#[test]
fn instances_do_not_reach_each_other() {
    if !is_here("network::instances_do_not_reach_each_other") {
        return;
    }
    block_on(async {
        let bench = bench(Some(NetworkMode::Filtered), |_| ());
        let (mut other, process) = running(&bench, Some(Egress::Open), world::LISTEN).await;
        let address = other.ask(&process, 1, "").unwrap();
        let place = (address.as_str().unwrap().parse::<std::net::IpAddr>().unwrap(), 7000).into();
        for egress in [Egress::Public, Egress::Open] {
            let (mut instance, process) = trying(&bench, Some(egress)).await;
            let said = instance.ask(&process, 1, &places(&[("other", place)])).unwrap();
            assert_eq!(said["other"], REFUSED, "{said}");
        }
        // Nor does the world reach them, though the host would forward to them.
        use std::io::Read;
        let mut said = String::new();
        std::net::TcpStream::connect(place).unwrap().read_to_string(&mut said).unwrap_or_default();
        assert!(said.starts_with("the other"), "the host reaches what it runs: {said}");
        bench.close().await;
    });
}

#[test]
fn builds_get_no_credentials_of_the_host() {
    if !is_here("network::builds_get_no_credentials_of_the_host") {
        return;
    }
    block_on(async {
        let bench = bench(Some(NetworkMode::Filtered), |_| ());
        let reached = |uid: u32, address: std::net::Ipv4Addr| {
            let connect = move || {
                // SAFETY: takes numbers only, and changes the user of this thread alone.
                assert_eq!(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) }, 0);
                std::net::TcpStream::connect((address, world::PORT)).map(drop).map_err(|e| e.kind())
            };
            std::thread::spawn(connect).join().unwrap()
        };
        let builder = BuildUser::default().uid;
        for address in world::METADATA {
            assert_eq!(reached(builder, address), Err(std::io::ErrorKind::ConnectionRefused), "{address}");
            assert_eq!(reached(0, address), Ok(()), "{address}");
        }
        assert_eq!(reached(builder, world::INTERNET), Ok(()));
        bench.close().await;
    });
}

#[test]
fn there_is_no_way_around() {
    if !is_here("network::there_is_no_way_around") {
        return;
    }
    block_on(async {
        let bench = bench(Some(NetworkMode::Filtered), |_| ());
        let body = "import socket
def sent(place):
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as it: it.connect(place)
        return 'connected'
    except OSError as e: return e.strerror
return {
    'version 6': sent(('2001:4860:4860::8888', 53)),
    'interfaces': [name for _, name in socket.if_nameindex()],
    'abstract': sorted(line.split()[-1] for line in open('/proc/net/unix') if '@modelyard' in line),
}";
        for egress in Egress::ALL {
            let (mut instance, process) = running(&bench, Some(egress), body).await;
            let seen = instance.ask(&process, 1, "").unwrap();
            let link = if egress == Egress::None { json!(["lo"]) } else { json!(["lo", "eth0"]) };
            assert_eq!(
                seen,
                json!({
                    "version 6": seen["version 6"],
                    "interfaces": link,
                    "abstract": [],
                })
            );
            assert_ne!(seen["version 6"], "connected");
        }
        bench.close().await;
    });
}

#[test]
fn a_server_that_listens_at_an_address_of_the_host_is_found_there() {
    if is_here("network::a_server_that_listens_at_an_address_of_the_host_is_found_there") {
        block_on(async {
            world::host_listens();
            let at = (HOST, PLATFORM.port()).into();
            let bench = bench(Some(NetworkMode::Filtered), |settings| settings.platform = Some(at));
            for egress in Egress::ALL {
                let (mut instance, process) = trying(&bench, Some(egress)).await;
                let said = instance.ask(&process, 1, &places(&[("server", at)])).unwrap();
                assert_eq!((&said["server"], &said["host"]), (&json!("the platform"), &json!(REFUSED)));
            }
            bench.close().await;
        });
    }
}
