//! What a caller hands to a lane, and what comes back.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use modelyard_types::RequestId;

/// Which kind of request a job is; direct ones go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Somebody holds a connection open for the answer.
    Direct,
    /// The answer is fetched later.
    Batch,
}

/// What is sent to a worker process. Cloning it shares the bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// The flags of the call frame, as the worker protocol has them.
    pub flags: u8,
    /// The request's context, JSON.
    pub context: Bytes,
    /// The input.
    pub body: Bytes,
    /// The contexts of the requests that are put together in it, in their order; empty when it is one alone.
    pub members: Vec<Bytes>,
}

/// A request on its way through a lane.
pub struct Job {
    /// The request; at most one job of that id is in a lane at a time.
    pub id: RequestId,
    /// Direct before batch.
    pub class: Class,
    /// 0 before 1 before all others.
    pub priority: u8,
    /// What the process gets.
    pub call: Call,
    /// Who is told.
    pub waiter: Arc<dyn Waiter>,
}

/// Who waits for a job.
///
/// Never called while the lane is locked, so every method may call the lane. `started` and `update` come in order from the
/// thread that reports them; `finish` may come from another (a timeout, a cancel) and overtake them: ignore what follows it.
pub trait Waiter: Send + Sync + 'static {
    /// The process began to work on the call. Told once, however often the job is run.
    fn started(&self);
    /// The process sent a part of a streamed answer. Give the credit back with [`Lane::credit`](crate::Lane::credit).
    fn update(&self, text: Bytes);
    /// The job ended. Called exactly once for every job a lane took.
    fn finish(&self, outcome: Outcome);
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The user's code answered.
    Result(Bytes),
    /// As `Result`, in the packed form of the worker protocol.
    Packed(Bytes),
    /// The user's code, or the worker around it, failed.
    Failed {
        /// What went wrong.
        message: String,
        /// What the user's code wants the caller to read.
        public: Option<String>,
        /// Where it went wrong.
        kind: FailureKind,
    },
    /// The process ended while it worked on the call, with the reason.
    Crashed(String),
    /// Its time was over.
    TimedOut,
    /// It was cancelled before it had an answer.
    Cancelled,
    /// It never started: instances cannot start, or the version is gone.
    Refused(String),
    /// It has not started, and goes back to where it came from: only for batch requests, whose rows wait on.
    HandedBack,
}

/// Where a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// The user's code raised.
    Exception,
    /// The answer does not fit the output fields.
    Output,
    /// The input cannot be given to the user's code.
    Input,
    /// The call was interrupted, or dropped before it started.
    Cancelled,
    /// The worker itself failed.
    Internal,
}

/// Why a lane did not take a job; its waiter is not told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// As many jobs wait as may.
    Full {
        /// How many that is.
        size: usize,
    },
    /// More than may ever wait.
    Never {
        /// How many may wait.
        size: usize,
    },
    /// A job of that id is in the lane already.
    Duplicate,
    /// The lane is closed for good, with the reason.
    Closed(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { size } => write!(f, "The queue is full: at most {size} may wait"),
            Self::Never { size } => write!(f, "The queue never holds so many: at most {size} may wait"),
            Self::Duplicate => write!(f, "The request is already waiting or running"),
            Self::Closed(reason) => write!(f, "{reason}"),
        }
    }
}

impl std::error::Error for Refusal {}

/// What became of a wish to cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancel {
    /// The job has ended; its waiter was told.
    Done,
    /// It runs, and its process was asked to interrupt it. A second call ends the process.
    Asked,
    /// No such job is in the lane.
    Unknown,
}
