//! A worker process, seen from the server: the way to it, and the task that listens to it.

mod arrivals;
mod events;
#[cfg(test)]
mod file_tests;
mod held;
mod ledger;
mod outgoing;
mod output;
mod reader;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use tokio::net::UnixStream;
use tokio::sync::oneshot;

pub use events::{Ended, Exit, Gone, Listener, Phase, ProcessEvent, ProcessKey};
pub(crate) use held::Held;
pub use output::KEPT;

use crate::protocol::{self, Fatal, Level, Maxima};
use arrivals::Arrivals;
use ledger::Ledger;
use outgoing::{Outgoing, Stuck};
use output::Pipe;
pub(crate) use reader::BROKE;
use reader::Reader;

/// A call that the protocol has no room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooLarge {
    /// It is larger than a frame may be.
    #[error("The call is larger than 1 GiB")]
    Body,
    /// It has too many files.
    #[error("The call has more than 1,000 files")]
    Files,
    /// The name of one of its files is too long.
    #[error("The name of a file is longer than 4 KiB")]
    Name,
}

/// A file of a call.
#[derive(Debug)]
pub struct CallFile {
    /// What the user's code finds it as.
    pub name: String,
    /// What it is copied from, beginning at offset 0. Open for reading only: user code can get hold of it.
    pub file: OwnedFd,
}

/// Why a process ends that takes nothing any more.
const STUCK: &str = "The process was ended, because it took no more requests";

/// The way to a worker process. None of its functions blocks or waits.
pub struct Process {
    key: ProcessKey,
    outgoing: Outgoing,
    ledger: Mutex<Ledger>,
    end: Box<dyn Fn(&str) + Send + Sync>,
    signal: Box<dyn Fn(Attention) + Send + Sync>,
}

/// What a process is signalled for, while it may be in user code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attention {
    /// A cancel frame is in its socket.
    Cancel,
    /// A frame is that asks for a call back, or cancels one that has not started.
    Recall,
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process").field("key", &self.key).finish_non_exhaustive()
    }
}

impl Process {
    /// Its place.
    #[must_use]
    pub fn key(&self) -> ProcessKey {
        self.key
    }

    /// Hands a call over. Calls run one after another in the order of this function; their numbers are never 0 and never used
    /// twice on one process. A process that takes nothing any more is ended, and tells so by its `Gone`.
    ///
    /// The files are those that the body names, in the order in which it does. Only a process whose version has input fields
    /// for files takes any.
    pub fn call(
        &self,
        call: u64,
        flags: u8,
        context: &Bytes,
        body: &Bytes,
        files: Vec<CallFile>,
    ) -> Result<(), TooLarge> {
        let head = protocol::call_head(call, flags, context, body).ok_or(TooLarge::Body)?;
        let files = framed(call, files)?;
        let mut turn = self.outgoing.turn();
        self.ledger().hand_over(call);
        for (frame, file) in files {
            // The call itself finds out when the way is closed.
            let _ = turn.send_file(frame, file);
        }
        self.check(turn.send(&head, [context, body]));
        Ok(())
    }

    /// Asks the process to give a call up.
    pub fn cancel(&self, call: u64) {
        let (known, in_work) = {
            let mut ledger = self.ledger();
            (ledger.cancel(call), ledger.in_work() == Some(call))
        };
        if known {
            self.send(&protocol::cancel(call));
            // Another call is not to notice.
            (self.signal)(if in_work { Attention::Cancel } else { Attention::Recall });
        }
    }

    /// Asks the process for a call back that it has not started. The answer is an error of kind `Cancelled`; if it was late,
    /// the call runs.
    pub fn recall(&self, call: u64) {
        if self.ledger().recall(call) {
            self.send(&protocol::recall(call));
            (self.signal)(Attention::Recall);
        }
    }

    /// Whether a call is to be given back that has not started.
    pub(crate) fn recalling(&self) -> bool {
        self.ledger().recalling()
    }

    /// Whether frames have not reached the socket yet.
    pub(crate) fn has_unsent(&self) -> bool {
        self.outgoing.is_waiting()
    }

