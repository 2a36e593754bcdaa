//! What runs under a version: its base, or an implicit environment with what its own code asks for on top.

use modelyard_runner::environments::r::RFile;
use modelyard_runner::package::Package;
use modelyard_store::environments::{self, builds, revisions as environment_revisions, tags};
use modelyard_store::{Environment, EnvironmentRevision, Revision, Tag, Tx, Version};
use modelyard_types::environments::EnvironmentBuildDependency;
use modelyard_types::labels::Labels;
use modelyard_types::language::{InterpreterKey, Language};
use modelyard_types::revisions::BuildStatus;
use modelyard_types::versions::VersionStatus;
use modelyard_types::{
    EnvironmentBuildId, EnvironmentId, EnvironmentRevisionId, Error, Kind, ProjectId, Result, Timestamp,
};

use super::building::{build_to_run, call_off, drop_queued, is_open, not_available, queue_build};
use super::{IMPLICIT, TAG, new_tag, tag_of};
use crate::access::Actor;

/// Gives a version another base, which must be available. Its latest code is built again on top of it; until that is
/// done, what works serves on.
pub(crate) async fn switch(tx: &mut Tx, by: &Actor, version: &mut Version, base: Environment) -> Result<()> {
    if !base.system && tag_of(tx, &base).await?.active_build_id.is_none() {
        return Err(not_available(&base));
    }
    version.base_environment_id = base.id;
    version.environment_explicit = true;
    let Some(latest) = version.latest_revision_id else {
        version.environment_id = base.id;
        return Ok(());
    };
    let Some(mut revision) = modelyard_store::revisions::lock(tx, latest).await? else {
        return Ok(());
    };
    let files = files_of(tx, &revision).await?;
    assign(tx, &by.email, version, &mut revision, files, "Environment changed").await?;
    requeue(&mut revision, "Environment changed");
    modelyard_store::revisions::update(tx, &revision).await?;
    version.status = crate::versions::status_while_building(version);
    Ok(())
}

/// Puts a revision back at the start of its way to being served.
pub(crate) fn requeue(revision: &mut Revision, trigger: &str) {
    revision.status = BuildStatus::Queued;
    revision.build_trigger = trigger.to_owned();
    revision.error_message = None;
    revision.server_id = None;
    revision.life = None;
    revision.finished_at = None;
}

/// The dependency files of a package: what it asks for an environment of its own with.
pub(crate) type Files = Vec<EnvironmentBuildDependency>;

/// The dependency files of a revision's own code, if it has any.
pub(crate) async fn files_of(tx: &mut Tx, revision: &Revision) -> Result<Option<Files>> {
    let runs_in = environments::get(&mut *tx, revision.environment_id).await?;
    if !runs_in.is_some_and(|it| it.implicit) {
        return Ok(None);
    }
    let Some(build) = revision.environment_build_id else { return Ok(None) };
    let Some(build) = builds::get(&mut *tx, build).await? else { return Ok(None) };
    let made_of = environment_revisions::get(&mut *tx, build.revision_id).await?;
    Ok(made_of.map(|made_of| {
        let requirements = made_of.requirements;
        made_of.dependency_files.unwrap_or_else(|| vec![dependency(REQUIREMENTS, &requirements)])
    }))
}

/// The file of requirements.
const REQUIREMENTS: &str = "requirements.txt";

/// What a package asks for, if it asks for anything.
pub(crate) fn files_of_package(package: &Package) -> Result<Option<Files>> {
    let (of_python, of_r) = ([REQUIREMENTS].as_slice(), RFile::NAMES.as_slice());
    let (wanted, stray) = match package.language {
        Language::Python => (of_python, of_r),
        Language::R => (of_r, of_python),
    };
    // Code in both languages may have what each of them needs.
    if !package.bilingual
        && let Some(name) = stray.iter().find(|name| package.dependency(name).is_some())
    {
        let (main, language) = (&package.main_file, package.language.title());
        return Err(Error::Invalid(format!("The package holds {name}, and {main} is {language} code; remove {name}")));
    }
    let file = |name: &&str| package.dependency(name).map(|text| dependency(name, text));
    let files: Files = wanted.iter().chain(&["ubiops.yaml"]).filter_map(file).collect();
    RFile::among(files.iter().map(|file| (file.name.as_str(), file.content.as_str()))).map_err(Error::Invalid)?;
    Ok((!files.is_empty()).then_some(files))
}

fn dependency(name: &str, text: &str) -> EnvironmentBuildDependency {
    EnvironmentBuildDependency { name: name.to_owned(), content: text.to_owned() }
}

/// Gives a revision its environment: the version's base, or an implicit one with what `files` ask for on top of it.
pub(crate) async fn assign(
    tx: &mut Tx,
    by: &str,
    version: &mut Version,
    revision: &mut Revision,
    files: Option<Files>,
    trigger: &str,
) -> Result<()> {
    let old = revision.environment_build_id;
    give(tx, by, version, revision, files, trigger).await?;
    drop_unwanted(tx, old).await
}

