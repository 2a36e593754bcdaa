//! The protocol between the server and a worker process, version 1. Its contract is `docs/worker-protocol.md`.
//!
//! A frame is a big-endian `u32` (the length of what follows), a kind, and the payload. User code shares the socket and can
//! forge anything, so the decoder trusts nothing: each kind has a maximum, and memory grows only with bytes that arrived.

mod decoder;
mod encode;
mod messages;
mod payload;
#[cfg(test)]
mod tests;

pub use decoder::Decoder;
pub use encode::{CallHead, call_head, cancel, credit, from_worker, input_file, recall, start, stop};
pub use messages::{
    CallError, ErrorKind, Fatal, FatalKind, FromWorker, Hello, Level, PhaseDone, ReadyMessage, Start, TypedField,
    WorkerPhase,
};

/// The version of the protocol this server speaks.
pub const VERSION: u32 = 1;

/// The updates a call may send before the server gives it more credit.
pub const FIRST_CREDIT: u32 = 16;

/// The largest length a frame may announce.
pub const MAX_FRAME: usize = 1 << 30;

/// The files a call may have, and an answer.
pub const MOST_FILES: usize = 1000;

/// Bytes of the name of an input file.
pub const FILE_NAME: usize = 4 << 10;

/// The kinds of frames.
pub mod kind {
    #![expect(missing_docs, reason = "the names are those of docs/worker-protocol.md")]
    pub const HELLO: u8 = 0x01;
    pub const PHASE: u8 = 0x02;
    pub const READY: u8 = 0x03;
    pub const STARTED: u8 = 0x04;
    pub const LOG: u8 = 0x05;
    pub const UPDATE: u8 = 0x06;
    pub const RESULT: u8 = 0x07;
    pub const ERROR: u8 = 0x08;
    pub const FATAL: u8 = 0x09;
    pub const STOPPED: u8 = 0x0A;
    pub const OUTPUT_FILE: u8 = 0x0B;
    pub const START: u8 = 0x40;
    pub const CALL: u8 = 0x41;
    pub const CANCEL: u8 = 0x42;
    pub const CREDIT: u8 = 0x43;
    pub const STOP: u8 = 0x44;
    pub const RECALL: u8 = 0x45;
    pub const INPUT_FILE: u8 = 0x46;
}

/// The flag of a call whose body is packed.
pub const PACKED: u8 = 4;

/// Shapes of a result.
pub mod shape {
    /// JSON.
    pub const JSON: u8 = 0;
    /// Packed.
    pub const PACKED: u8 = 1;
}

/// What a worker may send at most. The defaults are the maxima of the protocol; a server may be stricter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Maxima {
    /// Bytes of a result's body.
    pub result: usize,
}

impl Default for Maxima {
    fn default() -> Self {
        Self { result: 512 << 20 }
    }
}

impl Maxima {
    /// The largest payload of a kind that a worker may send: its fixed fields and what may follow them.
    fn payload(&self, kind: u8) -> Option<usize> {
        const KIB: usize = 1 << 10;
        let (fixed, free) = match kind {
            kind::HELLO | kind::PHASE | kind::READY => (0, 4 * KIB),
            kind::STARTED => (8, 0),
            kind::LOG => (9, 64 * KIB),
            kind::UPDATE => (8, 1024 * KIB),
            kind::RESULT => (9, self.result.min(512 << 20)),
            kind::ERROR => (8, 64 * KIB),
            kind::FATAL => (0, 64 * KIB),
            kind::STOPPED => (0, 0),
            kind::OUTPUT_FILE => (12, 0),
            _ => return None,
        };
        Some(fixed + free)
    }
}

/// The worker sent what the protocol does not allow. The text says what, for the server's own log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Broken(pub String);

impl Broken {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}
