//! Which environment a version runs in: base ones and custom ones, chosen by name, and implicit ones made from a
//! package's dependency files.

mod base;
mod building;
mod custom;
mod files;
mod implicit;
mod usage;

use modelyard_store::environments::{self, tags};
use modelyard_store::{Environment, Store, Tag, Tx};
use modelyard_types::release::ClientRelease;
use modelyard_types::versions::{DeploymentVersionCreate, DeploymentVersionUpdate, VersionStatus};
use modelyard_types::{EnvironmentId, Error, Kind, ProjectId, Result, TagId, Timestamp};

pub(crate) use base::reconcile_base;
pub(crate) use building::is_open;
pub(crate) use files::REBUILD;
pub use files::expired;
pub(crate) use implicit::{
    assign, call_off_own, drop_implicit, drop_unwanted, files_of, files_of_package, requeue, switch,
};
pub use usage::Usage;

/// The tag that environments have which are not managed by tags.
pub(crate) const TAG: &str = tags::FIRST;

/// The name of the contract's R.
const ANY_R: &str = "r4-0";

/// How the names of implicit environments begin, and no others.
const IMPLICIT: &str = "implicit-";

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
/// A deprecated one is no choice, unless it is the `present` one. `without_r` says why there is no R, if so.
pub(crate) async fn choose(
    tx: &mut Tx,
    project: ProjectId,
    wish: &Wish,
    present: Option<EnvironmentId>,
    without_r: Option<&str>,
) -> Result<Environment> {
    wish.check_tag()?;
    let Some(asked) = &wish.name else {
        return newest_python(tx).await;
    };
    let name = canonical(asked);
    let mut found = match environments::get_by_name(&mut *tx, project, &name).await? {
        None if name == ANY_R => newest_r(tx).await?,
        found => found,
    };
    // Clients send back what a version shows: its own implicit environment stands for the base under it.
    while let Some(implicit) = found.take_if(|found| found.implicit) {
        found = match implicit.base_environment_id {
            Some(base) => environments::get(&mut *tx, base).await?,
            None => None,
        };
    }
    match found.filter(|found| !found.deprecated || present == Some(found.id)) {
        Some(environment) => Ok(environment),
        None => Err(unknown(tx, project, asked, without_r).await?),
    }
}

/// The R of this server: what stands for the name of the contract's R, whatever its real version is.
async fn newest_r(tx: &mut Tx) -> Result<Option<Environment>> {
    let base = environments::list_base(&mut *tx).await?;
    Ok(base.into_iter().filter(|base| !base.deprecated && is_r(&base.name)).max_by(|a, b| a.name.cmp(&b.name)))
}

async fn newest_python(tx: &mut Tx) -> Result<Environment> {
    let base = environments::list_base(&mut *tx).await?;
    let pythons = base.into_iter().filter(|base| !base.deprecated && minor_of(&base.name).is_some());
    let newest = pythons.max_by_key(|base| minor_of(&base.name));
    newest.ok_or_else(|| {
        Error::invalid("No Python was found on this server: install Python 3.8 or newer and start the server again")
    })
}

/// Whether a name is one of an R: `r4-0`.
fn is_r(name: &str) -> bool {
    name.strip_prefix("r4-").is_some_and(|minor| !minor.is_empty() && minor.bytes().all(|byte| byte.is_ascii_digit()))
}

/// `python3-11` → 11; names of other kinds come first.
fn minor_of(name: &str) -> Option<u32> {
    name.strip_prefix("python3-")?.parse().ok()
}

async fn unknown(tx: &mut Tx, project: ProjectId, asked: &str, without_r: Option<&str>) -> Result<Error> {
    if let Some(problem) = without_r.filter(|_| is_r(&canonical(asked))) {
        return Ok(Error::Invalid(no_r(asked, problem)));
    }
    let base = environments::list_base(&mut *tx).await?;
    let mut known: Vec<_> = base.into_iter().filter(|base| !base.deprecated).map(|base| base.name).collect();
    let own = environments::list(&mut *tx, project).await?;
    known.extend(own.into_iter().filter(|own| !own.implicit && !own.system).map(|own| own.name));
    Ok(Error::Invalid(format!("Environment '{asked}' was not found; there are {}", known.join(", "))))
}

/// What is told to those who ask for an R that is not there.
fn no_r(asked: &str, problem: &str) -> String {
    format!("Environment '{asked}' cannot be had: {problem}")
}

/// The name we keep for what clients of all ages write: languages with dots, and names that carry a system.
fn canonical(name: &str) -> String {
    let is_language = name.starts_with("python3.");
    let name = name.replace('.', "-");
    let name = if is_language { name.replace('_', "-") } else { name };
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

/// The tag of an environment that clients before 4.15 know as the environment itself.
async fn tag_of(tx: &mut Tx, environment: &Environment) -> Result<Tag> {
    tags::get_by_name(tx, environment.id, TAG).await?.ok_or(Error::NotFound(Kind::Environment))
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

/// Which interpreter an environment runs on, as `3.11` or `r4.2`.
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
        assert_eq!(canonical("python3.8_cuda"), "python3-8-cuda");
        assert_eq!(canonical("my_env"), "my_env");
        assert_eq!(canonical("ubuntu22-04-python3-11-cuda11-7-1"), "ubuntu22-04-python3-11-cuda11-7-1");
    }
}
