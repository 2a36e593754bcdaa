//! Zips that lie.

use std::io::Cursor;

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::{ECHO, zipped};

/// Where a record begins: its signature, counted from the end of the zip.
fn last(zip: &[u8], signature: [u8; 4]) -> usize {
    zip.windows(4).rposition(|bytes| bytes == signature).unwrap()
}

const CENTRAL: [u8; 4] = *b"PK\x01\x02";
const END: [u8; 4] = *b"PK\x05\x06";

/// A package with a link in it.
pub fn link(name: &str, target: &str) -> Vec<u8> {
    let mut zip = ZipWriter::new_append(Cursor::new(zipped(&[("deployment.py", ECHO.as_bytes())]))).unwrap();
    zip.add_symlink(name, target, SimpleFileOptions::default()).unwrap();
    zip.finish().unwrap().into_inner()
}

/// A package with a device in it.
pub fn device(name: &str) -> Vec<u8> {
    let mut zip = zipped(&[("deployment.py", ECHO.as_bytes()), (name, b"")]);
    let record = last(&zip, CENTRAL);
    zip[record + 5] = 3;
    zip[record + 38..record + 42].copy_from_slice(&(0o020_644_u32 << 16).to_le_bytes());
    zip
}

/// A package that says that it holds very many entries.
pub fn many(count: u64) -> Vec<u8> {
    let mut zip = zipped(&[("deployment.py", ECHO.as_bytes())]);
    let end = last(&zip, END);
    let start = u32::from_le_bytes(zip[end + 16..end + 20].try_into().unwrap());
    let length = u32::from_le_bytes(zip[end + 12..end + 16].try_into().unwrap());
    let mut larger = b"PK\x06\x06".to_vec();
    larger.extend(44_u64.to_le_bytes());
    larger.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    larger.extend(count.to_le_bytes());
    larger.extend(count.to_le_bytes());
    larger.extend(u64::from(length).to_le_bytes());
    larger.extend(u64::from(start).to_le_bytes());
    larger.extend(*b"PK\x06\x07\0\0\0\0");
    larger.extend((end as u64).to_le_bytes());
    larger.extend(1_u32.to_le_bytes());
    zip[end + 8..end + 12].fill(0xff);
    zip.splice(end..end, larger);
    zip
}

/// A package whose directory names the bytes of one entry twice.
pub fn overlapping() -> Vec<u8> {
    let mut zip = zipped(&[("deployment.py", ECHO.as_bytes()), ("deploymen2.py", ECHO.as_bytes())]);
    let record = last(&zip, CENTRAL);
    zip[record + 42..record + 46].fill(0);
    zip
}
