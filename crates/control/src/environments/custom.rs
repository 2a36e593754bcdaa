//! The rules of environments that users make: each stands on a base environment.

use modelyard_store::environments::{self, tags};
use modelyard_store::{Environment, Refusal, Tx, versions};
use modelyard_types::audit::AuditAction;
use modelyard_types::environments::{EnvironmentCreate, EnvironmentUpdate};
use modelyard_types::versions::VersionStatus;
use modelyard_types::{EnvironmentId, Error, Kind, ProjectId, Result, Timestamp};

use super::usage::users_of;
use super::{ANY_R, IMPLICIT, canonical, is_r, minor_of, new_tag, newest_r, no_r};
use crate::Control;
use crate::access::Actor;
use crate::audit::{self, Changes, Place};

impl Control {
    /// Creates an environment. It is unavailable until a file of it was built.
    pub async fn create_environment(
        &self,
        by: &Actor,
        project: ProjectId,
        new: EnvironmentCreate,
    ) -> Result<Environment> {
        let mut tx = self.store().begin().await?;
        check_name(&mut tx, new.name.as_str()).await?;
        let asked = new.base_environment.as_deref().unwrap_or_default();
        let base = base_named(&mut tx, project, asked, self.settings().without_r.as_deref()).await?;
        let now = Timestamp::now();
        let environment = Environment {
            id: EnvironmentId::new(),
            project_id: Some(project),
            display_name: new.display_name.unwrap_or_else(|| new.name.to_string()),
            name: new.name.into(),
            description: new.description.unwrap_or_default(),
            labels: new.labels.unwrap_or_default(),
            base_environment_id: Some(base.id),
            implicit: false,
            hidden: false,
            system: false,
            gpu_required: base.gpu_required,
            deprecated: false,
            supports_request_format: true,
            interpreter: base.interpreter,
            created_at: now,
            updated_at: now,
        };
        let added = environments::insert(&mut tx, &environment).await;
        added.taken(taken(&environment.name)).missing("Project was not found")?;
        tags::insert(&mut tx, &new_tag(environment.id, VersionStatus::Unavailable)).await?;
        let event = format!("Created environment {}", environment.name);
        let subject = ("environment", environment.name.as_str());
        audit::record(&mut tx, by, Place::project(project), AuditAction::Create, subject, event).await?;
        self.commit(tx, Some(project)).await?;
        Ok(environment)
    }

    /// Changes what an environment is called and how it is described.
    pub async fn update_environment(
        &self,
        by: &Actor,
        project: ProjectId,
        id: EnvironmentId,
        change: EnvironmentUpdate,
    ) -> Result<Environment> {
        let mut tx = self.store().begin().await?;
        let old = lock_own(&mut tx, project, id).await?;
        let new = changed(old.clone(), change);
        let mut changes = Changes::default();
        changes.note("name", &old.name, &new.name);
        changes.note("display_name", &old.display_name, &new.display_name);
        changes.note("description", &old.description, &new.description);
        changes.note_json("labels", &old.labels, &new.labels);
        if changes.is_empty() {
            return Ok(old);
        }
        if old.name != new.name {
            check_name(&mut tx, &new.name).await?;
        }
        environments::update(&mut tx, &new).await.taken(taken(&new.name))?;
        let event = changes.sentence(&format!("environment {}", old.name));
        let subject = ("environment", new.name.as_str());
        audit::record(&mut tx, by, Place::project(project), AuditAction::Update, subject, event).await?;
        self.commit(tx, Some(project)).await?;
        Ok(new)
    }

    /// Deletes an environment that no version uses. What is being built of it is stopped.
    pub async fn delete_environment(&self, by: &Actor, project: ProjectId, id: EnvironmentId) -> Result<()> {
        let mut tx = self.store().begin().await?;
        let environment = lock_own(&mut tx, project, id).await?;
        let in_use = || format!("Environment '{}' is in use", environment.name);
        let users = users_of(&mut tx, &environment).await?;
        if !users.is_empty() {
            let users = users.join(", ");
            let todo = "give them another environment, or delete them first";
            return Err(Error::Conflict(format!("{} by {users}: {todo}", in_use())));
        }
        drop_unused_on_top(&mut tx, id).await?;
        environments::delete(&mut tx, id).await.in_use(in_use())?;
        let event = format!("Deleted environment {}", environment.name);
        audit::record(&mut tx, by, Place::project(project), AuditAction::Delete, ("environment", ""), event).await?;
        self.commit(tx, Some(project)).await?;
        self.nudge_called_off();
        self.nudge_cleaning();
        Ok(())
    }
}

