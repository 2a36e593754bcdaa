//! Environment variables of projects, deployments, versions, and of the builds of environment tags.

use bytes::Bytes;
use modelyard_types::Timestamp;
use modelyard_types::ids::{DeploymentId, ProjectId, TagId, VariableId, VersionId};
use uuid::Uuid;

use crate::db::Source;
use crate::error::Result;
use crate::sql::{row, statements};
use crate::tx::Tx;
use crate::value::values;

row! {
    /// An environment variable.
    pub struct Variable {
        /// Its id.
        pub id: VariableId,
        /// The project it lies in.
        pub project_id: ProjectId,
        /// The deployment it belongs to.
        pub deployment_id: Option<DeploymentId>,
        /// The version it belongs to.
        pub version_id: Option<VersionId>,
        /// The environment tag it belongs to.
        pub tag_id: Option<TagId>,
        /// The id of what it belongs to.
        pub owner_id: Uuid,
        /// Its name, unique among those of its owner.
        pub name: String,
        /// Its value; none when it is a secret.
        pub value: Option<String>,
        /// The value of a secret, encrypted.
        pub sealed: Option<Bytes>,
        /// The key that a secret is encrypted with.
        pub key_id: Option<String>,
        /// When it was made.
        pub created_at: Timestamp,
        /// When it was last changed.
        pub updated_at: Timestamp,
    }
}

impl Variable {
    /// Whether its value is never shown.
    pub fn is_secret(&self) -> bool {
        self.sealed.is_some()
    }
}

statements! {
    INSERT = "INSERT INTO variables (", Variable::COLUMNS, ") VALUES (", Variable::MARKS, ")";
    GET = "SELECT ", Variable::COLUMNS, " FROM variables WHERE id = $2 AND owner_id = $1";
    BY_NAME = "SELECT ", Variable::COLUMNS, " FROM variables WHERE owner_id = $1 AND name = $2";
    LIST = "SELECT ", Variable::COLUMNS, " FROM variables WHERE owner_id = $1 ORDER BY name";
    LIST_OF_VERSION = "SELECT ", Variable::COLUMNS, " FROM variables WHERE owner_id IN ($1, $2, $3) ORDER BY name";
    NAMED = "SELECT ", Variable::COLUMNS, " FROM variables
        WHERE project_id = $1 AND name = $2 AND tag_id IS NULL ORDER BY id";
    UPDATE = "UPDATE variables SET ", Variable::ASSIGNMENTS, " WHERE id = $1";
    DELETE = "DELETE FROM variables WHERE id = $1";
    KEYS = "SELECT key_id, COUNT(*) FROM variables WHERE key_id IS NOT NULL GROUP BY key_id ORDER BY key_id";
    SEALED_OTHERWISE = "SELECT ", Variable::COLUMNS, " FROM variables
        WHERE key_id IS NOT NULL AND key_id <> $1 ORDER BY id LIMIT $2";
}

/// Adds a variable; refused when its owner has one of that name, or is gone.
pub async fn insert(tx: &mut Tx, variable: &Variable) -> Result<()> {
    tx.run(INSERT, variable.values()).await.map(drop)
}

/// The variable of an id, if it is the owner's.
pub async fn get(on: impl Source<'_>, owner: Uuid, id: VariableId) -> Result<Option<Variable>> {
    on.first(GET, values![owner, id]).await
}

/// The owner's variable of a name.
pub async fn get_by_name(on: impl Source<'_>, owner: Uuid, name: &str) -> Result<Option<Variable>> {
    on.first(BY_NAME, values![owner, name]).await
}

/// The variables of an owner by name.
pub async fn list(on: impl Source<'_>, owner: Uuid) -> Result<Vec<Variable>> {
    on.all(LIST, values![owner]).await
}

/// The variables of a version, its deployment and its project by name.
pub async fn list_of_version(
    on: impl Source<'_>,
    project: ProjectId,
    deployment: DeploymentId,
    version: VersionId,
) -> Result<Vec<Variable>> {
    on.all(LIST_OF_VERSION, values![project, deployment, version]).await
}

/// All variables of a name in a project, its deployments and their versions.
pub async fn named(on: impl Source<'_>, project: ProjectId, name: &str) -> Result<Vec<Variable>> {
    on.all(NAMED, values![project, name]).await
}

/// Writes all fields of a variable; refused when its owner has another of that name, false when it is gone.
pub async fn update(tx: &mut Tx, variable: &Variable) -> Result<bool> {
    Ok(tx.run(UPDATE, variable.values()).await? == 1)
}

/// Removes a variable; false when it is gone.
pub async fn delete(tx: &mut Tx, id: VariableId) -> Result<bool> {
    Ok(tx.run(DELETE, values![id]).await? == 1)
}

/// The keys that secrets are encrypted with, and how many with each.
pub async fn keys(on: impl Source<'_>) -> Result<Vec<(String, i64)>> {
    on.all(KEYS, values![]).await
}

/// Some secrets that are encrypted with another key than this one.
pub async fn sealed_otherwise(on: impl Source<'_>, key: &str, limit: i64) -> Result<Vec<Variable>> {
    on.all(SEALED_OTHERWISE, values![key, limit]).await
}
