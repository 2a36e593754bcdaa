//! What a request tells while it runs: kept for readers, of whom the first may slow the writer.
//!
//! The process of a request has a few credits; each update costs one, and gets it back when the *leading* reader (who made
//! the request and listens) has taken the update, or at once when there is none. So a slow reader slows the writer, and one
//! that leaves does not.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use super::recorder::{Permit, Recorder};

/// How much of the updates of a request is kept, in bytes.
const MOST_KEPT: usize = 8 << 20;
/// Room is taken in steps of so many bytes.
const STEP: usize = 256 << 10;
/// What an update weighs beside its text.
const BASE: usize = 64;

/// The updates of one request.
pub(super) struct Updates {
    log: Mutex<Log>,
    news: Notify,
}

struct Log {
    /// The updates from number `first` on.
    items: VecDeque<Bytes>,
    first: u64,
    /// Whether they stay for later readers.
    keeps: bool,
    weight: usize,
    room: Vec<Permit>,
    /// Up to where the leading reader has read, while it is there.
    leader: Option<u64>,
    over: bool,
}

impl Updates {
    /// No updates yet. `keeps` tells whether they stay for later readers.
    pub(super) fn new(keeps: bool, leads: bool) -> Self {
        let log = Log {
            items: VecDeque::new(),
            first: 0,
            keeps,
            weight: 0,
            room: Vec::new(),
            leader: leads.then_some(0),
            over: false,
        };
        Self { log: Mutex::new(log), news: Notify::new() }
    }

    /// Takes an update; says whether its credit goes back at once.
    pub(super) fn push(&self, text: Bytes, recorder: &Recorder) -> bool {
        let mut log = self.lock();
        if log.over {
            return false;
        }
        log.keeps = log.keeps && log.has_room_for(text.len() + BASE, recorder);
        log.weight += text.len() + BASE;
        log.items.push_back(text);
        log.forget_read();
        let leads = log.leader.is_some();
        drop(log);
        self.news.notify_waiters();
        !leads
    }

    /// There will be no more. What was kept, as a JSON list of texts.
    pub(super) fn end(&self) -> Option<Bytes> {
        let mut log = self.lock();
        log.over = true;
        let kept = (log.keeps && !log.items.is_empty()).then(|| as_json(&log.items));
        drop(log);
        self.news.notify_waiters();
        kept
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    fn has_room_for(&mut self, more: usize, recorder: &Recorder) -> bool {
        let wanted = self.weight + more;
        if wanted > MOST_KEPT {
            return false;
        }
        while self.room.len() * STEP < wanted {
            match recorder.more_room((STEP >> 10) as u32) {
                Some(permit) => self.room.push(permit),
                None => return false,
            }
        }
        true
    }

    /// Lets go of what the leading reader has read, or would have, unless it is kept.
    fn forget_read(&mut self) {
        if self.keeps {
            return;
        }
        let end = self.first + self.items.len() as u64;
        let read = self.leader.unwrap_or(end);
        while self.first < read && self.items.pop_front().is_some() {
            self.first += 1;
        }
        self.room.clear();
    }
}

/// Somebody who reads the updates of a request, from the first that is kept.
pub(super) struct Reader {
    updates: Arc<Updates>,
    at: u64,
    leads: bool,
}

impl Reader {
    pub(super) fn new(updates: Arc<Updates>, leads: bool) -> Self {
        Self { updates, at: 0, leads }
    }

    /// The next update; nothing when the request is over and all was read. Safe to give up.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        let updates = self.updates.clone();
        loop {
            let news = updates.news.notified();
            tokio::pin!(news);
            // From here on news are heard, so none can come between the look and the wait.
            news.as_mut().enable();
            match self.look() {
                Look::Update(text) => return Some(text),
                Look::Over => return None,
                Look::Nothing => {}
            }
            news.await;
        }
    }

    fn look(&mut self) -> Look {
        let mut log = self.updates.lock();
        self.at = self.at.max(log.first);
        let at = usize::try_from(self.at - log.first).unwrap_or(usize::MAX);
        let Some(text) = log.items.get(at).cloned() else {
            return if log.over { Look::Over } else { Look::Nothing };
        };
        self.at += 1;
        if self.leads {
            log.leader = Some(self.at);
            log.forget_read();
        }
        Look::Update(text)
    }

    /// Whether the writer waits for this reader.
    pub(super) fn leads(&self) -> bool {
        self.leads
    }

    /// How many updates the process was not given a credit for, when this reader leaves.
    pub(super) fn leave(&mut self) -> u32 {
        if !std::mem::take(&mut self.leads) {
            return 0;
        }
        let mut log = self.updates.lock();
        log.leader = None;
        let unread = (log.first + log.items.len() as u64).saturating_sub(self.at.max(log.first));
        log.forget_read();
        u32::try_from(unread).unwrap_or(u32::MAX)
    }
}

enum Look {
    Update(Bytes),
    Nothing,
    Over,
}

fn as_json(items: &VecDeque<Bytes>) -> Bytes {
    // The process's text was checked to be UTF-8 when it came.
    let texts: Vec<_> = items.iter().map(|item| String::from_utf8_lossy(item)).collect();
    serde_json::to_vec(&texts).unwrap_or_default().into()
}

/// What [`Updates::end`] made, as texts again.
pub(super) fn from_json(kept: &[u8]) -> Vec<String> {
    serde_json::from_slice(kept).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(number: usize) -> Bytes {
        Bytes::from(format!("update {number}"))
    }

    #[tokio::test]
    async fn the_leading_reader_holds_back_credits_and_gives_them_when_it_leaves() {
        let (recorder, updates) = (Recorder::new(), Arc::new(Updates::new(false, true)));
        assert!(!updates.push(text(0), &recorder));
        assert!(!updates.push(text(1), &recorder));
        let mut reader = Reader::new(updates.clone(), true);
        assert_eq!(reader.next().await, Some(text(0)));
        assert_eq!(reader.leave(), 1);
        assert!(updates.push(text(2), &recorder));
        assert_eq!(updates.lock().items.len(), 0, "nobody reads, nothing is kept");
        assert_eq!(updates.end(), None);
        assert_eq!(reader.next().await, None);
    }

    #[tokio::test]
    async fn what_is_kept_is_read_by_many_and_from_the_beginning() {
        let (recorder, updates) = (Recorder::new(), Arc::new(Updates::new(true, false)));
        for number in 0..3 {
            assert!(updates.push(text(number), &recorder));
        }
        let mut readers = [Reader::new(updates.clone(), false), Reader::new(updates.clone(), false)];
        for reader in &mut readers {
            assert_eq!(reader.next().await, Some(text(0)));
        }
        let kept = updates.end().expect("it is kept");
        assert_eq!(from_json(&kept), ["update 0", "update 1", "update 2"]);
        let [first, _] = &mut readers;
        assert_eq!((first.next().await, first.next().await, first.next().await), (Some(text(1)), Some(text(2)), None));
        assert!(!updates.push(text(3), &recorder), "it is over");
    }

    #[tokio::test]
    async fn more_than_may_be_kept_is_not_kept_at_all_but_read() {
        let (recorder, updates) = (Recorder::new(), Arc::new(Updates::new(true, false)));
        let large = Bytes::from(vec![b'x'; 1 << 20]);
        for _ in 0..20 {
            updates.push(large.clone(), &recorder);
        }
        let log = updates.lock();
        assert!(!log.keeps && log.items.is_empty() && log.room.is_empty());
        drop(log);
        assert_eq!(updates.end(), None);
    }
}
