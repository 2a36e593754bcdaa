//! Deployment versions.

use std::collections::HashSet;

use modelyard_types::Timestamp;
use modelyard_types::ids::{
    DeploymentId, EnvironmentBuildId, EnvironmentId, InstanceTypeGroupId, ProjectId, RevisionId, VersionId,
};
use modelyard_types::labels::Labels;
use modelyard_types::names::VersionName;
use modelyard_types::versions::{RetentionMode, ScalingStrategy, VersionStatus};

use crate::db::Source;
use crate::error::Result;
use crate::instances::Cut;
use crate::leftovers;
use crate::sql::{row, statements};
use crate::tx::Tx;
use crate::value::{Bind, values};

row! {
    /// A deployment version.
    pub struct Version {
        /// Its id.
        pub id: VersionId,
        /// The deployment it belongs to.
        pub deployment_id: DeploymentId,
        /// The project it belongs to.
        pub project_id: ProjectId,
        /// Its name, unique in the deployment.
        pub name: VersionName,
        /// What it is for.
        pub description: String,
        /// Labels.
        pub labels: Labels,
        /// The environment in use, which may be an implicit one on top of the base.
        pub environment_id: EnvironmentId,
        /// The environment that was chosen.
        pub base_environment_id: EnvironmentId,
        /// Whether a user chose it; otherwise it is the default.
        pub environment_explicit: bool,
        /// The kind of instance, such as `512mb`; the first one of its group.
        pub instance_type: String,
        /// The group of kinds it was given; none when it has the one of its kind alone.
        pub instance_type_group_id: Option<InstanceTypeGroupId>,
        /// Instances kept running without requests.
        pub minimum_instances: i64,
        /// Instances at the most.
        pub maximum_instances: i64,
        /// Seconds without a request after which an instance is stopped.
        pub maximum_idle_time: i64,
        /// Worker processes of an instance.
        pub instance_processes: i64,
        /// How eagerly instances are added.
        pub scaling_strategy: ScalingStrategy,
        /// What is kept of ended requests.
        pub request_retention_mode: RetentionMode,
        /// Seconds that ended requests are kept.
        pub request_retention_time: i64,
        /// Requests that may wait.
        pub maximum_queue_size: i64,
        /// Direct requests that may wait, for clients that know two queues.
        pub maximum_queue_size_express: i64,
        /// Batch requests that may wait, for clients that know two queues.
        pub maximum_queue_size_batch: i64,
        /// Whether a request whose process died is run again.
        pub restart_request_interruption: bool,
        /// The notification group for monitoring.
        pub monitoring: Option<String>,
        /// Open ports.
        pub ports: Vec<serde_json::Value>,
        /// Where it stands.
        pub status: VersionStatus,
        /// The last good revision.
        pub active_revision_id: Option<RevisionId>,
        /// The environment that the last good revision runs in.
        pub active_environment_id: Option<EnvironmentId>,
        /// The build of that environment, unless it is a base environment.
        pub active_build_id: Option<EnvironmentBuildId>,
        /// The last revision.
        pub latest_revision_id: Option<RevisionId>,
        /// When code was last uploaded.
        pub last_file_upload: Option<Timestamp>,
        /// Counts the changes that need new instances.
        pub generation: i64,
        /// When it was made.
        pub created_at: Timestamp,
        /// When it was last changed.
        pub updated_at: Timestamp,
    }
}

statements! {
    INSERT = "INSERT INTO versions (", Version::COLUMNS, ") VALUES (", Version::MARKS, ")";
    GET = "SELECT ", Version::COLUMNS, " FROM versions WHERE id = $1";
    BY_NAME = "SELECT ", Version::COLUMNS, " FROM versions WHERE deployment_id = $1 AND name = $2";
    LIST = "SELECT ", Version::COLUMNS, " FROM versions WHERE deployment_id = $1 ORDER BY name";
    LIST_OF_PROJECT = "SELECT ", Version::COLUMNS, " FROM versions WHERE project_id = $1 ORDER BY id";
    USING = "SELECT ", Version::COLUMNS, " FROM versions
        WHERE environment_id = $1 OR base_environment_id = $1 OR active_environment_id = $1 ORDER BY id";
    OF_GROUP = "SELECT ", Version::COLUMNS, " FROM versions WHERE instance_type_group_id = $1 ORDER BY id";
    OF_GROUP_BELOW = "SELECT ", Version::COLUMNS, " FROM versions
        WHERE instance_type_group_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3";
    OF_GROUP_ABOVE = "SELECT ", Version::COLUMNS, " FROM versions
        WHERE instance_type_group_id = $1 AND id > $2 ORDER BY id LIMIT $3";
    OF_KIND_BELOW = "SELECT ", Version::COLUMNS, " FROM versions
        WHERE project_id = $1 AND instance_type = $2 AND instance_type_group_id IS NULL AND id < $3 ORDER BY id DESC LIMIT $4";
    OF_KIND_ABOVE = "SELECT ", Version::COLUMNS, " FROM versions
        WHERE project_id = $1 AND instance_type = $2 AND instance_type_group_id IS NULL AND id > $3 ORDER BY id LIMIT $4";
    COUNT = "SELECT COUNT(*) FROM versions WHERE deployment_id = $1";
    UPDATE = "UPDATE versions SET ", Version::ASSIGNMENTS, " WHERE id = $1";
    UNSET_DEFAULT = "UPDATE deployments SET default_version_id = NULL WHERE default_version_id = $1";
    DELETE = "DELETE FROM versions WHERE id = $1";
}

