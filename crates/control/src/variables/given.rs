//! What a version's instances are given.

use std::collections::BTreeMap;

use modelyard_runner::environments::Given;
use modelyard_store::{Variable, variables};
use modelyard_types::variables::{DEFAULT_MAIN_FILE, MAIN_FILE, OLD_MAIN_FILE};
use modelyard_types::{DeploymentId, ProjectId, Result, TagId, VersionId};
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
    /// What the instances of a version are given. Variables of a package's or environment's own (`ubiops.yaml`) will stand below
    /// all of these: whoever reads them puts them in front.
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
        Ok((given, Masks::of(secrets.iter().map(|secret| secret.as_str()))))
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
    pub(crate) fn masks(&self, more: &[&str]) -> Masks {
        let secrets = self.0.iter().filter(|it| it.secret).map(|it| it.value.as_str());
        Masks::of(secrets.chain(more.iter().copied()))
    }
}
