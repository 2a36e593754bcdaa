//! Builds environments that wait for it, some at a time.
//!
//! Those that have to wait are looked at meanwhile: [`checks`]. What their files ask for: [`asked`].

mod asked;
pub(super) mod checks;
mod making;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use modelyard_runner::environments::Given;
use modelyard_store::environments::{self, builds, revisions as environment_revisions, tags};
use modelyard_store::logs::{Level, LogLabels, LogLine};
use modelyard_store::{Environment, EnvironmentBuild, EnvironmentRevision, projects};
use modelyard_types::revisions::BuildStatus;
use modelyard_types::versions::VersionStatus;
use modelyard_types::{EnvironmentBuildId, Error, Kind, OrganizationId, ProjectId, Result, Timestamp};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use self::making::try_make;
use super::caught;
use crate::environments::TAG;
use crate::variables::Masks;
use crate::{Control, Inner};

/// How often to look without a nudge.
const PAUSE: Duration = Duration::from_secs(1);

pub(super) async fn run(control: Control) {
    let room = Arc::new(Semaphore::new(control.settings().builds_at_once));
    loop {
        // The semaphore is never closed.
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        match claim(&control.0).await {
            Ok(Some(build)) => {
                let working = control.clone();
                control.0.loops.spawn(async move {
                    if let Err(cause) = caught(work(&working, build.clone())).await {
                        tracing::error!(%cause, build = %build.id, "an environment build broke off");
                        give_up(&working, build).await;
                    }
                    drop(permit);
                    working.nudge_builds();
                });
                continue;
            }
            Ok(None) => {}
            Err(cause) => tracing::error!(%cause, "environment builds could not be looked for"),
        }
        drop(permit);
        // Woken or not, the step is the same.
        let _ = tokio::time::timeout(PAUSE, control.0.nudges.environment_builds.notified()).await;
    }
}

async fn claim(control: &Inner) -> Result<Option<EnvironmentBuild>> {
    let mut tx = control.store.begin().await?;
    let build = builds::next_queued(&mut tx, control.settings.life, Timestamp::now()).await?;
    tx.commit().await?;
    Ok(build)
}

/// Ends a build that broke off for a reason of ours, for as long as it takes: nothing is left building for ever.
async fn give_up(control: &Control, build: EnvironmentBuild) {
    let failed = || Err("The environment could not be built: the server failed. Rebuild it.".to_owned());
    loop {
        let ended = match target(control, &build).await {
            Ok(Some(target)) => finish(control, build.clone(), &target, failed()).await,
            Ok(None) => Ok(()),
            Err(cause) => Err(cause),
        };
        let Err(cause) = ended else { return };
        tracing::error!(%cause, build = %build.id, "a build that broke off could not be ended; trying again");
        tokio::time::sleep(PAUSE).await;
    }
}

/// What a build is for.
struct Target {
    environment: Environment,
    made_of: EnvironmentRevision,
    project: ProjectId,
    /// Whose builds share the packages they make from source.
    organization: OrganizationId,
    below: Below,
    /// The variables of its builds, or why they cannot be had.
    given: Result<Given, String>,
    /// Hides the secrets that a build may come across.
    masks: Masks,
}

/// What an environment stands on.
enum Below {
    /// A base environment.
    Base,
    /// A build of another environment, and what that was made of, which is installed too.
    Build(EnvironmentBuildId, Box<EnvironmentRevision>),
    /// Another environment that has no build in use; its name.
    NotAvailable(String),
}

async fn work(control: &Control, build: EnvironmentBuild) -> Result<()> {
    let Some(target) = target(control, &build).await? else {
        // Its environment was deleted meanwhile, and the build with it.
        return Ok(());
    };
    // It ends when the server stops, too.
    let called_off = control.0.loops.stop().child_token();
    let outcome = {
        let mut making = make(control, &build, &target, &called_off);
        tokio::select! {
            outcome = &mut making => outcome,
            () = until_called_off(control, &build) => {
                called_off.cancel();
                // The processes of the build have ended when this has.
                making.await
            }
        }
    };
    finish(control, build, &target, outcome).await
}

/// Waits until a build is no longer this server's to make: it was called off, its environment deleted, or another server
/// has it, on whichever server that was done.
async fn until_called_off(control: &Control, build: &EnvironmentBuild) {
    loop {
        // From here on, so that no nudge is missed while the row is read.
        let nudged = control.0.nudges.called_off.notified();
        match builds::get(control.store(), build.id).await {
            Ok(Some(present)) if is_same_work(&present, build) => {}
            Ok(_) => return,
            Err(cause) => tracing::warn!(%cause, build = %build.id, "a build cannot be looked at; trying again"),
        }
        let _ = tokio::time::timeout(PAUSE, nudged).await;
    }
}

/// Whether a build still is what was taken up, by whoever took it up.
fn is_same_work(present: &EnvironmentBuild, taken: &EnvironmentBuild) -> bool {
    let work = |it: &EnvironmentBuild| (it.status, it.server_id, it.life);
    work(present) == work(taken)
}

