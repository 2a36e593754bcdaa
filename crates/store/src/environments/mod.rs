//! Environments: an interpreter and what is installed for it. Their tags, revisions and builds have files of their own.

pub mod builds;
pub mod outdated;
pub mod revisions;
pub mod tags;

use modelyard_types::Timestamp;
use modelyard_types::ids::{EnvironmentId, ProjectId};
use modelyard_types::labels::Labels;

pub use builds::EnvironmentBuild;
pub use revisions::EnvironmentRevision;
pub use tags::Tag;

use crate::db::Source;
use crate::error::Result;
use crate::leftovers;
use crate::sql::{row, statements};
use crate::tx::Tx;
use crate::value::values;

row! {
    /// An environment.
    pub struct Environment {
        /// Its id.
        pub id: EnvironmentId,
        /// Its project; none for base environments.
        pub project_id: Option<ProjectId>,
        /// Its name, unique in the project and among the base environments.
        pub name: String,
        /// Its name for people.
        pub display_name: String,
        /// What it is for.
        pub description: String,
        /// Labels.
        pub labels: Labels,
        /// The environment it builds on; none for base environments.
        pub base_environment_id: Option<EnvironmentId>,
        /// Whether it was made from the dependency files of a deployment package.
        pub implicit: bool,
        /// Whether interfaces leave it out.
        pub hidden: bool,
        /// Whether it is a base environment.
        pub system: bool,
        /// Whether it needs an accelerator.
        pub gpu_required: bool,
        /// Whether it should no longer be chosen.
        pub deprecated: bool,
        /// Whether deployments that take requests can use it.
        pub supports_request_format: bool,
        /// The version of its interpreter, such as `3.11`.
        pub interpreter: String,
        /// When it was made.
        pub created_at: Timestamp,
        /// When it was last changed.
        pub updated_at: Timestamp,
    }
}

statements! {
    INSERT = "INSERT INTO environments (", Environment::COLUMNS, ") VALUES (", Environment::MARKS, ")";
    GET = "SELECT ", Environment::COLUMNS, " FROM environments WHERE id = $1";
    BY_NAME = "SELECT ", Environment::COLUMNS, " FROM environments
        WHERE (project_id = $1 OR project_id IS NULL) AND name = $2 ORDER BY (project_id IS NULL) LIMIT 1";
    LIST = "SELECT ", Environment::COLUMNS, " FROM environments WHERE project_id = $1 ORDER BY name";
    LIST_BASE = "SELECT ", Environment::COLUMNS, " FROM environments WHERE project_id IS NULL ORDER BY name";
    ON_TOP = "SELECT ", Environment::COLUMNS, " FROM environments WHERE base_environment_id = $1 ORDER BY id";
    UPDATE = "UPDATE environments SET ", Environment::ASSIGNMENTS, " WHERE id = $1";
    DELETE = "DELETE FROM environments WHERE id = $1";
}

/// Adds an environment; refused when the name is taken, or the project or base gone.
pub async fn insert(tx: &mut Tx, environment: &Environment) -> Result<()> {
    tx.run(INSERT, environment.values()).await.map(drop)
}

/// The environment of an id.
pub async fn get(on: impl Source<'_>, id: EnvironmentId) -> Result<Option<Environment>> {
    on.first(GET, values![id]).await
}

/// The environment of an id, kept from other changes until the transaction has ended.
pub async fn lock(tx: &mut Tx, id: EnvironmentId) -> Result<Option<Environment>> {
    tx.locked(GET, values![id]).await
}

/// The environments that build on one.
pub async fn on_top_of(on: impl Source<'_>, id: EnvironmentId) -> Result<Vec<Environment>> {
    on.all(ON_TOP, values![id]).await
}

/// The environment of a name: the project's, else the base environment.
pub async fn get_by_name(on: impl Source<'_>, project: ProjectId, name: &str) -> Result<Option<Environment>> {
    on.first(BY_NAME, values![project, name]).await
}

/// The environments of a project by name; without the base environments.
pub async fn list(on: impl Source<'_>, project: ProjectId) -> Result<Vec<Environment>> {
    on.all(LIST, values![project]).await
}

/// The base environments by name.
pub async fn list_base(on: impl Source<'_>) -> Result<Vec<Environment>> {
    on.all(LIST_BASE, values![]).await
}

/// Writes all fields of an environment; false when it is gone.
pub async fn update(tx: &mut Tx, environment: &Environment) -> Result<bool> {
    Ok(tx.run(UPDATE, environment.values()).await? == 1)
}

/// Removes an environment; false when it is gone, refused when versions or other environments use it.
pub async fn delete(tx: &mut Tx, id: EnvironmentId) -> Result<bool> {
    leftovers::note_objects_of_environment(tx, id).await?;
    Ok(tx.run(DELETE, values![id]).await? == 1)
}
