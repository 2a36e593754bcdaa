//! Which release of the stock client is calling: some answers and defaults differ between releases.

/// A release of the Python client, as its `User-Agent` tells. They sort by age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientRelease {
    /// `4` of 4.12.0.
    pub major: u16,
    /// `12` of 4.12.0.
    pub minor: u16,
    /// `0` of 4.12.0.
    pub patch: u16,
}

impl ClientRelease {
    /// A release, for comparisons.
    pub const fn new(major: u16, minor: u16, patch: u16) -> Self {
        Self { major, minor, patch }
    }

    /// Reads `UbiOps/python/3.12.0` and the older `OpenAPI-Generator/2.1.0/python`; nothing for other agents.
    pub fn parse(user_agent: &str) -> Option<Self> {
        let mut words = user_agent.split_ascii_whitespace().next()?.split('/');
        let number = match (words.next()?, words.next()?) {
            ("UbiOps", "python") => words.next()?,
            ("OpenAPI-Generator", number) => number,
            _ => return None,
        };
        let mut parts = number.split('.');
        let mut part = || parts.next()?.parse().ok();
        Some(Self { major: part()?, minor: part()?, patch: part().unwrap_or(0) })
    }

    /// The environment or language that this release sends when its user chose none.
    pub fn default_environment(self) -> Option<&'static str> {
        if self < Self::new(3, 15, 0) {
            Some("python3.7")
        } else if self < Self::new(3, 16, 0) {
            Some("python3-7")
        } else if self < Self::new(4, 8, 0) {
            Some("python3-10")
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_agents_of_stock_clients() {
        assert_eq!(ClientRelease::parse("UbiOps/python/3.12.0"), Some(ClientRelease::new(3, 12, 0)));
        assert_eq!(ClientRelease::parse("UbiOps/python/4.15"), Some(ClientRelease::new(4, 15, 0)));
        assert_eq!(ClientRelease::parse("OpenAPI-Generator/2.1.0/python"), Some(ClientRelease::new(2, 1, 0)));
        for other in ["", "curl/8.0", "UbiOps/cli/2.32.0", "UbiOps/r/4.2.0", "UbiOps/python/x", "python-requests/2.1"] {
            assert_eq!(ClientRelease::parse(other), None, "{other}");
        }
    }

    #[test]
    fn defaults_follow_the_release() {
        assert_eq!(ClientRelease::new(3, 12, 0).default_environment(), Some("python3.7"));
        assert_eq!(ClientRelease::new(3, 15, 1).default_environment(), Some("python3-7"));
        assert_eq!(ClientRelease::new(4, 6, 1).default_environment(), Some("python3-10"));
        assert_eq!(ClientRelease::new(4, 8, 0).default_environment(), None);
    }
}
