//! Which environment a version runs in: base ones, chosen by name, and implicit ones made from a package's requirements.

mod base;

use modelyard_store::environments::{self, builds, revisions as environment_revisions, tags};
use modelyard_store::{Environment, EnvironmentBuild, EnvironmentRevision, Revision, Store, Tag, Tx, Version};
use modelyard_types::labels::Labels;
use modelyard_types::release::ClientRelease;
use modelyard_types::revisions::BuildStatus;
use modelyard_types::versions::{DeploymentVersionCreate, DeploymentVersionUpdate, VersionStatus};
use modelyard_types::{
    EnvironmentBuildId, EnvironmentId, EnvironmentRevisionId, Error, Kind, ProjectId, Result, TagId, Timestamp,
};

use crate::access::Actor;

pub(crate) use base::reconcile_base;

/// The tag that environments have which are not managed by tags.
pub(crate) const TAG: &str = "v1";

/// The environment a caller asks for, if any.
#[derive(Debug)]
pub(crate) struct Wish {
    name: Option<String>,
    tag: Option<String>,
}

impl Wish {
    /// What the creation of a version asks for.
    pub(crate) fn of_create(new: &DeploymentVersionCreate, release: Option<ClientRelease>) -> Self {
        let name = new.environment.as_ref().or(new.environment_name.as_ref()).or(new.language.as_ref());
        Self { name: name.filter(|name| !is_default(name, release)).cloned(), tag: new.environment_tag.clone() }
    }

    /// What the update of a version asks for.
    pub(crate) fn of_update(change: &DeploymentVersionUpdate, release: Option<ClientRelease>) -> Self {
        let name = change.environment.value().or(change.environment_name.value());
        let name = name.filter(|name| !is_default(name, release)).cloned();
        Self { name, tag: change.environment_tag.value().cloned() }
    }

    /// Whether an environment is named.
    pub(crate) fn names_one(&self) -> bool {
        self.name.is_some()
    }

    /// Refuses a tag that no environment has.
    pub(crate) fn check_tag(&self) -> Result<()> {
        match self.tag.as_deref().filter(|tag| *tag != TAG) {
            Some(tag) => {
                Err(Error::Invalid(format!("environment_tag '{tag}' was not found; environments have the tag {TAG}")))
            }
            None => Ok(()),
        }
    }
}

/// Old releases always send the default of their time: that counts as not chosen.
fn is_default(name: &str, release: Option<ClientRelease>) -> bool {
    release.and_then(ClientRelease::default_environment) == Some(name)
}

/// The environment that is asked for, or the newest Python on offer.
pub(crate) async fn choose(tx: &mut Tx, project: ProjectId, wish: &Wish) -> Result<Environment> {
    wish.check_tag()?;
    let Some(asked) = &wish.name else {
        return newest_python(tx).await;
    };
    let mut found = environments::get_by_name(&mut *tx, project, &canonical(asked)).await?;
    // Clients send back what a version shows: its own implicit environment stands for the base under it.
    while let Some(implicit) = found.take_if(|found| found.implicit) {
        found = match implicit.base_environment_id {
            Some(base) => environments::get(&mut *tx, base).await?,
            None => None,
        };
    }
    match found.filter(|found| !found.deprecated) {
        Some(environment) => Ok(environment),
        None => Err(unknown(tx, project, asked).await?),
    }
}

async fn newest_python(tx: &mut Tx) -> Result<Environment> {
    let base = environments::list_base(&mut *tx).await?;
    let newest = base.into_iter().filter(|base| !base.deprecated).max_by_key(|base| minor_of(&base.name));
    newest.ok_or_else(|| {
        Error::invalid("No Python was found on this server: install Python 3.8 or newer and start the server again")
    })
}

/// `python3-11` → 11; names of other kinds come first.
fn minor_of(name: &str) -> Option<u32> {
    name.strip_prefix("python3-")?.parse().ok()
}

async fn unknown(tx: &mut Tx, project: ProjectId, asked: &str) -> Result<Error> {
    let base = environments::list_base(&mut *tx).await?;
    let mut known: Vec<_> = base.into_iter().filter(|base| !base.deprecated).map(|base| base.name).collect();
    let own = environments::list(&mut *tx, project).await?;
    known.extend(own.into_iter().filter(|own| !own.implicit && !own.system).map(|own| own.name));
    Ok(Error::Invalid(format!("Environment '{asked}' was not found; there are {}", known.join(", "))))
}

/// The name we keep for what clients of all ages write: languages with dots, and names that carry a system.
fn canonical(name: &str) -> String {
    let name = name.replace('.', "-");
    for system in ["ubuntu20-04-", "ubuntu22-04-", "ubuntu24-04-", "ubiops-ubuntu22-04-", "ubiops-ubuntu24-04-"] {
        if let Some(rest) = name.strip_prefix(system).filter(|rest| minor_of(rest).is_some()) {
            return rest.to_owned();
        }
    }
    name
}

/// The name of an environment, for sentences.
pub(crate) async fn name_of(tx: &mut Tx, id: EnvironmentId) -> Result<String> {
    Ok(environments::get(tx, id).await?.map(|environment| environment.name).unwrap_or_default())
}

