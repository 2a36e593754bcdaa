//! What may happen in a history.

use modelyard_types::requests::RequestStatus;
use proptest::prelude::*;

use super::process::Deed;
use super::{LONG, SHORT};

/// How a life of a server ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    /// It is gone at once; what it had not written is lost.
    Killed,
    /// It stops as it should.
    Stopped,
    /// The next life begins while it still works.
    Hangs,
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    Batch {
        count: usize,
        priority: u8,
        short: bool,
    },
    Direct {
        short: bool,
    },
    Process,
    /// So many processes, one after the other, begin with what is next, and end.
    Interruptions(usize),
    Does(usize, Deed),
    Cancel(usize),
    /// Of those that are in work, the first.
    CancelInWork,
    CancelAll(RequestStatus),
    Delete(usize),
    Feed,
    Write,
    Hear,
    /// Time is looked at as if it were that many seconds later.
    Sweep(u64),
    /// Nothing may run for a while.
    TurnAway,
    NewLife(Fate),
    /// Another server takes this one for dead.
    Silent,
}

/// A step, and which of the two servers takes it.
pub(super) fn step() -> impl Strategy<Value = (usize, Step)> {
    let deed = prop_oneof![
        6 => Just(Deed::Start),
        5 => Just(Deed::Finish),
        1 => Just(Deed::Fail),
        3 => Just(Deed::Obey),
        2 => Just(Deed::Crash),
    ];
    let fate = prop_oneof![Just(Fate::Killed), Just(Fate::Stopped), Just(Fate::Hangs)];
    let late = prop_oneof![Just(0), Just(2), Just(11), Just(SHORT as u64 + 1), Just(LONG as u64 + 61)];
    let status = prop_oneof![Just(RequestStatus::Pending), Just(RequestStatus::Processing)];
    let step = prop_oneof![
        4 => (1usize..5, 0u8..2, any::<bool>()).prop_map(|(count, priority, short)| Step::Batch { count, priority, short }),
        2 => any::<bool>().prop_map(|short| Step::Direct { short }),
        5 => Just(Step::Process),
        3 => (1usize..6).prop_map(Step::Interruptions),
        20 => (0usize..8, deed).prop_map(|(process, deed)| Step::Does(process, deed)),
        3 => (0usize..12).prop_map(Step::Cancel),
        3 => Just(Step::CancelInWork),
        1 => status.prop_map(Step::CancelAll),
        1 => (0usize..12).prop_map(Step::Delete),
        5 => Just(Step::Feed),
        5 => Just(Step::Write),
        2 => Just(Step::Hear),
        3 => late.prop_map(Step::Sweep),
        1 => Just(Step::TurnAway),
        2 => fate.prop_map(Step::NewLife),
        2 => Just(Step::Silent),
    ];
    // Mostly the first one: the second is there to interfere.
    (prop_oneof![4 => Just(0), 1 => Just(1)], step)
}
