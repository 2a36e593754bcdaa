//! What stands between the links of instances and the rest of the world, for as long as the server runs.

use std::fs;
use std::path::{Path, PathBuf};

use modelyard_types::network::Egress;

use super::block::Block;
use super::forwarding;
use super::nft::Nft;
use super::pool::{self, Pool};
use super::rules::{self, Names};
use crate::environments::BuildUser;
use crate::init::orders::Link;
use crate::local::settings::LocalSettings;
use crate::netlink::Routing;

/// The file that says a table of ours stands.
const MARK: &str = "network";

/// The rules, and the addresses they are about.
#[derive(Debug)]
pub(super) struct Filter {
    nft: Nft,
    names: Names,
    pool: Pool,
}

impl Filter {
    /// Puts the rules up. The error is a part of a sentence.
    pub(super) fn open(settings: &LocalSettings) -> Result<Self, String> {
        let nft = Nft::find().ok_or("the program nft is gone")?;
        let pool = Pool::take(&settings.installation, settings.network)?;
        let names = Names::of(&settings.installation);
        let own: Vec<Block> =
            pool::interfaces().into_iter().map(|(_, block)| block).filter(|it| it.bits() > 0).collect();
        fs::write(mark(&settings.folder), names.table()).map_err(|e| format!("it cannot be noted: {e}"))?;
        nft.apply(&rules::table(&names, pool.block, &own, BuildUser::default().uid))?;
        if let Err(why) = forwarding::turn_on(&nft) {
            take_down(&nft, &names);
            return Err(why);
        }
        Ok(Self { nft, names, pool })
    }

    /// The link of the instance of this number.
    pub(super) fn link(&self, egress: Egress, number: u32) -> Result<Link, String> {
        let first = u64::from(number) * 2;
        let pair = self.pool.block.address(first).zip(self.pool.block.address(first + 1));
        let (host, inside) = pair.ok_or_else(|| {
            format!("All addresses of {} are taken by instances: set a larger instance_network", self.pool.block)
        })?;
        Ok(Link { name: self.names.link(egress, number), host, inside })
    }

    /// Takes the rules down.
    pub(super) fn close(&self) {
        take_down(&self.nft, &self.names);
    }
}

/// Removes what an earlier life left that did not end in order.
pub(super) fn clean_up(settings: &LocalSettings) {
    if !mark(&settings.folder).exists() {
        return;
    }
    let names = Names::of(&settings.installation);
    let left = nix::net::if_::if_nameindex().map(|all| all.iter().map(|one| one.name().to_owned()).collect::<Vec<_>>());
    for name in left.into_iter().flatten().filter_map(|name| name.into_string().ok()) {
        if name.starts_with(&names.links())
            && let Err(e) = Routing::open().and_then(|mut host| host.remove(&name))
        {
            tracing::warn!(link = name, "a link of an earlier life stays: {e}");
        }
    }
    if let Some(nft) = Nft::find() {
        take_down(&nft, &names);
    }
    forget(&settings.folder);
}

/// Notes that nothing is left.
pub(super) fn forget(folder: &Path) {
    let _ = fs::remove_file(mark(folder));
}

fn take_down(nft: &Nft, names: &Names) {
    if let Err(e) = nft.apply(&rules::without("inet", &names.table())) {
        tracing::warn!("the table {} stays: {e}", names.table());
        return;
    }
    forwarding::turn_off(nft);
}

fn mark(folder: &Path) -> PathBuf {
    folder.join(MARK)
}