    /// Whether a cancelled call is still in flight, and whether the call in work is one.
    pub(crate) fn cancelling(&self) -> (bool, bool) {
        self.ledger().cancelling()
    }

    /// Lets a call send more updates.
    pub fn credit(&self, call: u64, updates: u32) {
        if self.ledger().credit(call, updates) {
            self.send(&protocol::credit(call, updates));
        }
    }

    /// Ends the process and what it started, at once, for a reason that is a sentence. Its `Gone` follows.
    pub fn kill(&self, why: &str) {
        (self.end)(why);
    }

    /// Asks the process to stop when the calls handed over are done.
    pub(crate) fn stop(&self) {
        self.send(&protocol::stop());
    }

    fn send(&self, frame: &[u8]) {
        let nothing = Bytes::new();
        self.check(self.outgoing.turn().send(frame, [&nothing, &nothing]));
    }

    fn check(&self, sent: Result<(), Stuck>) {
        if sent.is_err() {
            (self.end)(STUCK);
        }
    }

    fn ledger(&self) -> std::sync::MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The files of a call, each behind its frame.
fn framed(call: u64, files: Vec<CallFile>) -> Result<Vec<(Vec<u8>, OwnedFd)>, TooLarge> {
    if files.len() > protocol::MOST_FILES {
        return Err(TooLarge::Files);
    }
    let framed = files.into_iter().zip(0..).map(|(CallFile { name, file }, index)| {
        let frame = protocol::input_file(call, index, &name).ok_or(TooLarge::Name)?;
        Ok((frame, file))
    });
    framed.collect()
}

/// What the reader of a process tells its supervisor.
#[derive(Debug)]
pub(crate) enum Note {
    /// It takes calls.
    Ready,
    /// It cannot become ready.
    Fatal(Fatal),
    /// It closed its socket.
    Closed,
    /// It broke the protocol.
    Broken,
    /// `Gone` was told; nothing more comes.
    Done,
}

/// The server's ends of a process.
#[derive(Debug)]
pub(crate) struct Ends {
    pub socket: StdStream,
    pub stdout: OwnedFd,
    pub stderr: OwnedFd,
}

/// What is to be known of a process to listen to it.
pub(crate) struct Attach {
    pub key: ProcessKey,
    pub maxima: Maxima,
    /// Keeps track of the files of its answers; nothing where they have none.
    pub files: Option<Arc<Held>>,
    /// When its start was ordered.
    pub ordered: Instant,
    pub listener: Arc<dyn Listener>,
    pub note: Box<dyn Fn(Note) + Send>,
    /// Ends the process, for a reason.
    pub end: Box<dyn Fn(&str) + Send + Sync>,
    /// Has the process read its socket.
    pub signal: Box<dyn Fn(Attention) + Send + Sync>,
}

/// Begins to listen to a process, whose first frame sent is `start`. The sender takes how it ended, once that is known.
pub(crate) fn attach(attach: Attach, ends: Ends, start: Vec<u8>) -> io::Result<(Arc<Process>, oneshot::Sender<Gone>)> {
    ends.socket.set_nonblocking(true)?;
    let (read, write) = UnixStream::from_std(ends.socket)?.into_split();
    let pipes = [Pipe::new(ends.stdout, Level::Info)?, Pipe::new(ends.stderr, Level::Error)?];
    let process = Arc::new(Process {
        key: attach.key,
        outgoing: Outgoing::new(write),
        ledger: Mutex::default(),
        end: attach.end,
        signal: attach.signal,
    });
    let nothing = Bytes::new();
    let start = Bytes::from(start);
    process.check(process.outgoing.turn().send(&[], [&start, &nothing]));
    let (gone, exit) = oneshot::channel();
    let arrivals = Arrivals::new(read, attach.files);
    let reader =
        Reader::new(process.clone(), arrivals, pipes, attach.maxima, attach.listener, attach.note, attach.ordered);
    let writer = process.clone();
    tokio::spawn(async move { writer.outgoing.flush().await });
    tokio::spawn(reader.run(exit));
    Ok((process, gone))
}
