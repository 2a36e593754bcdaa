//! The rules of deployment versions.

mod settings;

use modelyard_store::{Deployment, Refusal, Tx, Version, deployments, versions};
use modelyard_types::audit::AuditAction;
use modelyard_types::release::ClientRelease;
use modelyard_types::versions::{DeploymentVersionCreate, DeploymentVersionUpdate, VersionStatus};
use modelyard_types::{DeploymentId, Error, Kind, ProjectId, Result, Timestamp, VersionId};

use crate::Control;
use crate::access::Actor;
use crate::audit::{self, Changes, Place};
use crate::environments::{self, Wish};
use crate::instance_type_groups::{self, Asked};

impl Control {
    /// Creates a version; the first of a deployment becomes its default at once, even before it has code.
    pub async fn create_version(
        &self,
        by: &Actor,
        project: ProjectId,
        deployment: DeploymentId,
        new: DeploymentVersionCreate,
        release: Option<ClientRelease>,
    ) -> Result<Version> {
        let mut tx = self.store().begin().await?;
        let mut parent = lock_deployment(&mut tx, project, deployment).await?;
        let environment = environments::choose(
            &mut tx,
            project,
            &Wish::of_create(&new, release),
            None,
            self.settings().without_r.as_deref(),
        )
        .await?;
        let choice = instance_type_groups::choose(&mut tx, project, &Asked::of_create(&new)).await?;
        let version = settings::new_version(&parent, environment, choice, new)?;
        let taken = format!("version '{}' of deployment '{}' already exists", version.name, parent.name);
        versions::insert(&mut tx, &version).await.taken(taken)?;
        if parent.default_version_id.is_none() {
            parent.default_version_id = Some(version.id);
            deployments::update(&mut tx, &parent).await?;
        }
        let event = format!("Created version {} for deployment {}", version.name, parent.name);
        let subject = ("deployment_version", version.name.as_str());
        audit::record(&mut tx, by, Place::deployment(project, deployment), AuditAction::Create, subject, event).await?;
        self.commit(tx, Some(project)).await?;
        Ok(version)
    }

    /// Changes a version. Instances are renewed when the change concerns them.
    pub async fn update_version(
        &self,
        by: &Actor,
        project: ProjectId,
        deployment: DeploymentId,
        id: VersionId,
        change: DeploymentVersionUpdate,
        release: Option<ClientRelease>,
    ) -> Result<Version> {
        let mut tx = self.store().begin().await?;
        let parent = lock_deployment(&mut tx, project, deployment).await?;
        let choice = instance_type_groups::choose(&mut tx, project, &Asked::of_update(&change)).await?;
        let old = lock_version(&mut tx, deployment, id).await?;
        let wish = Wish::of_update(&change, release);
        let mut new = settings::changed_version(old.clone(), choice.as_ref(), change)?;
        let mut changes = settings::differences(&old, &new);
        if old.instance_type_group_id != new.instance_type_group_id {
            let names = (
                instance_type_groups::name_of(&mut tx, &old).await?,
                instance_type_groups::name_of(&mut tx, &new).await?,
            );
            changes.note("instance_type_group", names.0, names.1);
        }
        wish.check_tag()?;
        if wish.names_one() {
            let environment = environments::choose(
                &mut tx,
                project,
                &wish,
                Some(old.base_environment_id),
                self.settings().without_r.as_deref(),
            )
            .await?;
            if environment.id != new.base_environment_id {
                let before = environments::name_of(&mut tx, new.base_environment_id).await?;
                changes.note("environment", before, &environment.name);
                environments::switch(&mut tx, by, &mut new, environment).await?;
            }
        }
        if changes.is_empty() {
            return Ok(old);
        }
        let before = instance_type_groups::kinds_of(&mut tx, &old).await?;
        if settings::needs_new_instances(&old, &new) || choice.is_some_and(|choice| !choice.keeps(&before)) {
            new.generation += 1;
        }
        new.updated_at = Timestamp::now();
        let taken = format!("version '{}' of deployment '{}' already exists", new.name, parent.name);
        versions::update(&mut tx, &new).await.taken(taken)?;
        record_update(&mut tx, by, &parent, &old, &changes, &new).await?;
        self.commit(tx, Some(project)).await?;
        self.nudge_builds();
        self.nudge_scaling();
        Ok(new)
    }

    /// Deletes a version. A deployment that had it as its default has none afterwards.
    pub async fn delete_version(
        &self,
        by: &Actor,
        project: ProjectId,
        deployment: DeploymentId,
        id: VersionId,
    ) -> Result<()> {
        let mut tx = self.store().begin().await?;
        let parent = lock_deployment(&mut tx, project, deployment).await?;
        let version = lock_version(&mut tx, deployment, id).await?;
        versions::delete(&mut tx, id).await?;
        environments::drop_implicit(&mut tx, project, std::slice::from_ref(&version)).await?;
        modelyard_store::audit::forget_version(&mut tx, deployment, version.name.as_str()).await?;
        let event = format!("Deleted version {} of deployment {}", version.name, parent.name);
        let place = Place::deployment(project, deployment);
        audit::record(&mut tx, by, place, AuditAction::Delete, ("deployment_version", ""), event).await?;
        self.commit(tx, Some(project)).await?;
        self.nudge_cleaning();
        Ok(())
    }
}

async fn record_update(
    tx: &mut Tx,
    by: &Actor,
    parent: &Deployment,
    old: &Version,
    changes: &Changes,
    new: &Version,
) -> Result<()> {
    let event = changes.sentence(&format!("version {} of deployment {}", old.name, parent.name));
    let subject = ("deployment_version", new.name.as_str());
    audit::record(tx, by, Place::deployment(parent.project_id, parent.id), AuditAction::Update, subject, event).await
}

/// A deployment of a project, kept from other changes until the transaction ends.
pub(crate) async fn lock_deployment(tx: &mut Tx, project: ProjectId, id: DeploymentId) -> Result<Deployment> {
    let found = deployments::lock(tx, id).await?.filter(|found| found.project_id == project);
    found.ok_or(Error::NotFound(Kind::Deployment))
}

/// A version of a deployment, kept from other changes until the transaction ends.
pub(crate) async fn lock_version(tx: &mut Tx, deployment: DeploymentId, id: VersionId) -> Result<Version> {
    let found = versions::lock(tx, id).await?.filter(|found| found.deployment_id == deployment);
    found.ok_or(Error::NotFound(Kind::DeploymentVersion))
}

/// Has instances replaced: worker processes were told names and fields at their start, and these changed.
pub(crate) async fn renew_instances(tx: &mut Tx, mut concerned: Vec<Version>) -> Result<()> {
    // In one order everywhere: two who lock the same rows must not wait for each other.
    concerned.sort_by_key(|version| version.id);
    for version in concerned {
        // Read again under its lock: a build of it may end at this moment.
        if let Some(mut version) = versions::lock(tx, version.id).await? {
            version.generation += 1;
            versions::update(tx, &version).await?;
        }
    }
    Ok(())
}

/// Where a version stands that just lost or got code: it is available as long as a revision serves.
pub(crate) fn status_while_building(version: &Version) -> VersionStatus {
    match version.active_revision_id {
        Some(_) => VersionStatus::Available,
        None => VersionStatus::Building,
    }
}