async fn target(control: &Control, build: &EnvironmentBuild) -> Result<Option<Target>> {
    let Some(made_of) = environment_revisions::get(control.store(), build.revision_id).await? else { return Ok(None) };
    let Some(tag) = tags::get(control.store(), made_of.tag_id).await? else { return Ok(None) };
    let Some(environment) = environments::get(control.store(), tag.environment_id).await? else { return Ok(None) };
    let Some(project) = environment.project_id else { return Ok(None) };
    let Some(owner) = projects::get(control.store(), project).await? else { return Ok(None) };
    let below = below(control, &environment).await?;
    let (given, masks) = control.0.variables_of_build(project, tag.id).await;
    let organization = owner.organization_id;
    Ok(Some(Target { environment, made_of, project, organization, below, given, masks }))
}

async fn below(control: &Control, environment: &Environment) -> Result<Below> {
    let Some(id) = environment.base_environment_id else { return Ok(Below::Base) };
    let base = environments::get(control.store(), id).await?.ok_or(Error::NotFound(Kind::Environment))?;
    if base.system {
        return Ok(Below::Base);
    }
    let tag = tags::get_by_name(control.store(), base.id, TAG).await?;
    let Some(id) = tag.and_then(|tag| tag.active_build_id) else { return Ok(Below::NotAvailable(base.name)) };
    let build = builds::get(control.store(), id).await?.ok_or(Error::NotFound(Kind::Build))?;
    let made_of = environment_revisions::get(control.store(), build.revision_id).await?;
    Ok(Below::Build(id, made_of.ok_or(Error::NotFound(Kind::Revision))?.into()))
}

type Made = Result<modelyard_runner::environments::Environment, String>;

fn make<'a>(
    control: &'a Control,
    build: &'a EnvironmentBuild,
    target: &'a Target,
    called_off: &'a CancellationToken,
) -> Pin<Box<dyn Future<Output = Made> + Send + 'a>> {
    Box::pin(try_make(control, build, target, called_off))
}

async fn finish(control: &Control, mut build: EnvironmentBuild, target: &Target, outcome: Made) -> Result<()> {
    if control.0.loops.stop().is_cancelled() {
        // The server is stopping; the next life takes it up.
        return Ok(());
    }
    let outcome = outcome.map_err(|message| target.masks.hidden(message));
    match &outcome {
        Ok(environment) => {
            let how = if environment.reused { "was there already" } else { "is built" };
            log(control, &build, target, Level::Info, &format!("The environment {how}"));
        }
        Err(message) => log(control, &build, target, Level::Error, message),
    }
    let mut tx = control.store().begin().await?;
    let Some(mut tag) = tags::lock(&mut tx, target.made_of.tag_id).await? else { return Ok(()) };
    let present = builds::lock(&mut tx, build.id).await?;
    if present.is_none_or(|present| !is_same_work(&present, &build)) {
        // It was called off, or a server that held this one for dead took it over.
        return Ok(());
    }
    build.finished_at = Some(Timestamp::now());
    if let Below::Build(below, _) = &target.below {
        build.base_build_id = Some(*below);
    }
    match outcome {
        Ok(environment) => {
            build.status = BuildStatus::Success;
            build.size = i64::try_from(environment.size).ok();
            build.content_key = Some(environment.key);
            // Builds of one environment may end in another order than they were asked for.
            if tag.active_build_id.is_none_or(|active| active <= build.id) {
                tag.active_build_id = Some(build.id);
                tag.active_revision_id = Some(build.revision_id);
            }
            tag.status = VersionStatus::Available;
        }
        Err(message) => {
            build.status = BuildStatus::Failed;
            build.error_message = Some(message);
            if tag.active_build_id.is_none() && tag.latest_build_id == Some(build.id) {
                tag.status = VersionStatus::Failed;
            }
        }
    }
    tag.updated_at = Timestamp::now();
    tags::update(&mut tx, &tag).await?;
    if !builds::update(&mut tx, &build).await? {
        return Err(Error::NotFound(Kind::Build));
    }
    control.commit(tx, Some(target.project)).await?;
    control.0.nudges.environment_changes.notify_one();
    Ok(())
}

fn log(control: &Control, build: &EnvironmentBuild, target: &Target, level: Level, text: &str) {
    let labels = LogLabels {
        environment_name: Some(target.environment.name.clone()),
        environment_build_id: Some(build.id),
        environment_tag: Some(TAG.to_owned()),
        ..LogLabels::default()
    };
    let (at_ns, text) = (Timestamp::now().0 * 1_000, target.masks.hide(text).into_owned());
    control.log_sink().push(LogLine { project_id: target.project, at_ns, level, text, labels });
}

#[cfg(test)]
mod tests;

/// Takes the next build and ends it; false when there is none.
#[cfg(test)]
pub(super) async fn end_next(control: &Control, outcome: Made) -> Result<bool> {
    let Some(build) = claim(&control.0).await? else { return Ok(false) };
    if let Some(target) = target(control, &build).await? {
        finish(control, build, &target, outcome).await?;
    }
    Ok(true)
}
