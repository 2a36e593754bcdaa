//! What a request tells while it runs: kept for readers, of whom the first may slow the writer.
//!
//! The process of a request has a few credits; each update costs one, and gets it back when the *leading* reader (who made
//! the request and listens) has taken the update, or at once when there is none. So a slow reader slows the writer, and one
//! that leaves does not.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{Notify, OwnedSemaphorePermit};

use super::room::Room;

/// How much of the updates of a request is kept, in bytes.
const MOST_KEPT: usize = 8 << 20;
/// How much of them waits for those who listen while nothing is kept, in bytes: one that is as large as may be, and more.
const RING: usize = 5 * STEP;
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
    /// How many listen beside the leader.
    followers: usize,
    /// Whether the last ones wait for the followers, though they do not stay.
    ring: bool,
    /// Of the items that are here.
    weight: usize,
    room: Vec<OwnedSemaphorePermit>,
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
            followers: 0,
            ring: false,
            weight: 0,
            room: Vec::new(),
            leader: leads.then_some(0),
            over: false,
        };
        Self { log: Mutex::new(log), news: Notify::new() }
    }

    /// Takes an update; says whether its credit goes back at once.
    pub(super) fn push(&self, text: Bytes, room: &Room) -> bool {
        let mut log = self.lock();
        if log.over {
            return false;
        }
        log.keeps = log.keeps && log.has_room_for(text.len() + BASE, room);
        log.ring = !log.keeps && log.followers > 0 && log.takes_room(RING, room);
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

    /// There were none, and there will be none.
    pub(super) fn close(&self) {
        self.lock().over = true;
        self.news.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    fn has_room_for(&mut self, more: usize, room: &Room) -> bool {
        let wanted = self.weight + more;
        wanted <= MOST_KEPT && self.takes_room(wanted, room)
    }

    fn takes_room(&mut self, wanted: usize, room: &Room) -> bool {
        while self.room.len() * STEP < wanted {
            match room.for_updates((STEP >> 10) as u32) {
                Some(permit) => self.room.push(permit),
                None => return false,
            }
        }
        true
    }

    /// Lets go of what the leading reader has read, or would have, unless it is kept or waits for followers.
    fn forget_read(&mut self) {
        if self.keeps {
            return;
        }
        let end = self.first + self.items.len() as u64;
        let read = self.leader.unwrap_or(end);
        let most = if self.ring { RING } else { 0 };
        while self.first < read && self.weight > most {
            let Some(text) = self.items.pop_front() else { break };
            self.weight -= text.len() + BASE;
            self.first += 1;
        }
        self.room.truncate(most / STEP);
    }
}

/// Somebody who reads the updates of a request, from the first that is kept.
pub(super) struct Reader {
    updates: Arc<Updates>,
    at: u64,
    leads: bool,
    follows: bool,
}

impl Drop for Reader {
    fn drop(&mut self) {
        if !self.follows {
            return;
        }
        let mut log = self.updates.lock();
        log.followers -= 1;
        if log.followers == 0 {
            log.ring = false;
            log.forget_read();
        }
    }
}

impl Reader {
    pub(super) fn new(updates: Arc<Updates>, leads: bool) -> Self {
        updates.lock().followers += usize::from(!leads);
        Self { updates, at: 0, leads, follows: !leads }
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
mod tests;
