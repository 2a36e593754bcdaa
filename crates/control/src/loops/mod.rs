//! Background work. Each loop is woken by a timer or a nudge, reads what is wanted and what is, and takes a step nearer.
//! It gets no input and may run twice; after a crash nothing needs repair.

mod builds;
mod cleaning;
mod environment_builds;
mod environment_changes;
mod environment_files;
mod feeding;
mod files;
mod files_away;
mod giving_up;
mod heartbeat;
mod old_environments;
mod providers;
mod scaling;
mod sweep;
mod unplaced;

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use modelyard_types::{Error, Result};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub(crate) use heartbeat::take_over;

use crate::{Control, Inner};

/// The loops of a control that run, and the way to end them.
#[derive(Default)]
pub(crate) struct Running {
    tasks: Mutex<JoinSet<()>>,
    stop: CancellationToken,
}

impl Running {
    /// Runs a piece of background work until it ends or everything does.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        // Ended ones are let go of now and then, here.
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = work => {}
            }
        });
    }

    /// Runs a loop for ever: when it panics it is begun again.
    pub(crate) fn keep<F>(&self, name: &'static str, begin: impl Fn() -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.spawn(async move {
            loop {
                let work = begin();
                let done = caught(async move {
                    work.await;
                    Ok(())
                });
                match done.await {
                    Ok(()) => return,
                    Err(cause) => tracing::error!(%cause, "{name}: the loop broke off; it is begun again"),
                }
                tokio::time::sleep(REST).await;
            }
        });
    }

    /// Ends all background work and waits until it has.
    pub(crate) async fn end(&self) {
        self.stop.cancel();
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        while tasks.join_next().await.is_some() {}
    }

    /// Cancelled when all background work is to end.
    pub(crate) fn stop(&self) -> &CancellationToken {
        &self.stop
    }
}

/// Starts all loops.
pub(crate) fn start(control: &Control) {
    let inner = control.0.clone();
    let it = inner.clone();
    inner.writers.keep("recorder", move || {
        let it = it.clone();
        async move { it.recorder.run(&it.store, &it.nudges.cleaning).await }
    });
    let it = inner.clone();
    inner.writers.keep("acceptor", move || {
        let it = it.clone();
        async move { it.acceptor.run(&it).await }
    });
    let it = inner.clone();
    inner.writers.keep("journal", move || {
        let it = it.clone();
        async move { it.journal.run(&it.store).await }
    });
    let it = inner.clone();
    inner.writers.keep("log writer", move || {
        let it = it.clone();
        async move { it.log_sink.run(&it.logs).await }
    });
    every(&inner, "catalogue", Duration::from_secs(1), heartbeat::look_for_changes);
    every(&inner, "heartbeat", Duration::from_secs(5), heartbeat::step);
    every(&inner, "request sweep", Duration::from_millis(250), sweep::step);
    every(&inner, "request memory", Duration::from_secs(1), tell_of_room);
    every(&inner, "cancelled elsewhere", Duration::from_secs(1), feeding::cancelled_elsewhere);
    let it = inner.clone();
    inner.loops.keep("feeding", move || feeding::run(it.clone()));
    let it = inner.clone();
    inner.loops.keep("giving up", move || giving_up::run(it.clone()));
    let it = inner.clone();
    inner.loops.keep("lost requests", move || feeding::look_for_lost(it.clone()));
    every(&inner, "expired requests", Duration::from_secs(60), cleaning::expired);
    let it = inner.clone();
    inner.loops.keep("scaling", move || scaling::run(it.clone()));
    let it = inner.clone();
    inner.loops.keep("old environments", move || old_environments::run(it.clone()));
    let it = inner.clone();
    inner.loops.keep("cleaning", move || cleaning::run(it.clone()));
    let it = control.clone();
    inner.loops.keep("builds", move || builds::run(it.clone()));
    let it = control.clone();
    inner.loops.keep("environment builds", move || environment_builds::run(it.clone()));
    let it = control.clone();
    inner.loops.keep("environment checks", move || environment_builds::checks::run(it.clone()));
    let it = control.clone();
    inner.loops.keep("environment changes", move || environment_changes::run(it.clone()));
    every(&inner, "expired files", Duration::from_secs(60), files::step);
    every(&inner, "sizes of buckets", Duration::from_secs(600), files::measure);
    let it = inner.clone();
    inner.loops.keep("files in the object store", move || files_away::run(it.clone()));
    let it = inner.clone();
    inner.loops.keep("files at providers", move || providers::run(it.clone()));
    every(&inner, "environment files", Duration::from_secs(600), environment_files::step);
}

async fn tell_of_room(control: Arc<Inner>) -> Result<()> {
    control.room.tell();
    Ok(())
}

/// How long work that panicked rests.
const REST: Duration = Duration::from_millis(200);

