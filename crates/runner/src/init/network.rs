//! The network of an instance: a namespace of its own, a link to the host when it may reach anything, and sockets that listen
//! inside for the server.

use std::fs::{self, File};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};

use nix::sched::{CloneFlags, unshare};

use super::orders::{Link, Network};
use crate::netlink::{INSIDE, LOOPBACK, Routing};

/// What the workers' end of the link is called.
const NAME: &str = "eth0";

/// Enters the network of the instance. What is given listens inside and is the server's: where it itself is to be found, and,
/// if names can be resolved, the two sockets for that.
pub(super) fn enter(network: &Network) -> Result<Vec<OwnedFd>, String> {
    let host = match &network.link {
        Some(_) => Some(Routing::open().map_err(|e| format!("the host's network cannot be asked: {e}"))?),
        None => None,
    };
    unshare(CloneFlags::CLONE_NEWNET).map_err(|e| format!("no network namespace: {e}"))?;
    let mut own = Routing::open().map_err(|e| format!("its own network cannot be asked: {e}"))?;
    own.bring_up(LOOPBACK).map_err(|e| format!("the loopback interface: {e}"))?;
    if let (Some(mut host), Some(link)) = (host, &network.link) {
        connect(&mut host, &mut own, link).map_err(|e| format!("the link {} to the host: {e}", link.name))?;
    }
    let mut sockets = Vec::new();
    if let Some(platform) = network.platform {
        let listener =
            platform_at(&mut own, platform).map_err(|e| format!("the platform's address {platform}: {e}"))?;
        sockets.push(listener);
    }
    if let Some(names) = network.names {
        sockets.extend(resolver(names).map_err(|e| format!("the resolver's address {names}: {e}"))?);
    }
    Ok(sockets)
}

/// Joins the namespace we are in to the host's.
fn connect(host: &mut Routing, own: &mut Routing, link: &Link) -> io::Result<()> {
    no_version_6();
    let namespace = File::open("/proc/self/ns/net")?;
    if let Err(e) = host.link_into(&link.name, NAME, namespace.as_fd()) {
        if e.raw_os_error() != Some(libc::EEXIST) {
            return Err(e);
        }
        // Of an instance that is gone, and whose namespace the kernel has yet to clear.
        host.remove(&link.name)?;
        host.link_into(&link.name, NAME, namespace.as_fd())?;
    }
    let index = host.index(&link.name)?;
    host.add_address(index, IpAddr::V4(link.host), 31)?;
    host.bring_up(index)?;
    own.add_address(INSIDE, IpAddr::V4(link.inside), 31)?;
    own.bring_up(INSIDE)?;
    own.add_default_route(link.host)
}

/// Links speak version 4 only. Where this cannot be set the host drops the other version all the same.
fn no_version_6() {
    let _ = fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
}

/// Tried when the host is probed: whether links can be made at all, from a namespace to itself.
pub(super) fn try_a_link() -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    let namespace = File::open("/proc/self/ns/net")?;
    Routing::open()?.link_into("trial", NAME, namespace.as_fd())
}

fn platform_at(own: &mut Routing, platform: SocketAddr) -> io::Result<OwnedFd> {
    let address = platform.ip();
    if !address.is_loopback() {
        own.add_address(LOOPBACK, address, if address.is_ipv4() { 32 } else { 128 })?;
    }
    Ok(TcpListener::bind(platform)?.into())
}

fn resolver(names: SocketAddr) -> io::Result<[OwnedFd; 2]> {
    Ok([UdpSocket::bind(names)?.into(), TcpListener::bind(names)?.into()])
}