fn taken(name: &str) -> String {
    format!("environment '{name}' already exists")
}

fn changed(mut environment: Environment, change: EnvironmentUpdate) -> Environment {
    if let Some(name) = change.name.value() {
        environment.name = name.to_string();
    }
    if change.display_name.is_sent() {
        environment.display_name = change.display_name.or_clear(None).unwrap_or_else(|| environment.name.clone());
    }
    if change.description.is_sent() {
        environment.description = change.description.or_clear(None).unwrap_or_default();
    }
    if change.labels.is_sent() {
        environment.labels = change.labels.or_clear(None).unwrap_or_default();
    }
    environment.updated_at = Timestamp::now();
    environment
}

/// An environment that a user of the project made, kept from other changes until the transaction ends.
pub(super) async fn lock_own(tx: &mut Tx, project: ProjectId, id: EnvironmentId) -> Result<Environment> {
    let found = environments::lock(tx, id).await?.ok_or(Error::NotFound(Kind::Environment))?;
    if found.system {
        return Err(Error::Invalid(format!("'{}' is a base environment, which cannot be changed", found.name)));
    }
    if found.project_id != Some(project) {
        return Err(Error::NotFound(Kind::Environment));
    }
    if found.implicit {
        return Err(Error::Invalid(format!(
            "Environment '{}' was made for the requirements of a version and changes with its code",
            found.name
        )));
    }
    Ok(found)
}

/// Names of base environments, in whichever spelling, and of implicit ones are not free.
async fn check_name(tx: &mut Tx, name: &str) -> Result<()> {
    if name.starts_with(IMPLICIT) {
        return Err(Error::Invalid(format!("name: names that begin with '{IMPLICIT}' are kept for the platform")));
    }
    let base = canonical(name);
    if environments::list_base(&mut *tx).await?.iter().any(|it| it.name == base) {
        return Err(Error::Conflict(format!("environment '{name}' already exists: it is a base environment")));
    }
    if minor_of(&base).is_some() || is_r(&base) {
        return Err(Error::Invalid(format!("name: '{name}' is kept for a base environment; choose another")));
    }
    Ok(())
}

/// The base environment that is asked for.
async fn base_named(tx: &mut Tx, project: ProjectId, asked: &str, without_r: Option<&str>) -> Result<Environment> {
    let name = canonical(asked);
    let mut offered = environments::list_base(&mut *tx).await?;
    offered.retain(|base| !base.deprecated);
    if let Some(at) = offered.iter().position(|base| base.name == name) {
        return Ok(offered.swap_remove(at));
    }
    if name == ANY_R
        && let Some(r) = newest_r(tx).await?
    {
        return Ok(r);
    }
    if let Some(problem) = without_r.filter(|_| is_r(&name)) {
        return Err(Error::Invalid(no_r(asked, problem)));
    }
    let problem = match environments::get_by_name(&mut *tx, project, &name).await? {
        Some(found) if found.system => "is deprecated",
        Some(_) => "is not a base environment",
        None => "was not found",
    };
    let names: Vec<_> = offered.into_iter().map(|base| base.name).collect();
    Err(Error::Invalid(format!("base_environment '{asked}' {problem}; there are {}", names.join(", "))))
}

/// Removes the implicit environments on top of one that were of use before their versions got another base.
async fn drop_unused_on_top(tx: &mut Tx, id: EnvironmentId) -> Result<()> {
    for implicit in environments::on_top_of(&mut *tx, id).await? {
        if implicit.implicit && versions::using(&mut *tx, implicit.id).await?.is_empty() {
            environments::delete(tx, implicit.id).await?;
        }
    }
    Ok(())
}
