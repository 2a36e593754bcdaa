//! The network of instances, from the host's side: what is set up once, and what each instance gets.

pub(crate) mod block;
mod door;
mod filter;
mod forwarding;
mod names;
mod nft;
mod pool;
mod rules;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::Path;

use modelyard_types::network::Egress;

pub(crate) use door::Door;
pub use door::{Guest, Visit};

use super::settings::LocalSettings;
use crate::init::orders;
use crate::walls::{NetworkMode, Reach, Walls};
use filter::Filter;

/// Where an instance finds its resolver. Its own port there, in a namespace of its own, is nobody else's.
const RESOLVER: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, 53), 53));

/// What is there for the networks of all instances.
pub(crate) struct Network {
    /// How far they reach.
    pub reach: Reach,
    filter: Option<Filter>,
    platform: Option<SocketAddr>,
}

/// What one instance gets.
pub(crate) struct Own {
    /// What its first process is told.
    pub order: orders::Network,
    /// Its `/etc/resolv.conf`.
    pub resolver: String,
}

impl Network {
    /// Finds out what can be had and sets it up, after what an earlier life left is removed.
    pub(crate) fn open(settings: &LocalSettings, walls: &Walls) -> io::Result<Self> {
        let wanted = settings.egress;
        let mut offers = walls.network.clone();
        if offers.namespace.is_none() && !walls.means.namespaces {
            offers.namespace = Some("it needs namespaces, which are not used".into());
        }
        filter::clean_up(settings);
        let mut filter = None;
        let possible = walls.means.root && !walls.means.user_namespace && offers.namespace.is_none();
        if !possible && offers.rules.is_none() {
            offers.rules = Some(match &offers.namespace {
                Some(why) => why.clone(),
                None => "the server is not root".into(),
            });
        }
        if offers.rules.is_none() && nft::Nft::find().is_none() {
            offers.rules = Some("the program nft is not installed".into());
        }
        if offers.rules.is_none() && matches!(wanted, None | Some(NetworkMode::Filtered)) {
            match Filter::open(settings) {
                Ok(opened) => filter = Some(opened),
                Err(why) => offers.rules = Some(why),
            }
        }
        Ok(Self { reach: Reach::decide(wanted, offers), filter, platform: settings.platform })
    }

    /// The network of the instance with this number whose project wants this; nothing is the host's. An error is a sentence.
    pub(crate) fn own(&self, wanted: Option<Egress>, number: u32) -> Result<Option<Own>, String> {
        let Some(egress) = self.reach.of(wanted)? else { return Ok(None) };
        let mut order = orders::Network { platform: self.platform, ..orders::Network::default() };
        let mut resolver = String::new();
        if egress != Egress::None {
            let filter = self.filter.as_ref().ok_or("the rules are not there")?;
            order.link = Some(filter.link(egress, number)?);
            order.names = Some(RESOLVER);
            resolver = names::configuration(RESOLVER.ip());
        }
        Ok(Some(Own { order, resolver }))
    }

    /// Removes what the host has of an instance's network.
    pub(crate) fn remove(&self, link: &orders::Link) {
        if let Err(e) = crate::netlink::Routing::open().and_then(|mut host| host.remove(&link.name)) {
            tracing::warn!(link = link.name, "a link cannot be removed: {e}");
        }
    }

    /// Takes everything down again.
    pub(crate) fn close(&self, folder: &Path) {
        if let Some(filter) = &self.filter {
            filter.close();
            filter::forget(folder);
        }
    }
}
