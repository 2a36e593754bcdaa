//! A disk or a memory that was not large enough.

use std::{os::unix::process::ExitStatusExt, path::Path};

use super::Case;
use crate::environments::{limits::amount, run::Done};

const DISK: [&str; 3] = ["No space left on device", "Disk quota exceeded", "Errno 28]"];
const MEMORY: [&str; 5] =
    ["MemoryError", "Cannot allocate memory", "std::bad_alloc", "memory allocation of ", "out of memory"];
/// Folders that a build has for itself, and what they hold.
const OWN: [&str; 3] = ["/tmp", "/var/tmp", "/dev/shm"];
const MB: u64 = 1 << 20;

/// The sentence, when there was not enough room.
pub(super) fn explain(done: &Done, case: &Case<'_>) -> Option<String> {
    lacked(done, case.folder, case.memory, "take packages that have wheels")
}

/// The sentence, when there was not enough room; `advice` says how to need less memory.
pub(in crate::environments) fn lacked(done: &Done, folder: &Path, memory: u64, advice: &str) -> Option<String> {
    let said = |words: &[&str]| done.errors.iter().find(|line| words.iter().any(|words| line.contains(words)));
    if let Some(line) = said(&DISK) {
        return Some(disk(line, folder));
    }
    let killed = done.out_of_memory
        || done.status.signal() == Some(libc::SIGKILL)
        || done.status.code() == Some(128 + libc::SIGKILL);
    let killed = killed || said(&["SIGKILL", "Killed", "signal: 9"]).is_some();
    if !killed && said(&MEMORY).is_none() {
        return None;
    }
    Some(format!(
        "The build needed more than the {} of memory that a step of it may have; {advice}, or ask the operator to raise \
         build_memory",
        amount(memory)
    ))
}

fn disk(line: &str, folder: &Path) -> String {
    let path = line.split(['`', '\'', '"', ' ']).find(|word| word.starts_with('/')).unwrap_or_default();
    if let Some(own) = OWN.iter().find(|own| path.starts_with(*own) && !folder.starts_with(own)) {
        return format!("The build filled its folder {own}, which holds 256 MB; let it write to the folder in TMPDIR");
    }
    full(folder)
}

/// The disk of a folder is full.
pub(in crate::environments) fn full(folder: &Path) -> String {
    let free = nix::sys::statvfs::statvfs(folder).map(|about| about.blocks_available() * about.fragment_size());
    let free = free.map(|bytes| format!(" ({} MB are free there now)", bytes / MB)).unwrap_or_default();
    format!(
        "The disk is full: the environment does not fit into {}{free}; the operator makes room there, or ask for less",
        folder.display()
    )
}
