//! Reads a zip's central directory, checking each number before anything is allocated by it.

use std::{fs::File, os::unix::fs::FileExt};

use super::{Limits, Refusal, names};

const END: u32 = 0x0605_4b50;
const END_64: u32 = 0x0606_4b50;
const LOCATOR_64: u32 = 0x0706_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const LOCAL: u32 = 0x0403_4b50;

const END_BYTES: usize = 22;
const END_64_BYTES: usize = 56;
const LOCATOR_64_BYTES: usize = 20;
const CENTRAL_BYTES: usize = 46;
const LOCAL_BYTES: usize = 30;

/// Encrypted, strongly encrypted, and with a hidden directory.
const ENCRYPTED: u16 = 1 | 1 << 6 | 1 << 13;

/// One file or folder of a zip, with its place checked and its claims not.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Its path, without a slash at the end.
    pub name: String,
    pub folder: bool,
    pub executable: bool,
    pub deflated: bool,
    /// The checksum it claims to have.
    pub crc: u32,
    /// The size it claims to have once unpacked.
    pub unpacked: u64,
    /// Where its data starts in the zip, and how long it is there.
    pub start: u64,
    pub packed: u64,
}

/// Where the directory lies and how many entries it claims.
struct End {
    entries: u64,
    start: u64,
    bytes: u64,
}

/// Reads the directory of `file` and the place of each entry's data.
pub(crate) fn read(file: &File, limits: &Limits) -> Result<Vec<Entry>, Refusal> {
    let length = file.metadata()?.len();
    if length > limits.zip_bytes {
        return Err(Refusal::content(format!(
            "The package has {length} bytes, more than the {} that are allowed",
            limits.zip_bytes
        )));
    }
    let end = find_end(file, length, limits)?;
    let bytes = read_at(file, end.start, end.bytes as usize)?;
    let mut entries = Vec::new();
    let mut places = Vec::new();
    let mut rest = bytes.as_slice();
    for _ in 0..end.entries {
        let (central, after) = Central::split(rest)?;
        rest = after;
        let header = central.header;
        let Some(mut entry) = central.entry(limits)? else { continue };
        entry.start = data_start(file, header, central.raw_name, central.method)?;
        let stop = entry.start.checked_add(entry.packed).filter(|stop| *stop <= end.start).ok_or_else(damaged)?;
        places.push((header, stop));
        entries.push(entry);
    }
    if !rest.is_empty() {
        return Err(Refusal::content("The zip's directory holds more entries than it says"));
    }
    refuse_overlaps(places)?;
    Ok(entries)
}

fn damaged() -> Refusal {
    Refusal::content("The zip is damaged: its directory points outside of the file")
}

fn read_at(file: &File, start: u64, length: usize) -> Result<Vec<u8>, Refusal> {
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, start)?;
    Ok(bytes)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

/// Finds the end record, and the 64-bit one when there is one, and checks what they say.
fn find_end(file: &File, length: u64, limits: &Limits) -> Result<End, Refusal> {
    let not_a_zip = || Refusal::content("The file is not a zip");
    let tail_bytes = length.min((END_BYTES + usize::from(u16::MAX)) as u64) as usize;
    let tail = read_at(file, length - tail_bytes as u64, tail_bytes)?;
    let at = (0..=tail_bytes.checked_sub(END_BYTES).ok_or_else(not_a_zip)?)
        .rev()
        .find(|&at| u32_at(&tail, at) == END && usize::from(u16_at(&tail, at + 20)) == tail_bytes - at - END_BYTES)
        .ok_or_else(not_a_zip)?;
    let position = length - tail_bytes as u64 + at as u64;
    let record = &tail[at..at + END_BYTES];
    let mut disks = u64::from(u16_at(record, 4)) + u64::from(u16_at(record, 6));
    let mut entries = (u64::from(u16_at(record, 8)), u64::from(u16_at(record, 10)));
    let mut bytes = u64::from(u32_at(record, 12));
    let mut start = u64::from(u32_at(record, 16));
    let mut stop = position;
    if let Some((at, large)) = find_end_64(file, position)? {
        disks = u64::from(u32_at(&large, 16)) + u64::from(u32_at(&large, 20));
        entries = (u64_at(&large, 24), u64_at(&large, 32));
        bytes = u64_at(&large, 40);
        start = u64_at(&large, 48);
        stop = at;
    }
    if disks != 0 || entries.0 != entries.1 {
        return Err(Refusal::content("The zip is split into several files, which is not supported"));
    }
    let end = End { entries: entries.1, start, bytes };
    check_end(&end, stop, limits)?;
    Ok(end)
}

