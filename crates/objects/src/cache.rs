//! Copies of files that lie elsewhere: as many as fit, those that were unused for longest go first.
//!
//! An entry is written aside and becomes one by a rename. It is removed under those who have it open, who read it to its end.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};
use tokio::sync::Mutex as Gate;

use crate::{ObjectError, Staged, Staging};

/// The least that an entry counts: a block of a disk.
const LEAST: u64 = 4096;
/// How many entries there are at most, however small they are.
const MOST: usize = 100_000;
const DOING: &str = "keeping a copy of a file";

/// Copies of files, by keys that are names of files.
pub struct Cache {
    entries: PathBuf,
    aside: PathBuf,
    limit: u64,
    known: Mutex<Known>,
    /// Who wants an entry that somebody else fetches waits for it.
    gates: Mutex<HashMap<String, Weak<Gate<()>>>>,
}

/// What is on the disk, and what is promised to entries on their way.
#[derive(Default)]
struct Known {
    by_key: HashMap<String, (u64, u64)>,
    /// The turn of an entry's last use.
    by_turn: BTreeMap<u64, String>,
    turn: u64,
    taken: u64,
}

/// Room that is promised to an entry on its way; given back unless it becomes one.
struct Promise<'a>(&'a Cache, u64);

impl Drop for Promise<'_> {
    fn drop(&mut self) {
        self.0.known().taken -= self.1;
    }
}

impl Cache {
    /// The cache of a folder, with the entries that it holds from before.
    pub fn open(folder: &Path, limit: u64) -> io::Result<Self> {
        let (entries, aside) = (folder.join("entries"), folder.join("aside"));
        fs::create_dir_all(&entries)?;
        // What was on its way when an earlier life ended.
        if aside.exists() {
            fs::remove_dir_all(&aside)?;
        }
        fs::create_dir(&aside)?;
        let mut found = Vec::new();
        for entry in fs::read_dir(&entries)? {
            let entry = entry?;
            let about = entry.metadata()?;
            found.push((about.modified()?, about.len(), entry.file_name().to_string_lossy().into_owned()));
        }
        found.sort();
        let mut known = Known::default();
        for (_, size, key) in found {
            known.add(key, counted(size));
        }
        let cache = Self { entries, aside, limit, known: Mutex::new(known), gates: Mutex::default() };
        cache.make_room(0)?;
        Ok(cache)
    }

    /// Opens the copy of a file of `size` bytes, at its beginning. What `fetch` gives becomes one when there is none; of those who want
    /// the same at once one fetches it.
    pub async fn get<E, S>(
        &self,
        key: &str,
        size: u64,
        fetch: impl Future<Output = Result<S, E>> + Send,
    ) -> Result<File, E>
    where
        E: From<ObjectError>,
        S: Stream<Item = Result<Bytes, E>> + Send,
    {
        let gate = self.gate(key);
        let alone = gate.lock().await;
        if let Some(file) = self.look(key, size).await? {
            return Ok(file);
        }
        let room = counted(size);
        let Some(_promise) = self.promise(room)? else {
            // Nobody gains by waiting for what is not kept.
            drop(alone);
            return self.pass(fetch.await?).await;
        };
        let staged = self.write(fetch.await?).await?;
        let file = opened(&staged)?;
        let kept = staged.size() == size;
        // One that grew meanwhile has not the room that was promised.
        if kept {
            staged.flush().await?;
            staged.become_file(self.entries.join(key)).await?;
            self.known().add(key.to_owned(), room);
        }
        Ok(file)
    }

    /// A copy that is nobody else's: it goes when the answer is closed.
    pub async fn pass<E, S>(&self, bytes: S) -> Result<File, E>
    where
        E: From<ObjectError>,
        S: Stream<Item = Result<Bytes, E>> + Send,
    {
        Ok(opened(&self.write(bytes).await?)?)
    }

