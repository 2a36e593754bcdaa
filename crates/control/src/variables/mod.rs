//! The rules of environment variables, at all levels: projects, deployments, versions, and the builds of environments.
//!
//! Changes of one project come one after the other, since each locks the project: what a version sees depends on three levels.

mod effect;
mod given;
mod keys;
mod masks;
mod owner;
#[cfg(test)]
mod tests;

use modelyard_store::{Refusal, Tx, Variable, variables};
use modelyard_types::audit::AuditAction;
use modelyard_types::names::VariableName;
use modelyard_types::variables::{
    EnvironmentVariableCreate, EnvironmentVariableUpdate, MAX_LEVEL, OVERHEAD, VariableValue, check_value,
};
use modelyard_types::{
    DeploymentId, EnvironmentId, Error, Kind, Patch, ProjectId, Result, Timestamp, VariableId, VersionId,
};
use zeroize::Zeroizing;

use crate::Control;
use crate::access::Actor;
use crate::audit::{self, Changes};
use crate::secrets::{Cell, Keyring};
use effect::View;
use owner::Owner;

pub(crate) use given::Variables;
pub(crate) use keys::take_up as take_up_keys;
pub(crate) use masks::Masks;

/// What variables belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VariableScope {
    /// A project: all its versions have them.
    Project(ProjectId),
    /// A deployment: its versions have them.
    Deployment(ProjectId, DeploymentId),
    /// A version.
    Version(ProjectId, DeploymentId, VersionId),
    /// An environment: its builds have them.
    Environment(ProjectId, EnvironmentId),
}

/// The level that a variable stands at. Lower ones win.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// That of the project.
    Project,
    /// That of the deployment.
    Deployment,
    /// That of the version, or of an environment.
    Lowest,
}

impl Level {
    /// The level of a variable.
    pub fn of(variable: &Variable) -> Self {
        match (variable.deployment_id, variable.version_id, variable.tag_id) {
            (None, None, None) => Level::Project,
            (Some(_), None, None) => Level::Deployment,
            _ => Level::Lowest,
        }
    }
}

impl Control {
    /// What an object has, by name: its own variables, and those of what it belongs to unless its own shadow them.
    pub async fn list_variables(&self, scope: VariableScope) -> Result<Vec<Variable>> {
        let store = self.store();
        let listed = match scope {
            VariableScope::Version(project, deployment, version) => {
                variables::list_of_version(store, project, deployment, version).await?
            }
            VariableScope::Deployment(project, deployment) => {
                let mut listed = variables::list(store, project.0).await?;
                listed.extend(variables::list(store, deployment.0).await?);
                listed
            }
            VariableScope::Project(_) | VariableScope::Environment(..) => {
                variables::list(store, owner::id_of(store, scope).await?).await?
            }
        };
        Ok(given::merged(listed))
    }

    /// A variable of an object's own, by its name or id.
    pub async fn get_variable(&self, scope: VariableScope, key: &str) -> Result<Variable> {
        let owner = owner::id_of(self.store(), scope).await?;
        let found = match Key::of(key)? {
            Key::Id(id) => variables::get(self.store(), owner, id).await?,
            Key::Name(name) => variables::get_by_name(self.store(), owner, name.as_str()).await?,
        };
        found.ok_or(Error::NotFound(Kind::EnvironmentVariable))
    }

    /// Creates a variable.
    pub async fn create_variable(
        &self,
        by: &Actor,
        scope: VariableScope,
        new: EnvironmentVariableCreate,
    ) -> Result<Variable> {
        let mut tx = self.store().begin().await?;
        let owner = Owner::lock(&mut tx, scope).await?;
        owner.check_name(new.name.as_str())?;
        let before = View::of(&mut tx, &owner, vec![new.name.as_str().to_owned()]).await?;
        let mut variable = owner.variable(new.name.as_str());
        self.keys().put(&mut variable, new.value.as_str(), new.secret.0)?;
        let taken = format!("environment variable '{}' of {} already exists", variable.name, owner.described());
        variables::insert(&mut tx, &variable).await.taken(taken)?;
        let event = format!("Created environment variable {} for {}", variable.name, owner.described());
        self.settle(tx, by, &owner, before, AuditAction::Create, event).await?;
        Ok(variable)
    }

