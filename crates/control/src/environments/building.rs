//! The queue of builds, from the side of those who ask for them.

use modelyard_store::environments::{builds, tags};
use modelyard_store::{Environment, EnvironmentBuild, Tag, Tx, revisions};
use modelyard_types::revisions::BuildStatus;
use modelyard_types::versions::VersionStatus;
use modelyard_types::{EnvironmentBuildId, EnvironmentRevisionId, Error, Kind, Result, Timestamp};

use super::{TAG, tag_of};

/// The build that code runs on which is put into an environment now: the one in use, else the first one while it is on
/// its way, which the code waits for. None in a base environment; refused when there is nothing to wait for.
pub(super) async fn build_to_run(tx: &mut Tx, environment: &Environment) -> Result<Option<EnvironmentBuildId>> {
    if environment.system {
        return Ok(None);
    }
    let tag = tag_of(tx, environment).await?;
    let waits = tag.latest_build_id.filter(|_| tag.status == VersionStatus::Building);
    match tag.active_build_id.or(waits) {
        Some(build) => Ok(Some(build)),
        None => Err(not_available(environment)),
    }
}

/// An environment cannot be used yet.
pub(super) fn not_available(environment: &Environment) -> Error {
    Error::Invalid(format!(
        "Environment '{}' is not available: it needs a file that was built with success first",
        environment.name
    ))
}

/// Ends the builds of a tag that have not begun: a newer one takes their place, also for the code that waits for them.
pub(super) async fn supersede(tx: &mut Tx, environment: &Environment, by: EnvironmentBuildId) -> Result<()> {
    for build in builds::list_of_environment(&mut *tx, environment.id).await? {
        if build.id != by && build.status == BuildStatus::Queued {
            drop_queued(tx, build.id).await?;
            revisions::wait_for_other(tx, build.id, by).await?;
        }
    }
    Ok(())
}

/// Adds a build of an environment revision to the queue; it is the latest of its tag then.
pub(super) async fn queue_build(
    tx: &mut Tx,
    tag: &mut Tag,
    made_of: EnvironmentRevisionId,
    trigger: &str,
) -> Result<EnvironmentBuild> {
    let build = EnvironmentBuild {
        id: EnvironmentBuildId::new(),
        revision_id: made_of,
        status: BuildStatus::Queued,
        error_message: None,
        build_trigger: trigger.to_owned(),
        size: None,
        content_key: None,
        base_build_id: None,
        server_id: None,
        life: None,
        created_at: Timestamp::now(),
        started_at: None,
        finished_at: None,
    };
    builds::insert(tx, &build).await?;
    tag.latest_revision_id = Some(made_of);
    tag.latest_build_id = Some(build.id);
    tag.status = if tag.active_build_id.is_some() { VersionStatus::Available } else { VersionStatus::Building };
    tag.updated_at = Timestamp::now();
    tags::update(tx, tag).await?;
    Ok(build)
}

/// Ends a build of an environment that has not begun and that nobody wants any more.
pub(super) async fn drop_queued(tx: &mut Tx, id: EnvironmentBuildId) -> Result<()> {
    let Some(mut build) = builds::lock(tx, id).await? else { return Ok(()) };
    if build.status == BuildStatus::Queued {
        build.status = BuildStatus::Failed;
        build.error_message = Some("A newer build was asked for before this one was begun".into());
        build.finished_at = Some(Timestamp::now());
        builds::update(tx, &build).await?;
    }
    Ok(())
}

/// Ends a build, whether it has begun or not; who makes it learns of that by its row.
pub(super) async fn call_off(
    tx: &mut Tx,
    environment: &Environment,
    id: EnvironmentBuildId,
) -> Result<EnvironmentBuild> {
    let tag = tag_of(tx, environment).await?;
    let mut tag = tags::lock(tx, tag.id).await?.ok_or(Error::NotFound(Kind::Environment))?;
    let mut build = builds::lock(tx, id).await?.ok_or(Error::NotFound(Kind::Build))?;
    if !is_open(build.status) {
        return Err(Error::Invalid(format!("The build has ended already: its status is {}", build.status.as_str())));
    }
    let now = Timestamp::now();
    build.status = BuildStatus::Cancelled;
    build.finished_at = Some(now);
    build.base_build_id = build_below(tx, environment).await?;
    builds::update(tx, &build).await?;
    if tag.active_build_id.is_none() && tag.latest_build_id == Some(build.id) {
        tag.status = VersionStatus::Failed;
        tag.updated_at = now;
        tags::update(tx, &tag).await?;
    }
    Ok(build)
}

/// Whether a build has not ended.
pub(crate) fn is_open(status: BuildStatus) -> bool {
    matches!(status, BuildStatus::Queued | BuildStatus::Building)
}

/// The build in use of the environment below, if that is no base environment: a build that was called off was meant for
/// it, and is not asked for again by itself.
async fn build_below(tx: &mut Tx, environment: &Environment) -> Result<Option<EnvironmentBuildId>> {
    let Some(base) = environment.base_environment_id else { return Ok(None) };
    let tag = tags::get_by_name(tx, base, TAG).await?;
    Ok(tag.and_then(|tag| tag.active_build_id))
}