/// Ends the build that a revision waited for, if it was made for that revision alone and has not begun.
pub(crate) async fn drop_unwanted(tx: &mut Tx, build: Option<EnvironmentBuildId>) -> Result<()> {
    let Some(id) = build else { return Ok(()) };
    let Some(build) = builds::get(&mut *tx, id).await? else { return Ok(()) };
    let Some(made_of) = environment_revisions::get(&mut *tx, build.revision_id).await? else { return Ok(()) };
    if made_of.is_of_package() {
        return drop_queued(tx, id).await;
    }
    // It is that of an environment which others use.
    Ok(())
}

/// Calls off what is being built for a revision alone.
pub(crate) async fn call_off_own(tx: &mut Tx, revision: &Revision) -> Result<()> {
    let Some(build) = revision.environment_build_id else { return Ok(()) };
    let environment = environments::get(&mut *tx, revision.environment_id).await?;
    let Some(environment) = environment.filter(|environment| environment.implicit) else { return Ok(()) };
    match builds::get(&mut *tx, build).await? {
        Some(build) if is_open(build.status) => call_off(tx, &environment, build.id).await.map(drop),
        _ => Ok(()),
    }
}

async fn give(
    tx: &mut Tx,
    by: &str,
    version: &mut Version,
    revision: &mut Revision,
    files: Option<Files>,
    trigger: &str,
) -> Result<()> {
    let base = environments::get(&mut *tx, version.base_environment_id).await?;
    let base = base.ok_or(Error::NotFound(Kind::Environment))?;
    check_language(&base, revision)?;
    let ready = build_to_run(tx, &base).await?;
    let Some(files) = files else {
        version.environment_id = base.id;
        revision.environment_id = base.id;
        revision.environment_build_id = ready;
        return Ok(());
    };
    let (environment, mut tag) = implicit_of(tx, version, base).await?;
    let now = Timestamp::now();
    let requirements = files.iter().find(|file| file.name == REQUIREMENTS);
    let made_of = EnvironmentRevision {
        id: EnvironmentRevisionId::new(),
        tag_id: tag.id,
        created_at: now,
        created_by: by.to_owned(),
        package_key: None,
        file_name: None,
        requirements: requirements.map(|file| file.content.clone()).unwrap_or_default(),
        dependency_files: Some(files),
        expired: false,
    };
    environment_revisions::insert(tx, &made_of).await?;
    let build = queue_build(tx, &mut tag, made_of.id, trigger).await?;
    version.environment_id = environment.id;
    revision.environment_id = environment.id;
    revision.environment_build_id = Some(build.id);
    Ok(())
}

/// Refuses code that another interpreter is for.
fn check_language(base: &Environment, revision: &Revision) -> Result<()> {
    let runs = InterpreterKey::of(&base.interpreter).language;
    if runs.name() == revision.language {
        return Ok(());
    }
    let (name, runs) = (&base.name, runs.title());
    let is = if runs == "R" { "Python" } else { "R" };
    Err(Error::Invalid(format!(
        "{} is {is} code, and environment '{name}' runs {runs}: use code in {runs}, or a version with an environment for {is}",
        revision.main_file
    )))
}

/// The implicit environment of a version on top of its present base, made when missing.
///
/// There is one for each base the version has had: what still serves on an older one must find its interpreter there.
async fn implicit_of(tx: &mut Tx, version: &Version, base: Environment) -> Result<(Environment, Tag)> {
    // The names of base environments stay as they are; others may be renamed.
    let below = if base.system { base.name } else { base.id.to_string() };
    let name = format!("{}-{below}", implicit_prefix(version));
    if let Some(known) = environments::get_by_name(&mut *tx, version.project_id, &name).await?
        && known.base_environment_id == Some(base.id)
    {
        let tag = tags::get_by_name(&mut *tx, known.id, TAG).await?.ok_or(Error::NotFound(Kind::Environment))?;
        // A build of it may end at this moment, and writes the tag too.
        let tag = tags::lock(tx, tag.id).await?.ok_or(Error::NotFound(Kind::Environment))?;
        return Ok((known, tag));
    }
    let now = Timestamp::now();
    let environment = Environment {
        id: EnvironmentId::new(),
        project_id: Some(version.project_id),
        name,
        display_name: format!("Requirements of version {}", version.name),
        description: String::new(),
        labels: Labels::default(),
        base_environment_id: Some(base.id),
        implicit: true,
        hidden: true,
        system: false,
        gpu_required: false,
        deprecated: false,
        supports_request_format: true,
        interpreter: base.interpreter,
        created_at: now,
        updated_at: now,
    };
    environments::insert(tx, &environment).await?;
    let tag = new_tag(environment.id, VersionStatus::Unavailable);
    tags::insert(tx, &tag).await?;
    Ok((environment, tag))
}

/// How the names of a version's implicit environments begin.
fn implicit_prefix(version: &Version) -> String {
    format!("{IMPLICIT}{}", version.id)
}

/// Removes the implicit environments of versions that have just been deleted.
pub(crate) async fn drop_implicit(tx: &mut Tx, project: ProjectId, versions: &[Version]) -> Result<()> {
    let prefixes: Vec<_> = versions.iter().map(implicit_prefix).collect();
    for environment in environments::list(&mut *tx, project).await? {
        if environment.implicit && prefixes.iter().any(|prefix| environment.name.starts_with(prefix)) {
            environments::delete(tx, environment.id).await?;
        }
    }
    Ok(())
}
