//! Names of providers are judged by the addresses they lead to, whenever they are dialled. They are resolved by a server of the test's own,
//! in a network and behind a `resolv.conf` that nobody else sees.

use std::collections::HashMap;
use std::fs;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::sync::{Arc, Mutex};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use super::reach::{PRIVATE, body, own_network};
use super::stand::Stand;
use crate::kit::*;

/// The addresses of names.
type Names = Arc<Mutex<HashMap<String, Vec<Ipv4Addr>>>>;

/// Lets this thread, and all it starts, ask us for names. Needs a network of its own.
fn own_names(names: &Names) {
    const NONE: Option<&str> = None;
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, "nameserver 127.0.0.1\n").unwrap();
    unshare(CloneFlags::CLONE_NEWNS).expect("tests may make namespaces");
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE).unwrap();
    mount(Some(file.path()), "/etc/resolv.conf", NONE, MsFlags::MS_BIND, NONE).unwrap();
    let (socket, names) = (UdpSocket::bind(("127.0.0.1", 53)).unwrap(), names.clone());
    std::thread::spawn(move || {
        let mut question = [0; 512];
        while let Ok((size, from)) = socket.recv_from(&mut question) {
            let _ = socket.send_to(&answer(&question[..size], &names), from);
        }
    });
}

/// The answer to a question of one name: its addresses of version 4.
fn answer(question: &[u8], names: &Names) -> Vec<u8> {
    let (mut at, mut labels) = (12, Vec::new());
    while question[at] != 0 {
        let end = at + 1 + usize::from(question[at]);
        labels.push(String::from_utf8_lossy(&question[at + 1..end]).to_lowercase());
        at = end;
    }
    let is_version_4 = question[at + 1..at + 3] == [0, 1];
    let found = names.lock().unwrap().get(&labels.join(".")).cloned();
    let code = if found.is_some() { 0 } else { 3 };
    let found: Vec<_> = found.into_iter().flatten().filter(|_| is_version_4).collect();
    let mut answer = [&question[..2], &[0x81, 0x80 | code, 0, 1, 0, found.len() as u8, 0, 0, 0, 0]].concat();
    answer.extend(&question[12..at + 5]);
    for address in found {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
        answer.extend(address.octets());
    }
    answer
}

#[test]
fn a_name_that_leads_into_a_closed_network_is_refused_whenever_it_does() {
    let names = Names::default();
    let lead = |name: &str, addresses: &[&str]| {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        names.lock().unwrap().insert(name.to_owned(), addresses);
    };
    own_network();
    own_names(&names);
    run(Database::Sqlite, async |mut server| {
        let listener = TcpListener::bind((PRIVATE, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let project = server.project("demo").await;
        let told = async |host: &str| project.post("/buckets", body("b", &format!("http://{host}:{port}"))).await;
        for (name, address) in [
            ("store.example.com", PRIVATE),
            ("loopback.example.com", "127.0.0.1"),
            ("metadata.example.com", "169.254.169.254"),
        ] {
            lead(name, &[address]);
            let told = told(name).await;
            let why = format!(
                "The bucket cannot be used: {name}:{port} has the address {address}, which is in a network that this \
                 installation does not reach; its operator can allow"
            );
            assert!(told.status == 400 && told.error().starts_with(&why), "{told}");
        }
        // Of several addresses the open ones are dialled alone; from here they lead nowhere.
        lead("both.example.com", &[PRIVATE, "8.8.8.8"]);
        let both = told("both.example.com").await;
        assert!(both.status == 400 && both.error().contains(" cannot be reached: "), "{both}");
        assert!(told("missing.example.com").await.error().contains(" cannot be reached: "));
        assert!(listener.accept().is_err(), "nobody has knocked");

        // A name may lead elsewhere later.
        let stand = Stand::s3().await;
        server.restart(&[("BUCKET_NETWORKS", "127.0.0.1")]).await;
        lead("store.example.com", &["127.0.0.1"]);
        let Stand::S3(store) = &stand else { unreachable!() };
        let endpoint = store.url().replace("127.0.0.1", "store.example.com");
        server.post("/projects/demo/buckets", body("files", &endpoint)).await.fine();
        let bucket = server.at("/projects/demo/buckets/files");
        store.put("f", b"x");
        assert_eq!(bucket.get(&bucket.file("f")).await.fine()["size"], 1);
        lead("store.example.com", &[PRIVATE]);
        server.restart(&[("BUCKET_NETWORKS", "127.0.0.1")]).await;
        let bucket = server.at("/projects/demo/buckets/files");
        let new = json!({ "credentials": stand.credentials() });
        for told in [bucket.get("/files").await, bucket.get(&bucket.file("f")).await, bucket.patch("", new).await] {
            let why = "has the address 10.77.0.1, which is in a network that this installation does not reach";
            assert!(told.status == 400 && told.error().contains(why), "{told}");
        }
    });
}
