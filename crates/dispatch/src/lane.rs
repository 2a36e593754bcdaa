//! The lane of one version, as callers, processes and the scaler see it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use modelyard_types::RequestId;
use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::effects::{Effects, Nudge, Waker};
use crate::group;
use crate::job::{Cancel, Job, Outcome, Refusal};
use crate::load::LaneLoad;
use crate::port::{Command, Port};
use crate::seat::{Seat, SeatId};
use crate::settings::LaneSettings;
use crate::state::{Answer, Finished, Listener, State};

/// The requests of one version on their way to its processes.
///
/// Every method may be called from any thread, also from inside a [`Waiter`](crate::Waiter), a [`Seat`] or the nudge: those are
/// never called while the lane is locked. No method waits for anything but that lock, which is held for a few lines of
/// bookkeeping. Timeouts come from outside, by [`expire`](Self::expire); [`sweep`](Self::sweep) wants to be called about once a second.
pub struct Lane {
    state: Mutex<State>,
    nudge: Nudge,
    waker: Waker,
    clock: Clock,
}

impl Lane {
    /// An empty lane. `nudge` is called whenever a job has to wait because no seat is free; `waker` with the time when
    /// [`woken`](Self::woken) wants to be called, for one time after the other and only if the settings have a `grouping`.
    pub fn new(
        settings: LaneSettings,
        nudge: Arc<dyn Fn() + Send + Sync>,
        waker: Arc<dyn Fn(Instant) + Send + Sync>,
    ) -> Self {
        Self::with_clock(settings, nudge, waker, Clock::System)
    }

    pub(crate) fn with_clock(settings: LaneSettings, nudge: Nudge, waker: Waker, clock: Clock) -> Self {
        Self { state: Mutex::new(State::new(settings)), nudge, waker, clock }
    }

    /// Changes how the lane behaves, from now on.
    pub fn set(&self, settings: LaneSettings) {
        self.step(|state, now, effects| state.set(settings, now, effects));
    }

    /// Takes a job and hands it to a seat if one has room. A refused job's waiter is not told.
    pub fn submit(&self, job: Job) -> Result<(), Refusal> {
        self.step(|state, now, effects| state.submit(job, true, false, now, effects))
    }

    /// As [`submit`](Self::submit), to the place that [`reserve_direct`](Self::reserve_direct) kept: it is never refused because
    /// the queue is full.
    pub fn submit_reserved(&self, job: Job) -> Result<(), Refusal> {
        self.step(|state, now, effects| state.submit(job, true, true, now, effects))
    }

    /// As [`submit`](Self::submit), and the job is put together with no others: because its process ended the last time and it
    /// may be the cause, or because it is about updates, of which a group has none.
    pub fn submit_alone(&self, job: Job) -> Result<(), Refusal> {
        self.step(|state, now, effects| state.submit(job, false, false, now, effects))
    }

    /// A time that was asked for has come.
    pub fn woken(&self) {
        self.step(|state, now, effects| state.woken(now, effects));
    }

    /// Takes in a process that is ready, under an id made by [`SeatId::new`]. The seat may get calls before this returns.
    pub fn seat_ready(&self, id: SeatId, seat: Arc<dyn Seat>) {
        self.step(|state, now, effects| state.seat_ready(id, Port::new(seat), now, effects));
    }

    /// The process began to work on a call. False, and nothing happens, if that call is not the next of that seat.
    pub fn started(&self, seat: SeatId, ticket: u64) -> bool {
        self.step(|state, now, effects| state.started(seat, ticket, now, effects))
    }

    /// The process sent an update of the call in work. False, and nothing happens, if that call is not in work there. The updates
    /// of a group are dropped, and allowed again so that the process does not wait.
    pub fn update(&self, seat: SeatId, ticket: u64, text: Bytes) -> bool {
        let listener = self.lock().updated(seat, ticket);
        match &listener {
            Ok(Listener::One(waiter)) => waiter.update(text),
            Ok(Listener::Group) => {
                self.step(|state, _, effects| state.tell(seat, Command::Credit(ticket, 1), effects));
            }
            Ok(Listener::Nobody) | Err(()) => (),
        }
        listener.is_ok()
    }

    /// Allows the process more updates, once earlier ones are on their way to the reader. Nothing happens for a job that ended.
    pub fn credit(&self, id: RequestId, updates: u32) {
        self.step(|state, _, effects| state.credit(id, updates, effects));
    }

    /// The process answered a call. False, and nothing happens, if it had no such call to answer: the seat is gone, the ticket
    /// unknown or not the first in line. The answer to a call that was taken back is dropped.
    pub fn finished(&self, seat: SeatId, ticket: u64, outcome: Outcome) -> bool {
        let finished = |answer| self.step(|state, now, effects| state.finished(seat, ticket, answer, now, effects));
        let first = finished(Answer::Whole(outcome));
        let Finished::Unsplit(list, members) = first else { return matches!(first, Finished::Yes) };
        // Taken apart without the lock: it may be large.
        let again = match group::split(&list, members) {
            Ok(results) => Answer::Each(results),
            Err(failure) => Answer::Whole(failure),
        };
        matches!(finished(again), Finished::Yes)
    }

