//! Projects: what everything else lives in.

use modelyard_types::Timestamp;
use modelyard_types::ids::{ContainerId, OrganizationId, ProjectId};
use modelyard_types::labels::Labels;
use modelyard_types::names::ResourceName;
use modelyard_types::network::Egress;
use modelyard_types::projects::ProjectResourceUsage;

use crate::buckets;
use crate::db::Source;
use crate::error::Result;
use crate::files;
use crate::leftovers::{self, Leftover};
use crate::sql::{row, statements};
use crate::tx::Tx;
use crate::value::values;

row! {
    /// A project.
    pub struct Project {
        /// Its id.
        pub id: ProjectId,
        /// The organization that owns it.
        pub organization_id: OrganizationId,
        /// Its name, unique in the installation.
        pub name: ResourceName,
        /// Whether roles may be assigned on single objects.
        pub advanced_permissions: bool,
        /// The limit of credits; none when absent.
        pub credits: Option<f64>,
        /// Whether it takes no requests.
        pub suspended: bool,
        /// Why it is suspended.
        pub suspended_reason: Option<String>,
        /// Origins whose pages may call the API.
        pub cors_origins: Vec<String>,
        /// Labels.
        pub labels: Labels,
        /// What its instances may reach in the network; what the server gives to everybody when absent.
        pub egress: Option<Egress>,
        /// When it was made.
        pub created_at: Timestamp,
        /// When it was last changed.
        pub updated_at: Timestamp,
    }
}

statements! {
    INSERT = "INSERT INTO projects (", Project::COLUMNS, ") VALUES (", Project::MARKS, ")";
    GET = "SELECT ", Project::COLUMNS, " FROM projects WHERE id = $1";
    BY_NAME = "SELECT ", Project::COLUMNS, " FROM projects WHERE name = $1";
    LIST = "SELECT ", Project::COLUMNS, " FROM projects ORDER BY name";
    LIST_OF = "SELECT ", Project::COLUMNS, " FROM projects WHERE organization_id = $1 ORDER BY name";
    UPDATE = "UPDATE projects SET ", Project::ASSIGNMENTS, " WHERE id = $1";
    RESOURCES = "SELECT
        (SELECT COUNT(*) FROM deployments WHERE project_id = $1),
        (SELECT COUNT(*) FROM versions WHERE project_id = $1),
        (SELECT COUNT(*) FROM environments WHERE project_id = $1 AND NOT implicit),
        (SELECT COUNT(*) FROM buckets WHERE project_id = $1)";
    DELETE_DEPLOYMENTS = "DELETE FROM deployments WHERE project_id = $1";
    DELETE_ENVIRONMENTS = "DELETE FROM environments WHERE project_id = $1";
    DELETE_INSTANCE_TYPE_GROUPS = "DELETE FROM instance_type_groups WHERE project_id = $1";
    DELETE = "DELETE FROM projects WHERE id = $1";
}

/// Adds a project with its default bucket; refused when the name is taken.
pub async fn insert(tx: &mut Tx, project: &Project) -> Result<()> {
    tx.run(INSERT, project.values()).await?;
    buckets::insert_default(tx, project.id).await
}

/// The project of an id.
pub async fn get(on: impl Source<'_>, id: ProjectId) -> Result<Option<Project>> {
    on.first(GET, values![id]).await
}

/// The project of a name.
pub async fn get_by_name(on: impl Source<'_>, name: &str) -> Result<Option<Project>> {
    on.first(BY_NAME, values![name]).await
}

/// The project of an id, kept from other changes until the transaction has ended.
pub async fn lock(tx: &mut Tx, id: ProjectId) -> Result<Option<Project>> {
    tx.locked(GET, values![id]).await
}

/// All projects by name, or those of an organization.
pub async fn list(on: impl Source<'_>, of: Option<OrganizationId>) -> Result<Vec<Project>> {
    match of {
        Some(organization) => on.all(LIST_OF, values![organization]).await,
        None => on.all(LIST, values![]).await,
    }
}

/// Writes all fields of a project; false when it is gone.
pub async fn update(tx: &mut Tx, project: &Project) -> Result<bool> {
    Ok(tx.run(UPDATE, project.values()).await? == 1)
}

/// Removes a project with everything in it; false when it is gone. Requests, logs and stored bytes become leftovers.
pub async fn delete(tx: &mut Tx, id: ProjectId) -> Result<bool> {
    leftovers::note_objects_of_project(tx, id).await?;
    leftovers::note(tx, Leftover::Project(id)).await?;
    files::close_container(tx, ContainerId(id.0)).await?;
    tx.run(DELETE_DEPLOYMENTS, values![id]).await?;
    tx.run(DELETE_ENVIRONMENTS, values![id]).await?;
    tx.run(DELETE_INSTANCE_TYPE_GROUPS, values![id]).await?;
    buckets::delete_of_project(tx, id).await?;
    Ok(tx.run(DELETE, values![id]).await? == 1)
}

/// What a project holds.
pub async fn resources(on: impl Source<'_>, id: ProjectId) -> Result<ProjectResourceUsage> {
    let (deployments, deployment_versions, environments, buckets) = on.one(RESOURCES, values![id]).await?;
    Ok(ProjectResourceUsage {
        deployments,
        deployment_versions,
        environments,
        buckets,
        ..ProjectResourceUsage::default()
    })
}
