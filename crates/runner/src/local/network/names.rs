//! Names for instances: what an instance asks goes to the servers of the host, which may be where the instance cannot reach.
//!
//! Queries are passed on as they are. An instance has so many under way at a time; what is above is dropped, as a network may.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Queries under way for an instance.
const QUERIES: usize = 64;
/// Connections of an instance to its resolver.
const CONNECTIONS: usize = 8;
/// The largest query or answer outside of a connection.
const LARGEST: usize = 16 << 10;
/// How long a server may take before the next one is asked.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a connection may last.
const LONGEST: Duration = Duration::from_secs(10);
/// After this pause queries are taken again when one could not be.
const PAUSE: Duration = Duration::from_millis(100);
/// How many servers are asked, as C libraries do.
const SERVERS: usize = 3;

const FILE: &str = "/etc/resolv.conf";

/// The `resolv.conf` of an instance: our address, and what else the host's says.
pub(super) fn configuration(resolver: IpAddr) -> String {
    configured(resolver, &std::fs::read_to_string(FILE).unwrap_or_default())
}

fn configured(resolver: IpAddr, host: &str) -> String {
    let mut text = format!("nameserver {resolver}\n");
    for line in host.lines().filter(|line| ["search", "domain", "options"].iter().any(|word| first_is(line, word))) {
        text += line;
        text.push('\n');
    }
    text
}

fn first_is(line: &str, word: &str) -> bool {
    line.split_whitespace().next() == Some(word)
}

/// The host's servers as they are now.
fn servers(text: &str) -> Vec<SocketAddr> {
    let addresses = text.lines().filter(|line| first_is(line, "nameserver"));
    let addresses = addresses.filter_map(|line| line.split_whitespace().nth(1)?.parse::<IpAddr>().ok());
    let mut found: Vec<_> = addresses.take(SERVERS).map(|address| SocketAddr::new(address, 53)).collect();
    if found.is_empty() {
        // So do C libraries.
        found.push(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 53));
    }
    found
}

async fn current() -> Vec<SocketAddr> {
    servers(&tokio::fs::read_to_string(FILE).await.unwrap_or_default())
}

/// Answers queries for as long as it is let.
pub(super) async fn answer(socket: UdpSocket) {
    let (socket, room, mut under_way) = (Arc::new(socket), Arc::new(Semaphore::new(QUERIES)), JoinSet::new());
    let mut buffer = vec![0; LARGEST];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        while under_way.try_join_next().is_some() {}
        let Ok(place) = room.clone().try_acquire_owned() else { continue };
        let (socket, query) = (socket.clone(), buffer[..length].to_vec());
        under_way.spawn(async move {
            if let Some(found) = resolve(&query).await {
                let _ = socket.send_to(&found, from).await;
            }
            drop(place);
        });
    }
}

/// Asks the servers in their order; nothing when none answers.
async fn resolve(query: &[u8]) -> Option<Vec<u8>> {
    for server in current().await {
        if let Ok(Ok(found)) = timeout(PATIENCE, ask(server, query)).await {
            return Some(found);
        }
    }
    None
}

async fn ask(server: SocketAddr, query: &[u8]) -> std::io::Result<Vec<u8>> {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(query).await?;
    let mut answer = vec![0; LARGEST];
    loop {
        let length = socket.recv(&mut answer).await?;
        // An answer bears the number of its query.
        if answer[..length].get(..2) == query.get(..2) {
            answer.truncate(length);
            return Ok(answer);
        }
    }
}

/// Passes connections on for as long as it is let.
pub(super) async fn connect(listener: TcpListener) {
    let (room, mut open) = (Arc::new(Semaphore::new(CONNECTIONS)), JoinSet::new());
    loop {
        let Ok(place) = room.clone().acquire_owned().await else { return };
        while open.try_join_next().is_some() {}
        let Ok((mut inside, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        open.spawn(async move {
            let passed = async {
                for server in current().await {
                    if let Ok(Ok(mut outside)) = timeout(PATIENCE, TcpStream::connect(server)).await {
                        let _ = copy_bidirectional(&mut inside, &mut outside).await;
                        return;
                    }
                }
            };
            let _ = timeout(LONGEST, passed).await;
            drop(place);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "# comment\nnameserver 10.0.0.2\nsearch example.org\noptions ndots:2\nnameserver fe80::1%eth0\n\
                        nameserver ::1\nsortlist 10.0.0.0\n";

    #[test]
    fn an_instance_asks_us_and_searches_as_the_host_does() {
        let text = configured(Ipv4Addr::new(127, 0, 0, 53).into(), HOST);
        assert_eq!(text, "nameserver 127.0.0.53\nsearch example.org\noptions ndots:2\n");
    }

    #[test]
    fn the_hosts_servers_are_asked_in_their_order() {
        let found: Vec<String> = servers(HOST).iter().map(SocketAddr::to_string).collect();
        assert_eq!(found, ["10.0.0.2:53", "[::1]:53"]);
        assert_eq!(servers("").len(), 1);
    }
}
