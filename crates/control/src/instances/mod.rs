//! Instances as people see them: lists, their events, and stopping one.
//!
//! What runs on this server is known to its fleet, which the scaler plans with. Here are the rows that all servers show,
//! written by the journal.

mod history;
mod journal;
mod sentences;

use std::sync::Arc;

use modelyard_store::instances::{self, Cut};
use modelyard_store::{Instance, InstanceEvent};
use modelyard_types::audit::AuditAction;
use modelyard_types::instances::InstanceStatus;
use modelyard_types::{Error, InstanceId, Kind, Result, Timestamp};

use crate::Control;
use crate::access::Actor;
use crate::audit::{self, Place};
use crate::catalogue::ProjectSnapshot;

pub(crate) use history::History;
pub(crate) use journal::Journal;
pub use modelyard_store::instances::Scope as InstanceScope;
pub(crate) use sentences::Why;

/// An instance as it is shown.
#[derive(Clone, Debug)]
pub struct InstanceView {
    /// What is known of it.
    pub instance: Instance,
    /// The name of its deployment; none when that was deleted, and the instance finishes its work.
    pub deployment: Option<String>,
    /// The name of its version, likewise.
    pub version: Option<String>,
}

impl Control {
    /// Living instances of a version or a project.
    pub async fn list_instances(
        &self,
        project: &Arc<ProjectSnapshot>,
        scope: InstanceScope,
        statuses: &[InstanceStatus],
        cut: Cut,
        limit: i64,
    ) -> Result<Vec<InstanceView>> {
        self.0.journal.catch_up().await?;
        let rows = instances::list(self.store(), scope, statuses, cut, limit).await?;
        Ok(rows.into_iter().map(|row| named(project, row)).collect())
    }

    /// A living instance.
    pub async fn get_instance(
        &self,
        project: &Arc<ProjectSnapshot>,
        scope: InstanceScope,
        id: InstanceId,
    ) -> Result<InstanceView> {
        let row = self.find_instance(scope, id).await?;
        match row.ended_at {
            None => Ok(named(project, row)),
            Some(_) => Err(Error::NotFound(Kind::Instance)),
        }
    }

    /// What happened to an instance, also to one that ended.
    pub async fn instance_events(
        &self,
        scope: InstanceScope,
        id: InstanceId,
        cut: Cut,
        limit: i64,
    ) -> Result<Vec<InstanceEvent>> {
        self.find_instance(scope, id).await?;
        Ok(instances::events(self.store(), id, cut, limit).await?)
    }

    /// Stops an instance: what it began is finished, what waits goes to others. It stops also when another server runs it.
    pub async fn ask_instance_to_stop(
        &self,
        by: &Actor,
        project: &Arc<ProjectSnapshot>,
        scope: InstanceScope,
        id: InstanceId,
    ) -> Result<InstanceView> {
        let mut view = self.get_instance(project, scope, id).await?;
        if view.instance.status == InstanceStatus::Stopping {
            return Ok(view);
        }
        let now = Timestamp::now();
        let mut tx = self.store().begin().await?;
        let wanted = instances::want_stopped(&mut tx, id, &by.email, now).await?;
        if wanted {
            let place = Place::deployment(project.id, view.instance.deployment_id);
            audit::record(&mut tx, by, place, AuditAction::Update, ("instance", &id.to_string()), stopped(&view))
                .await?;
        }
        tx.commit().await?;
        self.0.begin_to_stop(id, Why::Asked(by.email.clone()));
        self.nudge_scaling();
        (view.instance.status, view.instance.updated_at) = (InstanceStatus::Stopping, now);
        Ok(view)
    }

    async fn find_instance(&self, scope: InstanceScope, id: InstanceId) -> Result<Instance> {
        self.0.journal.catch_up().await?;
        let found = instances::get(self.store(), id).await?.filter(|row| match scope {
            InstanceScope::Version(version) => row.version_id == version,
            InstanceScope::Project(project) => row.project_id == project,
        });
        found.ok_or(Error::NotFound(Kind::Instance))
    }
}

/// What the audit tells of an instance that somebody stopped.
fn stopped(view: &InstanceView) -> String {
    let id = view.instance.id;
    match (&view.version, &view.deployment) {
        (Some(version), Some(deployment)) => {
            format!("Stopped instance {id} of version {version} of deployment {deployment}")
        }
        _ => format!("Stopped instance {id}"),
    }
}

fn named(project: &ProjectSnapshot, instance: Instance) -> InstanceView {
    let place = project.version(instance.version_id);
    let names = place.map(|(deployment, version)| (deployment.name.to_string(), version.name.to_string()));
    let (deployment, version) = names.unzip();
    InstanceView { instance, deployment, version }
}
