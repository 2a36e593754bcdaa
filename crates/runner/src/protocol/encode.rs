//! Frames into bytes.

use bytes::Bytes;
use serde::Serialize;

use super::messages::{FromWorker, Level, Start};
use super::{FILE_NAME, MAX_FRAME, kind, shape};

/// The head of a call frame: length, kind, call, flags, length of the context. The context and the body follow it.
pub type CallHead = [u8; 18];

/// The head of a call frame, or `None` when the frame would be larger than the protocol allows.
#[must_use]
pub fn call_head(call: u64, flags: u8, context: &Bytes, body: &Bytes) -> Option<CallHead> {
    let length = (1 + 8 + 1 + 4usize).checked_add(context.len())?.checked_add(body.len())?;
    if length > MAX_FRAME {
        return None;
    }
    let mut head = [0; 18];
    head[..4].copy_from_slice(&u32::try_from(length).ok()?.to_be_bytes());
    head[4] = kind::CALL;
    head[5..13].copy_from_slice(&call.to_be_bytes());
    head[13] = flags;
    head[14..].copy_from_slice(&u32::try_from(context.len()).ok()?.to_be_bytes());
    Some(head)
}

/// A cancel frame.
#[must_use]
pub fn cancel(call: u64) -> [u8; 13] {
    of_call(kind::CANCEL, call)
}

/// A recall frame.
#[must_use]
pub fn recall(call: u64) -> [u8; 13] {
    of_call(kind::RECALL, call)
}

fn of_call(kind: u8, call: u64) -> [u8; 13] {
    let mut frame = [0; 13];
    frame[..4].copy_from_slice(&9u32.to_be_bytes());
    frame[4] = kind;
    frame[5..].copy_from_slice(&call.to_be_bytes());
    frame
}

/// A credit frame.
#[must_use]
pub fn credit(call: u64, updates: u32) -> [u8; 17] {
    let mut frame = [0; 17];
    frame[..4].copy_from_slice(&13u32.to_be_bytes());
    frame[4] = kind::CREDIT;
    frame[5..13].copy_from_slice(&call.to_be_bytes());
    frame[13..].copy_from_slice(&updates.to_be_bytes());
    frame
}

/// The frame of a file of a call that follows, or `None` when its name is longer than the protocol allows. A descriptor goes
/// with it.
#[must_use]
pub fn input_file(call: u64, index: u32, name: &str) -> Option<Vec<u8>> {
    let mut frame = Vec::with_capacity(5 + 12 + name.len());
    put(&mut frame, kind::INPUT_FILE, |out| {
        raw(out, &[&call.to_be_bytes(), &index.to_be_bytes(), name.as_bytes()]).filter(|()| name.len() <= FILE_NAME)
    })?;
    Some(frame)
}

/// A stop frame.
#[must_use]
pub fn stop() -> [u8; 5] {
    [0, 0, 0, 1, kind::STOP]
}

/// A start frame, or `None` when it cannot be written (larger than the protocol allows).
#[must_use]
pub fn start(start: &Start) -> Option<Vec<u8>> {
    let mut frame = Vec::new();
    put(&mut frame, kind::START, |out| json(out, start))?;
    Some(frame)
}

/// Writes a frame as a worker does; for tests and stand-ins. `None` when it is larger than the protocol allows.
#[must_use]
pub fn from_worker(frame: &FromWorker, out: &mut Vec<u8>) -> Option<()> {
    match frame {
        FromWorker::Hello(hello) => put(out, kind::HELLO, |out| json(out, hello)),
        FromWorker::Phase(phase) => put(out, kind::PHASE, |out| json(out, phase)),
        FromWorker::Ready(ready) => put(out, kind::READY, |out| json(out, ready)),
        FromWorker::Started(call) => put(out, kind::STARTED, |out| raw(out, &[&call.to_be_bytes()])),
        FromWorker::Log { call, level, text } => {
            let level = [u8::from(*level == Level::Error)];
            put(out, kind::LOG, |out| raw(out, &[&call.to_be_bytes(), &level, text.as_bytes()]))
        }
        FromWorker::Update(call, text) => put(out, kind::UPDATE, |out| raw(out, &[&call.to_be_bytes(), text])),
        FromWorker::OutputFile(call, index) => {
            put(out, kind::OUTPUT_FILE, |out| raw(out, &[&call.to_be_bytes(), &index.to_be_bytes()]))
        }
        FromWorker::Result(call, body) => {
            put(out, kind::RESULT, |out| raw(out, &[&call.to_be_bytes(), &[shape::JSON], body]))
        }
        FromWorker::Packed(call, body) => {
            put(out, kind::RESULT, |out| raw(out, &[&call.to_be_bytes(), &[shape::PACKED], body]))
        }
        FromWorker::Error(call, error) => put(out, kind::ERROR, |out| {
            raw(out, &[&call.to_be_bytes()])?;
            json(out, error)
        }),
        FromWorker::Fatal(fatal) => put(out, kind::FATAL, |out| json(out, fatal)),
        FromWorker::Stopped => put(out, kind::STOPPED, |_| Some(())),
    }
}

fn put(out: &mut Vec<u8>, kind: u8, payload: impl FnOnce(&mut Vec<u8>) -> Option<()>) -> Option<()> {
    let at = out.len();
    out.extend_from_slice(&[0, 0, 0, 0, kind]);
    payload(out)?;
    let length = out.len() - at - 4;
    if length > MAX_FRAME {
        return None;
    }
    out[at..at + 4].copy_from_slice(&u32::try_from(length).ok()?.to_be_bytes());
    Some(())
}

fn raw(out: &mut Vec<u8>, parts: &[&[u8]]) -> Option<()> {
    for part in parts {
        out.extend_from_slice(part);
    }
    Some(())
}

fn json<T: Serialize>(out: &mut Vec<u8>, value: &T) -> Option<()> {
    serde_json::to_writer(out, value).ok()
}
