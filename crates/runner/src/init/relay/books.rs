//! What the relay knows of calls: which one is in work and which wait, and what follows from each frame.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::json;

use crate::protocol::{FIRST_CREDIT, kind};

/// The calls of one worker, and the frames that are to be passed on.
#[derive(Debug, Default)]
pub(super) struct Books {
    waiting: VecDeque<(u64, Vec<u8>)>,
    in_work: Option<InWork>,
    stopping: bool,
    for_worker: Vec<u8>,
    for_server: Vec<u8>,
    /// The worker is gone: it is listened to whether the server keeps up or not.
    gone: bool,
}

#[derive(Debug)]
struct InWork {
    call: u64,
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
        match kind {
            kind::START => add(&mut self.for_worker, kind, payload),
            kind::CALL => {
                let call = number(payload)?;
                let mut frame = Vec::with_capacity(5 + payload.len());
                add(&mut frame, kind, payload);
                self.waiting.push_back((call, frame));
            }
            kind::CANCEL | kind::RECALL => self.give_up(number(payload)?, kind == kind::CANCEL),
            kind::CREDIT => self.credit(number(payload)?, payload)?,
            kind::STOP => self.stopping = true,
            _ => return Err(format!("a frame of kind 0x{kind:02x}")),
        }
        self.go_on();
        Ok(())
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
                add(&mut self.for_server, kind, &payload);
            }
            (kind::RESULT | kind::ERROR, Some(in_work)) if number(&payload) == Ok(in_work.call) => {
                add(&mut self.for_server, kind, &payload);
                self.in_work = None;
                self.go_on();
            }
            _ => add(&mut self.for_server, kind, &payload),
        }
        if kind != kind::HELLO {
            return false;
        }
        let phase = json!({ "phase": "interpreter", "micros": u64::try_from(age.as_micros()).unwrap_or(u64::MAX) });
        add(&mut self.for_server, kind::PHASE, phase.to_string().as_bytes());
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
    pub fn for_server(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.for_server)
    }

    fn give_up(&mut self, call: u64, cancel: bool) {
        if let Some(in_work) = self.in_work.as_mut().filter(|in_work| in_work.call == call) {
            in_work.cancelled |= cancel;
            if cancel {
                in_work.held = None;
            }
            return;
        }
        let Some(at) = self.waiting.iter().position(|(waiting, _)| *waiting == call) else { return };
        self.waiting.remove(at);
        let why = json!({ "kind": "cancelled", "message": "The request was cancelled", "public_error_message": null });
        add(&mut self.for_server, kind::ERROR, &[&call.to_be_bytes(), why.to_string().as_bytes()].concat());
    }

    fn credit(&mut self, call: u64, payload: &[u8]) -> Result<(), String> {
        let updates = payload.get(8..).and_then(<[u8]>::first_chunk).ok_or("a credit frame without a number")?;
        let Some(in_work) = self.in_work.as_mut().filter(|in_work| in_work.call == call) else { return Ok(()) };
        in_work.credits = in_work.credits.saturating_add(u32::from_be_bytes(*updates));
        if in_work.credits > 0
            && let Some(held) = in_work.held.take()
        {
            in_work.credits -= 1;
            add(&mut self.for_server, kind::UPDATE, &held);
        }
        Ok(())
    }

    /// Hands over the next call when none is in work; at last, the stop.
    fn go_on(&mut self) {
        if self.in_work.is_some() {
            return;
        }
        if let Some((call, frame)) = self.waiting.pop_front() {
            add(&mut self.for_server, kind::STARTED, &call.to_be_bytes());
            self.for_worker.extend(frame);
            let credits = FIRST_CREDIT;
            self.in_work =
                Some(InWork { call, begun: false, cancelled: false, interrupted: false, credits, held: None });
        } else if std::mem::take(&mut self.stopping) {
            add(&mut self.for_worker, kind::STOP, &[]);
        }
    }
}

fn add(to: &mut Vec<u8>, kind: u8, payload: &[u8]) {
    let size = u32::try_from(payload.len() + 1).unwrap_or(u32::MAX);
    to.extend(size.to_be_bytes());
    to.push(kind);
    to.extend_from_slice(payload);
}

