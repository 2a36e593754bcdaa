//! Unpacks the data of one entry, counting what comes out.

use std::{
    fs::File,
    io::{self, BufReader, Read, Write},
    os::unix::fs::FileExt,
};

use flate2::bufread::DeflateDecoder;

use super::{Limits, Refusal, directory::Entry, names::shown};

const BUFFER: usize = 64 << 10;

/// What may still be unpacked.
pub(super) struct Budget {
    total: u64,
    ratio_total: u64,
    spent: u64,
}

impl Budget {
    pub fn new(limits: &Limits, zip_bytes: u64) -> Self {
        let ratio_total = zip_bytes.saturating_mul(limits.ratio).max(limits.ratio_from);
        Self { total: limits.unpacked_bytes, ratio_total, spent: 0 }
    }

    /// The bytes unpacked so far.
    pub fn spent(&self) -> u64 {
        self.spent
    }

    fn spend(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.spent += bytes as u64;
        if self.spent > self.total {
            return Err(Refusal::content(format!(
                "The package unpacks to more than the {} bytes that are allowed",
                self.total
            )));
        }
        if self.spent > self.ratio_total {
            return Err(Refusal::content("The package unpacks to far more than its own size, as a zip bomb does"));
        }
        Ok(())
    }
}

/// Writes the entry's data to `to` and checks it against the size and the checksum the directory claims.
pub(super) fn unpack(file: &File, entry: &Entry, budget: &mut Budget, to: &mut dyn Write) -> Result<(), Refusal> {
    let packed = BufReader::with_capacity(BUFFER, Range { file, at: entry.start, left: entry.packed });
    let mut from: Box<dyn Read + '_> =
        if entry.deflated { Box::new(DeflateDecoder::new(packed)) } else { Box::new(packed) };
    let mut buffer = vec![0; BUFFER];
    let mut checksum = crc32fast::Hasher::new();
    let mut unpacked = 0;
    loop {
        let bytes = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) if e.raw_os_error().is_some() => return Err(Refusal::Io(e)),
            Err(_) => return Err(broken(entry)),
        };
        budget.spend(bytes)?;
        unpacked += bytes as u64;
        if unpacked > entry.unpacked {
            return Err(broken(entry));
        }
        checksum.update(&buffer[..bytes]);
        to.write_all(&buffer[..bytes])?;
    }
    if unpacked != entry.unpacked || checksum.finalize() != entry.crc {
        return Err(broken(entry));
    }
    Ok(())
}

/// The entry's data as text, of at most `limit` bytes. A byte order mark says whether it is UTF-8 or UTF-16.
pub(super) fn text(file: &File, entry: &Entry, budget: &mut Budget, limit: u64) -> Result<String, Refusal> {
    let name = shown(entry.name.as_bytes());
    if entry.unpacked > limit {
        return Err(Refusal::content(format!("The file {name} is larger than the {limit} bytes that are allowed")));
    }
    let mut bytes = Vec::new();
    unpack(file, entry, budget, &mut bytes)?;
    decode(&bytes).ok_or_else(|| Refusal::content(format!("The file {name} is not text in UTF-8")))
}

/// Bytes as text.
pub(super) fn decode(bytes: &[u8]) -> Option<String> {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let (pairs, rest) = bytes.as_chunks::<2>();
        let units: Vec<u16> = pairs.iter().map(|pair| unit(*pair)).collect();
        if rest.is_empty() { String::from_utf16(&units).ok() } else { None }
    };
    match bytes {
        [0xEF, 0xBB, 0xBF, rest @ ..] => String::from_utf8(rest.to_vec()).ok(),
        [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes),
        _ => String::from_utf8(bytes.to_vec()).ok(),
    }
}

fn broken(entry: &Entry) -> Refusal {
    Refusal::content(format!("The zip's entry {} is damaged", shown(entry.name.as_bytes())))
}

/// A part of a file, read without moving the file's own position.
struct Range<'a> {
    file: &'a File,
    at: u64,
    left: u64,
}

impl Read for Range<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let read = self.file.read_at(&mut buffer[..wanted], self.at)?;
        self.at += read as u64;
        self.left -= read as u64;
        Ok(read)
    }
}
