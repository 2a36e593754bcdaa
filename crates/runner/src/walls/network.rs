//! How far instances reach into the network: what the operator wants, what the host offers, and what becomes of it.

use modelyard_types::network::Egress;

use super::Wall;

/// The wall that is a network of its own.
pub(super) const NAMESPACE: &str = "network namespace";

/// What stands between instances and the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkMode {
    /// A network of its own for each instance, and rules for what leaves it.
    Filtered,
    /// The host's network: all that the host reaches.
    All,
    /// A network of its own with nothing in it but the platform.
    None,
}

impl NetworkMode {
    /// As the setting is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Filtered => "filtered",
            Self::All => "all",
            Self::None => "none",
        }
    }
}

/// What was found out about the host: nothing where a thing is offered, else why not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Offers {
    /// Network namespaces.
    pub namespace: Option<String>,
    /// Links between them and rules for what passes.
    pub rules: Option<String>,
}

/// How far instances reach on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// What is in force.
    pub mode: NetworkMode,
    offers: Offers,
    /// What was configured and cannot be had.
    unmet: Option<NetworkMode>,
}

impl Reach {
    /// What becomes of the operator's wish. Without one it is the best of what filters.
    pub(crate) fn decide(wish: Option<NetworkMode>, offers: Offers) -> Self {
        let can = |mode| offers.refusal(mode).is_none();
        let usual = if can(NetworkMode::Filtered) { NetworkMode::Filtered } else { NetworkMode::All };
        let mode = wish.unwrap_or(usual);
        Self { mode, unmet: wish.filter(|mode| !can(*mode)), offers }
    }

    /// That of a host that offers everything.
    #[must_use]
    pub fn everything() -> Self {
        Self::decide(None, Offers::default())
    }

    /// What an instance gets whose project wants this; nothing is the host's own network. The error is a sentence.
    pub fn of(&self, wanted: Option<Egress>) -> Result<Option<Egress>, String> {
        if let Some(mode) = self.unmet {
            let why = self.offers.refusal(mode).unwrap_or_default();
            return Err(format!(
                "User code is not run: instance_egress is {}, and this host does not offer it: {why}. Configure another \
                 value, or none",
                mode.as_str()
            ));
        }
        match (self.mode, wanted) {
            (NetworkMode::Filtered, wanted) => Ok(Some(wanted.unwrap_or(Egress::Public))),
            (NetworkMode::None, None | Some(Egress::None)) => Ok(Some(Egress::None)),
            (NetworkMode::None, Some(_)) => Err("This server lets no instance into the network: instance_egress is \
                                                 none. The project's network must be none"
                .into()),
            (NetworkMode::All, None) => Ok(None),
            (NetworkMode::All, Some(Egress::None)) => match &self.offers.namespace {
                None => Ok(Some(Egress::None)),
                Some(why) => Err(format!("This server cannot keep instances out of the network: {why}")),
            },
            (NetworkMode::All, Some(wanted)) => Err(format!(
                "This server cannot give instances the network '{}': {}. What it offers is 'none', or the network of the \
                 host when nothing is set",
                wanted.as_str(),
                self.offers.rules.clone().unwrap_or_else(|| "instance_egress is all".into()),
            )),
        }
    }

    /// Whether every instance has a network of its own.
    pub(crate) fn is_apart(&self) -> bool {
        self.mode != NetworkMode::All && self.unmet.is_none()
    }

    /// The walls of it, for the list.
    pub(crate) fn walls(&self) -> [Wall; 3] {
        let own = self.mode != NetworkMode::All;
        let filtered = self.mode == NetworkMode::Filtered;
        let row = |name, refused: &Option<String>, used: bool| {
            let unused = || format!("offered; not used with instance_egress {}", self.mode.as_str());
            let detail = refused.clone().unwrap_or_else(|| if used { String::new() } else { unused() });
            Wall { name, offered: refused.is_none(), used: used && refused.is_none(), detail }
        };
        [
            row(NAMESPACE, &self.offers.namespace, own),
            row("nftables", &self.offers.rules, filtered),
            Wall {
                name: "egress",
                offered: self.unmet.is_none(),
                used: own && self.unmet.is_none(),
                detail: self.describe(),
            },
        ]
    }

    /// What instances reach, in words.
    #[must_use]
    pub fn describe(&self) -> String {
        match (self.mode, self.unmet) {
            (_, Some(mode)) => format!("{} is configured and cannot be had here", mode.as_str()),
            (NetworkMode::Filtered, _) => {
                "filtered: the internet, and private networks only where a project opens them".into()
            }
            (NetworkMode::All, _) => "all: what the host reaches, its private networks too".into(),
            (NetworkMode::None, _) => "none: nothing but the platform".into(),
        }
    }
}

impl Offers {
    fn refusal(&self, mode: NetworkMode) -> Option<String> {
        match mode {
            NetworkMode::All => None,
            NetworkMode::None => self.namespace.clone(),
            NetworkMode::Filtered => self.namespace.clone().or_else(|| self.rules.clone()),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const EVERYTHING: Offers = Offers { namespace: None, rules: None };

    fn no_rules() -> Offers {
        Offers { rules: Some("the program nft is not installed".into()), ..EVERYTHING }
    }

    fn nothing() -> Offers {
        Offers { namespace: Some("Operation not permitted".into()), ..no_rules() }
    }

    #[test]
    fn the_usual_is_filtered_where_it_can_be_had() {
        let reach = Reach::decide(None, EVERYTHING);
        assert_eq!(reach.of(None), Ok(Some(Egress::Public)));
        for wanted in Egress::ALL {
            assert_eq!(reach.of(Some(wanted)), Ok(Some(wanted)));
        }
        assert_eq!(Reach::decide(None, no_rules()).of(None), Ok(None));
    }

    #[test]
    fn what_is_configured_and_cannot_be_had_is_refused() {
        let refused = Reach::decide(Some(NetworkMode::Filtered), no_rules()).of(None).unwrap_err();
        assert!(
            refused.contains("instance_egress is filtered") && refused.contains("nft is not installed"),
            "{refused}"
        );
        let refused = Reach::decide(Some(NetworkMode::None), nothing()).of(Some(Egress::None)).unwrap_err();
        assert!(refused.contains("Operation not permitted"), "{refused}");
    }

    #[test]
    fn a_project_is_never_given_more_than_it_wants_nor_more_than_the_server_lets() {
        let all = Reach::decide(Some(NetworkMode::All), EVERYTHING);
        assert_eq!(all.of(None), Ok(None));
        assert_eq!(all.of(Some(Egress::None)), Ok(Some(Egress::None)));
        for wanted in [Egress::Public, Egress::Open] {
            assert!(all.of(Some(wanted)).unwrap_err().contains("instance_egress is all"));
            assert!(Reach::decide(Some(NetworkMode::None), EVERYTHING).of(Some(wanted)).is_err());
        }
        assert!(Reach::decide(None, nothing()).of(Some(Egress::None)).is_err());
    }
}
