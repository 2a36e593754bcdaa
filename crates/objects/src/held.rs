//! How many bytes of files are in memory, over all that are read and written: when it is much, all of them take less at a time, so
//! that many slow clients cost no more than a few fast ones.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

/// From here on it is much.
const MUCH: usize = 128 << 20;

static HELD: AtomicUsize = AtomicUsize::new(0);

/// Bytes that are counted as long as this lives.
#[derive(Debug, Default)]
pub(crate) struct Held(usize);

/// Whether so much is held that all should take less.
pub(crate) fn is_much() -> bool {
    HELD.load(Ordering::Relaxed) > MUCH
}

impl Held {
    /// Counts more.
    pub(crate) fn add(&mut self, bytes: usize) {
        HELD.fetch_add(bytes, Ordering::Relaxed);
        self.0 += bytes;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        HELD.fetch_sub(self.0, Ordering::Relaxed);
    }
}

/// A piece that counts until the last who has it lets go of it.
pub(crate) fn counted(piece: Vec<u8>) -> Bytes {
    struct Counted(Vec<u8>, #[expect(dead_code, reason = "counts until it is dropped")] Held);
    impl AsRef<[u8]> for Counted {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    let mut held = Held::default();
    held.add(piece.len());
    Bytes::from_owner(Counted(piece, held))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_counts_until_it_is_let_go_of() {
        let piece = counted(vec![0; 2 * MUCH]);
        assert!(is_much());
        let (head, tail) = (piece.slice(..1), piece);
        drop(tail);
        assert!(is_much(), "a part keeps the whole");
        drop(head);
        assert!(!is_much());
    }
}
