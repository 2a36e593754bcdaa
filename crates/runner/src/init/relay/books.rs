//! What the relay knows of calls: which one is in work and which wait, and what follows from each frame.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::time::Duration;

use serde_json::json;

use super::buffers::Frames;
use crate::protocol::{FIRST_CREDIT, MOST_FILES, kind};

const CANCELLED: &str = "The request was cancelled";

/// The calls of one worker, and the frames that are to be passed on.
#[derive(Debug, Default)]
pub(super) struct Books {
    waiting: VecDeque<Waiting>,
    /// Files that have come, and the call they must be of.
    arrived: (u64, Vec<Given>),
    in_work: Option<InWork>,
    /// Calls whose files are no longer wanted.
    ended: Vec<u64>,
    stopping: bool,
    for_worker: Vec<u8>,
    for_server: Frames,
    /// The worker is gone: it is listened to whether the server keeps up or not.
    gone: bool,
}

#[derive(Debug)]
struct Waiting {
    call: u64,
    frame: Vec<u8>,
    files: Vec<Given>,
}

/// A file of a call: its name, and what it is read from, if there was room for that.
#[derive(Debug)]
pub(super) struct Given {
    pub name: String,
    pub file: Option<OwnedFd>,
}

#[derive(Debug)]
struct InWork {
    call: u64,
    /// The frame of a call whose files are not written yet, so that the worker knows nothing of it, and these files until
    /// somebody writes them.
    unplaced: Option<(Vec<u8>, Vec<Given>)>,
    /// It has files, which are to go when it ends.
    has_files: bool,
    /// How many files of the answer were sent.
    sent: usize,
    /// Why the answer cannot be sent, a sentence.
    refused: Option<String>,
    /// The worker has begun with it, and would heed an interrupt.
    begun: bool,
    cancelled: bool,
    interrupted: bool,
    credits: u32,
    /// An update for which there is no credit.
    held: Option<Vec<u8>>,
}

impl Books {
    /// A frame of the server. The error says how it breaks the protocol.
    pub fn server_said(&mut self, kind: u8, payload: &[u8]) -> Result<(), String> {
        let (call, files) = std::mem::take(&mut self.arrived);
        if !files.is_empty() && (kind != kind::CALL || number(payload)? != call) {
            return Err(format!("files of call {call} without it"));
        }
        match kind {
            kind::START => add(&mut self.for_worker, kind, payload),
            kind::CALL => {
                let call = number(payload)?;
                let mut frame = Vec::with_capacity(5 + payload.len());
                add(&mut frame, kind, payload);
                self.waiting.push_back(Waiting { call, frame, files });
            }
            kind::CANCEL | kind::RECALL => self.give_up(number(payload)?, kind == kind::CANCEL),
            kind::CREDIT => self.credit(number(payload)?, payload)?,
            kind::STOP => self.stopping = true,
            _ => return Err(format!("a frame of kind 0x{kind:02x}")),
        }
        self.go_on();
        Ok(())
    }

    /// A file of the server for a call that follows. The error says how it breaks the protocol.
    pub fn server_gave(&mut self, payload: &[u8], file: Option<OwnedFd>) -> Result<(), String> {
        let call = number(payload)?;
        let index = payload.get(8..).and_then(<[u8]>::first_chunk).ok_or("a file frame without an index")?;
        let name = std::str::from_utf8(&payload[12..]).map_err(|_| "the name of a file is not UTF-8")?.to_owned();
        let (of, files) = &mut self.arrived;
        let next = files.is_empty() || *of == call;
        if call == 0 || !next || u32::from_be_bytes(*index) as usize != files.len() || files.len() >= MOST_FILES {
            return Err(format!("a file of call {call} that is not the next"));
        }
        files.push(Given { name, file });
        *of = call;
        Ok(())
    }

    /// The call in work whose files are still to be written.
    pub fn unplaced(&self) -> Option<u64> {
        self.in_work.as_ref().filter(|in_work| in_work.unplaced.is_some()).map(|in_work| in_work.call)
    }

