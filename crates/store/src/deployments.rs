//! Deployments.

use modelyard_types::Timestamp;
use modelyard_types::fields::{Field, PayloadType};
use modelyard_types::ids::{DeploymentId, ProjectId, VersionId};
use modelyard_types::labels::Labels;
use modelyard_types::names::ResourceName;

use crate::db::Source;
use crate::error::Result;
use crate::leftovers;
use crate::sql::{row, statements};
use crate::tx::Tx;
use crate::value::values;

row! {
    /// A deployment.
    pub struct Deployment {
        /// Its id.
        pub id: DeploymentId,
        /// The project it belongs to.
        pub project_id: ProjectId,
        /// Its name, unique in the project.
        pub name: ResourceName,
        /// What it is for.
        pub description: String,
        /// Whether requests carry fields or text; neither for deployments without requests.
        pub input_type: Option<PayloadType>,
        /// Whether results carry fields or text; neither for deployments without requests.
        pub output_type: Option<PayloadType>,
        /// The fields of requests.
        pub input_fields: Vec<Field>,
        /// The fields of results.
        pub output_fields: Vec<Field>,
        /// Labels.
        pub labels: Labels,
        /// Whether it takes requests.
        pub supports_request_format: bool,
        /// The version that requests without one go to.
        pub default_version_id: Option<VersionId>,
        /// When it was made.
        pub created_at: Timestamp,
        /// When it was last changed.
        pub updated_at: Timestamp,
    }
}

statements! {
    INSERT = "INSERT INTO deployments (", Deployment::COLUMNS, ") VALUES (", Deployment::MARKS, ")";
    GET = "SELECT ", Deployment::COLUMNS, " FROM deployments WHERE id = $1";
    BY_NAME = "SELECT ", Deployment::COLUMNS, " FROM deployments WHERE project_id = $1 AND name = $2";
    LIST = "SELECT ", Deployment::COLUMNS, " FROM deployments WHERE project_id = $1 ORDER BY name";
    VERSION_COUNTS = "SELECT deployment_id, COUNT(*) FROM versions WHERE project_id = $1 GROUP BY deployment_id";
    COUNT = "SELECT COUNT(*) FROM deployments WHERE project_id = $1";
    UPDATE = "UPDATE deployments SET ", Deployment::ASSIGNMENTS, " WHERE id = $1";
    DELETE = "DELETE FROM deployments WHERE id = $1";
}

/// Adds a deployment; refused when the name is taken or the project gone.
pub async fn insert(tx: &mut Tx, deployment: &Deployment) -> Result<()> {
    tx.run(INSERT, deployment.values()).await.map(drop)
}

/// The deployment of an id.
pub async fn get(on: impl Source<'_>, id: DeploymentId) -> Result<Option<Deployment>> {
    on.first(GET, values![id]).await
}

/// The deployment of a name.
pub async fn get_by_name(on: impl Source<'_>, project: ProjectId, name: &str) -> Result<Option<Deployment>> {
    on.first(BY_NAME, values![project, name]).await
}

/// The deployment of an id, kept from other changes until the transaction has ended.
pub async fn lock(tx: &mut Tx, id: DeploymentId) -> Result<Option<Deployment>> {
    tx.locked(GET, values![id]).await
}

/// The deployments of a project by name.
pub async fn list(on: impl Source<'_>, project: ProjectId) -> Result<Vec<Deployment>> {
    on.all(LIST, values![project]).await
}

/// How many versions each deployment of a project has; those without any are left out.
pub async fn version_counts(on: impl Source<'_>, project: ProjectId) -> Result<Vec<(DeploymentId, i64)>> {
    on.all(VERSION_COUNTS, values![project]).await
}

/// How many deployments a project has.
pub async fn count(on: impl Source<'_>, project: ProjectId) -> Result<i64> {
    let (count,) = on.one(COUNT, values![project]).await?;
    Ok(count)
}

/// Writes all fields of a deployment; false when it is gone.
pub async fn update(tx: &mut Tx, deployment: &Deployment) -> Result<bool> {
    Ok(tx.run(UPDATE, deployment.values()).await? == 1)
}

/// Removes a deployment with its versions; false when it is gone. Requests and stored bytes become leftovers.
pub async fn delete(tx: &mut Tx, id: DeploymentId) -> Result<bool> {
    leftovers::note_all_of_deployment(tx, id).await?;
    Ok(tx.run(DELETE, values![id]).await? == 1)
}
