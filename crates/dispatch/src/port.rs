//! The way from a lane to a seat: commands in order, one at a time, and never under the lane's lock.
//!
//! A command is queued while the lane is locked, which fixes the order, and sent after. Whoever finds the port busy leaves the
//! command to the thread that is sending. So a seat may call the lane from inside a command, and nobody waits for a socket.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::job::Call;
use crate::seat::Seat;

/// What a seat is told.
pub(crate) enum Command {
    /// Send a call.
    HandOver(u64, Call),
    /// Send several calls as one.
    HandOverAll(u64, Vec<Call>),
    /// End a call.
    Cancel(u64),
    /// Give a call back if it has not started.
    Recall(u64),
    /// Allow more updates.
    Credit(u64, u32),
    /// End the process, for a reason.
    Kill(String),
}

/// A seat and the commands on their way to it.
pub(crate) struct Port {
    seat: Arc<dyn Seat>,
    outbox: Mutex<Outbox>,
}

#[derive(Default)]
struct Outbox {
    commands: VecDeque<Command>,
    sending: bool,
}

impl Port {
    /// A port with nothing to send.
    pub(crate) fn new(seat: Arc<dyn Seat>) -> Self {
        Self { seat, outbox: Mutex::default() }
    }

    /// Queues a command. [`drain`](Self::drain) must follow, once the lane is unlocked.
    pub(crate) fn push(&self, command: Command) {
        self.outbox().commands.push_back(command);
    }

    /// Sends what is queued, unless another thread is at it.
    pub(crate) fn drain(&self) {
        let mut outbox = self.outbox();
        if outbox.sending {
            return;
        }
        outbox.sending = true;
        while let Some(command) = outbox.commands.pop_front() {
            drop(outbox);
            self.send(command);
            outbox = self.outbox();
        }
        outbox.sending = false;
    }

    fn send(&self, command: Command) {
        match command {
            Command::HandOver(ticket, call) => self.seat.hand_over(ticket, &call),
            // Put together here, because large bodies are copied.
            Command::HandOverAll(ticket, calls) => self.seat.hand_over(ticket, &Call::of_all(&calls)),
            Command::Cancel(ticket) => self.seat.cancel(ticket),
            Command::Recall(ticket) => self.seat.recall(ticket),
            Command::Credit(ticket, updates) => self.seat.credit(ticket, updates),
            Command::Kill(why) => self.seat.kill(&why),
        }
    }

    fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
