//! Whoever names a provider's address does not get our server to look around in its operator's network.

use std::net::TcpListener;

use modelyard_runner::netlink::{LOOPBACK, Routing};
use modelyard_testkit::stores::S3Server;
use nix::sched::{CloneFlags, unshare};

use crate::kit::*;

/// An address of the host's own network, in a world of this test's own.
pub const PRIVATE: &str = "10.77.0.1";

/// A bucket at an endpoint.
pub fn body(name: &str, endpoint: &str) -> Value {
    json!({
        "name": name,
        "provider": "amazon_s3",
        "credentials": { "access_key": S3Server::ACCESS_KEY, "secret_key": S3Server::SECRET_KEY },
        "configuration": { "bucket": S3Server::BUCKET, "endpoint_url": endpoint },
    })
}

/// Puts this thread, and all it starts, into a network of its own, with an address that looks private.
pub fn own_network() {
    unshare(CloneFlags::CLONE_NEWNET).expect("tests may make namespaces");
    let mut routing = Routing::open().expect("the kernel answers");
    routing.bring_up(LOOPBACK).expect("the loopback comes up");
    routing.add_address(LOOPBACK, PRIVATE.parse().expect("an address"), 24).expect("it takes an address");
}

#[test]
fn the_hosts_own_network_is_reached_only_where_its_operator_allows_it() {
    own_network();
    run(Database::Sqlite, async |mut server| {
        let listener = TcpListener::bind((PRIVATE, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let project = server.project("demo").await;
        for host in [
            PRIVATE,
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f.1",
            "0177.0.0.1",
            "localhost",
            "LOCALHOST",
            "[::1]",
            "[::ffff:10.77.0.1]",
            "0",
            "169.254.169.254",
            "[fd00:ec2::254]",
            "172.16.0.1",
            "192.168.0.1",
            "100.64.0.1",
            "[fe80::1]",
        ] {
            let told = project.post("/buckets", body("b", &format!("http://{host}:{port}"))).await;
            assert_eq!(told.status, 400, "{host}: {told}");
            assert!(
                told.error()
                    .contains("which is in a network that this installation does not reach; its operator can allow"),
                "{host}: {told}"
            );
        }
        assert!(listener.accept().is_err(), "nobody has knocked");

        server.restart(&[("BUCKET_NETWORKS", "10.77.0.0/16")]).await;
        let project = server.at("/projects/demo");
        let told = project.post("/buckets", body("b", &format!("http://127.0.0.1:{port}"))).await;
        assert!(told.error().contains("does not reach"), "{told}");
        let knocking = tokio::spawn({
            let project = project.clone();
            async move { project.post("/buckets", body("b", &format!("http://{PRIVATE}:{port}"))).await }
        });
        until("it has knocked where it may", async || listener.accept().is_ok()).await;
        knocking.abort();
    });
}

both! {
    async fn endpoints_that_make_no_sense_are_refused(server) {
        let project = server.project("demo").await;
        for endpoint in ["", "ftp://x", "http://", "http://u:p@example.com", "http://x/?a", "file:///etc/passwd", "http://a b"] {
            let told = project.post("/buckets", body("b", endpoint)).await;
            assert_eq!(told.status, 400, "{endpoint}: {told}");
        }
        let told = project.post("/buckets", body("b", "http://store.invalid")).await;
        assert!(told.status == 400 && told.error().starts_with("The bucket cannot be used: store.invalid cannot be reached: "), "{told}");
    }
}
