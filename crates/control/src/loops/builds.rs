//! Builds revisions: unpacks the code, looks at it, and lets the version serve it when all is well.

use std::time::Duration;

use modelyard_runner::check::{self, Found, Look};
use modelyard_runner::environments::BuildUser;
use modelyard_runner::package;
use modelyard_store::environments::builds as environment_builds;
use modelyard_store::logs::{Level, LogLabels, LogLine};
use modelyard_store::{Deployment, Revision, Version, deployments, revisions, versions};
use modelyard_types::batching;
use modelyard_types::language::Language;
use modelyard_types::revisions::BuildStatus;
use modelyard_types::versions::VersionStatus;
use modelyard_types::{Error, Result, Timestamp};

use super::caught;
use crate::running::folder_of_package;
use crate::variables::Masks;
use crate::{Control, environments};

/// How often to look without a nudge.
const PAUSE: Duration = Duration::from_secs(1);

pub(super) async fn run(control: Control) {
    loop {
        match claim(&control).await {
            Ok(Some(revision)) => {
                let id = revision.id;
                if let Err(cause) = caught(work(&control, revision.clone())).await {
                    tracing::error!(%cause, revision = %id, "the build of a revision broke off");
                    give_up(&control, revision).await;
                }
                continue;
            }
            Ok(None) => {}
            Err(cause) => tracing::error!(%cause, "builds could not be looked for"),
        }
        // Woken or not, the step is the same.
        let _ = tokio::time::timeout(PAUSE, control.0.nudges.builds.notified()).await;
    }
}

/// Takes the next revision whose environment is ready, or failed.
async fn claim(control: &Control) -> Result<Option<Revision>> {
    let mut tx = control.store().begin().await?;
    let revision = revisions::next_queued(&mut tx, control.settings().life).await?;
    tx.commit().await?;
    Ok(revision)
}

/// Ends a build that broke off for a reason of ours, for as long as it takes: nothing is left building for ever.
async fn give_up(control: &Control, revision: Revision) {
    let message = "The revision could not be built: the server failed. Upload it again, or rebuild it.";
    while let Err(cause) = caught(finish(control, revision.clone(), Err(message.to_owned()))).await {
        tracing::error!(%cause, revision = %revision.id, "a build that broke off could not be ended; trying again");
        tokio::time::sleep(PAUSE).await;
    }
}

/// What looking at the code found.
struct Looked {
    has_request: bool,
    has_requests: bool,
}

async fn work(control: &Control, revision: Revision) -> Result<()> {
    let Some(version) = versions::get(control.store(), revision.version_id).await? else { return Ok(()) };
    let Some(deployment) = deployments::get(control.store(), version.deployment_id).await? else { return Ok(()) };
    let outcome = match environment_failure(control, &revision).await? {
        Some(message) => Err(message),
        None => look(control, &revision).await?,
    };
    let masks = masks(control, &version).await;
    let outcome = outcome.map_err(|message| masks.hidden(message));
    let (level, text) = match &outcome {
        Ok(_) => (Level::Info, "The revision is built".to_owned()),
        Err(message) => (Level::Error, message.clone()),
    };
    log(control, &deployment, &version, &revision, level, text);
    if matches!(&outcome, Ok(looked) if !looked.has_requests) && version.labels.0.contains_key(batching::SIZE) {
        let text = "The code has no method 'requests', so the labels of batching have no effect".to_owned();
        log(control, &deployment, &version, &revision, Level::Info, text);
    }
    finish(control, revision, outcome).await
}

/// What hides the version's secrets in what is told of its code.
async fn masks(control: &Control, version: &Version) -> Masks {
    let read = control.0.variables_of(version.project_id, version.deployment_id, version.id).await;
    match read {
        Ok(variables) => variables.masks(&[]).await,
        Err(cause) => {
            tracing::error!(%cause, version = %version.id, "the environment variables of a version cannot be read");
            Masks::default()
        }
    }
}

/// Why the revision's environment could not be built, if so.
async fn environment_failure(control: &Control, revision: &Revision) -> Result<Option<String>> {
    let Some(id) = revision.environment_build_id else { return Ok(None) };
    let build = environment_builds::get(control.store(), id).await?;
    Ok(match build {
        Some(build) if build.status == BuildStatus::Success => None,
        Some(build) if build.status == BuildStatus::Cancelled => {
            Some("The build of the environment was cancelled; rebuild the revision".into())
        }
        Some(build) => Some(build.error_message.unwrap_or_else(|| "The environment could not be built".into())),
        None => Some("The environment of the revision was deleted".into()),
    })
}