    async fn write<E, S>(&self, bytes: S) -> Result<Staged, E>
    where
        E: From<ObjectError>,
        S: Stream<Item = Result<Bytes, E>> + Send,
    {
        let mut staging = Staging::begin(&self.aside, u64::MAX);
        let mut bytes = std::pin::pin!(bytes);
        while let Some(piece) = bytes.try_next().await? {
            staging.write(piece).await?;
        }
        Ok(staging.finish().await?)
    }

    /// An entry, if it is there and whole.
    async fn look(&self, key: &str, size: u64) -> Result<Option<File>, ObjectError> {
        if !self.known().touch(key) {
            return Ok(None);
        }
        let path = self.entries.join(key);
        let found = tokio::task::spawn_blocking(move || {
            let file = File::open(path)?;
            // The order of use, for the next life.
            file.set_modified(SystemTime::now())?;
            let length = file.metadata()?.len();
            Ok((file, length))
        });
        match found.await.map_err(io::Error::other).and_then(|found| found) {
            Ok((file, length)) if length == size => Ok(Some(file)),
            Ok(_) => Ok(None),
            // Somebody has emptied the folder.
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(ObjectError::of_io(DOING, &cause)),
        }
    }

    /// Promises room; nothing when all of it is promised to others, or there never is so much.
    fn promise(&self, room: u64) -> Result<Option<Promise<'_>>, ObjectError> {
        let fits = self.make_room(room).map_err(|cause| ObjectError::of_io(DOING, &cause))?;
        // Made only if it was kept: dropping one gives room back.
        Ok(fits.then(|| Promise(self, room)))
    }

    /// Lets go of entries until there is room for another, and takes it; false when it cannot be had.
    fn make_room(&self, room: u64) -> io::Result<bool> {
        if room > self.limit {
            return Ok(false);
        }
        let mut known = self.known();
        while known.taken + room > self.limit || known.by_key.len() >= MOST {
            let Some(key) = known.oldest() else { return Ok(false) };
            match fs::remove_file(self.entries.join(&key)) {
                Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
                _ => known.remove(&key),
            }
        }
        known.taken += room;
        Ok(true)
    }

    fn gate(&self, key: &str) -> Arc<Gate<()>> {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gate) = gates.get(key).and_then(Weak::upgrade) {
            return gate;
        }
        gates.retain(|_, gate| gate.strong_count() > 0);
        let gate = Arc::new(Gate::new(()));
        gates.insert(key.to_owned(), Arc::downgrade(&gate));
        gate
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Adds an entry, the last one used.
    fn add(&mut self, key: String, room: u64) {
        self.remove(&key);
        self.turn += 1;
        self.by_turn.insert(self.turn, key.clone());
        self.by_key.insert(key, (room, self.turn));
        self.taken += room;
    }

    fn remove(&mut self, key: &str) {
        if let Some((room, turn)) = self.by_key.remove(key) {
            self.by_turn.remove(&turn);
            self.taken -= room;
        }
    }

    /// Makes an entry the last one used; false when there is none.
    fn touch(&mut self, key: &str) -> bool {
        let Some((room, _)) = self.by_key.get(key).copied() else { return false };
        self.add(key.to_owned(), room);
        true
    }

    fn oldest(&self) -> Option<String> {
        self.by_turn.first_key_value().map(|(_, key)| key.clone())
    }
}

fn counted(size: u64) -> u64 {
    size.max(LEAST)
}