/// Adds a version; refused when the name is taken, or the deployment or environment gone.
pub async fn insert(tx: &mut Tx, version: &Version) -> Result<()> {
    tx.run(INSERT, version.values()).await.map(drop)
}

/// The version of an id.
pub async fn get(on: impl Source<'_>, id: VersionId) -> Result<Option<Version>> {
    on.first(GET, values![id]).await
}

/// The most ids that are asked for at once.
const MOST_IDS: usize = 250;

/// Which of some ids are those of versions.
pub async fn existing(tx: &mut Tx, ids: &[VersionId]) -> Result<HashSet<VersionId>> {
    let mut found = HashSet::with_capacity(ids.len());
    for some in ids.chunks(MOST_IDS) {
        let rows: Vec<(VersionId,)> = tx.all(existing_text(some.len()), some.iter().map(Bind::value).collect()).await?;
        found.extend(rows.into_iter().map(|(id,)| id));
    }
    Ok(found)
}

fn existing_text(count: usize) -> String {
    let marks: Vec<_> = (1..=count).map(|at| format!("${at}")).collect();
    format!("SELECT id FROM versions WHERE id IN ({})", marks.join(", "))
}

/// The texts of this noun that are put together for the occasion, in examples.
pub(crate) fn built_texts() -> Vec<(String, String)> {
    vec![("versions::existing".into(), existing_text(3))]
}

/// The version of a name.
pub async fn get_by_name(on: impl Source<'_>, deployment: DeploymentId, name: &str) -> Result<Option<Version>> {
    on.first(BY_NAME, values![deployment, name]).await
}

/// The version of an id, kept from other changes until the transaction has ended.
pub async fn lock(tx: &mut Tx, id: VersionId) -> Result<Option<Version>> {
    tx.locked(GET, values![id]).await
}

/// The versions of a deployment by name.
pub async fn list(on: impl Source<'_>, deployment: DeploymentId) -> Result<Vec<Version>> {
    on.all(LIST, values![deployment]).await
}

/// The versions of a project.
pub async fn list_of_project(on: impl Source<'_>, project: ProjectId) -> Result<Vec<Version>> {
    on.all(LIST_OF_PROJECT, values![project]).await
}

/// The versions that use an environment: directly, as their base, or still, while the next is being built.
pub async fn using(on: impl Source<'_>, environment: EnvironmentId) -> Result<Vec<Version>> {
    on.all(USING, values![environment]).await
}

/// The versions that use a group of kinds of instances.
pub async fn of_group(on: impl Source<'_>, group: InstanceTypeGroupId) -> Result<Vec<Version>> {
    on.all(OF_GROUP, values![group]).await
}

/// A part of the versions that use a group of kinds of instances.
pub async fn list_of_group(
    on: impl Source<'_>,
    group: InstanceTypeGroupId,
    cut: Cut,
    limit: i64,
) -> Result<Vec<Version>> {
    match cut {
        Cut::Below(id) => on.all(OF_GROUP_BELOW, values![group, id, limit]).await,
        Cut::Above(id) => on.all(OF_GROUP_ABOVE, values![group, id, limit]).await,
    }
}

/// A part of the versions of a project that have a kind of instance and no group.
pub async fn list_of_kind(
    on: impl Source<'_>,
    project: ProjectId,
    kind: &str,
    cut: Cut,
    limit: i64,
) -> Result<Vec<Version>> {
    match cut {
        Cut::Below(id) => on.all(OF_KIND_BELOW, values![project, kind, id, limit]).await,
        Cut::Above(id) => on.all(OF_KIND_ABOVE, values![project, kind, id, limit]).await,
    }
}

/// How many versions a deployment has.
pub async fn count(on: impl Source<'_>, deployment: DeploymentId) -> Result<i64> {
    let (count,) = on.one(COUNT, values![deployment]).await?;
    Ok(count)
}

/// Writes all fields of a version; false when it is gone.
pub async fn update(tx: &mut Tx, version: &Version) -> Result<bool> {
    Ok(tx.run(UPDATE, version.values()).await? == 1)
}

/// Removes a version with its revisions; false when it is gone. Its requests and stored bytes become leftovers; a
/// deployment that had it as its default has none afterwards.
pub async fn delete(tx: &mut Tx, id: VersionId) -> Result<bool> {
    leftovers::note_all_of_version(tx, id).await?;
    tx.run(UNSET_DEFAULT, values![id]).await?;
    Ok(tx.run(DELETE, values![id]).await? == 1)
}
