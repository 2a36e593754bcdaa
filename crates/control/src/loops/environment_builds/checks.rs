//! Looks at builds that wait for their turn: requirements that cannot be met fail within seconds, and not behind the long
//! installs of others. A look that takes long is given up; the build goes on from there when its turn comes.

use std::collections::HashSet;
use std::time::Duration;

use modelyard_store::EnvironmentBuild;
use modelyard_store::environments::builds;
use modelyard_types::{EnvironmentBuildId, Result, Timestamp};
use tokio::task::JoinSet;

use super::making::try_check;
use super::{finish, target, until_called_off};
use crate::Control;
use crate::loops::caught;

/// How often to look for builds that wait.
const PAUSE: Duration = Duration::from_millis(500);
/// A build that begins at once needs no look before.
const WAITS: Duration = Duration::from_millis(500);
/// How many are looked at once.
const AT_ONCE: usize = 2;
/// How long one look may take.
const TIME: Duration = Duration::from_secs(60);
/// How far down the queue is looked.
const MOST: i64 = 100;

pub(in crate::loops) async fn run(control: Control) {
    let mut seen = HashSet::new();
    let mut looks = JoinSet::new();
    loop {
        while looks.try_join_next().is_some() {}
        if let Err(cause) = step(&control, &mut seen, &mut looks).await {
            tracing::error!(%cause, "builds that wait could not be looked for");
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            Some(_) = looks.join_next() => {}
        }
    }
}

/// Begins to look at builds that wait and were not looked at before.
async fn step(control: &Control, seen: &mut HashSet<EnvironmentBuildId>, looks: &mut JoinSet<()>) -> Result<()> {
    let before = Timestamp::now().minus(WAITS);
    let waiting = builds::waiting(control.store(), MOST).await?;
    seen.retain(|id| waiting.iter().any(|build| build.id == *id));
    for build in waiting.into_iter().filter(|build| build.created_at <= before) {
        if looks.len() == AT_ONCE {
            break;
        }
        if seen.insert(build.id) {
            let control = control.clone();
            looks.spawn(async move {
                let id = build.id;
                if let Err(cause) = caught(look(&control, build)).await {
                    tracing::error!(%cause, build = %id, "a look at a build that waits broke off");
                }
            });
        }
    }
    Ok(())
}

async fn look(control: &Control, build: EnvironmentBuild) -> Result<()> {
    let Some(target) = target(control, &build).await? else { return Ok(()) };
    let called_off = control.0.loops.stop().child_token();
    let outcome = {
        let mut look = Box::pin(try_check(control, &build, &target, &called_off, TIME));
        tokio::select! {
            outcome = &mut look => outcome,
            // Its turn has come, or nobody wants it any more.
            () = until_called_off(control, &build) => {
                called_off.cancel();
                look.await
            }
        }
    };
    if called_off.is_cancelled() {
        return Ok(());
    }
    if let Err(message) = outcome {
        finish(control, build, &target, Err(message)).await?;
        control.nudge_builds();
    }
    Ok(())
}
