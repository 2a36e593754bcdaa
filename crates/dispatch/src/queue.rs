//! The order of what waits: class, priority, age. Every step costs the logarithm of what waits.

use std::collections::BTreeMap;
use std::ops::Bound;

use modelyard_types::RequestId;

use crate::job::Class;

/// A job's rank. It keeps it for life, so one that comes back from a seat stands again before all that came after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    pub(crate) class: Class,
    pub(crate) priority: u8,
    pub(crate) number: u64,
}

/// The jobs that wait for a seat.
#[derive(Default)]
pub(crate) struct Queue {
    waiting: BTreeMap<Rank, RequestId>,
    direct: usize,
}

impl Queue {
    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How many jobs wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// How many of them are direct.
    pub(crate) fn direct(&self) -> usize {
        self.direct
    }

    /// Puts a job in its place.
    pub(crate) fn insert(&mut self, rank: Rank, id: RequestId) {
        self.direct += usize::from(rank.class == Class::Direct);
        self.waiting.insert(rank, id);
    }

    /// Takes the job whose turn it is.
    pub(crate) fn pop(&mut self) -> Option<RequestId> {
        let (rank, id) = self.waiting.pop_first()?;
        self.direct -= usize::from(rank.class == Class::Direct);
        Some(id)
    }

    /// Takes a job out of the middle.
    pub(crate) fn remove(&mut self, rank: &Rank) {
        if self.waiting.remove(rank).is_some() {
            self.direct -= usize::from(rank.class == Class::Direct);
        }
    }

    /// The first job of each class and priority: the oldest of all is among them.
    pub(crate) fn heads(&self) -> impl Iterator<Item = RequestId> + '_ {
        let mut next = self.waiting.first_key_value();
        std::iter::from_fn(move || {
            let (rank, id) = next?;
            let last_alike = Rank { number: u64::MAX, ..*rank };
            next = self.waiting.range((Bound::Excluded(last_alike), Bound::Unbounded)).next();
            Some(*id)
        })
    }
}
