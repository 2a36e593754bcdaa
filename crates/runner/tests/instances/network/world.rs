//! A small world for a test: a host whose tables are nobody else's, and an internet behind it, each a network namespace.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::thread;

use modelyard_runner::local::Guest;
use modelyard_runner::netlink::{INSIDE, LOOPBACK, Routing};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use tokio::sync::mpsc;

/// Somewhere on the internet.
pub const INTERNET: Ipv4Addr = Ipv4Addr::new(9, 9, 9, 9);
/// In a private network behind the host's router.
pub const PRIVATE: Ipv4Addr = Ipv4Addr::new(10, 9, 9, 9);
/// Where clouds give away credentials, and some others of that kind.
pub const METADATA: [Ipv4Addr; 3] =
    [Ipv4Addr::new(169, 254, 169, 254), Ipv4Addr::new(168, 63, 129, 16), Ipv4Addr::new(100, 100, 100, 200)];
/// In the host's own network, which is a public one here.
pub const NEIGHBOUR: Ipv4Addr = Ipv4Addr::new(93, 184, 216, 1);
/// The host.
pub const HOST: Ipv4Addr = Ipv4Addr::new(93, 184, 216, 2);
/// The host's name server, in a private network.
const NAMES: Ipv4Addr = Ipv4Addr::new(10, 53, 53, 53);
/// Where the server listens.
pub const PLATFORM: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
/// Where everything else listens.
pub const PORT: u16 = 80;

/// Where the programs of root are.
pub const PROGRAMS: &str = "/usr/sbin:/sbin:/usr/local/sbin:/usr/bin:/bin";

/// What part of the world a process is; unset outside.
const PART: &str = "MODELYARD_TEST_WORLD";
/// For a process that a test starts in its world.
pub const INSIDE_IT: (&str, &str) = (PART, "inside");

/// Runs the test of this name again in a world of its own; true when that is done here and now. Where the host offers no
/// rules, or we are not root, it is seen to that they are refused, and that is all.
pub fn is_here(name: &str) -> bool {
    is_here_as(name, None)
}

/// The same as an ordinary user.
pub fn is_here_as(name: &str, uid: Option<u32>) -> bool {
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", name, "--nocapture"]);
    match (std::env::var(PART).as_deref(), uid) {
        (Ok("world"), None) => {
            make();
            return true;
        }
        (Ok("world"), Some(uid)) => {
            make();
            let usual = [("TMPDIR", "/tmp"), ("HOME", "/nonexistent"), ("PATH", "/usr/bin:/bin"), INSIDE_IT];
            again.envs(usual).current_dir("/").uid(uid).gid(uid);
            assert!(again.status().unwrap().success());
        }
        (Ok(_), _) => return true,
        (Err(_), _) if nix::unistd::geteuid().is_root() && has_nft() => in_new_namespaces(again.env(PART, "world")),
        (Err(_), _) => super::is_refused(),
    }
    false
}

fn has_nft() -> bool {
    PROGRAMS.split(':').any(|folder| fs::exists(format!("{folder}/nft")).unwrap())
}

fn in_new_namespaces(test: &mut Command) {
    let folder = tempfile::tempdir().unwrap();
    let resolver = folder.path().join("resolv.conf");
    fs::write(&resolver, format!("nameserver {NAMES}\nsearch example.org\n")).unwrap();
    fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let enter = move || {
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)?;
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?;
        mount(Some(&resolver), "/etc/resolv.conf", None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
        Ok(())
    };
    // SAFETY: system calls on values that were made before the fork.
    unsafe { test.pre_exec(enter) };
    assert!(test.status().unwrap().success());
}

/// Makes the world around the namespace that we are in, which becomes its host.
fn make() {
    let mut host = Routing::open().unwrap();
    host.bring_up(LOOPBACK).unwrap();
    // A namespace lives as long as something in it: here the threads that listen.
    let mut host = thread::spawn(move || internet(host)).join().unwrap();
    let uplink = host.index("uplink").unwrap();
    host.add_address(uplink, HOST.into(), 24).unwrap();
    host.bring_up(uplink).unwrap();
    host.add_default_route(NEIGHBOUR).unwrap();
}

