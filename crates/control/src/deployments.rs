//! The rules of deployments.

use modelyard_store::{Deployment, Refusal, deployments, versions};
use modelyard_types::audit::AuditAction;
use modelyard_types::deployments::{DeploymentCreate, DeploymentUpdate};
use modelyard_types::fields::{Field, PayloadType};
use modelyard_types::versions::VersionStatus;
use modelyard_types::{DeploymentId, Error, Kind, Patch, ProjectId, Result, Timestamp};

use crate::Control;
use crate::access::Actor;
use crate::audit::{self, Changes, Place};
use crate::versions::{lock_deployment, renew_instances};

impl Control {
    /// Creates a deployment.
    pub async fn create_deployment(&self, by: &Actor, project: ProjectId, new: DeploymentCreate) -> Result<Deployment> {
        let now = Timestamp::now();
        let deployment = Deployment {
            id: DeploymentId::new(),
            project_id: project,
            name: new.name,
            description: new.description.unwrap_or_default(),
            input_type: new.input_type,
            output_type: new.output_type,
            input_fields: new.input_fields.unwrap_or_default(),
            output_fields: new.output_fields.unwrap_or_default(),
            labels: new.labels.unwrap_or_default(),
            supports_request_format: true,
            default_version_id: None,
            created_at: now,
            updated_at: now,
        };
        let mut tx = self.store().begin().await?;
        deployments::insert(&mut tx, &deployment).await.taken(taken(&deployment)).missing("Project was not found")?;
        let place = Place::deployment(project, deployment.id);
        let event = format!("Created deployment {}", deployment.name);
        audit::record(&mut tx, by, place, AuditAction::Create, ("deployment", deployment.name.as_str()), event).await?;
        self.commit(tx, Some(project)).await?;
        Ok(deployment)
    }

    /// Changes a deployment. Types cannot change; a default version must be available.
    pub async fn update_deployment(
        &self,
        by: &Actor,
        project: ProjectId,
        id: DeploymentId,
        change: DeploymentUpdate,
    ) -> Result<Deployment> {
        let mut tx = self.store().begin().await?;
        let old = lock_deployment(&mut tx, project, id).await?;
        let mut new = old.clone();
        new.name = change.name.or(new.name);
        if change.description.is_sent() {
            new.description = change.description.or_clear(None).unwrap_or_default();
        }
        if change.labels.is_sent() {
            new.labels = change.labels.or_clear(None).unwrap_or_default();
        }
        new.input_fields = new_fields("input", new.input_type, change.input_fields, new.input_fields)?;
        new.output_fields = new_fields("output", new.output_type, change.output_fields, new.output_fields)?;
        let mut changes = Changes::default();
        if let Patch::Set(name) = change.default_version {
            let version =
                versions::get_by_name(&mut tx, id, &name).await?.ok_or(Error::NotFound(Kind::DeploymentVersion))?;
            if old.default_version_id != Some(version.id) {
                if version.status != VersionStatus::Available {
                    return Err(Error::invalid("Default cannot be set to an unavailable version"));
                }
                let before = match old.default_version_id {
                    Some(id) => versions::get(&mut tx, id).await?.map(|version| version.name.to_string()),
                    None => None,
                };
                changes.note("default_version", before.unwrap_or_default(), &version.name);
                new.default_version_id = Some(version.id);
            }
        }
        changes.note("name", &old.name, &new.name);
        changes.note("description", &old.description, &new.description);
        changes.note_json("labels", &old.labels, &new.labels);
        changes.note_json("input_fields", &old.input_fields, &new.input_fields);
        changes.note_json("output_fields", &old.output_fields, &new.output_fields);
        if changes.is_empty() {
            return Ok(old);
        }
        new.updated_at = Timestamp::now();
        deployments::update(&mut tx, &new).await.taken(taken(&new))?;
        if old.name != new.name || old.input_fields != new.input_fields || old.output_fields != new.output_fields {
            let concerned = versions::list(&mut tx, id).await?;
            renew_instances(&mut tx, concerned).await?;
        }
        let event = changes.sentence(&format!("deployment {}", old.name));
        let place = Place::deployment(project, id);
        audit::record(&mut tx, by, place, AuditAction::Update, ("deployment", new.name.as_str()), event).await?;
        self.commit(tx, Some(project)).await?;
        self.nudge_scaling();
        Ok(new)
    }

    /// Deletes a deployment with its versions.
    pub async fn delete_deployment(&self, by: &Actor, project: ProjectId, id: DeploymentId) -> Result<()> {
        let mut tx = self.store().begin().await?;
        let deployment = lock_deployment(&mut tx, project, id).await?;
        let versions = versions::list(&mut tx, id).await?;
        deployments::delete(&mut tx, id).await?;
        crate::environments::drop_implicit(&mut tx, project, &versions).await?;
        modelyard_store::audit::forget_deployment(&mut tx, id).await?;
        let event = format!("Deleted deployment {}", deployment.name);
        let place = Place::deployment(project, id);
        audit::record(&mut tx, by, place, AuditAction::Delete, ("deployment", ""), event).await?;
        self.commit(tx, Some(project)).await?;
        self.nudge_cleaning();
        Ok(())
    }
}

fn taken(deployment: &Deployment) -> String {
    format!("deployment '{}' already exists", deployment.name)
}

fn new_fields(
    side: &str,
    kind: Option<PayloadType>,
    change: Patch<Vec<Field>>,
    current: Vec<Field>,
) -> Result<Vec<Field>> {
    let fields = match change {
        Patch::Keep | Patch::Clear => return Ok(current),
        Patch::Set(fields) => fields,
    };
    match kind {
        Some(PayloadType::Plain) if !fields.is_empty() => {
            Err(Error::Invalid(format!("{side}_fields must be empty, since {side}_type is plain")))
        }
        Some(PayloadType::Structured) if fields.is_empty() => {
            Err(Error::Invalid(format!("{side}_fields must name at least one field, since {side}_type is structured")))
        }
        _ => Ok(fields),
    }
}