/// The 64-bit end record with its place, when a locator right before the end record points to one.
fn find_end_64(file: &File, end: u64) -> Result<Option<(u64, Vec<u8>)>, Refusal> {
    let Some(locator_at) = end.checked_sub(LOCATOR_64_BYTES as u64) else { return Ok(None) };
    let locator = read_at(file, locator_at, LOCATOR_64_BYTES)?;
    if u32_at(&locator, 0) != LOCATOR_64 {
        return Ok(None);
    }
    let at = u64_at(&locator, 8);
    if at.checked_add(END_64_BYTES as u64).is_none_or(|stop| stop > locator_at) {
        return Err(damaged());
    }
    let record = read_at(file, at, END_64_BYTES)?;
    if u32_at(&record, 0) != END_64 || u64_at(&record, 4).checked_add(at + 12) != Some(locator_at) {
        return Err(damaged());
    }
    Ok(Some((at, record)))
}

fn check_end(end: &End, stop: u64, limits: &Limits) -> Result<(), Refusal> {
    if end.entries > limits.entries {
        return Err(Refusal::content(format!(
            "The zip says that it holds {} entries, more than the {} that are allowed",
            end.entries, limits.entries
        )));
    }
    if end.bytes > limits.directory_bytes {
        return Err(Refusal::content("The zip's directory is larger than allowed"));
    }
    if end.start.checked_add(end.bytes) != Some(stop) {
        return Err(Refusal::content("The zip is damaged: its directory is not where its end says"));
    }
    Ok(())
}

/// One record of the central directory.
struct Central<'a> {
    fixed: &'a [u8],
    raw_name: &'a [u8],
    method: u16,
    packed: u64,
    unpacked: u64,
    header: u64,
}

impl<'a> Central<'a> {
    /// Takes one record off the front.
    fn split(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), Refusal> {
        let short = || Refusal::content("The zip's directory holds fewer entries than it says");
        let (fixed, rest) = bytes.split_at_checked(CENTRAL_BYTES).ok_or_else(short)?;
        if u32_at(fixed, 0) != CENTRAL {
            return Err(short());
        }
        let (raw_name, rest) = rest.split_at_checked(usize::from(u16_at(fixed, 28))).ok_or_else(short)?;
        let (extra, rest) = rest.split_at_checked(usize::from(u16_at(fixed, 30))).ok_or_else(short)?;
        let (_comment, rest) = rest.split_at_checked(usize::from(u16_at(fixed, 32))).ok_or_else(short)?;
        let mut large = Large::find(extra);
        let unpacked = large.or(u32_at(fixed, 24))?;
        let packed = large.or(u32_at(fixed, 20))?;
        let header = large.or(u32_at(fixed, 42))?;
        Ok((Self { fixed, raw_name, method: u16_at(fixed, 10), packed, unpacked, header }, rest))
    }

