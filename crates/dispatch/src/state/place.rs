//! One seat in the books: what it was handed and has not answered.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use modelyard_types::RequestId;
use tokio::sync::oneshot;

use crate::port::Port;

/// A seat of the lane.
pub(super) struct Place {
    pub(super) port: Arc<Port>,
    /// The calls the process holds, in the order it runs them. Only the first can have started.
    pub(super) frames: VecDeque<Frame>,
    /// Since when the first frame is the first, or since when there is none.
    pub(super) since: Instant,
    /// Whether it takes no more calls, because its process shall stop.
    pub(super) retiring: bool,
    /// When the process was told to end.
    pub(super) killed: Option<Instant>,
    /// Who waits until it is drained or gone.
    pub(super) drained: Vec<oneshot::Sender<()>>,
    tickets: u64,
}

/// A call the process holds.
pub(super) struct Frame {
    pub(super) ticket: u64,
    /// The jobs, while somebody waits for them. The ticket stays until the process answers.
    pub(super) jobs: Jobs,
    pub(super) started: Option<Instant>,
    /// Whether its end was asked for: by a cancel while it ran, or because it was taken back.
    pub(super) cancelled: Option<Instant>,
    /// Whether the process was asked to give it back.
    pub(super) recalled: bool,
}

/// The jobs of a call.
pub(super) enum Jobs {
    /// None any more: what there was has been taken back.
    Nobody,
    /// The only one.
    One(RequestId),
    /// Several that were put together.
    Group(Group),
}

/// Jobs that share a call.
pub(super) struct Group {
    /// In the order of the list the process got; those that ended before it have left a gap.
    pub(super) members: Vec<Option<RequestId>>,
    /// Whether they are run one by one if the call fails.
    pub(super) rerun: bool,
}

impl Jobs {
    /// Those that somebody waits for.
    pub(super) fn live(&self) -> impl Iterator<Item = RequestId> + '_ {
        let (one, several) = match self {
            Self::Nobody => (None, &[][..]),
            Self::One(id) => (Some(*id), &[][..]),
            Self::Group(group) => (None, &group.members[..]),
        };
        one.into_iter().chain(several.iter().copied().flatten())
    }

    /// Whether nobody waits.
    pub(super) fn is_nobody(&self) -> bool {
        matches!(self, Self::Nobody)
    }
}

impl Group {
    /// Takes a member out, unless it is the last.
    pub(super) fn leave(&mut self, id: RequestId) -> bool {
        let last = self.members.iter().flatten().all(|member| *member == id);
        let place = self.members.iter_mut().find(|member| **member == Some(id));
        match place {
            Some(place) if !last => {
                *place = None;
                true
            }
            _ => false,
        }
    }
}

impl Place {
    /// A seat with nothing to do.
    pub(super) fn new(port: Port, now: Instant) -> Self {
        Self {
            port: Arc::new(port),
            frames: VecDeque::new(),
            since: now,
            retiring: false,
            killed: None,
            drained: Vec::new(),
            tickets: 0,
        }
    }

    /// Whether it takes calls.
    pub(super) fn is_open(&self) -> bool {
        !self.retiring && self.killed.is_none()
    }

    /// How many of its calls somebody waits for.
    pub(super) fn live(&self) -> usize {
        self.frames.iter().filter(|frame| !frame.jobs.is_nobody()).count()
    }

    /// The ticket of the call that is added next.
    pub(super) fn next_ticket(&self) -> u64 {
        self.tickets + 1
    }

    /// Adds a call and returns its ticket.
    pub(super) fn add(&mut self, jobs: Jobs, now: Instant) -> u64 {
        if self.frames.is_empty() {
            self.since = now;
        }
        let ticket = self.next_ticket();
        self.tickets = ticket;
        self.frames.push_back(Frame { ticket, jobs, started: None, cancelled: None, recalled: false });
        ticket
    }

    /// Where the call of that ticket stands.
    pub(super) fn position(&self, ticket: u64) -> Option<usize> {
        self.frames.iter().position(|frame| frame.ticket == ticket)
    }

    /// The call of that ticket.
    pub(super) fn frame(&mut self, ticket: u64) -> Option<&mut Frame> {
        self.frames.iter_mut().find(|frame| frame.ticket == ticket)
    }

    /// Takes a call the process has answered out of the books, and says whose it was.
    pub(super) fn remove(&mut self, position: usize, now: Instant) -> Jobs {
        let frame = self.frames.remove(position);
        if position == 0 {
            self.since = now;
        }
        frame.map_or(Jobs::Nobody, |frame| frame.jobs)
    }
}
