//! The input: JSON text becomes packed bytes in one reading.

use std::borrow::Cow;
use std::collections::HashMap;

use modelyard_types::fields::MAX_DEPTH;
use modelyard_types::json::{Number, Scanner};

use super::{
    AGAIN, ASCII, DICT, DIGIT_BITS, END, FALSE, FLOAT, INT, LIST, LONG, NONE, NUMBERED, SHORT_ASCII, TEXT, TRUE,
};

/// Long texts are worth packing, too: one of so many bytes counts as much as a number.
const BYTES_AS_NUMBER: usize = 64;
/// By how much short texts may outnumber what is worth packing, on the way.
const SURPLUS: usize = 4096;
/// How many different keys are numbered, so that Python makes each of them once.
const MAX_KEYS: usize = 4096;

/// Packs a body. `None` unless it certainly is JSON, means the same packed, and gains by it: Python reads short texts out
/// of JSON as fast.
#[must_use]
pub fn pack(body: &[u8]) -> Option<Vec<u8>> {
    let out = Vec::with_capacity(body.len());
    let mut packer = Packer { text: Scanner::new(body)?, out, depth: 0, gain: 0, texts: 0, keys: HashMap::new() };
    packer.value()?;
    (packer.text.peek().is_none() && packer.gain >= packer.texts).then_some(packer.out)
}

struct Packer<'a> {
    text: Scanner<'a>,
    out: Vec<u8>,
    depth: usize,
    /// How much is worth packing.
    gain: usize,
    /// How many texts there are that are no keys.
    texts: usize,
    keys: HashMap<Cow<'a, [u8]>, u32>,
}

impl<'a> Packer<'a> {
    fn value(&mut self) -> Option<()> {
        match self.text.peek()? {
            b'"' => self.string(),
            b'[' => self.list(),
            b'{' => self.dict(),
            b't' => self.word(b"true", TRUE),
            b'f' => self.word(b"false", FALSE),
            b'n' => self.word(b"null", NONE),
            _ => self.number(),
        }
    }

    fn word(&mut self, word: &[u8], code: u8) -> Option<()> {
        self.gain += 1;
        self.out.push(code);
        self.text.word(word)
    }

    fn number(&mut self) -> Option<()> {
        self.gain += 1;
        match self.text.number()? {
            Number::Int(value) => self.put_int(value),
            Number::Float(value) => self.put(FLOAT, value.to_le_bytes()),
        }
        Some(())
    }

    fn string(&mut self) -> Option<()> {
        let text = self.text.string()?;
        self.gain += text.len() / BYTES_AS_NUMBER;
        self.texts += 1;
        self.put_text(&text)?;
        (self.texts <= self.gain + SURPLUS).then_some(())
    }

    fn list(&mut self) -> Option<()> {
        self.put(LIST, [0; 4]);
        let (count, mut items) = (self.out.len() - 4, 0_u32);
        self.between(b'[', b']', |packer| {
            items += 1;
            packer.value()
        })?;
        self.out[count..count + 4].copy_from_slice(&i32::try_from(items).ok()?.to_le_bytes());
        Some(())
    }

    fn dict(&mut self) -> Option<()> {
        self.out.push(DICT);
        self.between(b'{', b'}', |packer| {
            let key = packer.text.string()?;
            packer.put_key(key)?;
            packer.text.take(b':')?;
            packer.value()
        })?;
        self.out.push(END);
        Some(())
    }

    /// Takes items with commas between them.
    fn between(&mut self, open: u8, close: u8, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.text.take(open)?;
        self.depth += 1;
        // One level more than a payload may have: a group of payloads is a list of them.
        if self.depth > MAX_DEPTH + 1 {
            return None;
        }
        if self.text.peek()? != close {
            item(self)?;
            while self.text.peek()? == b',' {
                self.text.take(b',')?;
                item(self)?;
            }
        }
        self.depth -= 1;
        self.text.take(close)
    }

    fn put<const N: usize>(&mut self, code: u8, bytes: [u8; N]) {
        self.out.push(code);
        self.out.extend_from_slice(&bytes);
    }

    fn put_text(&mut self, text: &[u8]) -> Option<()> {
        let length = i32::try_from(text.len()).ok()?;
        match (text.is_ascii(), u8::try_from(length)) {
            (true, Ok(short)) => self.put(SHORT_ASCII, [short]),
            (true, _) => self.put(ASCII, length.to_le_bytes()),
            (false, _) => self.put(TEXT, length.to_le_bytes()),
        }
        self.out.extend_from_slice(text);
        Some(())
    }

    /// A key: its text the first time, later its number.
    fn put_key(&mut self, key: Cow<'a, [u8]>) -> Option<()> {
        if let Some(number) = self.keys.get(&key) {
            self.put(AGAIN, number.to_le_bytes());
            return Some(());
        }
        let at = self.out.len();
        self.put_text(&key)?;
        if self.keys.len() < MAX_KEYS {
            self.out[at] |= NUMBERED;
            self.keys.insert(key, u32::try_from(self.keys.len()).ok()?);
        }
        Some(())
    }

    fn put_int(&mut self, value: i128) {
        if let Ok(small) = i32::try_from(value) {
            return self.put(INT, small.to_le_bytes());
        }
        let mut rest = value.unsigned_abs();
        let digits = (u128::BITS - rest.leading_zeros()).div_ceil(DIGIT_BITS) as i32;
        self.put(LONG, (if value < 0 { -digits } else { digits }).to_le_bytes());
        for _ in 0..digits {
            self.out.extend_from_slice(&((rest & ((1 << DIGIT_BITS) - 1)) as u16).to_le_bytes());
            rest >>= DIGIT_BITS;
        }
    }
}
