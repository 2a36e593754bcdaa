//! The caches of packages: held while a step uses one, removed when they have become too large.
//!
//! uv has no way to keep a cache within a size, so a whole cache goes: what is in it is fetched or built again when somebody
//! asks for it.

use std::{
    fs::{self, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::SystemTime,
};

use nix::fcntl::{Flock, FlockArg};
use tokio_util::sync::CancellationToken;

use super::shelf::{Lock, Shelf, names, remove_folder, size_of};

/// What is being removed has a name that begins so.
const GOING: &str = "going-";

/// A cache, and what is to be known before it is removed.
struct Cache {
    path: PathBuf,
    size: u64,
    last_used: SystemTime,
}

impl Shelf {
    /// Keeps a cache from being removed, together with others that use it; nothing when it was cancelled.
    pub async fn use_cache(&self, cache: &Path, cancel: &CancellationToken) -> io::Result<Option<Lock>> {
        let lock = self.lock_as(&lock_name(cache), FlockArg::LockSharedNonblock, cancel).await?;
        if let Some(lock) = &lock {
            lock.touch()?;
        }
        Ok(lock)
    }

    /// Removes caches, those not used for the longest time first, until the rest has at most so many bytes.
    pub fn trim_caches(&self, most: u64) -> io::Result<usize> {
        let mut caches = self.caches()?;
        caches.sort_by_key(|cache| cache.last_used);
        let mut size: u64 = caches.iter().map(|cache| cache.size).sum();
        let mut removed = 0;
        for cache in caches {
            if size <= most {
                break;
            }
            if self.remove_cache(&cache.path)? {
                size -= cache.size;
                removed += 1;
            }
        }
        Ok(removed)
    }

    fn caches(&self) -> io::Result<Vec<Cache>> {
        let scopes = self.root().join("scopes");
        let mut caches = Vec::new();
        for path in names(&scopes)?.iter().map(|name| scopes.join(name)).chain([self.shared_cache()]) {
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(GOING)) {
                // A server ended before it was gone.
                remove_folder(&path)?;
                continue;
            }
            let lock = self.root().join("locks").join(lock_name(&path));
            let last_used = lock.metadata().and_then(|lock| lock.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
            // A build may be at work in it, and what comes and goes meanwhile does not matter.
            let size = size_of(&path).unwrap_or(0);
            if size > 0 {
                caches.push(Cache { path, size, last_used });
            }
        }
        Ok(caches)
    }

    /// Removes a cache; false when it is in use.
    fn remove_cache(&self, cache: &Path) -> io::Result<bool> {
        let Some(lock) = self.try_lock(&lock_name(cache))? else { return Ok(false) };
        let going = self.root().join("scopes").join(format!("{GOING}{}", uuid::Uuid::new_v4()));
        match fs::rename(cache, &going) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
            renamed => renamed?,
        }
        if cache == self.shared_cache() {
            self.make_cache(cache)?;
        }
        drop(lock);
        remove_folder(&going)?;
        Ok(true)
    }
}

fn lock_name(cache: &Path) -> String {
    format!("cache-{}", cache.file_name().unwrap_or_default().to_string_lossy())
}

/// Takes a lock on the file of this name, when it can be had.
pub(super) fn try_lock(path: &Path, how: FlockArg) -> io::Result<Option<Lock>> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    match Flock::lock(file, how) {
        Ok(lock) => Ok(Some(Lock(lock))),
        Err((_, nix::errno::Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, error)) => Err(error.into()),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that fails here says where")]
mod tests {
    use super::*;
    use crate::environments::BuildUser;

    fn filled(shelf: &Shelf, scope: &str, bytes: usize) -> PathBuf {
        let cache = shelf.scope_cache(scope).unwrap();
        fs::write(cache.join("file"), vec![0; bytes]).unwrap();
        cache
    }

    async fn used(shelf: &Shelf, cache: &Path, seconds_ago: u64) {
        drop(shelf.use_cache(cache, &CancellationToken::new()).await.unwrap().unwrap());
        let lock = fs::File::options().write(true).open(shelf.root().join("locks").join(lock_name(cache))).unwrap();
        lock.set_modified(SystemTime::now() - std::time::Duration::from_secs(seconds_ago)).unwrap();
    }

    #[tokio::test]
    async fn the_cache_that_was_not_used_for_longest_goes_first_and_one_in_use_stays() {
        let place = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(place.path(), BuildUser::default()).unwrap();
        let (old, older, new) = (filled(&shelf, "old", 100), filled(&shelf, "older", 100), filled(&shelf, "new", 100));
        fs::write(shelf.shared_cache().join("wheel"), vec![0; 100]).unwrap();
        for (cache, seconds) in [(&old, 20), (&older, 30), (&new, 10), (&shelf.shared_cache(), 5)] {
            used(&shelf, cache, seconds).await;
        }

        assert_eq!(shelf.trim_caches(400).unwrap(), 0);
        assert_eq!(shelf.trim_caches(300).unwrap(), 1);
        assert!(!older.exists() && old.exists() && new.exists());
        used(&shelf, &old, 60).await;
        let using = shelf.use_cache(&old, &CancellationToken::new()).await.unwrap().unwrap();
        assert_eq!(shelf.trim_caches(100).unwrap(), 2, "the one in use is passed over");
        assert!(old.join("file").exists() && !new.exists());
        assert_eq!(fs::read_dir(shelf.shared_cache()).unwrap().count(), 0, "emptied, but there for the next build");
        drop(using);
        assert_eq!(shelf.trim_caches(99).unwrap(), 1);
        assert_eq!(fs::read_dir(place.path().join("scopes")).unwrap().count(), 0);
    }
}