/// Unpacks the code and looks at it without running it.
async fn look(control: &Control, revision: &Revision) -> Result<Result<Looked, String>> {
    let settings = control.settings();
    let folder = folder_of_package(&settings.packages, revision.id);
    let (zip, limits) = (control.objects().path(&revision.package_key), settings.package_limits.clone());
    // With its extension, the name of the main file leaves no choice of languages.
    let (main_file, target) = (revision.main_file.clone(), folder.clone());
    let unpacked = tokio::task::spawn_blocking(move || {
        let package = package::inspect(&zip, &limits, &main_file, Language::Python)?;
        package::extract(&zip, &package.root, &target, &limits)
    });
    let unpacked = unpacked.await;
    if let Err(problem) = unpacked.map_err(|cause| Error::internal("unpacking a package", cause))? {
        return Ok(Err(problem.to_string()));
    }
    let key = environments::interpreter(control.store(), revision.environment_id).await?;
    let interpreter = match settings.interpreter(&key) {
        Ok(interpreter) => interpreter,
        Err(problem) => return Ok(Err(problem)),
    };
    let look = Look {
        interpreter,
        worker: &settings.worker,
        package: &folder,
        main_file: &revision.main_file,
        user: BuildUser::default(),
    };
    let found = check::look(&look).await.map_err(|cause| Error::internal("looking at a package's code", cause))?;
    Ok(match found {
        // What shows only when the code runs counts as there.
        Found::Deployment { has_request, has_requests } => {
            Ok(Looked { has_request: has_request.unwrap_or(true), has_requests: has_requests.unwrap_or(true) })
        }
        Found::Broken { message, .. } => Err(message),
    })
}

async fn finish(control: &Control, mut revision: Revision, outcome: Result<Looked, String>) -> Result<()> {
    if control.0.loops.stop().is_cancelled() {
        // The server is stopping; the next life takes it up.
        return Ok(());
    }
    let now = Timestamp::now();
    let mut tx = control.store().begin().await?;
    let Some(mut version) = versions::lock(&mut tx, revision.version_id).await? else { return Ok(()) };
    let present = revisions::lock(&mut tx, revision.id).await?;
    if present.is_none_or(|present| !is_same_work(&present, &revision)) {
        // It was put back meanwhile, for another environment, or by a server that held this one for dead.
        return Ok(());
    }
    revision.finished_at = Some(now);
    let latest = version.latest_revision_id == Some(revision.id);
    match outcome {
        Ok(looked) => {
            revision.status = BuildStatus::Success;
            revision.has_request_method = Some(looked.has_request);
            revision.has_requests_method = Some(looked.has_requests);
            // One that serves already was built again for what its environment stands on.
            if latest || version.active_revision_id.is_none_or(|active| active == revision.id) {
                version.active_revision_id = Some(revision.id);
                version.active_environment_id = Some(revision.environment_id);
                version.active_build_id = revision.environment_build_id;
                version.generation += 1;
            }
            version.status = VersionStatus::Available;
        }
        Err(message) => {
            revision.status = BuildStatus::Failed;
            revision.error_message = Some(cut(message));
            if version.active_revision_id.is_none() && latest {
                version.status = VersionStatus::Failed;
            }
        }
    }
    version.updated_at = now;
    versions::update(&mut tx, &version).await?;
    revisions::update(&mut tx, &revision).await?;
    control.commit(tx, Some(revision.project_id)).await?;
    control.nudge_scaling();
    control.nudge_cleaning();
    Ok(())
}

/// Whether a revision still is what was taken up to be built, by whoever took it up.
fn is_same_work(present: &Revision, taken: &Revision) -> bool {
    let work = |it: &Revision| (it.status, it.server_id, it.life, it.environment_id, it.environment_build_id);
    work(present) == work(taken)
}

/// The longest message, in characters: clients refuse longer ones.
const MAX_MESSAGE: usize = 1024;

fn cut(message: String) -> String {
    match message.char_indices().nth(MAX_MESSAGE) {
        Some((end, _)) => message[..end].to_owned(),
        None => message,
    }
}

fn log(control: &Control, deployment: &Deployment, version: &Version, revision: &Revision, level: Level, text: String) {
    let labels = LogLabels {
        deployment_id: Some(deployment.id),
        deployment_name: Some(deployment.name.to_string()),
        deployment_version_id: Some(version.id),
        deployment_version: Some(version.name.to_string()),
        deployment_version_revision_id: Some(revision.id),
        ..LogLabels::default()
    };
    let at_ns = Timestamp::now().0 * 1_000;
    for line in text.lines() {
        let text = line.to_owned();
        control.log_sink().push(LogLine { project_id: version.project_id, at_ns, level, text, labels: labels.clone() });
    }
}

#[cfg(test)]
pub(crate) mod tests;