    /// Takes files that are to be written, once.
    pub fn take_unplaced(&mut self) -> Option<(u64, Vec<Given>)> {
        let in_work = self.in_work.as_mut()?;
        let (_, files) = in_work.unplaced.as_mut()?;
        (!files.is_empty()).then(|| (in_work.call, std::mem::take(files)))
    }

    /// The files of the call in work lie at these paths, or cannot be written, for a reason that is a sentence.
    pub fn placed(&mut self, paths: Result<Vec<Vec<u8>>, String>) {
        let Some(in_work) = &mut self.in_work else { return };
        let Some((frame, _)) = in_work.unplaced.take() else { return };
        match paths {
            Ok(paths) => {
                for (path, index) in paths.iter().zip(0u32..) {
                    let payload = [&in_work.call.to_be_bytes()[..], &index.to_be_bytes(), path].concat();
                    add(&mut self.for_worker, kind::INPUT_FILE, &payload);
                }
                self.for_worker.extend(frame);
            }
            Err(why) => {
                let call = in_work.call;
                self.fail(call, "input", &why);
                self.end();
            }
        }
    }

    /// Takes the calls that have ended and had files.
    pub fn ended(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.ended)
    }

    /// A file of the worker's answer, opened, or a sentence why it cannot be sent.
    pub fn worker_gave(&mut self, payload: &[u8], file: Result<OwnedFd, String>) {
        let Some(in_work) = self.in_work.as_mut().filter(|in_work| number(payload) == Ok(in_work.call)) else { return };
        let Some(head) = payload.first_chunk::<12>() else { return };
        let file = if in_work.sent < MOST_FILES { file } else { Err("The output has more than 1,000 files".into()) };
        match file {
            Ok(file) if in_work.refused.is_none() => {
                in_work.sent += 1;
                self.for_server.add_file(kind::OUTPUT_FILE, head, file);
            }
            Ok(_) => {}
            Err(why) => {
                in_work.refused.get_or_insert(why);
            }
        }
    }

    /// A frame of the worker; true for its first. What it may say at all is the server's to judge.
    pub fn worker_said(&mut self, kind: u8, payload: Vec<u8>, age: Duration) -> bool {
        match (kind, &mut self.in_work) {
            (kind::STARTED, Some(in_work)) => in_work.begun = true,
            // Between calls there is nothing that could start.
            (kind::STARTED, None) => {}
            (kind::UPDATE, Some(in_work)) if in_work.cancelled => {}
            (kind::UPDATE, Some(in_work)) if in_work.credits == 0 => in_work.held = Some(payload),
            (kind::UPDATE, Some(in_work)) => {
                in_work.credits -= 1;
                self.for_server.add(kind, &payload);
            }
            (kind::RESULT | kind::ERROR, Some(in_work)) if number(&payload) == Ok(in_work.call) => {
                match in_work.refused.take().filter(|_| kind == kind::RESULT) {
                    Some(why) => {
                        let call = in_work.call;
                        self.fail(call, "output", &why);
                    }
                    None => self.for_server.add(kind, &payload),
                }
                self.end();
            }
            _ => self.for_server.add(kind, &payload),
        }
        if kind != kind::HELLO {
            return false;
        }
        let phase = json!({ "phase": "interpreter", "micros": u64::try_from(age.as_micros()).unwrap_or(u64::MAX) });
        self.for_server.add(kind::PHASE, phase.to_string().as_bytes());
        true
    }

    /// Whether the worker is to be read from.
    pub fn listens(&self) -> bool {
        self.gone || self.in_work.as_ref().is_none_or(|in_work| in_work.held.is_none())
    }

    /// Whether the worker is to be interrupted, which it is once for a call.
    pub fn is_to_be_interrupted(&mut self) -> bool {
        let due = |in_work: &&mut InWork| in_work.begun && in_work.cancelled && !in_work.interrupted;
        match self.in_work.as_mut().filter(due) {
            Some(in_work) => {
                in_work.interrupted = true;
                true
            }
            None => false,
        }
    }

    /// The worker is gone; what it said before is still passed on, but for updates that nobody has room for.
    pub fn worker_is_gone(&mut self) {
        self.gone = true;
        if let Some(in_work) = &mut self.in_work {
            in_work.held = None;
        }
    }

    /// Takes the frames for the worker.
    pub fn for_worker(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.for_worker)
    }

    /// Takes the frames for the server.
    pub fn for_server(&mut self) -> Frames {
        std::mem::take(&mut self.for_server)
    }

    fn give_up(&mut self, call: u64, cancel: bool) {
        if let Some(in_work) = self.in_work.as_mut().filter(|in_work| in_work.call == call) {
            in_work.cancelled |= cancel;
            if cancel {
                in_work.held = None;
            }
            if cancel && in_work.unplaced.is_some() {
                self.fail(call, "cancelled", CANCELLED);
                self.end();
            }
            return;
        }
        let Some(at) = self.waiting.iter().position(|waiting| waiting.call == call) else { return };
        self.waiting.remove(at);
        self.fail(call, "cancelled", CANCELLED);
    }

    fn fail(&mut self, call: u64, kind: &str, message: &str) {
        let why = json!({ "kind": kind, "message": message, "public_error_message": null });
        self.for_server.add(kind::ERROR, &[&call.to_be_bytes(), why.to_string().as_bytes()].concat());
    }

    /// The call in work is answered.
    fn end(&mut self) {
        self.ended.extend(self.in_work.take().filter(|in_work| in_work.has_files).map(|in_work| in_work.call));
        self.go_on();
    }

    fn credit(&mut self, call: u64, payload: &[u8]) -> Result<(), String> {
        let updates = payload.get(8..).and_then(<[u8]>::first_chunk).ok_or("a credit frame without a number")?;
        let Some(in_work) = self.in_work.as_mut().filter(|in_work| in_work.call == call) else { return Ok(()) };
        in_work.credits = in_work.credits.saturating_add(u32::from_be_bytes(*updates));
        if in_work.credits > 0
            && let Some(held) = in_work.held.take()
        {
            in_work.credits -= 1;
            self.for_server.add(kind::UPDATE, &held);
        }
        Ok(())
    }

    /// Hands over the next call when none is in work; at last, the stop.
    fn go_on(&mut self) {
        if self.in_work.is_some() {
            return;
        }
        if let Some(Waiting { call, frame, files }) = self.waiting.pop_front() {
            self.for_server.add(kind::STARTED, &call.to_be_bytes());
            let mut in_work = InWork::new(call);
            if files.is_empty() {
                self.for_worker.extend(frame);
            } else {
                (in_work.has_files, in_work.unplaced) = (true, Some((frame, files)));
            }
            self.in_work = Some(in_work);
        } else if std::mem::take(&mut self.stopping) {
            add(&mut self.for_worker, kind::STOP, &[]);
        }
    }
}

impl InWork {
    fn new(call: u64) -> Self {
        Self {
            call,
            unplaced: None,
            has_files: false,
            sent: 0,
            refused: None,
            begun: false,
            cancelled: false,
            interrupted: false,
            credits: FIRST_CREDIT,
            held: None,
        }
    }
}

/// Adds a frame.
pub(super) fn add(to: &mut Vec<u8>, kind: u8, payload: &[u8]) {
    let size = u32::try_from(payload.len() + 1).unwrap_or(u32::MAX);
    to.extend(size.to_be_bytes());
    to.push(kind);
    to.extend_from_slice(payload);
}

fn number(payload: &[u8]) -> Result<u64, String> {
    let bytes = payload.first_chunk().ok_or("a frame without the number of its call")?;
    Ok(u64::from_be_bytes(*bytes))
}
