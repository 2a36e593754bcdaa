//! Brings versions onto the newest build of their environment: from the rows alone, so nothing is missed after a crash.

use std::time::Duration;

use modelyard_store::environments::{self, outdated, tags};
use modelyard_store::{revisions, versions};
use modelyard_types::{Result, RevisionId, VersionId};

use crate::Control;
use crate::environments::{TAG, assign, files_of, is_open, requeue};
use crate::versions::status_while_building;

/// How often to look without a nudge.
const PAUSE: Duration = Duration::from_secs(30);
/// What asks for the builds.
const TRIGGER: &str = "Environment changed";

pub(super) async fn run(control: Control) {
    loop {
        if let Err(cause) = step(&control).await {
            tracing::error!(%cause, "versions could not be brought onto new builds; it is tried again");
        }
        // Woken or not, the step is the same.
        let _ = tokio::time::timeout(PAUSE, control.0.nudges.environment_changes.notified()).await;
    }
}

pub(super) async fn step(control: &Control) -> Result<()> {
    for version in outdated::direct(control.store()).await? {
        renew(control, version).await?;
    }
    for (version, revision) in outdated::on_top(control.store()).await? {
        build_again(control, version, revision).await?;
    }
    Ok(())
}

/// Gives a version that runs right in an environment the build that is in use now; its instances are replaced.
async fn renew(control: &Control, id: VersionId) -> Result<()> {
    let mut tx = control.store().begin().await?;
    let Some(mut version) = versions::lock(&mut tx, id).await? else { return Ok(()) };
    let (Some(environment), Some(active)) = (version.active_environment_id, version.active_revision_id) else {
        return Ok(());
    };
    let tag = tags::get_by_name(&mut tx, environment, TAG).await?;
    let Some(build) = tag.and_then(|tag| tag.active_build_id) else { return Ok(()) };
    if version.active_build_id == Some(build) {
        return Ok(());
    }
    version.active_build_id = Some(build);
    version.generation += 1;
    if let Some(mut revision) = revisions::lock(&mut tx, active).await?
        && !is_open(revision.status)
    {
        revision.environment_build_id = Some(build);
        revisions::update(&mut tx, &revision).await?;
    }
    versions::update(&mut tx, &version).await?;
    control.commit(tx, Some(version.project_id)).await?;
    tracing::info!(version = %id, %build, "a version runs in a new build of its environment");
    control.nudge_scaling();
    Ok(())
}

/// Builds the code that a version serves again, on top of the build that is in use now. Until that is done, it serves on.
async fn build_again(control: &Control, id: VersionId, revision: RevisionId) -> Result<()> {
    let mut tx = control.store().begin().await?;
    let Some(mut version) = versions::lock(&mut tx, id).await? else { return Ok(()) };
    let Some(mut revision) = revisions::lock(&mut tx, revision).await? else { return Ok(()) };
    let implicit = environments::get(&mut tx, revision.environment_id).await?;
    let on_base = implicit.is_some_and(|it| it.implicit && it.base_environment_id == Some(version.base_environment_id));
    if is_open(revision.status) || !on_base || version.active_revision_id != Some(revision.id) {
        return Ok(());
    }
    let runs_in = version.environment_id;
    let files = files_of(&mut tx, &revision).await?;
    let by = revision.created_by.clone();
    assign(&mut tx, &by, &mut version, &mut revision, files, TRIGGER).await?;
    if version.latest_revision_id != Some(revision.id) {
        // That of newer code, which does not serve yet.
        version.environment_id = runs_in;
    }
    requeue(&mut revision, TRIGGER);
    revisions::update(&mut tx, &revision).await?;
    version.status = status_while_building(&version);
    versions::update(&mut tx, &version).await?;
    control.commit(tx, Some(version.project_id)).await?;
    tracing::info!(version = %id, revision = %revision.id, "code is built again: its environment has a new build");
    control.nudge_builds();
    Ok(())
}
