//! The rules of projects.

use modelyard_store::{Project, Refusal, organizations, projects, versions};
use modelyard_types::audit::AuditAction;
use modelyard_types::projects::{ProjectCreate, ProjectUpdate};
use modelyard_types::{Error, Kind, Patch, ProjectId, Result, Timestamp};

use crate::Control;
use crate::access::Actor;
use crate::audit::{self, Changes, Place};
use crate::versions::renew_instances;

/// Why a project is suspended that a user suspended.
const BY_USER: &str = "The project is suspended by a user";

impl Control {
    /// Creates a project in an organization.
    pub async fn create_project(&self, by: &Actor, new: ProjectCreate) -> Result<Project> {
        refuse_credits(new.credits)?;
        refuse_origins(new.cors_origins.as_deref())?;
        let mut tx = self.store().begin().await?;
        let organization = organizations::get_by_name(&mut tx, &new.organization_name)
            .await?
            .ok_or(Error::NotFound(Kind::Organization))?;
        let now = Timestamp::now();
        let project = Project {
            id: ProjectId::new(),
            organization_id: organization.id,
            name: new.name,
            advanced_permissions: new.advanced_permissions.unwrap_or(false),
            credits: None,
            suspended: false,
            suspended_reason: None,
            cors_origins: Vec::new(),
            labels: new.labels.unwrap_or_default(),
            egress: None,
            created_at: now,
            updated_at: now,
        };
        let taken = format!("project '{}' already exists", project.name);
        projects::insert(&mut tx, &project).await.taken(taken)?;
        let event = format!("Created project {}", project.name);
        let place = Place { organization: Some(organization.id), ..Place::project(project.id) };
        audit::record(&mut tx, by, place, AuditAction::Create, ("project", project.name.as_str()), event).await?;
        self.commit(tx, Some(project.id)).await?;
        Ok(project)
    }

    /// Changes a project; a new name is its address from then on.
    pub async fn update_project(&self, by: &Actor, id: ProjectId, change: ProjectUpdate) -> Result<Project> {
        refuse_credits(change.credits.value().copied())?;
        refuse_origins(change.cors_origins.value().map(Vec::as_slice))?;
        let mut tx = self.store().begin().await?;
        let old = projects::lock(&mut tx, id).await?.ok_or(Error::NotFound(Kind::Project))?;
        let mut new = old.clone();
        new.name = change.name.or(new.name);
        new.advanced_permissions = change.advanced_permissions.or(new.advanced_permissions);
        if change.labels.is_sent() {
            new.labels = change.labels.or_clear(None).unwrap_or_default();
        }
        if let Patch::Set(suspend) = change.suspend {
            new.suspended = suspend;
            new.suspended_reason = suspend.then(|| BY_USER.to_owned());
        }
        let mut changes = Changes::default();
        changes.note("name", &old.name, &new.name);
        changes.note("advanced_permissions", old.advanced_permissions, new.advanced_permissions);
        changes.note("suspended", old.suspended, new.suspended);
        changes.note_json("labels", &old.labels, &new.labels);
        if changes.is_empty() {
            return Ok(old);
        }
        new.updated_at = Timestamp::now();
        let taken = format!("project '{}' already exists", new.name);
        projects::update(&mut tx, &new).await.taken(taken)?;
        if old.name != new.name {
            let concerned = versions::list_of_project(&mut tx, id).await?;
            renew_instances(&mut tx, concerned).await?;
        }
        let event = changes.sentence(&format!("project {}", old.name));
        audit::record(&mut tx, by, Place::project(id), AuditAction::Update, ("project", new.name.as_str()), event)
            .await?;
        self.commit(tx, Some(id)).await?;
        self.nudge_scaling();
        Ok(new)
    }

    /// Deletes a project with everything in it.
    pub async fn delete_project(&self, by: &Actor, id: ProjectId) -> Result<()> {
        let mut tx = self.store().begin().await?;
        let project = projects::lock(&mut tx, id).await?.ok_or(Error::NotFound(Kind::Project))?;
        projects::delete(&mut tx, id).await?;
        let event = format!("Deleted project {}", project.name);
        // The event belongs to the organization: the project's own go with it.
        let place = Place::organization(project.organization_id);
        audit::record(&mut tx, by, place, AuditAction::Delete, ("project", ""), event).await?;
        self.commit(tx, Some(id)).await?;
        self.nudge_cleaning();
        Ok(())
    }
}

fn refuse_credits(asked: Option<f64>) -> Result<()> {
    match asked {
        Some(_) => Err(Error::invalid("credits: a limit of credits cannot be enforced yet; leave it out or send null")),
        None => Ok(()),
    }
}

fn refuse_origins(asked: Option<&[String]>) -> Result<()> {
    match asked {
        Some(origins) if !origins.is_empty() => {
            Err(Error::invalid("cors_origins: other origins are not offered yet; leave the list empty"))
        }
        _ => Ok(()),
    }
}
