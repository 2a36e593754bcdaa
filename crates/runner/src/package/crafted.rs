//! Builds zips byte by byte, so that a test can lie in any field.

use std::io::Write;

use flate2::{Compression, write::DeflateEncoder};

/// One entry, as the directory and its own header claim it.
#[derive(Debug, Clone)]
pub(super) struct Raw {
    pub name: Vec<u8>,
    /// The name in the entry's own header.
    pub local_name: Vec<u8>,
    /// The bytes that stand in the zip.
    pub data: Vec<u8>,
    pub method: u16,
    pub flags: u16,
    pub crc: u32,
    pub unpacked: u32,
    pub packed: u32,
    pub mode: u32,
    pub host: u8,
    /// Where the directory says that the entry's header is, instead of where it is.
    pub header: Option<u32>,
    /// Extra field of the directory's record.
    pub extra: Vec<u8>,
}

/// A stored file.
pub(super) fn stored(name: impl AsRef<[u8]>, data: impl AsRef<[u8]>) -> Raw {
    let (name, data) = (name.as_ref().to_vec(), data.as_ref().to_vec());
    Raw {
        local_name: name.clone(),
        name,
        method: 0,
        flags: 0,
        crc: crc32fast::hash(&data),
        unpacked: data.len() as u32,
        packed: data.len() as u32,
        mode: 0o100_644,
        host: 3,
        header: None,
        extra: Vec::new(),
        data,
    }
}

/// A deflated file.
pub(super) fn deflated(name: impl AsRef<[u8]>, data: impl AsRef<[u8]>) -> Raw {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(data.as_ref()).unwrap();
    let packed = encoder.finish().unwrap();
    Raw { method: 8, packed: packed.len() as u32, data: packed, ..stored(name, data) }
}

/// A folder; its name ends with a slash.
pub(super) fn folder(name: &str) -> Raw {
    Raw { mode: 0o040_755, ..stored(name, "") }
}

/// What the end record claims instead of the truth.
#[derive(Default)]
pub(super) struct End {
    pub entries: Option<u16>,
    pub directory_bytes: Option<u32>,
    pub directory_start: Option<u32>,
    pub disk: u16,
    pub comment: Vec<u8>,
    /// Entries that a 64-bit end record claims, when there is one.
    pub entries_64: Option<u64>,
}

/// The zip of these entries.
pub(super) fn zip(entries: &[Raw]) -> Vec<u8> {
    zip_with(entries, &End::default())
}

/// The zip of these entries, with lies in its end record.
pub(super) fn zip_with(entries: &[Raw], end: &End) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut directory = Vec::new();
    for entry in entries {
        let header = entry.header.unwrap_or(bytes.len() as u32);
        write_local(&mut bytes, entry);
        write_central(&mut directory, entry, header);
    }
    let start = bytes.len();
    bytes.extend(&directory);
    if let Some(count) = end.entries_64 {
        write_end_64(&mut bytes, count, directory.len() as u64, start as u64);
    }
    let count = end.entries.unwrap_or(entries.len() as u16);
    put32(&mut bytes, 0x0605_4b50);
    put16(&mut bytes, &[end.disk, 0, count, count]);
    put32(&mut bytes, end.directory_bytes.unwrap_or(directory.len() as u32));
    put32(&mut bytes, end.directory_start.unwrap_or(start as u32));
    put16(&mut bytes, &[end.comment.len() as u16]);
    bytes.extend(&end.comment);
    bytes
}

fn write_local(to: &mut Vec<u8>, entry: &Raw) {
    put32(to, 0x0403_4b50);
    put16(to, &[20, entry.flags, entry.method, 0, 0x21]);
    put32(to, entry.crc);
    put32(to, entry.packed);
    put32(to, entry.unpacked);
    put16(to, &[entry.local_name.len() as u16, 0]);
    to.extend(&entry.local_name);
    to.extend(&entry.data);
}

fn write_central(to: &mut Vec<u8>, entry: &Raw, header: u32) {
    put32(to, 0x0201_4b50);
    to.extend([20, entry.host]);
    put16(to, &[20, entry.flags, entry.method, 0, 0x21]);
    put32(to, entry.crc);
    put32(to, entry.packed);
    put32(to, entry.unpacked);
    put16(to, &[entry.name.len() as u16, entry.extra.len() as u16, 0, 0, 0]);
    put32(to, entry.mode << 16);
    put32(to, header);
    to.extend(&entry.name);
    to.extend(&entry.extra);
}

fn write_end_64(to: &mut Vec<u8>, entries: u64, directory_bytes: u64, directory_start: u64) {
    let at = to.len() as u64;
    put32(to, 0x0606_4b50);
    to.extend(44_u64.to_le_bytes());
    put16(to, &[45, 45, 0, 0, 0, 0]);
    for number in [entries, entries, directory_bytes, directory_start] {
        to.extend(number.to_le_bytes());
    }
    put32(to, 0x0706_4b50);
    put32(to, 0);
    to.extend(at.to_le_bytes());
    put32(to, 1);
}

fn put16(to: &mut Vec<u8>, numbers: &[u16]) {
    to.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
}

fn put32(to: &mut Vec<u8>, number: u32) {
    to.extend(number.to_le_bytes());
}
