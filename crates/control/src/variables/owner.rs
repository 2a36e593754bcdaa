//! What variables belong to, found and kept from other changes.

use modelyard_store::environments::{self, tags};
use modelyard_store::{Deployment, Environment, Project, Source, Tx, Variable, Version, projects, versions};
use modelyard_types::{EnvironmentId, Error, Kind, ProjectId, Result, TagId, Timestamp, VariableId};
use uuid::Uuid;

use super::VariableScope;
use crate::audit::Place;
use crate::environments::TAG;
use crate::versions::{lock_deployment, lock_version};

/// Settings of the programs that find and install packages begin with these.
const BUILDER_PREFIXES: [&str; 2] = ["UV_", "PIP_"];

/// An object with variables, its project kept from other changes of variables until the transaction ends.
pub(super) struct Owner {
    pub(super) project: Project,
    pub(super) of: Of,
}

/// What it is.
pub(super) enum Of {
    Project,
    Deployment(Deployment),
    Version(Deployment, Box<Version>),
    Environment(Environment, TagId),
}

impl Owner {
    /// Finds it and locks its project.
    pub(super) async fn lock(tx: &mut Tx, scope: VariableScope) -> Result<Self> {
        let (VariableScope::Project(project)
        | VariableScope::Deployment(project, _)
        | VariableScope::Version(project, ..)
        | VariableScope::Environment(project, _)) = scope;
        let project = projects::lock(tx, project).await?.ok_or(Error::NotFound(Kind::Project))?;
        let of = match scope {
            VariableScope::Project(_) => Of::Project,
            VariableScope::Deployment(project, id) => Of::Deployment(lock_deployment(tx, project, id).await?),
            VariableScope::Version(project, deployment, id) => {
                let deployment = lock_deployment(tx, project, deployment).await?;
                let version = lock_version(tx, deployment.id, id).await?;
                Of::Version(deployment, Box::new(version))
            }
            VariableScope::Environment(project, id) => environment(tx, project, id).await?,
        };
        Ok(Self { project, of })
    }

    /// The id that its variables carry.
    pub(super) fn id(&self) -> Uuid {
        match &self.of {
            Of::Project => self.project.id.0,
            Of::Deployment(deployment) => deployment.id.0,
            Of::Version(_, version) => version.id.0,
            Of::Environment(_, tag) => tag.0,
        }
    }

    /// Refuses names that mean something to the tools of builds: where packages come from is the operator's to say.
    pub(super) fn check_name(&self, name: &str) -> Result<()> {
        let upper = name.to_ascii_uppercase();
        let taken = BUILDER_PREFIXES.iter().find(|prefix| upper.starts_with(**prefix));
        match taken.filter(|_| matches!(self.of, Of::Environment(..))) {
            Some(prefix) => Err(Error::Invalid(format!(
                "The name '{name}' belongs to the builder; choose one that does not begin with {prefix}"
            ))),
            None => Ok(()),
        }
    }

    /// What sentences call it.
    pub(super) fn described(&self) -> String {
        match &self.of {
            Of::Project => format!("project {}", self.project.name),
            Of::Deployment(deployment) => format!("deployment {}", deployment.name),
            Of::Version(deployment, version) => format!("version {} of deployment {}", version.name, deployment.name),
            Of::Environment(environment, _) => format!("environment {}", environment.name),
        }
    }

    /// Its kind and name, for audit events.
    pub(super) fn subject(&self) -> (&'static str, &str) {
        match &self.of {
            Of::Project => ("project", self.project.name.as_str()),
            Of::Deployment(deployment) => ("deployment", deployment.name.as_str()),
            Of::Version(_, version) => ("deployment_version", version.name.as_str()),
            Of::Environment(environment, _) => ("environment", environment.name.as_str()),
        }
    }

    /// Where its audit events stand.
    pub(super) fn place(&self) -> Place {
        match &self.of {
            Of::Project | Of::Environment(..) => Place::project(self.project.id),
            Of::Deployment(deployment) | Of::Version(deployment, _) => {
                Place::deployment(self.project.id, deployment.id)
            }
        }
    }

    /// A new variable of it, yet without a value.
    pub(super) fn variable(&self, name: &str) -> Variable {
        let now = Timestamp::now();
        let mut variable = Variable {
            id: VariableId::new(),
            project_id: self.project.id,
            deployment_id: None,
            version_id: None,
            tag_id: None,
            owner_id: self.id(),
            name: name.to_owned(),
            value: None,
            sealed: None,
            key_id: None,
            created_at: now,
            updated_at: now,
        };
        match &self.of {
            Of::Project => {}
            Of::Deployment(deployment) => variable.deployment_id = Some(deployment.id),
            Of::Version(_, version) => variable.version_id = Some(version.id),
            Of::Environment(_, tag) => variable.tag_id = Some(*tag),
        }
        variable
    }

    /// The versions that have its variables.
    pub(super) async fn versions(&self, tx: &mut Tx) -> Result<Vec<Version>> {
        Ok(match &self.of {
            Of::Project => versions::list_of_project(tx, self.project.id).await?,
            Of::Deployment(deployment) => versions::list(tx, deployment.id).await?,
            Of::Version(_, version) => vec![Version::clone(version)],
            Of::Environment(..) => Vec::new(),
        })
    }
}

async fn environment(tx: &mut Tx, project: ProjectId, id: EnvironmentId) -> Result<Of> {
    let found = environments::get(&mut *tx, id).await?;
    let environment = found.ok_or(Error::NotFound(Kind::Environment))?;
    if environment.project_id.is_none() {
        let sentence = format!(
            "Environment '{}' is a base environment: it is not built, so it takes no secrets",
            environment.name
        );
        return Err(Error::Invalid(sentence));
    }
    let tag = tags::get_by_name(tx, environment.id, TAG).await?;
    match tag.filter(|_| environment.project_id == Some(project)) {
        Some(tag) => Ok(Of::Environment(environment, tag.id)),
        None => Err(Error::NotFound(Kind::Environment)),
    }
}

/// The id that the variables of a scope carry.
pub(super) async fn id_of(on: impl Source<'_>, scope: VariableScope) -> Result<Uuid> {
    Ok(match scope {
        VariableScope::Project(id) => id.0,
        VariableScope::Deployment(_, id) => id.0,
        VariableScope::Version(_, _, id) => id.0,
        VariableScope::Environment(_, id) => {
            let tag = tags::get_by_name(on, id, TAG).await?;
            tag.ok_or(Error::NotFound(Kind::Environment))?.id.0
        }
    })
}