    /// Changes a variable. A secret stays one.
    pub async fn update_variable(
        &self,
        by: &Actor,
        scope: VariableScope,
        key: &str,
        change: EnvironmentVariableUpdate,
    ) -> Result<Variable> {
        let mut tx = self.store().begin().await?;
        let owner = Owner::lock(&mut tx, scope).await?;
        let old = find(&mut tx, &owner, key).await?;
        let mut new = old.clone();
        new.name = change.name.value().map_or(new.name, |name| name.as_str().to_owned());
        owner.check_name(&new.name)?;
        let secret = match change.secret {
            Patch::Set(flag) if old.is_secret() && !flag.0 => {
                return Err(Error::invalid(
                    "secret: a secret cannot be made readable again; delete the variable and create another",
                ));
            }
            secret => secret.value().map_or(old.is_secret(), |flag| flag.0),
        };
        let value = self.changed_value(&old, &change.value, secret)?;
        check_value(&new.name, value.as_str()).map_err(Error::Invalid)?;
        let changes = self.differences(&old, &new.name, value.as_str(), secret);
        if changes.is_empty() {
            return Ok(old);
        }
        self.keys().put(&mut new, value.as_str(), secret)?;
        new.updated_at = Timestamp::now();
        let before = View::of(&mut tx, &owner, vec![old.name.clone(), new.name.clone()]).await?;
        let taken = format!("environment variable '{}' of {} already exists", new.name, owner.described());
        variables::update(&mut tx, &new).await.taken(taken)?;
        let event = changes.sentence(&format!("environment variable {} for {}", old.name, owner.described()));
        self.settle(tx, by, &owner, before, AuditAction::Update, event).await?;
        Ok(new)
    }

    /// Deletes a variable.
    pub async fn delete_variable(&self, by: &Actor, scope: VariableScope, key: &str) -> Result<()> {
        let mut tx = self.store().begin().await?;
        let owner = Owner::lock(&mut tx, scope).await?;
        let variable = find(&mut tx, &owner, key).await?;
        let before = View::of(&mut tx, &owner, vec![variable.name.clone()]).await?;
        variables::delete(&mut tx, variable.id).await?;
        let event = format!("Deleted environment variable {} for {}", variable.name, owner.described());
        self.settle(tx, by, &owner, before, AuditAction::Delete, event).await
    }

    /// Copies the own variables of an object to another one, over those of the same names; gives the copies. Secrets are copied
    /// unseen, but only by who may change them: whoever has them in a version can read them there.
    pub async fn copy_variables(
        &self,
        by: &Actor,
        to: VariableScope,
        from: VariableScope,
        may_take_secrets: bool,
    ) -> Result<Vec<Variable>> {
        let mut tx = self.store().begin().await?;
        let owner = Owner::lock(&mut tx, to).await?;
        let source = Owner::lock(&mut tx, from).await?;
        let sources = variables::list(&mut tx, source.id()).await?;
        if sources.iter().any(Variable::is_secret) && !may_take_secrets {
            return Err(Error::Forbidden);
        }
        if sources.is_empty() || source.id() == owner.id() {
            return Ok(sources);
        }
        let before = View::of(&mut tx, &owner, sources.iter().map(|it| it.name.clone()).collect()).await?;
        let mut copies = Vec::with_capacity(sources.len());
        for from in &sources {
            copies.push(self.copy(&mut tx, &owner, from).await?);
        }
        let names: Vec<_> = copies.iter().map(|copy| copy.name.as_str()).collect();
        let (from, to) = (source.described(), owner.described());
        let event = format!("Copied environment variables from {from} to {to}: {}", names.join(", "));
        self.settle(tx, by, &owner, before, AuditAction::Update, event).await?;
        Ok(copies)
    }

    async fn copy(&self, tx: &mut Tx, owner: &Owner, from: &Variable) -> Result<Variable> {
        let value = self.keys().plain(from)?;
        let there = variables::get_by_name(&mut *tx, owner.id(), &from.name).await?;
        let is_new = there.is_none();
        let mut copy = there.unwrap_or_else(|| owner.variable(&from.name));
        self.keys().put(&mut copy, &value, from.is_secret())?;
        copy.updated_at = Timestamp::now();
        if is_new {
            variables::insert(tx, &copy).await?;
        } else {
            variables::update(tx, &copy).await?;
        }
        Ok(copy)
    }

