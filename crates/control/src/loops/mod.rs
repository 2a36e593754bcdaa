//! Background work. Each loop is woken by a timer or a nudge, reads what is wanted and what is, and takes a step nearer.
//! It gets no input and may run twice; after a crash nothing needs repair.

mod builds;
mod cleaning;
mod environment_builds;
mod heartbeat;
mod scaling;
mod sweep;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use modelyard_types::Result;
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
    let recorder = inner.clone();
    inner.loops.spawn(async move { recorder.recorder.run(&recorder.store, &recorder.objects).await });
    let sink = inner.clone();
    inner.loops.spawn(async move { sink.log_sink.run(&sink.logs).await });
    inner.loops.spawn(scaling::run(inner.clone()));
    every(&inner, "heartbeat", Duration::from_secs(1), heartbeat::step);
    every(&inner, "request sweep", Duration::from_millis(250), sweep::step);
    every(&inner, "expired requests", Duration::from_secs(60), cleaning::expired);
    inner.loops.spawn(builds::run(control.clone()));
    inner.loops.spawn(environment_builds::run(control.clone()));
    inner.loops.spawn(cleaning::run(inner.clone()));
}

/// Takes a step again and again, `pause` apart. A step that fails is told and tried again.
fn every<F>(inner: &Arc<Inner>, name: &'static str, pause: Duration, step: fn(Arc<Inner>) -> F)
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let control = inner.clone();
    inner.loops.spawn(async move {
        loop {
            if let Err(cause) = step(control.clone()).await {
                tracing::error!(%cause, "{name}: a step failed; it is tried again");
            }
            tokio::time::sleep(pause).await;
        }
    });
}
