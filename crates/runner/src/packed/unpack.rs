//! The output: what a worker packed becomes the JSON text that it would have written itself.
//!
//! User code can forge every byte, so nothing is believed: lengths, depth, encoding, and what a value may be.

use modelyard_types::fields::MAX_DEPTH;

use super::python;
use super::{DICT, DIGIT_BITS, END, FALSE, FLOAT, INT, LIST, LONG, NONE, TEXT, TRUE, TUPLE};

/// The most digits of an integer; the worker packs none of 2 to the 120th and above.
const MAX_DIGITS: usize = 8;

/// Why a packed result has no JSON text. The sentences are those that the same result as JSON would have had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unpackable {
    /// It ends too early or too late, holds an unknown code, a value JSON has no form for, or text that is no UTF-8.
    #[error("The worker process answered something that is not JSON")]
    Malformed,
    /// It is nested deeper than any payload may be.
    #[error("The result is nested too deep")]
    TooDeep,
    /// Its JSON text would be larger than a result may be.
    #[error("The result is larger than 512 MiB; return large data as a file")]
    TooLarge,
}

type Result<T> = std::result::Result<T, Unpackable>;

/// The JSON text of a packed result, of so many bytes at most.
pub fn unpack(body: &[u8], most: usize) -> Result<Vec<u8>> {
    let text = Vec::with_capacity(body.len().saturating_add(body.len() / 4).min(most));
    let mut unpacker = Unpacker { rest: body, text, depth: 0, most };
    unpacker.value()?;
    unpacker.room()?;
    if unpacker.rest.is_empty() { Ok(unpacker.text) } else { Err(Unpackable::Malformed) }
}

struct Unpacker<'a> {
    rest: &'a [u8],
    text: Vec<u8>,
    depth: usize,
    most: usize,
}

impl<'a> Unpacker<'a> {
    fn bytes(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Unpackable::Malformed)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(Unpackable::Malformed)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn code(&mut self) -> Result<u8> {
        self.array().map(|[code]| code)
    }

    /// A number of bytes or items; none is larger than what is left.
    fn count(&mut self) -> Result<usize> {
        let count = i32::from_le_bytes(self.array()?);
        usize::try_from(count).ok().filter(|count| *count <= self.rest.len()).ok_or(Unpackable::Malformed)
    }

    fn value(&mut self) -> Result<()> {
        match self.code()? {
            FLOAT => self.float()?,
            INT => {
                let value = i32::from_le_bytes(self.array()?);
                self.text.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
            }
            LONG => self.long()?,
            TEXT => self.string()?,
            NONE => self.text.extend_from_slice(b"null"),
            TRUE => self.text.extend_from_slice(b"true"),
            FALSE => self.text.extend_from_slice(b"false"),
            LIST | TUPLE => self.list()?,
            DICT => self.dict()?,
            _ => return Err(Unpackable::Malformed),
        }
        self.room()
    }

    fn list(&mut self) -> Result<()> {
        let count = self.count()?;
        self.deeper()?;
        self.text.push(b'[');
        for at in 0..count {
            if at > 0 {
                self.text.push(b',');
            }
            self.value()?;
        }
        self.text.push(b']');
        self.depth -= 1;
        Ok(())
    }

    fn dict(&mut self) -> Result<()> {
        self.deeper()?;
        self.text.push(b'{');
        let mut first = true;
        loop {
            match self.code()? {
                END => break,
                TEXT if first => first = false,
                TEXT => self.text.push(b','),
                _ => return Err(Unpackable::Malformed),
            }
            self.string()?;
            self.text.push(b':');
            self.value()?;
        }
        self.text.push(b'}');
        self.depth -= 1;
        Ok(())
    }

    fn deeper(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH { Err(Unpackable::TooDeep) } else { Ok(()) }
    }

    fn string(&mut self) -> Result<()> {
        let count = self.count()?;
        let text = std::str::from_utf8(self.bytes(count)?).map_err(|_| Unpackable::Malformed)?;
        python::put_text(text, &mut self.text);
        self.room()
    }

    fn float(&mut self) -> Result<()> {
        let value = f64::from_le_bytes(self.array()?);
        if !value.is_finite() {
            return Err(Unpackable::Malformed);
        }
        python::put_float(value, &mut self.text);
        Ok(())
    }

    fn long(&mut self) -> Result<()> {
        let count = i32::from_le_bytes(self.array()?);
        let digits = count.unsigned_abs() as usize;
        if digits > MAX_DIGITS {
            return Err(Unpackable::Malformed);
        }
        let mut value: i128 = 0;
        for (at, digit) in self.bytes(2 * digits)?.chunks_exact(2).enumerate() {
            let digit = u16::from_le_bytes([digit[0], digit[1]]);
            if digit >> DIGIT_BITS != 0 {
                return Err(Unpackable::Malformed);
            }
            value |= i128::from(digit) << (DIGIT_BITS as usize * at);
        }
        let value = if count < 0 { -value } else { value };
        self.text.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
        Ok(())
    }

    /// Small values can have long texts, so that a frame's maximum does not bound the text.
    fn room(&self) -> Result<()> {
        if self.text.len() > self.most { Err(Unpackable::TooLarge) } else { Ok(()) }
    }
}
