//! Groups of kinds of instances that users made. The one that every project has for each kind has no row.

use modelyard_types::Timestamp;
use modelyard_types::ids::{InstanceTypeGroupId, ProjectId};
use modelyard_types::instance_type_groups::Member;

use crate::db::Source;
use crate::error::Result;
use crate::instances::Cut;
use crate::sql::{row, statements};
use crate::tx::Tx;
use crate::value::values;

row! {
    /// A group of kinds of instances.
    pub struct InstanceTypeGroup {
        /// Its id.
        pub id: InstanceTypeGroupId,
        /// The project it belongs to.
        pub project_id: ProjectId,
        /// Its name; several may have the same.
        pub name: String,
        /// Its kinds, in the order in which they are tried.
        pub members: Vec<Member>,
        /// When it was made.
        pub created_at: Timestamp,
        /// When it was last changed.
        pub updated_at: Timestamp,
    }
}

statements! {
    INSERT = "INSERT INTO instance_type_groups (", InstanceTypeGroup::COLUMNS, ") VALUES (", InstanceTypeGroup::MARKS, ")";
    GET = "SELECT ", InstanceTypeGroup::COLUMNS, " FROM instance_type_groups WHERE id = $1";
    FIRST_OF_NAME = "SELECT ", InstanceTypeGroup::COLUMNS, " FROM instance_type_groups
        WHERE project_id = $1 AND name = $2 ORDER BY id LIMIT 1";
    OF_PROJECT = "SELECT ", InstanceTypeGroup::COLUMNS, " FROM instance_type_groups WHERE project_id = $1 ORDER BY id";
    BELOW = "SELECT ", InstanceTypeGroup::COLUMNS, " FROM instance_type_groups
        WHERE project_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3";
    ABOVE = "SELECT ", InstanceTypeGroup::COLUMNS, " FROM instance_type_groups
        WHERE project_id = $1 AND id > $2 ORDER BY id LIMIT $3";
    UPDATE = "UPDATE instance_type_groups SET ", InstanceTypeGroup::ASSIGNMENTS, " WHERE id = $1";
    DELETE = "DELETE FROM instance_type_groups WHERE id = $1";
}

/// Adds a group; refused when the project is gone.
pub async fn insert(tx: &mut Tx, group: &InstanceTypeGroup) -> Result<()> {
    tx.run(INSERT, group.values()).await.map(drop)
}

/// The group of an id.
pub async fn get(on: impl Source<'_>, id: InstanceTypeGroupId) -> Result<Option<InstanceTypeGroup>> {
    on.first(GET, values![id]).await
}

/// The group of an id, kept from other changes until the transaction has ended.
pub async fn lock(tx: &mut Tx, id: InstanceTypeGroupId) -> Result<Option<InstanceTypeGroup>> {
    tx.locked(GET, values![id]).await
}

/// The oldest group of a name.
pub async fn first_of_name(on: impl Source<'_>, project: ProjectId, name: &str) -> Result<Option<InstanceTypeGroup>> {
    on.first(FIRST_OF_NAME, values![project, name]).await
}

/// All groups of a project, the oldest first.
pub async fn of_project(on: impl Source<'_>, project: ProjectId) -> Result<Vec<InstanceTypeGroup>> {
    on.all(OF_PROJECT, values![project]).await
}

/// A part of the groups of a project.
pub async fn list(on: impl Source<'_>, project: ProjectId, cut: Cut, limit: i64) -> Result<Vec<InstanceTypeGroup>> {
    match cut {
        Cut::Below(id) => on.all(BELOW, values![project, id, limit]).await,
        Cut::Above(id) => on.all(ABOVE, values![project, id, limit]).await,
    }
}

/// Writes all fields of a group; false when it is gone.
pub async fn update(tx: &mut Tx, group: &InstanceTypeGroup) -> Result<bool> {
    Ok(tx.run(UPDATE, group.values()).await? == 1)
}

/// Removes a group; false when it is gone, refused when versions use it.
pub async fn delete(tx: &mut Tx, id: InstanceTypeGroupId) -> Result<bool> {
    Ok(tx.run(DELETE, values![id]).await? == 1)
}
