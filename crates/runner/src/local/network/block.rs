//! A block of addresses of version 4, as `100.64.16.0/20`.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// A block of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    first: Ipv4Addr,
    bits: u8,
}

impl Block {
    /// The block of this size that holds an address.
    #[must_use]
    pub const fn new(address: Ipv4Addr, bits: u8) -> Self {
        let bits = if bits > 32 { 32 } else { bits };
        Self { first: Ipv4Addr::from_bits(address.to_bits() & mask(bits)), bits }
    }

    /// How many bits its addresses have in common.
    #[must_use]
    pub fn bits(self) -> u8 {
        self.bits
    }

    /// How many addresses it has.
    #[must_use]
    pub fn size(self) -> u64 {
        1 << (32 - self.bits)
    }

    /// One of its addresses, counted from the first.
    #[must_use]
    pub fn address(self, number: u64) -> Option<Ipv4Addr> {
        let number = u32::try_from(number).ok().filter(|_| number < self.size())?;
        Some(Ipv4Addr::from_bits(self.first.to_bits() + number))
    }

    /// Whether both have an address in common.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        let bits = self.bits.min(other.bits);
        self.first.to_bits() & mask(bits) == other.first.to_bits() & mask(bits)
    }
}

const fn mask(bits: u8) -> u32 {
    if bits == 0 { 0 } else { u32::MAX << (32 - bits) }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.bits)
    }
}

impl FromStr for Block {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (first, bits) = text.split_once('/').ok_or("an address and a number of bits, as 100.64.16.0/20")?;
        let (first, bits) = (first.parse::<Ipv4Addr>(), bits.parse::<u8>());
        match (first, bits) {
            (Ok(first), Ok(bits)) if bits <= 32 && Self::new(first, bits).first == first => Ok(Self { first, bits }),
            _ => Err("a block of addresses by its first one, as 100.64.16.0/20".into()),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn block(text: &str) -> Block {
        text.parse().unwrap()
    }

    #[test]
    fn blocks_are_read_and_written() {
        for text in ["100.64.16.0/20", "0.0.0.0/0", "10.0.0.1/32"] {
            assert_eq!(block(text).to_string(), text);
        }
        for text in ["", "100.64.16.0", "100.64.16.1/20", "10.0.0.0/33", "::/8", "10.0.0.0/-1"] {
            assert!(text.parse::<Block>().is_err(), "{text}");
        }
    }

    #[test]
    fn addresses_and_overlaps_are_counted() {
        assert_eq!(block("10.0.0.0/30").address(3), Some(Ipv4Addr::new(10, 0, 0, 3)));
        assert_eq!(block("10.0.0.0/30").address(4), None);
        assert_eq!(block("0.0.0.0/0").size(), 1 << 32);
        assert!(block("10.0.0.0/8").overlaps(block("10.1.0.0/16")));
        assert!(block("0.0.0.0/0").overlaps(block("10.1.0.0/16")));
        assert!(!block("10.0.0.0/16").overlaps(block("10.1.0.0/16")));
    }
}
