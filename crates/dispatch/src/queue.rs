//! The order of what waits: class, priority, age. Every step costs the logarithm of what waits.

use std::collections::BTreeSet;
use std::ops::Bound;

use modelyard_types::RequestId;

use crate::job::Class;

/// A job's rank. It keeps it for life, so one that comes back from a seat stands again before all that came after it. Ids are in
/// the order of the time they were made, so age needs no clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    pub(crate) class: Class,
    pub(crate) priority: u8,
    pub(crate) id: RequestId,
}

impl Rank {
    fn is_urgent(&self) -> bool {
        self.class == Class::Batch && self.priority == 0
    }
}

/// The jobs that wait for a seat.
#[derive(Default)]
pub(crate) struct Queue {
    waiting: BTreeSet<Rank>,
    direct: usize,
    urgent: usize,
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

    /// How many are batch jobs of priority 0.
    pub(crate) fn urgent(&self) -> usize {
        self.urgent
    }

    /// Puts a job in its place.
    pub(crate) fn insert(&mut self, rank: Rank) {
        self.direct += usize::from(rank.class == Class::Direct);
        self.urgent += usize::from(rank.is_urgent());
        self.waiting.insert(rank);
    }

    /// Takes the job whose turn it is.
    pub(crate) fn pop(&mut self) -> Option<RequestId> {
        let rank = self.waiting.pop_first()?;
        self.count_out(&rank);
        Some(rank.id)
    }

    /// Takes the last batch job in the order; they stand behind all direct ones.
    pub(crate) fn pop_batch(&mut self) -> Option<RequestId> {
        let last = *self.waiting.last().filter(|rank| rank.class == Class::Batch)?;
        self.remove(&last);
        Some(last.id)
    }

    /// Takes a job out of the middle.
    pub(crate) fn remove(&mut self, rank: &Rank) {
        if self.waiting.remove(rank) {
            self.count_out(rank);
        }
    }

    fn count_out(&mut self, rank: &Rank) {
        self.direct -= usize::from(rank.class == Class::Direct);
        self.urgent -= usize::from(rank.is_urgent());
    }

    /// All that waits, in order.
    pub(crate) fn ids(&self) -> impl Iterator<Item = RequestId> + '_ {
        self.waiting.iter().map(|rank| rank.id)
    }

    /// The first job of each class and priority: the oldest of all is among them.
    pub(crate) fn heads(&self) -> impl Iterator<Item = RequestId> + '_ {
        let mut next = self.waiting.first();
        std::iter::from_fn(move || {
            let rank = next?;
            let last_alike = Rank { id: RequestId::GREATEST, ..*rank };
            next = self.waiting.range((Bound::Excluded(last_alike), Bound::Unbounded)).next();
            Some(rank.id)
        })
    }
}
