//! Room in memory for requests: one budget of bytes for all that comes in, waits, runs, comes out or is written down.
//!
//! A request takes a [`Permit`] before its body is read and gives it back when its record is committed. A large result has
//! room of its own, until it is written down and whoever waited for it has it. There are shares: what is small has one, so
//! that a few large bodies on slow connections do not hold up all others, and so have the updates that are kept, which stay
//! as long as their requests run.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use modelyard_dispatch::Lane;
use modelyard_store::requests::Portion;
use modelyard_types::{Error, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::RETRY_AFTER;
use super::recorder::MAX_INLINE;

/// What a request weighs beside its body, in KiB; it bounds their number.
const BASE: u32 = 16;
/// A body is in memory as it came, and as it goes to a process or into a row.
const COPIES: usize = 2;
/// So many direct requests of a version may wait however little room there is.
const CROWD: usize = 256;
/// How long a request waits for room before it is refused.
const PATIENCE: Duration = Duration::from_secs(10);

/// What all requests of this server may weigh.
pub(crate) struct Room {
    /// For bodies up to [`MAX_INLINE`].
    small: Share,
    large: Share,
    updates: Share,
}

/// A part of the room, in KiB.
struct Share {
    free: Arc<Semaphore>,
    size: u32,
}

/// Room for one request or more; given back when it is dropped.
#[must_use = "room that is not kept is given back"]
#[derive(Debug, Default)]
pub struct Permit {
    small: Option<OwnedSemaphorePermit>,
    large: Option<OwnedSemaphorePermit>,
}

impl Room {
    /// So many bytes: a quarter for small requests, an eighth for updates, the rest for large requests.
    pub(crate) fn new(bytes: u64) -> Self {
        let eighth = u32::try_from(bytes >> 10).unwrap_or(u32::MAX).max(8 * BASE) / 8;
        Self { small: Share::new(2 * eighth), large: Share::new(5 * eighth), updates: Share::new(eighth) }
    }

    /// Room for a request with a body of that many bytes, which waits for it for a while.
    pub(crate) async fn permit(&self, body: usize) -> Result<Permit> {
        self.permit_within(body, PATIENCE).await
    }

    async fn permit_within(&self, body: usize, patience: Duration) -> Result<Permit> {
        let share = if is_small(body) { &self.small } else { &self.large };
        let weight = weight(body).min(share.size);
        if let Ok(part) = share.free.clone().try_acquire_many_owned(weight) {
            return Ok(Permit::of(body, Some(part)));
        }
        match tokio::time::timeout(patience, share.free.clone().acquire_many_owned(weight)).await {
            Ok(Ok(part)) => Ok(Permit::of(body, Some(part))),
            _ => Err(Error::Unavailable(
                "The requests in work take all the memory that they may have (`request_memory`); try again soon".into(),
            )),
        }
    }

    /// Refuses direct requests of a version that has many waiting while little room is left for small ones of all others.
    pub(crate) fn is_fair(&self, lane: &Lane) -> Result<()> {
        if self.small.spare() > 0 || lane.load().waiting_direct < CROWD {
            return Ok(());
        }
        let message = format!(
            "Memory for requests is short (`request_memory`), and {CROWD} of this version wait already: try again later"
        );
        Err(Error::Busy { message, retry_after: RETRY_AFTER })
    }

    /// What may be claimed of requests that nobody waits for. They have half of what there is: the rest is for callers who
    /// wait.
    pub(crate) fn spare(&self) -> Portion {
        let bytes = |kib: u32| ((kib as usize) << 10) / COPIES;
        let (small, large) = (self.small.spare(), self.large.spare());
        Portion {
            count: (small / BASE / 2) as usize,
            urgent: false,
            small: MAX_INLINE,
            small_bytes: bytes(small / 2),
            large_bytes: bytes(large),
        }
    }

    /// Room for a request that is in memory already: what there is of it.
    pub(crate) fn rest_for(&self, body: usize) -> Permit {
        let share = if is_small(body) { &self.small } else { &self.large };
        Permit::of(body, share.rest(weight(body)))
    }

    /// So many KiB of the room for updates, if there are.
    pub(crate) fn for_updates(&self, kib: u32) -> Option<OwnedSemaphorePermit> {
        self.updates.free.clone().try_acquire_many_owned(kib).ok()
    }

    /// A permit for what came out, too, when it is large. That is in memory already, so it takes what room there is, in the
    /// end also that of small requests; new ones wait for theirs until it is written.
    pub(crate) fn heavier(&self, permit: &mut Permit, result: usize) {
        if result <= MAX_INLINE {
            return;
        }
        let wanted = kib(result);
        let part = self.large.rest(wanted);
        let missing = wanted - part.as_ref().map_or(0, |part| part.num_permits() as u32);
        add(&mut permit.large, part);
        add(&mut permit.small, self.small.rest(missing));
    }

    /// What came out, which takes room when it is large: until the last who holds it lets go, be it its record or somebody
    /// who is slow to read it.
    pub(crate) fn held(&self, result: Bytes) -> Bytes {
        if is_small(result.len()) {
            return result;
        }
        let mut permit = Permit::default();
        self.heavier(&mut permit, result.len());
        Bytes::from_owner(Held { result, _permit: permit })
    }

    /// Tells the operator how much is free.
    pub(crate) fn tell(&self) {
        for (name, share) in [("small", &self.small), ("large", &self.large), ("updates", &self.updates)] {
            let bytes = share.free.available_permits() << 10;
            metrics::gauge!("modelyard_request_memory_free_bytes", "share" => name).set(bytes as f64);
        }
    }

    /// Whether nothing is in work.
    #[cfg(test)]
    pub(super) fn is_free(&self) -> bool {
        [&self.small, &self.large, &self.updates]
            .iter()
            .all(|share| share.free.available_permits() == share.size as usize)
    }
}

/// A result with its room.
struct Held {
    result: Bytes,
    _permit: Permit,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.result
    }
}