/// Gives a version another base. Its latest code is built again on top of it; until that is done, what works serves on.
pub(crate) async fn switch(tx: &mut Tx, by: &Actor, version: &mut Version, base: Environment) -> Result<()> {
    version.base_environment_id = base.id;
    version.environment_explicit = true;
    let Some(latest) = version.latest_revision_id else {
        version.environment_id = base.id;
        return Ok(());
    };
    let Some(mut revision) = modelyard_store::revisions::lock(tx, latest).await? else {
        return Ok(());
    };
    let requirements = requirements_of(tx, &revision).await?;
    assign(tx, &by.email, version, &mut revision, requirements, "Environment changed").await?;
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

/// The requirements that a revision's environment was made of, if it was made of any.
async fn requirements_of(tx: &mut Tx, revision: &Revision) -> Result<Option<String>> {
    let Some(build) = revision.environment_build_id else { return Ok(None) };
    let Some(build) = builds::get(&mut *tx, build).await? else { return Ok(None) };
    let made_of = environment_revisions::get(&mut *tx, build.revision_id).await?;
    Ok(made_of.map(|made_of| made_of.requirements))
}

/// Gives a revision its environment: the version's base, or an implicit one with `requirements` on top of it.
pub(crate) async fn assign(
    tx: &mut Tx,
    by: &str,
    version: &mut Version,
    revision: &mut Revision,
    requirements: Option<String>,
    trigger: &str,
) -> Result<()> {
    let old = revision.environment_build_id;
    give(tx, by, version, revision, requirements, trigger).await?;
    match old {
        Some(old) => drop_queued(tx, old).await,
        None => Ok(()),
    }
}

async fn give(
    tx: &mut Tx,
    by: &str,
    version: &mut Version,
    revision: &mut Revision,
    requirements: Option<String>,
    trigger: &str,
) -> Result<()> {
    let Some(requirements) = requirements else {
        version.environment_id = version.base_environment_id;
        revision.environment_id = version.base_environment_id;
        revision.environment_build_id = None;
        return Ok(());
    };
    let (environment, mut tag) = implicit_of(tx, version).await?;
    let now = Timestamp::now();
    let made_of = EnvironmentRevision {
        id: EnvironmentRevisionId::new(),
        tag_id: tag.id,
        created_at: now,
        created_by: by.to_owned(),
        package_key: None,
        requirements,
        expired: false,
    };
    environment_revisions::insert(tx, &made_of).await?;
    let build = queue_build(tx, &mut tag, made_of.id, trigger).await?;
    version.environment_id = environment.id;
    revision.environment_id = environment.id;
    revision.environment_build_id = Some(build);
    Ok(())
}

/// Adds a build of an environment revision to the queue; it is the latest of its tag then.
pub(crate) async fn queue_build(
    tx: &mut Tx,
    tag: &mut Tag,
    made_of: EnvironmentRevisionId,
    trigger: &str,
) -> Result<EnvironmentBuildId> {
    let build = EnvironmentBuild {
        id: EnvironmentBuildId::new(),
        revision_id: made_of,
        status: BuildStatus::Queued,
        error_message: None,
        build_trigger: trigger.to_owned(),
        size: None,
        content_key: None,
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
    Ok(build.id)
}

/// Ends a build of an environment that has not begun and that nobody wants any more.
pub(crate) async fn drop_queued(tx: &mut Tx, id: EnvironmentBuildId) -> Result<()> {
    let Some(mut build) = builds::lock(tx, id).await? else { return Ok(()) };
    if build.status == BuildStatus::Queued {
        build.status = BuildStatus::Failed;
        build.error_message = Some("A newer build was asked for before this one was begun".into());
        build.finished_at = Some(Timestamp::now());
        builds::update(tx, &build).await?;
    }
    Ok(())
}

/// The implicit environment of a version on top of its present base, made when missing.
///
/// There is one for each base the version has had: what still serves on an older one must find its interpreter there.
async fn implicit_of(tx: &mut Tx, version: &Version) -> Result<(Environment, Tag)> {
    let base = environments::get(&mut *tx, version.base_environment_id).await?;
    let base = base.ok_or(Error::NotFound(Kind::Environment))?;
    let name = format!("{}-{}", implicit_prefix(version), base.name);
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
    format!("implicit-{}", version.id)
}

fn new_tag(environment: EnvironmentId, status: VersionStatus) -> Tag {
    let now = Timestamp::now();
    Tag {
        id: TagId::new(),
        environment_id: environment,
        name: TAG.to_owned(),
        status,
        active_revision_id: None,
        latest_revision_id: None,
        active_build_id: None,
        latest_build_id: None,
        created_at: now,
        updated_at: now,
    }
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

/// Which Python an environment runs on, as `3.11`.
pub(crate) async fn interpreter(store: &Store, id: EnvironmentId) -> Result<String> {
    let environment = environments::get(store, id).await?.ok_or(Error::NotFound(Kind::Environment))?;
    Ok(environment.interpreter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_names_mean_what_they_meant() {
        assert_eq!(canonical("python3.10"), "python3-10");
        assert_eq!(canonical("ubuntu22-04-python3-11"), "python3-11");
        assert_eq!(canonical("r4.0"), "r4-0");
        assert_eq!(canonical("my-env"), "my-env");
        assert_eq!(canonical("ubuntu22-04-python3-11-cuda11-7-1"), "ubuntu22-04-python3-11-cuda11-7-1");
    }
}
