//! The rules: one table for all instances of an installation, by the names of their links. None is added for an instance.

use std::fmt::Write;

use modelyard_types::network::Egress;
use sha2::{Digest, Sha256};

use super::block::Block;

/// What the names of all tables begin with.
pub(super) const TABLES: &str = "modelyard_";
/// The table that stands as long as it was us who let the host forward.
pub(super) const FORWARDING: &str = "modelyard_forwarding";
/// What the names of the links of all installations begin with.
pub(super) const LINKS: &str = "mdy";

/// Where hosts learn who they are and what they may, beside what is link-local: closed to everybody.
const METADATA: [&str; 4] = ["169.254.0.0/16", "100.100.100.200", "168.63.129.16", "192.0.0.192"];

/// What is no part of the internet.
const PRIVATE: [&str; 14] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
];

/// The names of an installation on this host.
#[derive(Debug, Clone)]
pub(super) struct Names {
    tag: String,
}

impl Names {
    pub(super) fn of(installation: &str) -> Self {
        let mut tag = hex::encode(Sha256::digest(installation));
        tag.truncate(5);
        Self { tag }
    }

    /// Its table.
    pub(super) fn table(&self) -> String {
        format!("{TABLES}{}", self.tag)
    }

    /// What the names of its links begin with.
    pub(super) fn links(&self) -> String {
        format!("{LINKS}{}", self.tag)
    }

    /// The name of the link of an instance; a name has 15 characters at the most.
    pub(super) fn link(&self, egress: Egress, number: u32) -> String {
        let class = if egress == Egress::Open { 'o' } else { 'p' };
        format!("{}{class}{number}", self.links())
    }
}

/// The text that puts the table of an installation up, in the place of an older one. `own` are the networks the host is in.
/// `builder` is the user id that builds have: they have the host's network, but for what gives away its credentials. Name
/// servers stay, because some clouds have theirs at such an address.
pub(super) fn table(names: &Names, pool: Block, own: &[Block], builder: u32) -> String {
    let (table, links) = (names.table(), names.links());
    let (public, metadata) = (format!("{links}p*"), METADATA.join(", "));
    let mut private = PRIVATE.join(", ");
    for block in own {
        let _ = write!(private, ", {block}");
    }
    format!(
        r#"table inet {table}
delete table inet {table}
table inet {table} {{
  set metadata {{
    type ipv4_addr
    flags interval
    auto-merge
    elements = {{ {metadata} }}
  }}
  set private {{
    type ipv4_addr
    flags interval
    auto-merge
    elements = {{ {private} }}
  }}
  chain refuse {{
    meta l4proto tcp reject with tcp reset
    reject with icmpx admin-prohibited
  }}
  chain outgoing {{
    meta nfproto != ipv4 jump refuse
    ip saddr != {pool} drop
    fib saddr . iif oif missing drop
    meta l4proto != {{ tcp, udp, icmp }} jump refuse
    oifname "{LINKS}*" jump refuse
    ip daddr @metadata jump refuse
    iifname "{public}" ip daddr @private jump refuse
  }}
  chain forward {{
    type filter hook forward priority filter; policy accept;
    iifname "{links}*" jump outgoing
    oifname "{links}*" ct state established,related accept
    oifname "{links}*" drop
  }}
  chain input {{
    type filter hook input priority filter; policy accept;
    iifname "{links}*" ct state established,related accept
    iifname "{links}*" jump refuse
  }}
  chain output {{
    type filter hook output priority filter; policy accept;
    meta skuid {builder} ip daddr @metadata th dport != 53 jump refuse
  }}
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr {pool} oifname != "{LINKS}*" masquerade
  }}
}}
"#
    )
}

/// The text that removes a table, also when there is none.
pub(super) fn without(family: &str, table: &str) -> String {
    format!("table {family} {table}\ndelete table {family} {table}\n")
}

/// The text that keeps a host which forwards for instances from forwarding for others.
pub(super) fn forwarding() -> String {
    format!(
        r#"table ip {FORWARDING}
delete table ip {FORWARDING}
table ip {FORWARDING} {{
  chain forward {{
    type filter hook forward priority filter; policy accept;
    iifname != "{LINKS}*" oifname != "{LINKS}*" drop
  }}
}}
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_and_carry_their_installation() {
        let names = Names::of("one");
        let link = names.link(Egress::Open, 999_999);
        assert!(link.len() <= 15, "{link}");
        assert!(link.starts_with(&names.links()));
        assert_ne!(names.links(), Names::of("another").links());
        assert!(names.table().starts_with(TABLES));
    }
}