fn number(payload: &[u8]) -> Result<u64, String> {
    let bytes = payload.first_chunk().ok_or("a frame without the number of its call")?;
    Ok(u64::from_be_bytes(*bytes))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn call(number: u64) -> Vec<u8> {
        [&number.to_be_bytes()[..], &[0; 5], b"{}"].concat()
    }

    /// Kinds of frames, each with the number of its call if it has one.
    fn shown(mut bytes: &[u8]) -> Vec<String> {
        let mut all = Vec::new();
        while let Some((head, rest)) = bytes.split_first_chunk() {
            let (frame, rest) = rest.split_at(u32::from_be_bytes(*head) as usize);
            let of = number(&frame[1..]).map(|number| format!(" {number}")).unwrap_or_default();
            all.push(format!("{:02x}{}", frame[0], if frame[0] == kind::PHASE { String::new() } else { of }));
            bytes = rest;
        }
        all
    }

    fn server(books: &mut Books, kind: u8, payload: &[u8]) -> (Vec<String>, Vec<String>) {
        books.server_said(kind, payload).unwrap();
        (shown(&books.for_server()), shown(&books.for_worker()))
    }

    fn worker(books: &mut Books, kind: u8, call: u64) -> (Vec<String>, Vec<String>) {
        books.worker_said(kind, call.to_be_bytes().to_vec(), Duration::ZERO);
        (shown(&books.for_server()), shown(&books.for_worker()))
    }

    fn own(text: &[&str]) -> Vec<String> {
        text.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn calls_are_handed_over_one_by_one_and_the_stop_last() {
        let mut books = Books::default();
        assert_eq!(server(&mut books, kind::CALL, &call(1)), (own(&["04 1"]), own(&["41 1"])));
        assert_eq!(server(&mut books, kind::CALL, &call(2)), (own(&[]), own(&[])));
        assert_eq!(server(&mut books, kind::STOP, &[]), (own(&[]), own(&[])));
        assert_eq!(worker(&mut books, kind::STARTED, 1), (own(&[]), own(&[])));
        assert_eq!(worker(&mut books, kind::RESULT, 1), (own(&["07 1", "04 2"]), own(&["41 2"])));
        assert_eq!(worker(&mut books, kind::ERROR, 2), (own(&["08 2"]), own(&["44"])));
        assert_eq!(worker(&mut books, kind::STOPPED, 0).0, own(&["0a 0"]));
    }

    #[test]
    fn calls_that_wait_are_given_back_while_another_is_in_work() {
        let mut books = Books::default();
        for number in 1..=3 {
            server(&mut books, kind::CALL, &call(number));
        }
        assert_eq!(server(&mut books, kind::RECALL, &2u64.to_be_bytes()).0, own(&["08 2"]));
        assert_eq!(server(&mut books, kind::CANCEL, &3u64.to_be_bytes()).0, own(&["08 3"]));
        assert_eq!(server(&mut books, kind::RECALL, &1u64.to_be_bytes()).0, own(&[]));
        assert!(!books.is_to_be_interrupted());
        assert_eq!(worker(&mut books, kind::RESULT, 1).0, own(&["07 1"]));
    }

    #[test]
    fn a_call_is_interrupted_once_and_not_before_it_has_begun() {
        let mut books = Books::default();
        server(&mut books, kind::CALL, &call(1));
        server(&mut books, kind::CANCEL, &1u64.to_be_bytes());
        assert!(!books.is_to_be_interrupted());
        worker(&mut books, kind::STARTED, 1);
        assert!(books.is_to_be_interrupted());
        assert!(!books.is_to_be_interrupted());
        assert_eq!(worker(&mut books, kind::UPDATE, 1).0, own(&[]));
        assert_eq!(worker(&mut books, kind::ERROR, 1).0, own(&["08 1"]));
    }

    #[test]
    fn a_slow_reader_of_updates_slows_the_worker() {
        let mut books = Books::default();
        server(&mut books, kind::CALL, &call(1));
        for _ in 0..FIRST_CREDIT {
            assert_eq!(worker(&mut books, kind::UPDATE, 1).0, own(&["06 1"]));
        }
        assert!(books.listens());
        assert_eq!(worker(&mut books, kind::UPDATE, 1).0, own(&[]));
        assert!(!books.listens());
        let credit = [&1u64.to_be_bytes()[..], &2u32.to_be_bytes()].concat();
        assert_eq!(server(&mut books, kind::CREDIT, &credit).0, own(&["06 1"]));
        assert!(books.listens());
    }

    #[test]
    fn the_hello_is_followed_by_the_time_it_took() {
        let mut books = Books::default();
        assert!(books.worker_said(kind::HELLO, b"{}".to_vec(), Duration::from_millis(3)));
        assert_eq!(shown(&books.for_server()), own(&["01", "02"]));
    }

    #[test]
    fn nonsense_of_the_server_is_an_error() {
        let mut books = Books::default();
        assert!(books.server_said(0x07, &[0; 8]).is_err());
        assert!(books.server_said(kind::CANCEL, &[0; 3]).is_err());
        assert!(books.server_said(kind::CREDIT, &[0; 8]).is_err());
    }
}
