//! Tags of environments: where an environment stands. Clients before 4.15 know each environment with one tag, `v1`.

use modelyard_types::Timestamp;
use modelyard_types::ids::{EnvironmentBuildId, EnvironmentId, EnvironmentRevisionId, ProjectId, TagId};
use modelyard_types::versions::VersionStatus;

use crate::db::Source;
use crate::error::Result;
use crate::sql::{row, statements};
use crate::tx::Tx;
use crate::value::values;

/// The tag every environment has.
pub const FIRST: &str = "v1";

row! {
    /// A tag of an environment.
    pub struct Tag {
        /// Its id.
        pub id: TagId,
        /// The environment it belongs to.
        pub environment_id: EnvironmentId,
        /// Its name, unique in the environment.
        pub name: String,
        /// Where it stands.
        pub status: VersionStatus,
        /// The revision in use.
        pub active_revision_id: Option<EnvironmentRevisionId>,
        /// The last revision.
        pub latest_revision_id: Option<EnvironmentRevisionId>,
        /// The build in use.
        pub active_build_id: Option<EnvironmentBuildId>,
        /// The last build.
        pub latest_build_id: Option<EnvironmentBuildId>,
        /// When it was made.
        pub created_at: Timestamp,
        /// When it was last changed.
        pub updated_at: Timestamp,
    }
}

statements! {
    INSERT = "INSERT INTO environment_tags (", Tag::COLUMNS, ") VALUES (", Tag::MARKS, ")";
    GET = "SELECT ", Tag::COLUMNS, " FROM environment_tags WHERE id = $1";
    BY_NAME = "SELECT ", Tag::COLUMNS, " FROM environment_tags WHERE environment_id = $1 AND name = $2";
    LIST = "SELECT ", Tag::COLUMNS, " FROM environment_tags WHERE environment_id = $1 ORDER BY name";
    LIST_OF_PROJECT = "SELECT ", Tag::COLUMNS, " FROM environment_tags WHERE environment_id IN
        (SELECT id FROM environments WHERE project_id = $1 OR project_id IS NULL) ORDER BY id";
    UPDATE = "UPDATE environment_tags SET ", Tag::ASSIGNMENTS, " WHERE id = $1";
}

/// Adds a tag; refused when the name is taken or the environment gone.
pub async fn insert(tx: &mut Tx, tag: &Tag) -> Result<()> {
    tx.run(INSERT, tag.values()).await.map(drop)
}

/// The tag of an id.
pub async fn get(on: impl Source<'_>, id: TagId) -> Result<Option<Tag>> {
    on.first(GET, values![id]).await
}

/// The tag of a name.
pub async fn get_by_name(on: impl Source<'_>, environment: EnvironmentId, name: &str) -> Result<Option<Tag>> {
    on.first(BY_NAME, values![environment, name]).await
}

/// The tag of an id, kept from other changes until the transaction has ended.
pub async fn lock(tx: &mut Tx, id: TagId) -> Result<Option<Tag>> {
    tx.locked(GET, values![id]).await
}

/// The tags of an environment by name.
pub async fn list(on: impl Source<'_>, environment: EnvironmentId) -> Result<Vec<Tag>> {
    on.all(LIST, values![environment]).await
}

/// The tags of all environments that a project can use.
pub async fn list_of_project(on: impl Source<'_>, project: ProjectId) -> Result<Vec<Tag>> {
    on.all(LIST_OF_PROJECT, values![project]).await
}

/// Writes all fields of a tag; false when it is gone.
pub async fn update(tx: &mut Tx, tag: &Tag) -> Result<bool> {
    Ok(tx.run(UPDATE, tag.values()).await? == 1)
}
