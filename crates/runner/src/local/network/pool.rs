//! The addresses of instances: a block that nothing on this host uses, and no other installation.

use std::fs;
use std::net::Ipv4Addr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use nix::ifaddrs::getifaddrs;
use nix::sys::socket::SockaddrIn;
use sha2::{Digest, Sha256};

use super::block::Block;
use super::rules::LINKS;

/// Addresses that are free for such a use, and closed to all but their host. Eight in ten hosts use none of them.
const USUAL: Block = Block::new(Ipv4Addr::new(100, 64, 0, 0), 10);
/// How large a block is taken from there: 2,048 instances at a time.
const BITS: u8 = 20;
/// What the names of claims begin with.
const CLAIM: &str = "modelyard-instances-";

/// A block that is ours for as long as this lives.
///
/// The claim is the name of a socket without a file: such names are the network namespace's own, one bears it at a time, and
/// it is free again when its bearer is gone, however that came.
#[derive(Debug)]
pub(super) struct Pool {
    pub block: Block,
    _claim: UnixListener,
}

impl Pool {
    /// Takes the block that is wished for, or one that is free. The error is a part of a sentence.
    pub(super) fn take(installation: &str, wish: Option<Block>) -> Result<Self, String> {
        let used = used();
        if let Some(block) = wish {
            if block.size() < 2 {
                return Err(format!("instance_network {block} has no room for an instance"));
            }
            return match used.iter().find(|(_, other)| other.overlaps(block)) {
                Some((who, other)) => Err(format!("instance_network {block} is in use: {who} has {other}")),
                None => Self::claim(block).ok_or_else(|| format!("instance_network {block} is in use")),
            };
        }
        for block in candidates(installation) {
            if used.iter().all(|(_, other)| !other.overlaps(block))
                && let Some(pool) = Self::claim(block)
            {
                return Ok(pool);
            }
        }
        Err(format!("no block of {USUAL} is free; set instance_network"))
    }

    fn claim(block: Block) -> Option<Self> {
        let address = SocketAddr::from_abstract_name(format!("{CLAIM}{block}")).ok()?;
        Some(Self { block, _claim: UnixListener::bind_addr(&address).ok()? })
    }
}

/// All blocks there are, from one on that differs between installations.
fn candidates(installation: &str) -> impl Iterator<Item = Block> {
    let count = 1u32 << (BITS - USUAL.bits());
    let start = Sha256::digest(installation).first_chunk::<4>().map_or(0, |bytes| u32::from_be_bytes(*bytes)) % count;
    (0..count).filter_map(move |step| {
        let number = u64::from((start + step) % count) << (32 - BITS);
        USUAL.address(number).map(|first| Block::new(first, BITS))
    })
}

/// The blocks in use on this host, and by what: its interfaces, its routes, other installations.
fn used() -> Vec<(String, Block)> {
    let mut used: Vec<_> =
        interfaces().into_iter().map(|(name, block)| (format!("the interface {name}"), block)).collect();
    used.extend(routes().into_iter().map(|block| ("a route of this host".into(), block)));
    used.extend(claims().into_iter().map(|block| ("another installation".into(), block)));
    used
}

/// The networks of this host's interfaces, those of instances left out.
pub(super) fn interfaces() -> Vec<(String, Block)> {
    let version_4 = |address: Option<nix::sys::socket::SockaddrStorage>| -> Option<Ipv4Addr> {
        address?.as_sockaddr_in().map(SockaddrIn::ip)
    };
    let mut found = Vec::new();
    for interface in getifaddrs().into_iter().flatten() {
        let (address, mask) = (version_4(interface.address), version_4(interface.netmask));
        if let (Some(address), Some(mask), false) = (address, mask, interface.interface_name.starts_with(LINKS)) {
            let bits = u8::try_from(mask.to_bits().leading_ones()).unwrap_or(32);
            found.push((interface.interface_name, Block::new(address, bits)));
        }
    }
    found
}

/// Where this host has ways to, the default way left out.
fn routes() -> Vec<Block> {
    let text = fs::read_to_string("/proc/net/route").unwrap_or_default();
    let block = |line: &str| {
        let mut fields = line.split_whitespace();
        let interface = fields.next().filter(|name| !name.starts_with(LINKS));
        interface?;
        let address = |field: &str| Some(Ipv4Addr::from(u32::from_str_radix(field, 16).ok()?.to_ne_bytes()));
        let (first, mask) = (address(fields.next()?)?, address(fields.nth(5)?)?);
        let bits = u8::try_from(mask.to_bits().leading_ones()).ok().filter(|bits| *bits > 0)?;
        Some(Block::new(first, bits))
    };
    text.lines().skip(1).filter_map(block).collect()
}

/// What other servers have claimed.
fn claims() -> Vec<Block> {
    let text = fs::read_to_string("/proc/net/unix").unwrap_or_default();
    let names = text.lines().filter_map(|line| line.split_whitespace().last()?.strip_prefix('@')?.strip_prefix(CLAIM));
    names.filter_map(|block| block.parse().ok()).collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn two_servers_never_have_the_same_block() {
        let one = Pool::take("pool-test-of-blocks", None).unwrap();
        let two = Pool::take("pool-test-of-blocks", None).unwrap();
        assert!(!one.block.overlaps(two.block));
        let refused = Pool::take("whoever", Some(one.block)).unwrap_err();
        assert!(refused.contains("another installation has"), "{refused}");
        let again = one.block;
        drop(one);
        assert_eq!(Pool::take("whoever", Some(again)).unwrap().block, again);
    }

    #[test]
    fn a_block_that_the_host_uses_is_refused() {
        let refused = Pool::take("whoever", Some("127.0.0.0/16".parse().unwrap())).unwrap_err();
        assert!(refused.contains("the interface lo has 127.0.0.0/8"), "{refused}");
        let refused = Pool::take("whoever", Some("100.64.0.0/32".parse().unwrap())).unwrap_err();
        assert!(refused.contains("no room"), "{refused}");
    }
}
