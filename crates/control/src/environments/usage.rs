//! Who uses an environment.

use std::collections::{HashMap, HashSet};

use modelyard_store::{Environment, Tx, Version, deployments, environments, versions};
use modelyard_types::{DeploymentId, ProjectId, Result};

use crate::Control;

/// The most users that a refusal names.
const MOST_NAMED: usize = 10;

/// A version of a project, the name of its deployment, and the environment it runs in.
pub struct Usage {
    /// The version.
    pub version: Version,
    /// The name of its deployment.
    pub deployment: String,
    /// The environment it runs in.
    pub environment: Environment,
}

impl Control {
    /// The versions of a project that use an environment, directly or through an implicit one on top of it.
    pub async fn environment_usage(&self, project: ProjectId, environment: &Environment) -> Result<Vec<Usage>> {
        let mut tx = self.store().snapshot().await?;
        let using = users(&mut tx, environment).await?;
        let using: Vec<_> = using.into_iter().filter(|version| version.project_id == project).collect();
        let deployments = deployments::list(&mut tx, project).await?;
        let names: HashMap<DeploymentId, String> =
            deployments.into_iter().map(|it| (it.id, it.name.to_string())).collect();
        let mut all = environments::list(&mut tx, project).await?;
        all.extend(environments::list_base(&mut tx).await?);
        tx.commit().await?;
        let environments: HashMap<_, _> = all.into_iter().map(|it| (it.id, it)).collect();
        let mut found: Vec<Usage> = using
            .into_iter()
            .filter_map(|version| {
                let deployment = names.get(&version.deployment_id)?.clone();
                let environment = environments.get(&version.environment_id)?.clone();
                Some(Usage { version, deployment, environment })
            })
            .collect();
        found.sort_by(|a, b| (&a.deployment, &a.version.name).cmp(&(&b.deployment, &b.version.name)));
        Ok(found)
    }
}

/// The versions that use an environment, or still run in one on top of it.
async fn users(tx: &mut Tx, environment: &Environment) -> Result<Vec<Version>> {
    let mut found = versions::using(&mut *tx, environment.id).await?;
    let mut seen: HashSet<_> = found.iter().map(|version| version.id).collect();
    for implicit in environments::on_top_of(&mut *tx, environment.id).await? {
        if implicit.implicit {
            let more = versions::using(&mut *tx, implicit.id).await?;
            found.extend(more.into_iter().filter(|version| seen.insert(version.id)));
        }
    }
    Ok(found)
}

/// Those that use an environment, as a sentence names them; the first few of them.
pub(super) async fn users_of(tx: &mut Tx, environment: &Environment) -> Result<Vec<String>> {
    let using = users(tx, environment).await?;
    let mut named = Vec::new();
    for version in using.iter().take(MOST_NAMED) {
        let deployment = deployments::get(&mut *tx, version.deployment_id).await?;
        let deployment = deployment.map(|it| it.name.to_string()).unwrap_or_default();
        named.push(format!("version '{}' of deployment '{deployment}'", version.name));
    }
    if using.len() > MOST_NAMED {
        named.push(format!("{} more", using.len() - MOST_NAMED));
    }
    Ok(named)
}