    /// The process ended, for a reason that is a sentence. The call it worked on has crashed; those it had not started go back
    /// to where they stood in the queue. False if the seat was gone already.
    pub fn seat_gone(&self, seat: SeatId, why: &str) -> bool {
        self.step(|state, now, effects| state.seat_gone(seat, why, now, effects))
    }

    /// Gives a seat no more calls. What comes back tells when it holds none any more, or is gone; then the lane has
    /// forgotten it.
    pub fn retire(&self, seat: SeatId) -> Retired {
        let (done, retired) = oneshot::channel();
        self.step(|state, _, effects| {
            state.tell_when_drained(seat, done);
            state.retire(seat, effects);
        });
        Retired(retired)
    }

    /// Cancels a job: at once while it has not started. One that runs is interrupted, and its waiter told when its process
    /// answers; a second call, or [`expire`](Self::expire), ends the process. In a group that others wait for it ends at once, and
    /// its result is dropped.
    pub fn cancel(&self, id: RequestId) -> Cancel {
        self.step(|state, now, effects| state.cancel(id, now, effects))
    }

    /// The time of a job is over. Nothing happens if it has ended.
    pub fn expire(&self, id: RequestId) {
        self.step(|state, now, effects| state.expire(id, now, effects));
    }

    /// Ends all that waits for a seat, because there will be none, and says how many those were.
    pub fn refuse_waiting(&self, reason: &str) -> usize {
        self.step(|state, _, effects| state.refuse_waiting(reason, effects))
    }

    /// Ends all direct jobs that wait for a seat, and hands back the batch ones: there may be a seat again one day. Says how
    /// many were refused.
    pub fn turn_away(&self, reason: &str) -> usize {
        self.step(|state, _, effects| state.turn_away(reason, effects))
    }

    /// Hands back the batch jobs that wait for a seat, those that come from now on, and asks processes for those they have not
    /// started.
    pub fn hand_back(&self) {
        self.step(|state, _, effects| state.hand_back(effects));
    }

    /// Makes room for batch requests that are about to be accepted. They count as waiting outside until they
    /// [`come_in`](Self::come_in).
    pub fn reserve(&self, count: usize) -> Result<(), Refusal> {
        self.lock().reserve(count)
    }

    /// Keeps a place for a direct job whose row is about to be written, until it comes in by
    /// [`submit_reserved`](Self::submit_reserved) or never will.
    pub fn reserve_direct(&self) -> Result<(), Refusal> {
        self.step(|state, now, _| state.reserve_direct(now))
    }

    /// A direct job that a place was kept for will not come in.
    pub fn release_direct(&self) {
        self.lock().release_direct();
    }

    /// So many batch requests wait outside no more: they are submitted now, or will never be.
    pub fn come_in(&self, count: usize) {
        self.lock().come_in(count);
    }

    /// So many batch requests that were here wait outside again.
    pub fn go_out(&self, count: usize) {
        self.lock().go_out(count);
    }

    /// Whether batch requests wait outside, and fewer than `low` here.
    pub fn is_hungry(&self, low: usize) -> bool {
        self.lock().is_hungry(low)
    }

    /// A mark of the present count of those outside, for [`set_outside`](Self::set_outside).
    pub fn outside_mark(&self) -> u64 {
        self.lock().outside_mark()
    }

    /// How many batch requests wait outside, counted anew. Nothing happens when requests came or went since the mark was
    /// taken: then nobody knows whether they are in the count.
    pub fn set_outside(&self, count: i64, mark: u64) {
        self.lock().set_outside(count, mark);
    }

    /// Closes the lane for good: what waits or comes is refused, what runs goes on. Says how many were refused.
    pub fn close(&self, reason: &str) -> usize {
        self.step(|state, _, effects| state.close(reason, effects))
    }

    /// Gives up on processes that do not answer or do not begin with what they have, and asks back calls that a long one holds
    /// up while another seat is idle.
    pub fn sweep(&self) {
        self.step(|state, now, effects| state.sweep(now, effects));
    }

    /// The lane at this moment. Costs the number of its seats, however much waits.
    pub fn load(&self) -> LaneLoad {
        let now = self.clock.now();
        self.lock().load(now)
    }

    /// One change under the lock, then what it causes, without.
    fn step<T>(&self, change: impl FnOnce(&mut State, Instant, &mut Effects) -> T) -> T {
        let mut effects = Effects::default();
        let now = self.clock.now();
        let answer = change(&mut self.lock(), now, &mut effects);
        effects.run(&self.nudge, &self.waker);
        answer
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lane {
    /// Whoever still waits is told.
    fn drop(&mut self) {
        self.step(|state, _, effects| state.abandon(effects));
    }
}

/// Tells when a seat holds no call any more.
#[must_use = "a seat may be stopped only once it is drained"]
pub struct Retired(oneshot::Receiver<()>);

impl Retired {
    /// Waits until the seat is drained or gone.
    pub async fn wait(self) {
        // The lane drops its end when the seat leaves it; that is the message.
        let _ = self.0.await;
    }

    /// Whether it is so already.
    pub fn is_done(&mut self) -> bool {
        !matches!(self.0.try_recv(), Err(oneshot::error::TryRecvError::Empty))
    }
}