impl Share {
    fn new(size: u32) -> Self {
        Self { free: Arc::new(Semaphore::new(size as usize)), size }
    }

    /// What is free beyond half of it.
    fn spare(&self) -> u32 {
        let free = u32::try_from(self.free.available_permits()).unwrap_or(self.size);
        free.saturating_sub(self.size / 2)
    }

    /// As much as there is, up to `wanted`.
    fn rest(&self, wanted: u32) -> Option<OwnedSemaphorePermit> {
        let there = u32::try_from(self.free.available_permits()).unwrap_or(self.size).min(wanted);
        if there == 0 { None } else { self.free.clone().try_acquire_many_owned(there).ok() }
    }
}

impl Permit {
    /// Gives back what a body of `body` bytes does not need of the room for one of `expected`.
    pub fn shrink(&mut self, expected: usize, body: usize) {
        let excess = weight(expected).saturating_sub(weight(body));
        for part in [&mut self.small, &mut self.large].into_iter().flatten() {
            // A permit that was cut to its share may hold less.
            drop(part.split((excess as usize).min(part.num_permits())));
        }
    }

    fn of(body: usize, part: Option<OwnedSemaphorePermit>) -> Self {
        if is_small(body) { Self { small: part, large: None } } else { Self { small: None, large: part } }
    }
}

fn add(to: &mut Option<OwnedSemaphorePermit>, part: Option<OwnedSemaphorePermit>) {
    match (to, part) {
        (Some(to), Some(part)) => to.merge(part),
        (to, part) => *to = to.take().or(part),
    }
}

fn is_small(body: usize) -> bool {
    body <= MAX_INLINE
}

/// What a request with such a body weighs, in KiB.
fn weight(body: usize) -> u32 {
    kib(body.saturating_mul(COPIES)).saturating_add(BASE)
}

fn kib(bytes: usize) -> u32 {
    u32::try_from(bytes >> 10).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
