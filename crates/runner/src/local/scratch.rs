//! How much of the disk an instance uses, looked at again and again: no file system we can count on keeps the count for us.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::statfs::{TMPFS_MAGIC, fstatfs};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::supervisor::Signal;
use crate::cgroup::Group;
use crate::process::Held;

/// The least pause between two looks.
const PAUSE: Duration = Duration::from_secs(1);
/// A look that takes long is taken less often: it costs at most this part of the time.
const PART: u32 = 20;

/// What is looked at.
pub(super) struct Place {
    pub folder: PathBuf,
    pub limit: u64,
    pub group: Option<Group>,
    /// What of it the server has open.
    pub held: Arc<Held>,
}

/// Looks until it is dropped, and tells the supervisor once when the limit is passed.
pub(super) struct Watch(JoinHandle<()>);

impl Watch {
    pub(super) fn begin(place: Place, signals: mpsc::UnboundedSender<Signal>) -> Self {
        Self(tokio::spawn(async move {
            let mut pause = PAUSE;
            let mut place = place;
            loop {
                tokio::time::sleep(pause).await;
                let look = tokio::task::spawn_blocking(move || {
                    let begun = Instant::now();
                    let used = used(&place);
                    (place, used, begun.elapsed())
                });
                let Ok((back, used, took)) = look.await else { return };
                if used > back.limit {
                    let _ = signals.send(Signal::Full(used));
                    return;
                }
                (place, pause) = (back, PAUSE.max(took * PART));
            }
        }))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Bytes on disk: of the files in the folder, and of those that were deleted and are still open, there or here.
fn used(place: &Place) -> u64 {
    let mut known = HashSet::new();
    let deleted = place.group.iter().flat_map(Group::pids).map(|pid| deleted(pid, &mut known)).sum::<u64>();
    below(&place.folder) + deleted + deleted_and_held(&place.held, &mut known)
}

/// Bytes of files that were sent to the server and then deleted.
fn deleted_and_held(held: &Held, known: &mut HashSet<(u64, u64)>) -> u64 {
    let mut bytes = 0;
    for file in held.files() {
        let in_memory = fstatfs(&*file).is_ok_and(|system| system.filesystem_type() == TMPFS_MAGIC);
        let Ok(found) = file.metadata() else { continue };
        if found.nlink() == 0 && !in_memory && known.insert((found.dev(), found.ino())) {
            bytes += found.blocks() * 512;
        }
    }
    bytes
}

fn below(folder: &Path) -> u64 {
    let (mut bytes, mut folders) = (0, vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            // Not following links; a file with several names counts once for each, as in a copy.
            let Ok(found) = entry.metadata() else { continue };
            bytes += found.blocks() * 512;
            if found.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    bytes
}

/// Bytes of open files of a process that have no name any more, and that no other process was seen with.
fn deleted(pid: i32, known: &mut HashSet<(u64, u64)>) -> u64 {
    let mut bytes = 0;
    for entry in fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten() {
        let Ok(found) = fs::metadata(entry.path()) else { continue };
        if !found.is_file() || found.nlink() > 0 || in_memory(&entry.path()) {
            continue;
        }
        if known.insert((found.dev(), found.ino())) {
            bytes += found.blocks() * 512;
        }
    }
    bytes
}

/// Files in memory count as memory.
fn in_memory(link: &Path) -> bool {
    fs::read_link(link).is_ok_and(|to| to.starts_with("/dev/shm") || to.to_string_lossy().starts_with("/memfd:"))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that fails here says where")]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn files_count_with_what_they_take_on_disk_and_deleted_ones_too() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("below")).unwrap();
        fs::write(folder.path().join("below/file"), vec![1; 1 << 20]).unwrap();
        let sparse = fs::File::create(folder.path().join("sparse")).unwrap();
        sparse.set_len(1 << 30).unwrap();
        let bytes = below(folder.path());
        assert!((1 << 20..2 << 20).contains(&bytes), "{bytes}");

        let mut open = fs::File::create(folder.path().join("gone")).unwrap();
        open.write_all(&vec![1; 3 << 20]).unwrap();
        open.sync_all().unwrap();
        fs::remove_file(folder.path().join("gone")).unwrap();
        let again = open.try_clone().unwrap();
        let (mut known, held) = (HashSet::new(), Held::default());
        let sent = held.add(again.try_clone().unwrap().into());
        assert!((3 << 20..6 << 20).contains(&deleted_and_held(&held, &mut known)));
        assert_eq!(deleted_and_held(&held, &mut known), 0);
        drop(sent);
        assert_eq!(deleted_and_held(&held, &mut HashSet::new()), 0);
        let ours = i32::try_from(std::process::id()).unwrap();
        let bytes = deleted(ours, &mut HashSet::new());
        assert!((3 << 20..6 << 20).contains(&bytes), "{bytes}");
        drop((open, again));
    }
}
