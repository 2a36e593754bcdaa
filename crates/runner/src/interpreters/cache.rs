//! What executables said of themselves at an earlier start: asking each again would cost more than the whole start.
//!
//! An answer holds as long as the file it came from is the same: its real path, size and time of change.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use super::{Interpreter, newest_first, places, probe_all};

/// The file an answer came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    path: PathBuf,
    size: u64,
    changed: u128,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Known {
    stamp: Stamp,
    answer: Option<Interpreter>,
}

impl Known {
    /// Whether the answer still counts: the file is the same, and what it spoke of (a shim names another) is there.
    fn holds(&self, stamp: &Stamp) -> bool {
        self.stamp == *stamp && self.answer.as_ref().is_none_or(|interpreter| interpreter.path.exists())
    }
}

type Cache = BTreeMap<PathBuf, Known>;

/// As [`super::find`], asking only executables that `file` does not know; keeps the answers there.
///
/// A file that cannot be read or written costs time, nothing else.
pub async fn find_cached(file: &Path) -> Vec<Interpreter> {
    let known = read(file);
    let mut cache = Cache::new();
    let mut unknown = Vec::new();
    for candidate in places::candidates(&places::Host::current()) {
        let Some(stamp) = stamp(&candidate) else { continue };
        match known.get(&candidate).filter(|known| known.holds(&stamp)) {
            Some(known) => {
                cache.insert(candidate, known.clone());
            }
            None => unknown.push((candidate, stamp)),
        }
    }
    if !unknown.is_empty() {
        let answers = probe_all(unknown.iter().map(|(candidate, _)| candidate.clone()).collect()).await;
        for ((candidate, stamp), answer) in unknown.into_iter().zip(answers) {
            cache.insert(candidate, Known { stamp, answer });
        }
        if let Err(error) = write(file, &cache) {
            tracing::warn!(%error, file = %file.display(), "the list of interpreters could not be kept");
        }
    }
    newest_first(cache.into_values().filter_map(|known| known.answer).collect())
}

fn stamp(candidate: &Path) -> Option<Stamp> {
    let path = candidate.canonicalize().ok()?;
    let found = path.metadata().ok()?;
    let changed = found.modified().ok()?.duration_since(UNIX_EPOCH).ok()?.as_nanos();
    Some(Stamp { path, size: found.len(), changed })
}

fn read(file: &Path) -> Cache {
    std::fs::read(file).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
}

fn write(file: &Path, cache: &Cache) -> io::Result<()> {
    let temporary = file.with_extension("tmp");
    std::fs::write(&temporary, serde_json::to_vec(cache)?)?;
    std::fs::rename(temporary, file)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_second_search_finds_what_the_first_did() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("interpreters.json");
        let first = find_cached(&file).await;
        assert!(!first.is_empty());
        assert_eq!(find_cached(&file).await, first);
        assert_eq!(super::super::find().await, first);
    }

    #[tokio::test]
    async fn a_broken_file_is_as_good_as_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("interpreters.json");
        std::fs::write(&file, "{").unwrap();
        assert!(!find_cached(&file).await.is_empty());
    }
}
