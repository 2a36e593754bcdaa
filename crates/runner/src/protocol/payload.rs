//! Reading the payload of one frame.

use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::messages::{FromWorker, Level};
use super::{Broken, kind, shape};

/// The payload of a frame: borrowed from the read buffer while it is small, its own bytes when it is large.
pub(super) enum Payload<'a> {
    Small(&'a [u8]),
    Large(Bytes),
}

impl Payload<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Small(bytes) => bytes,
            Self::Large(bytes) => bytes,
        }
    }

    /// What follows the first `skip` bytes: a copy of exactly that when small, a slice when large.
    fn rest(&self, skip: usize) -> Bytes {
        match self {
            Self::Small(bytes) => Bytes::copy_from_slice(&bytes[skip..]),
            Self::Large(bytes) => bytes.slice(skip..),
        }
    }

    /// Reads the frame.
    pub(super) fn read(&self, kind: u8) -> Result<FromWorker, Broken> {
        let bytes = self.bytes();
        Ok(match kind {
            kind::HELLO => FromWorker::Hello(json(bytes, "hello")?),
            kind::PHASE => FromWorker::Phase(json(bytes, "phase")?),
            kind::READY => FromWorker::Ready(json(bytes, "ready")?),
            kind::STARTED => FromWorker::Started(call(bytes)?),
            kind::LOG => {
                let level = match bytes.get(8) {
                    Some(0) => Level::Info,
                    Some(1) => Level::Error,
                    _ => return Err(Broken::new("a log frame has no level")),
                };
                FromWorker::Log { call: number(bytes)?, level, text: text(&bytes[9..])?.to_owned() }
            }
            kind::UPDATE => {
                let call = call(bytes)?;
                text(&bytes[8..])?;
                FromWorker::Update(call, self.rest(8))
            }
            kind::OUTPUT_FILE => match bytes[8.min(bytes.len())..].first_chunk() {
                Some(index) => FromWorker::OutputFile(call(bytes)?, u32::from_be_bytes(*index)),
                None => return Err(Broken::new("a file frame has no index")),
            },
            kind::RESULT => {
                let call = call(bytes)?;
                match bytes.get(8) {
                    Some(&shape::JSON) => FromWorker::Result(call, self.rest(9)),
                    Some(&shape::PACKED) => FromWorker::Packed(call, self.rest(9)),
                    _ => return Err(Broken::new("a result has an unknown shape")),
                }
            }
            kind::ERROR => {
                let call = call(bytes)?;
                FromWorker::Error(call, json(&bytes[8..], "error")?)
            }
            kind::FATAL => FromWorker::Fatal(json(bytes, "fatal")?),
            kind::STOPPED => FromWorker::Stopped,
            other => return Err(Broken::new(format!("a worker does not send frames of kind {other:#04x}"))),
        })
    }
}

fn number(bytes: &[u8]) -> Result<u64, Broken> {
    match bytes.first_chunk::<8>() {
        Some(number) => Ok(u64::from_be_bytes(*number)),
        None => Err(Broken::new("a frame is too short for its call")),
    }
}

fn call(bytes: &[u8]) -> Result<u64, Broken> {
    match number(bytes)? {
        0 => Err(Broken::new("a frame belongs to call 0")),
        call => Ok(call),
    }
}

fn text(bytes: &[u8]) -> Result<&str, Broken> {
    std::str::from_utf8(bytes).map_err(|_| Broken::new("a text is not UTF-8"))
}

fn json<T: DeserializeOwned>(bytes: &[u8], what: &str) -> Result<T, Broken> {
    serde_json::from_slice(bytes).map_err(|e| Broken::new(format!("the {what} frame cannot be read: {e}")))
}
