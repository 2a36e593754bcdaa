//! The kinds of values that settings have, as people write them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use modelyard_runner::local::Block;
use modelyard_runner::walls::NetworkMode;

/// A value that can be read from what people write, and shown again in the same form.
pub(super) trait Setting: Sized {
    /// Reads it. The error completes the sentence "... is not valid: it must be ...".
    fn parse(text: &str) -> Result<Self, String>;
    /// Writes it.
    fn show(&self) -> String;
}

impl Setting for String {
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() { Err("some text".into()) } else { Ok(text.into()) }
    }
    fn show(&self) -> String {
        self.clone()
    }
}

impl Setting for PathBuf {
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() { Err("a path".into()) } else { Ok(text.into()) }
    }
    fn show(&self) -> String {
        self.display().to_string()
    }
}

impl Setting for bool {
    fn parse(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err("true or false".into()),
        }
    }
    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for u32 {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().ok().filter(|number| *number > 0).ok_or_else(|| "a whole number from 1 on".into())
    }
    fn show(&self) -> String {
        self.to_string()
    }
}

impl<T: Setting> Setting for Option<T> {
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() { Ok(None) } else { T::parse(text).map(Some) }
    }
    fn show(&self) -> String {
        self.as_ref().map(T::show).unwrap_or_default()
    }
}

impl Setting for Vec<String> {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect())
    }
    fn show(&self) -> String {
        self.join(",")
    }
}

/// An address to listen on: a host name or IP address, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address(pub String);

impl Setting for Address {
    fn parse(text: &str) -> Result<Self, String> {
        let port = text.rsplit_once(':').filter(|(host, _)| !host.is_empty());
        match port.map(|(_, port)| port.parse::<u16>()) {
            Some(Ok(_)) => Ok(Self(text.into())),
            _ => Err("HOST:PORT, like 127.0.0.1:8080 or [::]:8080".into()),
        }
    }
    fn show(&self) -> String {
        self.0.clone()
    }
}

/// Where clients reach us: scheme, host and, behind a proxy, a path; without a slash at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl(pub String);

impl Setting for PublicUrl {
    fn parse(text: &str) -> Result<Self, String> {
        let url = text.trim_end_matches('/');
        let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")).unwrap_or_default();
        let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '?' | '#' | '@' | '"' | '<' | '>');
        if host.is_empty() || host.starts_with(['/', ':']) || !host.chars().all(plain) {
            return Err("an address that begins with http:// or https://, such as https://modelyard.example.com".into());
        }
        Ok(Self(url.into()))
    }
    fn show(&self) -> String {
        self.0.clone()
    }
}

/// A URL that may hold a password, which is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl Setting for Secret {
    fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            Ok(Self(text.into()))
        } else {
            Err("a URL that begins with postgres://".into())
        }
    }
    fn show(&self) -> String {
        masked(&self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&masked(&self.0))
    }
}

/// `scheme://user:***@host/...`, with all that could be a password masked, in the query too.
fn masked(url: &str) -> String {
    let (url, query) = url.split_once('?').unwrap_or((url, ""));
    let pairs: Vec<String> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| match pair.split_once('=') {
            Some((name, _)) if name.to_ascii_lowercase().contains("pass") => format!("{name}=***"),
            _ => pair.to_owned(),
        })
        .collect();
    let query = if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) };
    let plain = match url.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.rsplit_once('@')?))) {
        Some((scheme, (credentials, host))) => {
            let user = credentials.split(':').next().unwrap_or_default();
            let password = if credentials.contains(':') { ":***" } else { "" };
            format!("{scheme}://{user}{password}@{host}")
        }
        None => url.to_owned(),
    };
    plain + &query
}

/// The least walls: 1, 2 or 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WallLevel(pub u8);

impl Setting for WallLevel {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "1" | "2" | "3" => Ok(Self(text.as_bytes()[0] - b'0')),
            _ => Err("1, 2 or 3".into()),
        }
    }
    fn show(&self) -> String {
        self.0.to_string()
    }
}

/// How far user code reaches into the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Egress(pub NetworkMode);

impl Setting for Egress {
    fn parse(text: &str) -> Result<Self, String> {
        let all = [NetworkMode::Filtered, NetworkMode::All, NetworkMode::None];
        all.into_iter().find(|mode| mode.as_str() == text).map(Self).ok_or_else(|| "filtered, all or none".into())
    }
    fn show(&self) -> String {
        self.0.as_str().into()
    }
}

/// A block of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressBlock(pub Block);

