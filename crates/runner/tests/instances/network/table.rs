//! What stops attacks through the network, by `instance_egress` and a project's choice: seen in one world, and written down in
//! the documentation.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use modelyard_runner::walls::NetworkMode;
use modelyard_types::network::Egress;
use serde_json::{Value, json};

use super::world::{self, is_here, places};
use super::{bench, block_on, running, trying};
use crate::table::is_documented;

/// What stands before and after the table.
const MARKS: [&str; 2] =
    ["<!-- the table of networks: written by a test -->\n", "<!-- end of the table of networks -->\n"];

/// The networks that an instance can have.
const COLUMNS: [(&str, NetworkMode, Option<Egress>); 4] = [
    ("`filtered`: public", NetworkMode::Filtered, Some(Egress::Public)),
    ("`filtered`: open", NetworkMode::Filtered, Some(Egress::Open)),
    ("`none`", NetworkMode::None, None),
    ("`all`", NetworkMode::All, None),
];

/// Attacks, and what is asked for: each must end alike.
const ROWS: [(&str, &[&str]); 7] = [
    ("reach a private network", &["private"]),
    ("reach the host's neighbours in its own network", &["neighbour"]),
    ("ask a metadata address for the host's credentials", &["metadata 0", "metadata 1", "metadata 2"]),
    ("reach a port of the host", &["host"]),
    ("reach another instance", &["other"]),
    ("send packets of its own making", &["raw", "packet"]),
    ("take another address than its own", &["another address"]),
];

const OWN_PACKETS: &str = "import socket
def made(*kind):
    try:
        socket.socket(*kind).close()
        return 'made'
    except OSError as e: return e.strerror
def bound(place):
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as it: it.bind(place)
        return 'bound'
    except OSError as e: return e.strerror
return {
    'raw': made(socket.AF_INET, socket.SOCK_RAW, 1),
    'packet': made(socket.AF_PACKET, socket.SOCK_RAW, 0x300),
    'another address': bound(('10.1.2.3', 5000)),
}";

/// What an instance of this network sees of all attacks. `other` is where another one listens, unless it can tell itself.
async fn seen(mode: NetworkMode, egress: Option<Egress>, other: &mut Option<SocketAddr>) -> BTreeMap<String, Value> {
    let bench = bench(Some(mode), |_| ());
    let (mut neighbour, process) = running(&bench, egress, world::LISTEN).await;
    if let Ok(address) = neighbour.ask(&process, 1, "") {
        let address: std::net::IpAddr = address.as_str().unwrap().parse().unwrap();
        *other = Some((address, 7000).into());
    }
    let (mut instance, process) = trying(&bench, egress).await;
    let mut seen = instance.ask(&process, 1, &places(&[("other", other.unwrap())])).unwrap();
    let (mut instance, process) = running(&bench, egress, OWN_PACKETS).await;
    let packets = instance.ask(&process, 1, "").unwrap();
    seen.as_object_mut().unwrap().extend(packets.as_object().unwrap().clone());
    bench.close().await;
    serde_json::from_value(seen).unwrap()
}

/// A cell of the table.
fn cell(seen: &Value, chosen: bool) -> &'static str {
    match seen.as_str().unwrap() {
        "Connection refused" => "refused",
        "Network is unreachable" => "unreachable",
        "Operation not permitted" => "not permitted",
        "Cannot assign requested address" => "no such address",
        "the world" | "the host" | "the other" if chosen => "**open by choice**",
        "the world" | "the host" | "the other" => "**not stopped**",
        other => panic!("neither stopped nor through: {other}"),
    }
}

#[test]
fn each_network_keeps_what_the_documentation_says() {
    if !is_here("network::table::each_network_keeps_what_the_documentation_says") {
        return;
    }
    block_on(async {
        world::host_listens();
        let mut other = None;
        let mut columns = Vec::new();
        for (_, mode, egress) in COLUMNS {
            columns.push((egress == Some(Egress::Open), seen(mode, egress, &mut other).await));
        }
        let heads: Vec<&str> = COLUMNS.iter().map(|(name, ..)| *name).collect();
        let mut table = format!("| attack | {} |\n|---|{}\n", heads.join(" | "), "---|".repeat(heads.len()));
        for (name, asked) in ROWS {
            let cells = columns.iter().map(|(chosen, seen)| {
                let mut each = asked.iter().map(|asked| cell(&seen[*asked], *chosen));
                let first = each.next().unwrap();
                assert!(each.all(|one| one == first), "{name}: {}", json!(seen));
                first
            });
            table += &format!("| {name} | {} |\n", cells.collect::<Vec<_>>().join(" | "));
        }
        let closed = table.lines().filter(|line| line.contains("| refused | refused | unreachable |")).count();
        assert_eq!(closed, 3, "credentials, the host and other instances are never reached: {table}");
        is_documented(MARKS, &table);
    });
}