/// Makes this thread and those it starts the internet, joined to the host by the link `uplink`.
fn internet(mut host: Routing) -> Routing {
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    let mut own = Routing::open().unwrap();
    own.bring_up(LOOPBACK).unwrap();
    let namespace = File::open("/proc/thread-self/ns/net").unwrap();
    host.link_into("uplink", "eth0", namespace.as_fd()).unwrap();
    own.add_address(INSIDE, NEIGHBOUR.into(), 24).unwrap();
    own.bring_up(INSIDE).unwrap();
    for address in [INTERNET, PRIVATE, NAMES].into_iter().chain(METADATA) {
        own.add_address(LOOPBACK, address.into(), 32).unwrap();
    }
    let everything = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).unwrap();
    thread::spawn(move || greet(&everything, "the world"));
    let names = UdpSocket::bind((NAMES, 53)).unwrap();
    thread::spawn(move || tell_names(&names));
    let names = TcpListener::bind((NAMES, 53)).unwrap();
    thread::spawn(move || greet(&names, "the names"));
    host
}

/// Says who it is to everybody who connects.
pub fn greet(listener: &TcpListener, who: &str) {
    for stream in listener.incoming() {
        let _ = stream.and_then(|mut stream| stream.write_all(who.as_bytes()));
    }
}

/// Says that every name is of the internet.
fn tell_names(socket: &UdpSocket) {
    let mut query = [0; 512];
    while let Ok((length, from)) = socket.recv_from(&mut query) {
        // The same query, marked as answered with one address; a name is told by where it stands in the query.
        let end = 12 + query[12..length].iter().position(|byte| *byte == 0).unwrap_or(0) + 5;
        let is_address = query[end - 4..end - 2] == [0, 1];
        let mut answer = query[..end].to_vec();
        answer[2..4].copy_from_slice(&[0x81, 0x80]);
        answer[6..12].copy_from_slice(&[0, u8::from(is_address), 0, 0, 0, 0]);
        if is_address {
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
            answer.extend(INTERNET.octets());
        }
        let _ = socket.send_to(&answer, from);
    }
}

/// Who takes connections to the platform, and greets them.
pub fn platform() -> mpsc::Sender<Guest> {
    let (sender, mut guests) = mpsc::channel::<Guest>(1);
    tokio::spawn(async move {
        while let Some(guest) = guests.recv().await {
            let (mut stream, visit) = guest.into_parts();
            tokio::spawn(visit.while_it_lasts(async move {
                use tokio::io::{AsyncReadExt, AsyncWriteExt};
                let _ = stream.write_all(b"the platform").await;
                // Until the other side closes.
                let _ = stream.read(&mut [0]).await;
            }));
        }
    });
    sender
}

/// Programs of the host that listen: everywhere, and at the address of the host.
pub fn host_listens() {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).unwrap();
    thread::spawn(move || greet(&listener, "the host"));
}

/// Python that tries to connect to places: `data` holds a name and an address for each; the answer has what each said.
pub const TRY: &str = "import socket
def tried(place):
    try:
        with socket.create_connection(tuple(place), 20) as connection:
            connection.settimeout(20)
            return connection.recv(100).decode()
    except OSError as e: return e.strerror or type(e).__name__
import json
return {name: tried(place) for name, place in json.loads(data).items()}";

/// Python that listens at port 7000 and tells the address it has, if it has one.
pub const LISTEN: &str = "import socket, threading
listener = socket.create_server(('0.0.0.0', 7000))
def greet():
    while True: listener.accept()[0].sendall(b'the other')
threading.Thread(target=greet, daemon=True).start()
probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
probe.connect(('9.9.9.9', 9))
return probe.getsockname()[0]";

/// The places of this world, for [`TRY`].
pub fn places(others: &[(&str, SocketAddr)]) -> String {
    let mut places: BTreeMap<String, (String, u16)> = BTreeMap::new();
    let mut add = |name: &str, address: &str, port| places.insert(name.to_owned(), (address.to_owned(), port));
    add("internet", &INTERNET.to_string(), PORT);
    add("by name", "www", PORT);
    add("private", &PRIVATE.to_string(), PORT);
    add("neighbour", &NEIGHBOUR.to_string(), PORT);
    add("host", &HOST.to_string(), PORT);
    add("names", "127.0.0.53", 53);
    add("platform", &PLATFORM.ip().to_string(), PLATFORM.port());
    for (number, address) in METADATA.iter().enumerate() {
        add(&format!("metadata {number}"), &address.to_string(), PORT);
    }
    for (name, place) in others {
        add(name, &place.ip().to_string(), place.port());
    }
    serde_json::to_string(&places).unwrap()
}