fn opened(staged: &Staged) -> Result<File, ObjectError> {
    File::open(staged.path()).map_err(|cause| ObjectError::of_io(DOING, &cause))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::io::Read;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::stream;

    use super::*;

    const SIZE: usize = 10_000;

    /// Opens an entry that is filled with a byte; counts how often it is fetched.
    async fn get(cache: &Cache, key: &str, byte: u8, fetched: &AtomicUsize) -> File {
        let fetch = async {
            fetched.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            Ok(stream::iter([Ok::<_, ObjectError>(Bytes::from(vec![byte; SIZE]))]))
        };
        cache.get(key, SIZE as u64, fetch).await.unwrap()
    }

    fn content(mut file: File) -> Vec<u8> {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        bytes
    }

    fn names(cache: &Cache) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(&cache.entries).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn a_file_is_fetched_once_however_many_want_it() {
        let folder = tempfile::tempdir().unwrap();
        let (cache, fetched) = (Cache::open(folder.path(), 1 << 20).unwrap(), AtomicUsize::new(0));
        let wanted = (0..20).map(|_| get(&cache, "a", 7, &fetched));
        for file in futures_util::future::join_all(wanted).await {
            assert_eq!(content(file), [7; SIZE]);
        }
        assert_eq!(fetched.load(Ordering::Relaxed), 1);
        assert_eq!(fs::read_dir(&cache.aside).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn what_was_unused_for_longest_goes_first_and_is_read_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let (cache, fetched) = (Cache::open(folder.path(), 3 * SIZE as u64).unwrap(), AtomicUsize::new(0));
        for key in ["a", "b", "c"] {
            get(&cache, key, key.as_bytes()[0], &fetched).await;
        }
        let (held, _) = (get(&cache, "b", 0, &fetched).await, get(&cache, "a", 0, &fetched).await);
        get(&cache, "d", b'd', &fetched).await;
        assert_eq!(names(&cache), ["a", "b", "d"]);
        get(&cache, "e", b'e', &fetched).await;
        assert_eq!(names(&cache), ["a", "d", "e"]);
        assert_eq!(content(held), [b'b'; SIZE]);
        assert_eq!(fetched.load(Ordering::Relaxed), 5);
        assert_eq!(cache.known().taken, 3 * SIZE as u64);
    }

    #[tokio::test]
    async fn what_does_not_fit_is_passed_on() {
        let folder = tempfile::tempdir().unwrap();
        let (cache, fetched) = (Cache::open(folder.path(), SIZE as u64 - 1).unwrap(), AtomicUsize::new(0));
        for _ in 0..2 {
            assert_eq!(content(get(&cache, "a", 1, &fetched).await), [1; SIZE]);
        }
        assert_eq!((fetched.load(Ordering::Relaxed), names(&cache).len(), cache.known().taken), (2, 0, 0));
        assert_eq!(fs::read_dir(&cache.aside).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn what_breaks_off_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (cache, fetched) = (Cache::open(folder.path(), 1 << 20).unwrap(), AtomicUsize::new(0));
        let broken = [Ok(Bytes::from_static(b"x")), Err(ObjectError::Missing("x".into()))];
        let fetch = async { Ok(stream::iter(broken)) };
        assert!(cache.get("a", SIZE as u64, fetch).await.is_err());
        // One of another size than was promised is no entry.
        let fetch = async { Ok(stream::iter([Ok::<_, ObjectError>(Bytes::from_static(b"x"))])) };
        assert_eq!(content(cache.get("a", SIZE as u64, fetch).await.unwrap()), b"x");
        assert_eq!((names(&cache).len(), cache.known().taken), (0, 0));
        assert_eq!(fs::read_dir(&cache.aside).unwrap().count(), 0);
        assert_eq!(content(get(&cache, "a", 2, &fetched).await), [2; SIZE]);
    }

    #[tokio::test]
    async fn entries_outlive_the_server_and_fit_into_a_smaller_cache() {
        let folder = tempfile::tempdir().unwrap();
        let fetched = AtomicUsize::new(0);
        let cache = Cache::open(folder.path(), 1 << 20).unwrap();
        for (at, key) in ["a", "b", "c"].into_iter().enumerate() {
            let file = get(&cache, key, key.as_bytes()[0], &fetched).await;
            file.set_modified(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(at as u64)).unwrap();
        }
        fs::write(cache.aside.join("left"), "x").unwrap();

        let cache = Cache::open(folder.path(), 2 * SIZE as u64).unwrap();
        assert_eq!(names(&cache), ["b", "c"]);
        assert_eq!(content(get(&cache, "b", 0, &fetched).await), [b'b'; SIZE]);
        assert_eq!((fetched.load(Ordering::Relaxed), fs::read_dir(&cache.aside).unwrap().count()), (3, 0));
    }
}
