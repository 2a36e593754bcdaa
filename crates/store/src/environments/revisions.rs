//! Revisions of environment tags: the dependency files to install.

use modelyard_types::Timestamp;
use modelyard_types::environments::EnvironmentBuildDependency;
use modelyard_types::ids::{EnvironmentBuildId, EnvironmentRevisionId, TagId};

use crate::db::Source;
use crate::error::Result;
use crate::sql::{row, statements};
use crate::tx::Tx;
use crate::value::values;

row! {
    /// A revision of an environment tag.
    pub struct EnvironmentRevision {
        /// Its id.
        pub id: EnvironmentRevisionId,
        /// The tag it belongs to.
        pub tag_id: TagId,
        /// When it was made.
        pub created_at: Timestamp,
        /// The address of who made it.
        pub created_by: String,
        /// The object that holds the uploaded file, when there is one.
        pub package_key: Option<String>,
        /// The name of that file.
        pub file_name: Option<String>,
        /// The content of `requirements.txt`.
        pub requirements: String,
        /// The dependency files; nothing for a deployment package with `requirements.txt` alone that was uploaded long ago.
        pub dependency_files: Option<Vec<EnvironmentBuildDependency>>,
        /// Whether its file is no longer stored.
        pub expired: bool,
    }
}

impl EnvironmentRevision {
    /// Whether it is what a deployment package asked for, and not a file that was uploaded for an environment.
    pub fn is_of_package(&self) -> bool {
        self.package_key.is_none() && !self.expired
    }

    /// The text of its `ubiops.yaml`, if it has one.
    pub fn ubiops_yaml(&self) -> Option<&str> {
        let files = self.dependency_files.as_deref()?;
        files.iter().find(|file| file.name == "ubiops.yaml").map(|file| file.content.as_str())
    }
}

statements! {
    INSERT = "INSERT INTO environment_revisions (", EnvironmentRevision::COLUMNS,
        ") VALUES (", EnvironmentRevision::MARKS, ")";
    GET = "SELECT ", EnvironmentRevision::COLUMNS, " FROM environment_revisions WHERE id = $1";
    UNDER = "SELECT ", EnvironmentRevision::COLUMNS, " FROM environment_revisions WHERE id IN
            (SELECT revision_id FROM environment_builds
                WHERE id = $1 OR id = (SELECT base_build_id FROM environment_builds WHERE id = $1))
        ORDER BY id = (SELECT revision_id FROM environment_builds WHERE id = $1)";
    LIST = "SELECT ", EnvironmentRevision::COLUMNS, " FROM environment_revisions WHERE tag_id = $1 ORDER BY id DESC";
    EXPIRABLE = "SELECT environment_revisions.id FROM environment_revisions
        JOIN environment_tags ON environment_tags.id = environment_revisions.tag_id
        WHERE package_key IS NOT NULL AND environment_revisions.created_at < $1
            AND (active_revision_id IS NULL OR active_revision_id <> environment_revisions.id)
            AND (latest_revision_id IS NULL OR latest_revision_id <> environment_revisions.id)
            AND NOT EXISTS (SELECT 1 FROM environment_builds
                WHERE revision_id = environment_revisions.id AND status IN ('queued', 'building'))
        ORDER BY environment_revisions.id LIMIT $2";
    UPDATE = "UPDATE environment_revisions SET ", EnvironmentRevision::ASSIGNMENTS, " WHERE id = $1";
}

/// Adds a revision; refused when the tag is gone.
pub async fn insert(tx: &mut Tx, revision: &EnvironmentRevision) -> Result<()> {
    tx.run(INSERT, revision.values()).await.map(drop)
}

/// The revision of an id.
pub async fn get(on: impl Source<'_>, id: EnvironmentRevisionId) -> Result<Option<EnvironmentRevision>> {
    on.first(GET, values![id]).await
}

/// The revisions that a build was made of: that of the build it was made on top of, if any, and then its own.
pub async fn under_build(on: impl Source<'_>, build: EnvironmentBuildId) -> Result<Vec<EnvironmentRevision>> {
    on.all(UNDER, values![build]).await
}

/// The revision of an id, kept from other changes until the transaction has ended.
pub async fn lock(tx: &mut Tx, id: EnvironmentRevisionId) -> Result<Option<EnvironmentRevision>> {
    tx.locked(GET, values![id]).await
}

/// Revisions made before a time whose files are stored, but for those that are in use, the last, or being built.
pub async fn expirable(on: impl Source<'_>, before: Timestamp, limit: i64) -> Result<Vec<EnvironmentRevisionId>> {
    let ids: Vec<(EnvironmentRevisionId,)> = on.all(EXPIRABLE, values![before, limit]).await?;
    Ok(ids.into_iter().map(|(id,)| id).collect())
}

/// The revisions of a tag, newest first.
pub async fn list(on: impl Source<'_>, tag: TagId) -> Result<Vec<EnvironmentRevision>> {
    on.all(LIST, values![tag]).await
}

/// Writes all fields of a revision; false when it is gone.
pub async fn update(tx: &mut Tx, revision: &EnvironmentRevision) -> Result<bool> {
    Ok(tx.run(UPDATE, revision.values()).await? == 1)
}
