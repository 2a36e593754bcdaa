//! Large values on their way between server and worker, in CPython's own format `marshal`: a Python program reads and writes
//! it several times faster than JSON. What goes through here means exactly what it would mean as JSON.
//!
//! The contract is the section "Packed bodies" in `docs/worker-protocol.md`.

#[cfg(test)]
mod against_python;
mod pack;
mod python;
#[cfg(test)]
mod tests;
mod unpack;

pub use pack::pack;
pub use unpack::{Unpackable, unpack};

/// A body of fewer bytes goes as JSON: what is gained would be less than what the work around it costs.
pub const PACK_FROM: usize = 2 << 10;

/// Nothing.
const NONE: u8 = b'N';
const TRUE: u8 = b'T';
const FALSE: u8 = b'F';
/// An integer of 32 bits.
const INT: u8 = b'i';
/// An integer of any size: how many digits, negative for a negative number; then the digits, 15 bits each, the lowest first.
const LONG: u8 = b'l';
/// A float of 64 bits.
const FLOAT: u8 = b'g';
/// Text: its length in bytes, then UTF-8.
const TEXT: u8 = b'u';
/// Text of ASCII alone, with a length of 32 bits, or of 8.
const ASCII: u8 = b'a';
const SHORT_ASCII: u8 = b'z';
/// How many items, then the items.
const LIST: u8 = b'[';
const TUPLE: u8 = b'(';
/// Keys and values, until `END`.
const DICT: u8 = b'{';
const END: u8 = b'0';
/// Added to a code: the value gets the next number, and `AGAIN` with that number stands for it.
const NUMBERED: u8 = 0x80;
const AGAIN: u8 = b'r';

/// Bits of a digit of `LONG`.
const DIGIT_BITS: u32 = 15;