    /// The entry it describes, still without its place; `None` for the zip's own top folder.
    fn entry(&self, limits: &Limits) -> Result<Option<Entry>, Refusal> {
        let Some((name, folder)) = names::check(self.raw_name, limits)? else { return Ok(None) };
        let shown = names::shown(self.raw_name);
        if u16_at(self.fixed, 8) & ENCRYPTED != 0 || self.method == 99 {
            return Err(Refusal::content(format!("The zip's entry {shown} is encrypted")));
        }
        if self.method != 0 && self.method != 8 {
            return Err(Refusal::content(format!(
                "The zip's entry {shown} uses compression method {}; only stored and deflated entries are supported",
                self.method
            )));
        }
        let mode = u32_at(self.fixed, 38) >> 16;
        check_kind(mode, folder, &shown)?;
        if folder && self.unpacked != 0 {
            return Err(Refusal::content(format!("The zip's folder {shown} has data")));
        }
        let unix = matches!(self.fixed[5], 3 | 19);
        Ok(Some(Entry {
            name,
            folder,
            executable: unix && mode & 0o111 != 0,
            deflated: self.method == 8,
            crc: u32_at(self.fixed, 16),
            unpacked: self.unpacked,
            start: 0,
            packed: self.packed,
        }))
    }
}

/// Refuses links, devices and pipes, and files that call themselves folders.
fn check_kind(mode: u32, folder: bool, shown: &str) -> Result<(), Refusal> {
    let kind = match mode & 0o170_000 {
        0 => return Ok(()),
        0o100_000 if !folder => return Ok(()),
        0o040_000 if folder => return Ok(()),
        0o120_000 => "a symbolic link",
        0o020_000 | 0o060_000 => "a device",
        0o010_000 => "a named pipe",
        0o140_000 => "a socket",
        _ => "neither a file nor a folder",
    };
    Err(Refusal::content(format!("The zip's entry {shown} is {kind}; a package holds only files and folders")))
}

/// The 64-bit numbers of an entry, in the order in which its 32-bit ones are too small.
struct Large<'a>(&'a [u8]);

impl<'a> Large<'a> {
    fn find(mut extra: &'a [u8]) -> Self {
        while extra.len() >= 4 {
            let (head, rest) = extra.split_at(4);
            let Some((field, after)) = rest.split_at_checked(usize::from(u16_at(head, 2))) else { break };
            if u16_at(head, 0) == 1 {
                return Self(field);
            }
            extra = after;
        }
        Self(&[])
    }

    /// `small`, or the next 64-bit number when `small` says that it is too small.
    fn or(&mut self, small: u32) -> Result<u64, Refusal> {
        if small != u32::MAX {
            return Ok(u64::from(small));
        }
        let (number, rest) = self.0.split_at_checked(8).ok_or_else(damaged)?;
        self.0 = rest;
        Ok(u64_at(number, 0))
    }
}

/// Reads the entry's own header, which must agree with the directory, and says where its data starts.
fn data_start(file: &File, header: u64, raw_name: &[u8], method: u16) -> Result<u64, Refusal> {
    let length = file.metadata()?.len();
    let known = (LOCAL_BYTES + raw_name.len()) as u64;
    if header.checked_add(known).is_none_or(|stop| stop > length) {
        return Err(damaged());
    }
    let local = read_at(file, header, known as usize)?;
    let same = u32_at(&local, 0) == LOCAL
        && u16_at(&local, 8) == method
        && usize::from(u16_at(&local, 26)) == raw_name.len()
        && &local[LOCAL_BYTES..] == raw_name;
    if !same {
        return Err(Refusal::content(format!(
            "The zip is damaged: its directory and its entry {} disagree",
            names::shown(raw_name)
        )));
    }
    Ok(header + known + u64::from(u16_at(&local, 28)))
}

/// Refuses entries that share bytes: a small zip could unpack without end.
fn refuse_overlaps(mut places: Vec<(u64, u64)>) -> Result<(), Refusal> {
    places.sort_unstable();
    if places.windows(2).any(|pair| pair[0].1 > pair[1].0) {
        return Err(Refusal::content("The zip's entries overlap each other"));
    }
    Ok(())
}