    /// What every change ends with: room, instances, the audit event, the commit.
    async fn settle(
        &self,
        mut tx: Tx,
        by: &Actor,
        owner: &Owner,
        before: View,
        action: AuditAction,
        event: String,
    ) -> Result<()> {
        if action != AuditAction::Delete {
            check_room(&mut tx, owner).await?;
        }
        before.renew_concerned(&mut tx, owner, self.keys()).await?;
        audit::record(&mut tx, by, owner.place(), action, owner.subject(), event).await?;
        self.commit(tx, Some(owner.project.id)).await?;
        self.nudge_scaling();
        Ok(())
    }

    /// The value after a change. One that stays is decrypted only when it has to be.
    fn changed_value(&self, old: &Variable, change: &Patch<VariableValue>, secret: bool) -> Result<Zeroizing<String>> {
        match change.value() {
            Some(value) => Ok(Zeroizing::new(value.as_str().to_owned())),
            None => self.keys().plain(old).map_err(|cause| {
                tracing::error!(%cause, variable = %old.id, secret, "an environment variable cannot be read");
                Error::conflict("The value of this environment variable cannot be read any more; give it a new one")
            }),
        }
    }

    /// What changes, for the audit event: values are never in it.
    fn differences(&self, old: &Variable, name: &str, value: &str, secret: bool) -> Changes {
        let mut changes = Changes::default();
        changes.note("name", &old.name, name);
        if self.keys().plain(old).ok().is_none_or(|old| old.as_str() != value) {
            changes.name("value");
        }
        changes.note("secret", old.is_secret(), secret);
        changes
    }

    pub(crate) fn keys(&self) -> &Keyring {
        &self.0.settings.keys
    }
}

impl Keyring {
    /// Sets the value of a variable, encrypted when it is a secret.
    fn put(&self, variable: &mut Variable, value: &str, secret: bool) -> Result<()> {
        let sealed = secret.then(|| self.seal(cell(variable.id), value)).transpose()?;
        variable.value = (!secret).then(|| value.to_owned());
        (variable.sealed, variable.key_id) = sealed.map(|sealed| (sealed.bytes, sealed.key_id)).unzip();
        Ok(())
    }

    /// The value of a variable.
    fn plain(&self, variable: &Variable) -> Result<Zeroizing<String>> {
        match (&variable.sealed, &variable.key_id) {
            (Some(sealed), Some(key)) => self.open(cell(variable.id), key, sealed),
            _ => Ok(Zeroizing::new(variable.value.clone().unwrap_or_default())),
        }
    }
}

fn cell(id: VariableId) -> Cell {
    Cell { table: "variables", column: "value", row: id.0 }
}

/// How a variable is named in an address.
enum Key {
    Id(VariableId),
    Name(VariableName),
}

impl Key {
    /// Names have no dashes, and what is neither a name nor an id cannot be found.
    fn of(text: &str) -> Result<Self> {
        let read = match text.contains('-') {
            true => text.parse().ok().map(Key::Id),
            false => VariableName::try_from(text).ok().map(Key::Name),
        };
        read.ok_or(Error::NotFound(Kind::EnvironmentVariable))
    }
}

async fn find(tx: &mut Tx, owner: &Owner, key: &str) -> Result<Variable> {
    let found = match Key::of(key)? {
        Key::Id(id) => variables::get(tx, owner.id(), id).await?,
        Key::Name(name) => variables::get_by_name(tx, owner.id(), name.as_str()).await?,
    };
    found.ok_or(Error::NotFound(Kind::EnvironmentVariable))
}

/// Refuses more at one level than instances can be started with.
async fn check_room(tx: &mut Tx, owner: &Owner) -> Result<()> {
    let taken: usize = variables::list(tx, owner.id()).await?.iter().map(size_of).sum();
    if taken <= MAX_LEVEL {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "The environment variables of {} may take {MAX_LEVEL} bytes together, and would take {taken} (each counts its name, its \
         value and {OVERHEAD} more); pass large data as a file",
        owner.described()
    )))
}

fn size_of(variable: &Variable) -> usize {
    let value = match (&variable.value, &variable.sealed) {
        (Some(value), _) => value.len(),
        (None, Some(sealed)) => sealed.len().saturating_sub(crate::secrets::SEAL),
        (None, None) => 0,
    };
    variable.name.len() + value + OVERHEAD
}
