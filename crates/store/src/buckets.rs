//! Buckets. The files of those that the installation keeps are in [`crate::files`].

use bytes::Bytes;
use modelyard_types::Timestamp;
use modelyard_types::buckets::{DEFAULT, Provider, Settings};
use modelyard_types::ids::{BucketId, ContainerId, ProjectId};
use modelyard_types::labels::Labels;
use modelyard_types::names::ResourceName;

use crate::db::Source;
use crate::error::{Result, StoreError};
use crate::files;
use crate::sql::{row, statements};
use crate::tx::Tx;
use crate::value::values;

row! {
    /// A bucket.
    pub struct Bucket {
        /// Its id; also that of its container, if it has one.
        pub id: BucketId,
        /// The project it belongs to.
        pub project_id: ProjectId,
        /// Its name, unique in the project.
        pub name: ResourceName,
        /// Who keeps its files.
        pub provider: Provider,
        /// Where at the provider they are.
        pub configuration: Settings,
        /// The credentials for the provider, encrypted.
        pub sealed: Option<Bytes>,
        /// The key that they are encrypted with.
        pub key_id: Option<String>,
        /// What it is for.
        pub description: String,
        /// Labels.
        pub labels: Labels,
        /// Seconds after which its files expire; never when absent.
        pub ttl: Option<i64>,
        /// Bytes of its files when they were last counted.
        pub size: Option<i64>,
        /// When that was.
        pub measured_at: Option<Timestamp>,
        /// When it was made.
        pub created_at: Timestamp,
        /// When it was last changed.
        pub updated_at: Timestamp,
    }
}

impl Bucket {
    /// Where its files are, if the installation keeps them.
    pub fn container(&self) -> Option<ContainerId> {
        (!self.provider.is_external()).then_some(ContainerId(self.id.0))
    }
}

statements! {
    INSERT = "INSERT INTO buckets (", Bucket::COLUMNS, ") VALUES (", Bucket::MARKS, ")";
    GET = "SELECT ", Bucket::COLUMNS, " FROM buckets WHERE id = $1";
    LIST = "SELECT ", Bucket::COLUMNS, " FROM buckets WHERE project_id = $1 ORDER BY name";
    ALL = "SELECT ", Bucket::COLUMNS, " FROM buckets WHERE id > $1 ORDER BY id LIMIT $2";
    COUNT = "SELECT COUNT(*) FROM buckets WHERE project_id = $1";
    UPDATE = "UPDATE buckets SET ", Bucket::ASSIGNMENTS, " WHERE id = $1";
    MEASURED = "UPDATE buckets SET size = $2, measured_at = $3 WHERE id = $1";
    DELETE = "DELETE FROM buckets WHERE id = $1";
    DELETE_OF_PROJECT = "DELETE FROM buckets WHERE project_id = $1";
    WITHOUT = "SELECT id FROM projects WHERE NOT EXISTS
        (SELECT 1 FROM buckets WHERE project_id = projects.id AND name = $1) ORDER BY id";
    KEYS = "SELECT key_id, COUNT(*) FROM buckets WHERE key_id IS NOT NULL GROUP BY key_id ORDER BY key_id";
    SEALED_OTHERWISE = "SELECT ", Bucket::COLUMNS, " FROM buckets
        WHERE key_id IS NOT NULL AND key_id <> $1 ORDER BY id LIMIT $2";
}

/// Adds a bucket, with a container if it is to have one; refused when the name is taken or the project gone.
pub async fn insert(tx: &mut Tx, bucket: &Bucket) -> Result<()> {
    if let Some(container) = bucket.container() {
        files::add_container(tx, container).await?;
    }
    tx.run(INSERT, bucket.values()).await.map(drop)
}

/// Adds the bucket that every project has; it keeps its files.
pub async fn insert_default(tx: &mut Tx, project: ProjectId) -> Result<()> {
    let now = Timestamp::now();
    let bucket = Bucket {
        id: BucketId::new(),
        project_id: project,
        name: ResourceName::try_from(DEFAULT).map_err(StoreError::Internal)?,
        provider: Provider::Ubiops,
        configuration: Settings::new(),
        sealed: None,
        key_id: None,
        description: String::new(),
        labels: Labels::default(),
        ttl: None,
        size: None,
        measured_at: None,
        created_at: now,
        updated_at: now,
    };
    insert(tx, &bucket).await
}

/// The bucket of an id.
pub async fn get(on: impl Source<'_>, id: BucketId) -> Result<Option<Bucket>> {
    on.first(GET, values![id]).await
}

/// The bucket of an id, kept from other changes until the transaction has ended.
pub async fn lock(tx: &mut Tx, id: BucketId) -> Result<Option<Bucket>> {
    tx.locked(GET, values![id]).await
}

/// The buckets of a project by name.
pub async fn list(on: impl Source<'_>, project: ProjectId) -> Result<Vec<Bucket>> {
    on.all(LIST, values![project]).await
}

/// Some buckets of all projects, in the order of their ids, after one of them.
pub async fn all_after(on: impl Source<'_>, after: BucketId, limit: i64) -> Result<Vec<Bucket>> {
    on.all(ALL, values![after, limit]).await
}

/// How many buckets a project has.
pub async fn count(on: impl Source<'_>, project: ProjectId) -> Result<i64> {
    let (count,) = on.one(COUNT, values![project]).await?;
    Ok(count)
}

/// Writes all fields of a bucket; false when it is gone.
pub async fn update(tx: &mut Tx, bucket: &Bucket) -> Result<bool> {
    Ok(tx.run(UPDATE, bucket.values()).await? == 1)
}

/// Notes how large a bucket was found to be.
pub async fn measured(tx: &mut Tx, id: BucketId, size: i64, at: Timestamp) -> Result<()> {
    tx.run(MEASURED, values![id, size, at]).await.map(drop)
}

/// Removes a bucket; false when it is gone. Its container becomes a leftover.
pub async fn delete(tx: &mut Tx, bucket: &Bucket) -> Result<bool> {
    if let Some(container) = bucket.container() {
        files::close_container(tx, container).await?;
    }
    Ok(tx.run(DELETE, values![bucket.id]).await? == 1)
}

pub(crate) async fn delete_of_project(tx: &mut Tx, project: ProjectId) -> Result<()> {
    for bucket in list(&mut *tx, project).await? {
        if let Some(container) = bucket.container() {
            files::close_container(tx, container).await?;
        }
    }
    tx.run(DELETE_OF_PROJECT, values![project]).await.map(drop)
}

/// The projects that have no bucket of a name.
pub async fn projects_without(on: impl Source<'_>, name: &str) -> Result<Vec<ProjectId>> {
    let found: Vec<(ProjectId,)> = on.all(WITHOUT, values![name]).await?;
    Ok(found.into_iter().map(|(id,)| id).collect())
}

/// The keys that credentials are encrypted with, and how many with each.
pub async fn keys(on: impl Source<'_>) -> Result<Vec<(String, i64)>> {
    on.all(KEYS, values![]).await
}

/// Some buckets whose credentials are encrypted with another key than this one.
pub async fn sealed_otherwise(on: impl Source<'_>, key: &str, limit: i64) -> Result<Vec<Bucket>> {
    on.all(SEALED_OTHERWISE, values![key, limit]).await
}
