//! Links, addresses and routes of a network namespace, by the kernel's own protocol: no `ip` has to be installed, and none has
//! to be started for each instance. Public for the tests, which make small worlds of namespaces.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsRawFd, BorrowedFd};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteProtocol, RouteScope, RouteType};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

/// The index of `lo` in every network namespace.
pub const LOOPBACK: u32 = 1;
/// The index that we give to the one other link of an instance.
pub const INSIDE: u32 = 2;

/// The routing of the network namespace in which it was opened, wherever its owner goes afterwards.
pub struct Routing {
    socket: Socket,
    sequence: u32,
}

impl Routing {
    /// Opens the routing of the namespace we are in.
    pub fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        Ok(Self { socket, sequence: 0 })
    }

    /// Makes a link here whose other end is in another namespace, under this name and the index [`INSIDE`]. Both are down: the
    /// kernel brings no end up before it has both.
    pub fn link_into(&mut self, here: &str, there: &str, namespace: BorrowedFd<'_>) -> io::Result<()> {
        let mut peer = LinkMessage::default();
        peer.header.index = INSIDE;
        peer.attributes = vec![LinkAttribute::IfName(there.into()), LinkAttribute::NetNsFd(namespace.as_raw_fd())];
        let info = vec![LinkInfo::Kind(InfoKind::Veth), LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer)))];
        let mut link = LinkMessage::default();
        link.attributes = vec![LinkAttribute::IfName(here.into()), LinkAttribute::LinkInfo(info)];
        self.ask(RouteNetlinkMessage::NewLink(link), NLM_F_CREATE | NLM_F_EXCL).map(drop)
    }

    /// Removes a link and with it its other end; false when there is none of that name.
    pub fn remove(&mut self, name: &str) -> io::Result<bool> {
        match self.ask(RouteNetlinkMessage::DelLink(named(name)), 0) {
            Ok(_) => Ok(true),
            Err(e) if e.raw_os_error() == Some(libc::ENODEV) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// The index of a link.
    pub fn index(&mut self, name: &str) -> io::Result<u32> {
        let answer = self.ask(RouteNetlinkMessage::GetLink(named(name)), 0)?;
        // Behind the header of the message: family, padding and type, then the index.
        let index = answer.get(20..24).and_then(|bytes| bytes.try_into().ok()).map(u32::from_ne_bytes);
        index.ok_or_else(|| io::Error::other("the kernel gave no index"))
    }

    /// Brings a link up.
    pub fn bring_up(&mut self, index: u32) -> io::Result<()> {
        let mut link = LinkMessage::default();
        link.header.index = index;
        link.header.flags = LinkFlags::Up;
        link.header.change_mask = LinkFlags::Up;
        self.ask(RouteNetlinkMessage::SetLink(link), 0).map(drop)
    }

    /// Gives a link an address in a network of this many bits.
    pub fn add_address(&mut self, index: u32, address: IpAddr, bits: u8) -> io::Result<()> {
        let mut message = AddressMessage::default();
        message.header.family = family(address);
        message.header.prefix_len = bits;
        message.header.index = index;
        message.attributes = vec![AddressAttribute::Local(address), AddressAttribute::Address(address)];
        self.ask(RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_EXCL).map(drop)
    }

    /// Sends what has no other way to this gateway.
    pub fn add_default_route(&mut self, gateway: Ipv4Addr) -> io::Result<()> {
        let mut route = RouteMessage::default();
        route.header.address_family = AddressFamily::Inet;
        route.header.table = libc::RT_TABLE_MAIN;
        route.header.protocol = RouteProtocol::Static;
        route.header.scope = RouteScope::Universe;
        route.header.kind = RouteType::Unicast;
        route.attributes = vec![RouteAttribute::Gateway(RouteAddress::Inet(gateway))];
        self.ask(RouteNetlinkMessage::NewRoute(route), NLM_F_CREATE | NLM_F_EXCL).map(drop)
    }

    /// Asks for one thing and waits for the answer: what comes before the acknowledgement.
    fn ask(&mut self, wish: RouteNetlinkMessage, flags: u16) -> io::Result<Vec<u8>> {
        self.sequence += 1;
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
        header.sequence_number = self.sequence;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(wish));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.socket.send(&bytes, 0)?;
        let mut answer = Vec::new();
        loop {
            let (datagram, _) = self.socket.recv_from_full()?;
            for piece in pieces(&datagram) {
                match acknowledged(piece) {
                    None => answer = piece.to_vec(),
                    Some(0) => return Ok(answer),
                    Some(errno) => return Err(io::Error::from_raw_os_error(errno)),
                }
            }
        }
    }
}

fn named(name: &str) -> LinkMessage {
    let mut link = LinkMessage::default();
    link.attributes = vec![LinkAttribute::IfName(name.into())];
    link
}

fn family(address: IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}

/// The messages of a datagram: each begins with its length and is padded to four bytes.
fn pieces(mut datagram: &[u8]) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    while let Some(length) = datagram.first_chunk::<4>() {
        let length = u32::from_ne_bytes(*length) as usize;
        let Some(piece) = datagram.get(..length).filter(|piece| piece.len() >= 16) else { break };
        pieces.push(piece);
        datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    pieces
}

/// The error number of an acknowledgement, 0 when it went well; nothing for another message. Read by hand, because what a
/// newer kernel tells of a link may be nothing that a library can read.
fn acknowledged(piece: &[u8]) -> Option<i32> {
    const ERROR: u16 = 2;
    let kind = u16::from_ne_bytes(piece.get(4..6)?.try_into().ok()?);
    let code = i32::from_ne_bytes(piece.get(16..20)?.try_into().ok()?);
    (kind == ERROR).then_some(-code)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_by_name_and_refusals_told() {
        let mut routing = Routing::open().unwrap();
        assert_eq!(routing.index("lo").unwrap(), LOOPBACK);
        assert_eq!(routing.index("none-of-ours").unwrap_err().raw_os_error(), Some(libc::ENODEV));
    }

    #[test]
    fn a_broken_datagram_is_no_message() {
        assert!(pieces(&[]).is_empty());
        assert!(pieces(&[0; 64]).is_empty());
        assert!(pieces(&[200, 0, 0, 0, 1, 2, 3]).is_empty());
    }
}