impl Setting for AddressBlock {
    fn parse(text: &str) -> Result<Self, String> {
        let block: Block = text.parse()?;
        let fine = block.size() >= 2 && block.address(0).is_some_and(usable);
        if fine { Ok(Self(block)) } else { Err("a block of at least two addresses that hosts can have".into()) }
    }
    fn show(&self) -> String {
        self.0.to_string()
    }
}

fn usable(first: Ipv4Addr) -> bool {
    !(first.octets()[0] == 0 || first.is_loopback() || first.is_multicast() || first.octets()[0] >= 240)
}

/// Networks: addresses, and how many of their leading bits count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Networks(pub Vec<(IpAddr, u8)>);

impl Setting for Networks {
    fn parse(text: &str) -> Result<Self, String> {
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        let networks: Option<Vec<_>> = items.map(network).collect();
        networks.map(Self).ok_or_else(|| "networks with commas between them, like 10.0.0.0/8,fd00::/8".into())
    }
    fn show(&self) -> String {
        let items: Vec<String> = self.0.iter().map(|(address, bits)| format!("{address}/{bits}")).collect();
        items.join(",")
    }
}

/// An address stands for itself alone. Bits behind those that count must be zero: with others something else was meant.
fn network(text: &str) -> Option<(IpAddr, u8)> {
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
    let address: IpAddr = address.parse().ok()?;
    let (number, width) = match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    let bits: u8 = bits.map_or(Some(width), |bits| bits.parse().ok().filter(|bits| *bits <= width))?;
    let rest = width - bits;
    let clean = rest == 0 || number.trailing_zeros() >= u32::from(rest) || number == 0;
    clean.then_some((address, bits))
}

/// The form of the server's own log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// A JSON object a line, for machines.
    Json,
}

impl Setting for LogFormat {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("text or json".into()),
        }
    }
    fn show(&self) -> String {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
        .into()
    }
}

/// A number of bytes: `10 MB`, `512 MiB`, `4096`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

const SIZES: [(&str, u64); 8] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
];

impl Setting for Size {
    fn parse(text: &str) -> Result<Self, String> {
        let (number, unit) = number_and_unit(text);
        let factor = match unit.to_ascii_lowercase().as_str() {
            "" | "b" => Some(1),
            unit => SIZES.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).map(|(_, factor)| *factor),
        };
        let bytes = number.zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
        bytes.filter(|bytes| *bytes > 0).map(Self).ok_or_else(|| "a size like 10 MB, 512 MiB or 4096".into())
    }
    fn show(&self) -> String {
        written(self.0, &SIZES, "")
    }
}

/// Memory for requests, in bytes: enough for the largest body that is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestMemory(pub u64);

impl RequestMemory {
    /// The least there may be, in bytes.
    pub const LEAST: u64 = 128 << 20;
}

impl Setting for RequestMemory {
    fn parse(text: &str) -> Result<Self, String> {
        let size = Size::parse(text).ok().filter(|size| size.0 >= Self::LEAST);
        size.map(|size| Self(size.0)).ok_or_else(|| format!("a size of at least {}", Size(Self::LEAST)))
    }
    fn show(&self) -> String {
        Size(self.0).show()
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.show())
    }
}

/// A length of time: `20 s`, `30 min`, `28 days`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(pub Duration);

const PERIODS: [(&str, u64); 4] = [("days", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000)];

impl Setting for Period {
    fn parse(text: &str) -> Result<Self, String> {
        let (number, unit) = number_and_unit(text);
        let factor = match unit.to_ascii_lowercase().as_str() {
            "ms" => Some(1),
            "s" => Some(1_000),
            "m" | "min" => Some(60_000),
            "h" => Some(3_600_000),
            "d" | "day" | "days" => Some(86_400_000),
            _ => None,
        };
        let millis = number.zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
        millis
            .filter(|millis| (1..=u64::from(u32::MAX) * 1_000).contains(millis))
            .map(|millis| Self(Duration::from_millis(millis)))
            .ok_or_else(|| "a time like 500 ms, 20 s, 30 min, 2 h or 28 days".into())
    }
    fn show(&self) -> String {
        written(u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX), &PERIODS, " ms")
    }
}

fn number_and_unit(text: &str) -> (Option<u64>, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (text[..end].parse().ok(), text[end..].trim())
}

/// The number in the largest unit that keeps it whole.
fn written(number: u64, units: &[(&str, u64)], plain: &str) -> String {
    let fitting = units.iter().filter(|(_, factor)| number.is_multiple_of(*factor)).max_by_key(|(_, factor)| *factor);
    match fitting {
        Some((unit, factor)) if number > 0 => format!("{} {unit}", number / factor),
        _ => format!("{number}{plain}"),
    }
}
