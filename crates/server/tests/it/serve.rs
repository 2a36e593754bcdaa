//! `modelyard serve`: the first start, one server a folder, and every way to end.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;

use nix::sys::signal::Signal;

use crate::program::{Server, modelyard, names, refusal, until};

#[tokio::test]
async fn the_first_start_says_where_everything_is_and_the_token_works() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::of(folder.path());
    let data = folder.path().join("data");

    for path in ["key", "admin-token"] {
        let file = data.join(path);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        until("the places are told", || server.log().contains(&file.display().to_string()));
    }
    until("the walls are told", || server.log().contains("walls          level "));
    let token = fs::read_to_string(data.join("admin-token")).unwrap();
    assert!(!server.log().contains(token.trim()));
    let user = reqwest::Client::new()
        .get(format!("http://{}/v2.1/user", server.address))
        .header("authorization", format!("Token {}", token.trim()))
        .send()
        .await
        .unwrap();
    assert_eq!(user.status(), 200);
    assert!(user.text().await.unwrap().contains("admin@modelyard.local"));
    assert_eq!(server.get("/v2.1/user").await.0, 401);

    server.signal(Signal::SIGTERM);
    assert_eq!(server.ended().code(), Some(0));
}

#[tokio::test]
async fn both_prefixes_and_what_stands_beside_them_answer() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::of(folder.path());

    for path in ["/v2/status", "/v2.1/status", "/healthz", "/readyz", "/metrics", "/openapi.json", "/docs/"] {
        assert_eq!(server.get(path).await.0, 200, "{path}");
    }
    assert_eq!(server.get("/v2.1/status").await.1, r#"{"status":"ok"}"#);
    let (_, metrics) = server.get("/metrics").await;
    for name in ["process_resident_memory_bytes", "modelyard_http_requests_total"] {
        assert!(metrics.contains(name), "{metrics}");
    }
    assert_eq!(server.get("/v3/status").await.0, 404);
}

#[test]
fn a_folder_is_served_by_one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::of(folder.path());

    let said = refusal(&mut modelyard(folder.path(), &["serve", "--data", "data", "--listen", "127.0.0.1:0"]));

    assert!(
        said.starts_with(&format!("modelyard: Another server (process {}) uses the data folder ", server.pid())),
        "{said}"
    );
}

#[test]
fn an_address_that_is_taken_is_told_and_no_installation_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();

    let said = refusal(&mut modelyard(folder.path(), &["serve", "--data", "data", "--listen", &address]));

    assert!(said.starts_with(&format!("modelyard: The address {address} cannot be listened on")), "{said}");
    assert_eq!(names(&folder.path().join("data")).unwrap(), ["lock"]);
}

#[test]
fn without_its_key_an_installation_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::of(folder.path());
    server.signal(Signal::SIGTERM);
    server.ended();
    let key = folder.path().join("data/key");
    let kept = fs::read(&key).unwrap();
    let serve = || modelyard(folder.path(), &["serve", "--data", "data", "--listen", "127.0.0.1:0"]);

    fs::remove_file(&key).unwrap();
    assert!(refusal(&mut serve()).contains("is missing, but the database belongs to an installation"));
    fs::write(&key, "0".repeat(64)).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(refusal(&mut serve()).contains("is not the one of the installation"));
    fs::write(&key, kept).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(refusal(&mut serve()).contains("chmod 600"));
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    Server::of(folder.path());
}

#[tokio::test]
async fn after_a_kill_it_starts_again_on_the_same_folder() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::of(folder.path());
    let token = fs::read(folder.path().join("data/admin-token")).unwrap();
    server.signal(Signal::SIGKILL);
    assert_eq!(server.ended().signal(), Some(Signal::SIGKILL as i32));

    let again = Server::of(folder.path());

    assert_eq!(again.get("/readyz").await.0, 200);
    assert_eq!(fs::read(folder.path().join("data/admin-token")).unwrap(), token);
    assert!(!again.log().contains("made now"));
}

#[test]
fn both_signals_end_it_with_success() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let folder = tempfile::tempdir().unwrap();
        let mut server = Server::of(folder.path());
        server.signal(signal);
        assert_eq!(server.ended().code(), Some(0), "{}", server.log());
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::of(folder.path());
    // A request whose body never comes: the server would wait for it as long as the grace time lasts.
    let token = fs::read_to_string(folder.path().join("data/admin-token")).unwrap();
    let head = format!(
        "POST /v2.1/projects HTTP/1.1\r\nhost: x\r\nauthorization: Token {}\r\ncontent-length: 9\r\nexpect: 100-continue\r\n\r\n",
        token.trim()
    );
    let mut slow = TcpStream::connect(server.address).unwrap();
    slow.write_all(head.as_bytes()).unwrap();
    let mut said = [0; 12];
    slow.read_exact(&mut said).unwrap();
    assert_eq!(&said, b"HTTP/1.1 100");
    server.signal(Signal::SIGTERM);
    until("it stops", || server.log().contains("a second signal stops at once"));

    server.signal(Signal::SIGTERM);

    assert_eq!(server.ended().code(), Some(1), "{}", server.log());
}
