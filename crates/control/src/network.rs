//! The rules of how far the code of a project reaches into the network.

use modelyard_store::{Project, projects, versions};
use modelyard_types::audit::AuditAction;
use modelyard_types::network::{Egress, ProjectNetwork, ProjectNetworkUpdate};
use modelyard_types::{Error, Kind, ProjectId, Result, Timestamp};

use crate::Control;
use crate::access::Actor;
use crate::audit::{self, Changes, Place};
use crate::versions::renew_instances;

impl Control {
    /// How far the instances of a project reach.
    pub async fn project_network(&self, id: ProjectId) -> Result<ProjectNetwork> {
        let project = projects::get(self.store(), id).await?.ok_or(Error::NotFound(Kind::Project))?;
        Ok(self.network_of(&project))
    }

    /// Changes that. Instances are replaced; what they have begun is finished as it was begun.
    pub async fn update_project_network(
        &self,
        by: &Actor,
        id: ProjectId,
        change: ProjectNetworkUpdate,
    ) -> Result<ProjectNetwork> {
        if let Some(wanted) = change.egress.value() {
            let reach = &self.settings().reach;
            reach.of(Some(*wanted)).map_err(|why| Error::invalid(format!("egress: {why}")))?;
        }
        let mut tx = self.store().begin().await?;
        let old = projects::lock(&mut tx, id).await?.ok_or(Error::NotFound(Kind::Project))?;
        let new = Project { egress: change.egress.or_clear(old.egress), ..old.clone() };
        let mut changes = Changes::default();
        changes.note("egress", word(old.egress), word(new.egress));
        if changes.is_empty() {
            return Ok(self.network_of(&old));
        }
        let new = Project { updated_at: Timestamp::now(), ..new };
        projects::update(&mut tx, &new).await?;
        let concerned = versions::list_of_project(&mut tx, id).await?;
        renew_instances(&mut tx, concerned).await?;
        let event = changes.sentence(&format!("the network of project {}", old.name));
        let subject = ("project", new.name.as_str());
        audit::record(&mut tx, by, Place::project(id), AuditAction::Update, subject, event).await?;
        self.commit(tx, Some(id)).await?;
        self.nudge_scaling();
        Ok(self.network_of(&new))
    }

    fn network_of(&self, project: &Project) -> ProjectNetwork {
        let reach = &self.settings().reach;
        let (egress, problem) = match reach.of(project.egress) {
            Ok(egress) => (egress, None),
            Err(problem) => (project.egress, Some(problem)),
        };
        ProjectNetwork { egress, chosen: project.egress, server: reach.mode.as_str().to_owned(), problem }
    }
}

fn word(egress: Option<Egress>) -> &'static str {
    egress.map_or("", Egress::as_str)
}