/// Takes a step again and again, `pause` apart. A step that fails is told and tried again.
fn every<F>(inner: &Arc<Inner>, name: &'static str, pause: Duration, step: fn(Arc<Inner>) -> F)
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let control = inner.clone();
    inner.loops.spawn(async move {
        loop {
            if let Err(cause) = caught(step(control.clone())).await {
                tracing::error!(%cause, "{name}: a step failed; it is tried again");
            }
            tokio::time::sleep(pause).await;
        }
    });
}

/// Does something; a panic in it is an error like others, so that background work goes on.
pub(crate) async fn caught<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let done = AssertUnwindSafe(work).catch_unwind().await;
    done.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        Err(Error::Internal(format!("background work panicked: {text}")))
    })
}

#[cfg(test)]
pub(crate) use builds::tests::{build_all, work_on_next};

/// Single steps of the loops, for tests that say when.
#[cfg(test)]
pub(crate) mod single {
    use std::collections::HashSet;

    use modelyard_types::{RequestId, Timestamp};

    use super::*;

    /// One look of the scaling loop.
    pub(crate) fn scale(control: &Control) {
        scaling::step(&control.0, &mut Default::default());
    }

    /// One look at the live requests, as if it were that late.
    pub(crate) fn sweep(control: &Control, now: Timestamp) {
        sweep::look(&control.0, now);
    }

    /// Tells the lanes what waits outside.
    pub(crate) async fn count(control: &Control) {
        feeding::count(&control.0).await.expect("the database answers");
    }

    /// Hears of what was called off through other servers.
    pub(crate) async fn cancelled_elsewhere(control: &Control) {
        feeding::cancelled_elsewhere(control.0.clone()).await.expect("the database answers");
    }

    /// Brings versions onto the newest builds of their environments.
    pub(crate) async fn follow_environments(control: &Control) {
        environment_changes::step(control).await.expect("the database answers");
    }

    /// A step towards the end of what was given up; says whether there may be more.
    pub(crate) async fn end_given_up(control: &Control) -> bool {
        giving_up::step(&control.0).await.expect("the database answers")
    }

    /// The requests this life has and does not know; those that were suspects before are settled.
    pub(crate) async fn lost(control: &Control, suspects: &HashSet<RequestId>) -> HashSet<RequestId> {
        feeding::lost(&control.0, suspects).await.expect("the database answers")
    }

    /// Removes the data of requests that have no row, of all shelves.
    pub(crate) async fn clear_strays(control: &Control, age: Duration) {
        for shelf in 0..=u8::MAX {
            cleaning::clear_strays(&control.0, shelf, age).await.expect("the database answers");
        }
    }

    /// Lets go of files past their time, as if it were that late.
    pub(crate) async fn expire_files(control: &Control, now: Timestamp) {
        files::expire(&control.0, now).await.expect("the database answers");
    }

    /// Counts the bytes of all buckets.
    pub(crate) async fn measure(control: &Control) {
        files::measure(control.0.clone()).await.expect("the database answers");
    }

    /// Takes so many steps in the walks of a server that has taken none before, as if it were that late.
    pub(crate) async fn walk_providers(control: &Control, steps: usize, now: Timestamp) {
        let mut walks = Default::default();
        for _ in 0..steps {
            providers::step(&control.0, &mut walks, now).await.expect("the database answers");
        }
    }

    /// Removes bytes that no file has, of all shelves.
    pub(crate) async fn clear_stray_files(control: &Control, age: Duration) {
        for shelf in 0..=u8::MAX {
            files::clear_older_strays(&control.0, shelf, age).await.expect("the database answers");
        }
    }

    /// Removes from the object store what was left before a time, and what no row refers to, whatever its age.
    pub(crate) async fn clear_away(control: &Control, before: Timestamp) {
        files_away::clear(&control.0, before).await.expect("the store answers");
        for shelf in 0..=u8::MAX {
            files_away::clear_strays(&control.0, shelf, Duration::ZERO).await.expect("the store answers");
        }
    }

    /// Shows that this server lives.
    pub(crate) async fn beat(control: &Control) {
        heartbeat::step(control.0.clone()).await.expect("the database answers");
    }

    /// Learns that others took this server for dead.
    pub(crate) async fn return_from_silence(control: &Control) {
        heartbeat::return_from_silence(&control.0).await.expect("the database answers");
    }

    /// Lets go of what others deleted.
    pub(crate) async fn let_go(control: &Control) {
        heartbeat::let_go(&control.0).await.expect("the database answers");
    }

    /// Takes over what servers that were silent since that time left open.
    pub(crate) async fn take_over_silent(control: &Control, since: Timestamp) {
        let (store, life) = (control.store(), control.settings().life);
        heartbeat::take_over_requests(store, life, since, Timestamp::now()).await.expect("the database answers");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn work_that_panics_is_begun_again() {
        let (running, begun) = (Running::default(), Arc::new(AtomicUsize::new(0)));
        let seen = begun.clone();
        running.keep("test", move || {
            let turn = seen.fetch_add(1, Ordering::Relaxed);
            async move { assert!(turn > 1, "the first two fail") }
        });
        while begun.load(Ordering::Relaxed) < 3 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        running.end().await;
        assert_eq!(begun.load(Ordering::Relaxed), 3);
    }
}
