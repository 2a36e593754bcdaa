//! The files of answers that this server has open for one instance. They take room on the disk for as long, also when user code
//! deletes them.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Knows the files that are open, and keeps none open.
#[derive(Debug, Default)]
pub(crate) struct Held(Mutex<Vec<Weak<File>>>);

impl Held {
    /// One more, which counts until the last of its owners lets go.
    pub fn add(&self, file: OwnedFd) -> Arc<File> {
        let file = Arc::new(File::from(file));
        let mut all = self.all();
        if all.len() == all.capacity() {
            all.retain(|known| known.strong_count() > 0);
        }
        all.push(Arc::downgrade(&file));
        file
    }

    /// Those that are open now.
    pub fn files(&self) -> Vec<Arc<File>> {
        self.all().iter().filter_map(Weak::upgrade).collect()
    }

    fn all(&self) -> MutexGuard<'_, Vec<Weak<File>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
