//! Organizations.

use modelyard_types::Timestamp;
use modelyard_types::ids::OrganizationId;
use modelyard_types::names::ResourceName;
use modelyard_types::organizations::ResourceUsage;

use crate::db::Source;
use crate::error::Result;
use crate::sql::{row, statements};
use crate::tx::Tx;
use crate::value::values;

row! {
    /// An organization.
    pub struct Organization {
        /// Its id.
        pub id: OrganizationId,
        /// Its name, unique in the installation.
        pub name: ResourceName,
        /// The name of its subscription.
        pub subscription: String,
        /// The first day of the subscription.
        pub subscription_start_date: Option<String>,
        /// The last day of the subscription.
        pub subscription_end_date: Option<String>,
        /// `active`.
        pub status: String,
        /// Whether users need a second factor.
        pub two_factor_forced: bool,
        /// When it was made.
        pub created_at: Timestamp,
    }
}

statements! {
    INSERT = "INSERT INTO organizations (", Organization::COLUMNS, ") VALUES (", Organization::MARKS, ")";
    GET = "SELECT ", Organization::COLUMNS, " FROM organizations WHERE id = $1";
    BY_NAME = "SELECT ", Organization::COLUMNS, " FROM organizations WHERE name = $1";
    LIST = "SELECT ", Organization::COLUMNS, " FROM organizations ORDER BY name";
    UPDATE = "UPDATE organizations SET ", Organization::ASSIGNMENTS, " WHERE id = $1";
    RESOURCES = "SELECT
        (SELECT COUNT(*) FROM projects WHERE organization_id = $1),
        (SELECT COUNT(*) FROM users),
        (SELECT COUNT(*) FROM deployments WHERE project_id IN (SELECT id FROM projects WHERE organization_id = $1)),
        (SELECT COUNT(*) FROM versions WHERE project_id IN (SELECT id FROM projects WHERE organization_id = $1)),
        (SELECT COUNT(*) FROM environments WHERE NOT implicit
            AND project_id IN (SELECT id FROM projects WHERE organization_id = $1)),
        (SELECT COUNT(*) FROM buckets WHERE project_id IN (SELECT id FROM projects WHERE organization_id = $1))";
}

/// Adds an organization; refused when the name is taken.
pub async fn insert(tx: &mut Tx, organization: &Organization) -> Result<()> {
    tx.run(INSERT, organization.values()).await.map(drop)
}

/// The organization of an id.
pub async fn get(on: impl Source<'_>, id: OrganizationId) -> Result<Option<Organization>> {
    on.first(GET, values![id]).await
}

/// The organization of a name.
pub async fn get_by_name(on: impl Source<'_>, name: &str) -> Result<Option<Organization>> {
    on.first(BY_NAME, values![name]).await
}

/// The organization of an id, kept from other changes until the transaction has ended.
pub async fn lock(tx: &mut Tx, id: OrganizationId) -> Result<Option<Organization>> {
    tx.locked(GET, values![id]).await
}

/// All organizations by name.
pub async fn list(on: impl Source<'_>) -> Result<Vec<Organization>> {
    on.all(LIST, values![]).await
}

/// Writes all fields of an organization; false when it is gone.
pub async fn update(tx: &mut Tx, organization: &Organization) -> Result<bool> {
    Ok(tx.run(UPDATE, organization.values()).await? == 1)
}

/// What an organization holds.
pub async fn resources(on: impl Source<'_>, id: OrganizationId) -> Result<ResourceUsage> {
    let (projects, users, deployments, deployment_versions, environments, buckets) =
        on.one(RESOURCES, values![id]).await?;
    Ok(ResourceUsage {
        projects,
        users,
        deployments,
        deployment_versions,
        environments,
        buckets,
        ..ResourceUsage::default()
    })
}
