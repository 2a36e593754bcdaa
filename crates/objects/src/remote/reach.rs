//! Which addresses may be dialled: those of the public internet, and networks that the operator allows.
//!
//! It is enforced where connections are made, on the addresses themselves: a name that resolves to a private address is refused like
//! the address. Redirects are not followed, and proxies named in the environment are not used, because they would resolve names
//! where we cannot see it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, OnceLock};

use url::Url;

use super::RemoteError;
use super::dial::{self, Client};

/// Which addresses may be dialled, and the connections that are open. Cheap to clone; clones share them.
#[derive(Clone, Default)]
pub struct Reach(Arc<Inner>);

#[derive(Default)]
struct Inner {
    allowed: Vec<(IpAddr, u8)>,
    checked: OnceLock<Client>,
    unchecked: OnceLock<Client>,
}

/// Networks of version 4 that are not the public internet.
const CLOSED: [(Ipv4Addr, u8); 14] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 3),
];

impl Reach {
    /// The public internet alone.
    pub fn public() -> Self {
        Self::default()
    }

    /// The public internet, and these networks: an address and how many of its leading bits count.
    pub fn allowing(networks: Vec<(IpAddr, u8)>) -> Self {
        let allowed = networks.into_iter().map(|(address, bits)| (address.to_canonical(), bits)).collect();
        Self(Arc::new(Inner { allowed, ..Inner::default() }))
    }

    /// All addresses: for a place that the operator names.
    pub fn everywhere() -> Self {
        Self::allowing(vec![(Ipv4Addr::UNSPECIFIED.into(), 0), (Ipv6Addr::UNSPECIFIED.into(), 0)])
    }

    /// Whether an address may be dialled.
    pub fn permits(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.allowed.iter().any(|(network, bits)| within(address, *network, *bits)) || is_public(address)
    }

    /// What makes connections to those addresses; for a place with TLS with a look at certificates, unless that is not wanted.
    pub(super) fn client(&self, place: &Url, check_certificates: bool) -> Result<Client, RemoteError> {
        // Without TLS there is nothing to look at, and no need for the host to have certificates.
        let check_certificates = check_certificates && place.scheme() == "https";
        let kept = if check_certificates { &self.0.checked } else { &self.0.unchecked };
        if let Some(client) = kept.get() {
            return Ok(client.clone());
        }
        // Made without its own connections: a client inside would keep itself alive.
        let rules = Self::allowing(self.0.allowed.clone());
        let client = dial::client(rules, check_certificates)?;
        Ok(kept.get_or_init(|| client).clone())
    }
}

impl fmt::Debug for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reach").field("allowed", &self.0.allowed).finish()
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !CLOSED.iter().any(|(network, bits)| within(address.into(), (*network).into(), *bits)),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// Of version 6 only what is assigned for global use is public; an address that stands for one of version 4 is judged as that.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let closed = |network: Ipv6Addr, bits| within(address.into(), network.into(), bits);
    let [a, b, c, _, _, _, g, h] = address.segments();
    if closed(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96) {
        return is_public(embedded(g, h));
    }
    if a == 0x2002 {
        return is_public(embedded(b, c));
    }
    closed(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3)
        && !closed(Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23)
        && !closed(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32)
        && !closed(Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20)
}

fn embedded(high: u16, low: u16) -> IpAddr {
    Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)).into()
}

fn within(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let (address, network, width) = match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(n)) => (u128::from(a.to_bits()), u128::from(n.to_bits()), 32),
        (IpAddr::V6(a), IpAddr::V6(n)) => (a.to_bits(), n.to_bits(), 128),
        _ => return false,
    };
    let other = u32::from(bits).min(width);
    // A shift by the whole width is no shift at all.
    (address ^ network).checked_shr(width - other).unwrap_or(0) == 0
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn only_the_public_internet_is_reached() {
        let reach = Reach::public();
        for closed in [
            "0.0.0.0",
            "0.1.2.3",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::a00:1",
            "2002:7f00:1::",
            "2001::1",
            "2001:db8::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "fd00:ec2::254",
        ] {
            assert!(!reach.permits(ip(closed)), "{closed}");
        }
        for public in [
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "223.255.255.255",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
            "2002:808:808::1",
            "2600:1f00::1",
            "2a00:1450:4001::1",
        ] {
            assert!(reach.permits(ip(public)), "{public}");
        }
    }

    #[test]
    fn an_operator_allows_networks() {
        let reach = Reach::allowing(vec![(ip("10.1.0.0"), 16), (ip("fd12::"), 16), (ip("::ffff:192.168.7.7"), 32)]);
        for allowed in ["10.1.255.255", "::ffff:10.1.0.1", "fd12:ffff::1", "192.168.7.7", "8.8.8.8"] {
            assert!(reach.permits(ip(allowed)), "{allowed}");
        }
        for closed in ["10.2.0.1", "10.0.255.255", "fd13::1", "192.168.7.8", "127.0.0.1"] {
            assert!(!reach.permits(ip(closed)), "{closed}");
        }
        let all = Reach::allowing(vec![(ip("0.0.0.0"), 0), (ip("::"), 0)]);
        assert!(all.permits(ip("127.0.0.1")) && all.permits(ip("::1")));
    }
}
