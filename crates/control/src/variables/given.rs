//! What a version's instances are given.

use std::collections::BTreeMap;

use modelyard_runner::environments::Given;
use modelyard_runner::ubiops_yaml;
use modelyard_store::environments::revisions as environment_revisions;
use modelyard_store::{EnvironmentRevision, Variable, variables};
use modelyard_types::variables::{DEFAULT_MAIN_FILE, MAIN_FILE, OLD_MAIN_FILE};
use modelyard_types::{DeploymentId, EnvironmentBuildId, ProjectId, Result, TagId, VersionId};
use zeroize::Zeroizing;

use super::{Level, Masks};
use crate::Inner;

/// The variables of one version, read and decrypted.
pub(crate) struct Variables(Vec<One>);

struct One {
    name: String,
    value: Zeroizing<String>,
    secret: bool,
}

/// Of variables of several levels those that count, by name: the lowest level wins.
pub(super) fn merged(mut levels: Vec<Variable>) -> Vec<Variable> {
    levels.sort_by_key(Level::of);
    let by_name: BTreeMap<String, Variable> = levels.into_iter().map(|it| (it.name.clone(), it)).collect();
    by_name.into_values().collect()
}

impl Inner {
    /// What the instances of a version are given, but for what the files of its environment ask for below all of these.
    pub(crate) async fn variables_of(
        &self,
        project: ProjectId,
        deployment: DeploymentId,
        version: VersionId,
    ) -> Result<Variables> {
        let all = merged(variables::list_of_version(&self.store, project, deployment, version).await?);
        let mut given = Vec::with_capacity(all.len());
        for variable in all {
            let (value, secret) = (self.settings.keys.plain(&variable)?, variable.is_secret());
            given.push(One { name: variable.name, value, secret });
        }
        Ok(Variables(given))
    }
}

impl Inner {
    /// The variables that instances get from the `ubiops.yaml` of the environment they run in and of the one that stands on,
    /// as they were written: of those of one name the last counts. The error is for the user.
    pub(crate) async fn variables_of_files(&self, build: EnvironmentBuildId) -> Result<Vec<(String, String)>, String> {
        let made_of = environment_revisions::under_build(&self.store, build).await.map_err(|cause| {
            tracing::error!(%cause, %build, "the files of an environment cannot be read");
            "The instance could not be started: the files of its environment cannot be read".to_owned()
        })?;
        let mut variables = Vec::new();
        for text in made_of.iter().filter_map(EnvironmentRevision::ubiops_yaml) {
            variables.extend(ubiops_yaml::parse(text)?.variables);
        }
        Ok(variables)
    }

    /// What builds of an environment are given, or why they cannot be; and what hides the secrets that they may come across:
    /// those, and those of the project.
    pub(crate) async fn variables_of_build(&self, project: ProjectId, tag: TagId) -> (Result<Given, String>, Masks) {
        match self.read_of_build(project, tag).await {
            Ok((given, masks)) => (Ok(given), masks),
            Err(cause) => {
                tracing::error!(%cause, %tag, "the secrets of an environment cannot be read");
                (Err("The environment could not be built: its secrets cannot be read".to_owned()), Masks::default())
            }
        }
    }

    async fn read_of_build(&self, project: ProjectId, tag: TagId) -> Result<(Given, Masks)> {
        let own = variables::list(&self.store, tag.0).await?;
        let mut given = Given::default();
        let mut secrets = Vec::new();
        for variable in &own {
            let value = self.settings.keys.plain(variable)?;
            given.env.push((variable.name.clone(), value.as_str().to_owned()));
            given.mark.push_str(&format!("{} {} ", variable.id, variable.updated_at.0));
        }
        for variable in own.iter().chain(&variables::list(&self.store, project.0).await?).filter(|it| it.is_secret()) {
            // One of the project's that cannot be read is in no build.
            secrets.extend(self.settings.keys.plain(variable));
        }
        let masks = Masks::made_of(secrets.iter().map(|secret| secret.as_str())).await;
        Ok((given, masks))
    }
}

impl Variables {
    /// All of them, as a process gets them.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (String, String)> + '_ {
        self.0.iter().map(|it| (it.name.clone(), it.value.as_str().to_owned()))
    }

    /// The main file that they name, or the usual one.
    pub(crate) fn main_file(&self) -> &str {
        let value = |name: &str| self.0.iter().find(|it| it.name == name).map(|it| it.value.as_str());
        value(MAIN_FILE).or_else(|| value(OLD_MAIN_FILE)).unwrap_or(DEFAULT_MAIN_FILE)
    }

    /// What hides the secrets among them, and some more texts.
    pub(crate) async fn masks(&self, more: &[&str]) -> Masks {
        let secrets = self.0.iter().filter(|it| it.secret).map(|it| it.value.as_str());
        Masks::made_of(secrets.chain(more.iter().copied())).await
    }
}
