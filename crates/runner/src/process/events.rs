//! What a worker process tells, and whom.

use std::fmt;
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use modelyard_types::ids::InstanceId;

use super::Process;
use crate::protocol::{CallError, Fatal, Level};

/// A worker process: a place in an instance. A replaced process has its predecessor's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProcessKey {
    /// Its instance.
    pub instance: InstanceId,
    /// The epoch of the instance.
    pub epoch: u64,
    /// Its number in the instance, from 0.
    pub process: u32,
}

/// A phase of a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// The walls of the instance stand.
    Sandbox,
    /// The interpreter came up.
    Interpreter,
    /// The user's code was imported.
    Import,
    /// The user's constructor ran.
    Init,
    /// All together, from the order to start to the first call it can take.
    Ready,
}

impl Phase {
    /// Its name in events and figures.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sandbox => "sandbox",
            Self::Interpreter => "interpreter",
            Self::Import => "import",
            Self::Init => "init",
            Self::Ready => "ready",
        }
    }
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Exit {
    /// It exited with a status.
    Status(i32),
    /// A signal ended it.
    Signal(i32),
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "exited with status {status}"),
            Self::Signal(signal) => match nix::sys::signal::Signal::try_from(*signal) {
                Ok(name) => write!(f, "was ended by signal {signal} ({name})"),
                Err(_) => write!(f, "was ended by signal {signal}"),
            },
        }
    }
}

/// A process is no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gone {
    /// A sentence for the person whose request was in work.
    pub reason: String,
    /// It was ended because its instance used up its memory.
    pub out_of_memory: bool,
    /// How it ended; unknown when the whole instance broke away.
    pub exit: Option<Exit>,
    /// It stopped because it was told to.
    pub expected: bool,
}

/// What happens to a process. For one key the events arrive one after another: phases, `Ready`, what belongs to calls, `Gone`.
#[derive(Debug)]
pub enum ProcessEvent {
    /// A phase of its start is done.
    Phase {
        /// Which.
        phase: Phase,
        /// How long it took.
        took: Duration,
    },
    /// It takes calls from now on.
    Ready {
        /// The way to it.
        process: Arc<Process>,
        /// The class has a `request` method.
        has_request: bool,
        /// The class has a `requests` method.
        has_requests: bool,
    },
    /// It began with a call.
    Started(u64),
    /// A part of a call's answer.
    Update(u64, Bytes),
    /// The JSON answer of a call, and its files: ordinary ones, open for reading, which user code can still change. Their
    /// position is shared with it, so they are to be read by offset. They count as room that their instance takes, for as long
    /// as they are held (a copy of the descriptor does not).
    Result(u64, Bytes, Vec<Arc<File>>),
    /// The answer of a call, packed: see [`unpack`](crate::packed::unpack); and its files.
    Packed(u64, Bytes, Vec<Arc<File>>),
    /// A call failed.
    Error(u64, CallError),
    /// Output: one line or several, without the last line break.
    Log {
        /// The call it belongs to, if one was in work.
        call: Option<u64>,
        /// How serious.
        level: Level,
        /// The lines.
        text: String,
    },
    /// It cannot become ready.
    Fatal(Fatal),
    /// It is no more. Always the last event, and always sent once a process was begun.
    Gone(Gone),
}

/// An instance is no more, and nothing of it is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// A sentence.
    pub reason: String,
    /// It was told to stop.
    pub expected: bool,
}

/// Who hears of processes. Called inline by the task that reads the process: must not block, and must not wait.
pub trait Listener: Send + Sync + 'static {
    /// Something happened to a process.
    fn event(&self, from: ProcessKey, event: ProcessEvent);

    /// An instance is no more. Comes after `Gone` of all its processes.
    fn ended(&self, instance: InstanceId, epoch: u64, ended: Ended);
}
