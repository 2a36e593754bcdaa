//! Revisions of a version's code, and the queue of those that have to be checked and built.

use modelyard_types::Timestamp;
use modelyard_types::ids::{EnvironmentBuildId, EnvironmentId, ProjectId, RevisionId, ServerId, VersionId};
use modelyard_types::revisions::BuildStatus;

use crate::db::Source;
use crate::error::Result;
use crate::servers::Life;
use crate::sql::{row, statements};
use crate::tx::Tx;
use crate::value::values;

row! {
    /// A revision of a version's code.
    pub struct Revision {
        /// Its id.
        pub id: RevisionId,
        /// The version it belongs to.
        pub version_id: VersionId,
        /// The project it belongs to.
        pub project_id: ProjectId,
        /// When it was uploaded.
        pub created_at: Timestamp,
        /// The address of who uploaded it.
        pub created_by: String,
        /// What asked for its build.
        pub build_trigger: String,
        /// Where it stands.
        pub status: BuildStatus,
        /// Why it failed.
        pub error_message: Option<String>,
        /// Whether the code has a `request` method; unknown before it was looked at.
        pub has_request_method: Option<bool>,
        /// Whether the code has a `requests` method; unknown before it was looked at.
        pub has_requests_method: Option<bool>,
        /// The object that holds the package.
        pub package_key: String,
        /// The size of the package in bytes.
        pub package_size: i64,
        /// The SHA-256 of the package.
        pub package_sha256: [u8; 32],
        /// The name of the uploaded file.
        pub file_name: String,
        /// The file that holds the `Deployment` class.
        pub main_file: String,
        /// `python` or `r`.
        pub language: String,
        /// The environment it runs in.
        pub environment_id: EnvironmentId,
        /// The build of that environment, unless it is a base environment.
        pub environment_build_id: Option<EnvironmentBuildId>,
        /// The server that works on it.
        pub server_id: Option<ServerId>,
        /// The life of that server.
        pub life: Option<i64>,
        /// When its build ended.
        pub finished_at: Option<Timestamp>,
    }
}

statements! {
    INSERT = "INSERT INTO revisions (", Revision::COLUMNS, ") VALUES (", Revision::MARKS, ")";
    GET = "SELECT ", Revision::COLUMNS, " FROM revisions WHERE id = $1";
    LIST = "SELECT ", Revision::COLUMNS, " FROM revisions WHERE version_id = $1 ORDER BY id DESC";
    OPEN = "SELECT ", Revision::COLUMNS, " FROM revisions WHERE status IN ('queued', 'building') ORDER BY id";
    UPDATE = "UPDATE revisions SET ", Revision::ASSIGNMENTS, " WHERE id = $1";
    CLAIM_LITE = "UPDATE revisions SET status = 'building', server_id = $1, life = $2
        WHERE id = (SELECT id FROM revisions ", READY, ")
        RETURNING ", Revision::COLUMNS;
    CLAIM_PG = "UPDATE revisions SET status = 'building', server_id = $1, life = $2
        WHERE id = (SELECT id FROM revisions ", READY, " FOR UPDATE SKIP LOCKED)
        RETURNING ", Revision::COLUMNS;
    REQUEUE = "UPDATE revisions SET status = 'queued', server_id = NULL, life = NULL
        WHERE status = 'building' AND ((server_id = $1 AND life < $2)
            OR server_id IN (SELECT id FROM servers WHERE heartbeat_at < $3))";
    WAIT_FOR_OTHER = "UPDATE revisions SET environment_build_id = $2
        WHERE environment_build_id = $1 AND status = 'queued'";
    DELETE = "DELETE FROM revisions WHERE id = $1";
}

/// Queued, and not waiting for its environment.
const READY: &str = "WHERE status = 'queued' AND NOT EXISTS (
        SELECT 1 FROM environment_builds
        WHERE environment_builds.id = revisions.environment_build_id
            AND environment_builds.status IN ('queued', 'building'))
    ORDER BY id LIMIT 1";

/// Adds a revision; refused when the version is gone.
pub async fn insert(tx: &mut Tx, revision: &Revision) -> Result<()> {
    tx.run(INSERT, revision.values()).await.map(drop)
}

/// The revision of an id.
pub async fn get(on: impl Source<'_>, id: RevisionId) -> Result<Option<Revision>> {
    on.first(GET, values![id]).await
}

/// The revision of an id, kept from other changes until the transaction has ended.
pub async fn lock(tx: &mut Tx, id: RevisionId) -> Result<Option<Revision>> {
    tx.locked(GET, values![id]).await
}

/// The revisions of a version, newest first.
pub async fn list(on: impl Source<'_>, version: VersionId) -> Result<Vec<Revision>> {
    on.all(LIST, values![version]).await
}

/// All revisions that wait or are in work, the oldest first.
pub async fn list_open(on: impl Source<'_>) -> Result<Vec<Revision>> {
    on.all(OPEN, values![]).await
}

/// Writes all fields of a revision; false when it is gone.
pub async fn update(tx: &mut Tx, revision: &Revision) -> Result<bool> {
    Ok(tx.run(UPDATE, revision.values()).await? == 1)
}

/// Takes the oldest queued revision whose environment's build, if it has one, has ended; it is `building` then.
pub async fn next_queued(tx: &mut Tx, life: Life) -> Result<Option<Revision>> {
    let text = tx.text(CLAIM_LITE, CLAIM_PG);
    tx.first(text, values![life.server, life.number]).await
}

/// Puts back what earlier lives of this server, or servers silent since `dead_since`, were working on.
pub async fn requeue(tx: &mut Tx, life: Life, dead_since: Timestamp) -> Result<u64> {
    tx.run(REQUEUE, values![life.server, life.number, dead_since]).await
}

/// Lets the revisions that wait for a build of an environment wait for another.
pub async fn wait_for_other(tx: &mut Tx, build: EnvironmentBuildId, other: EnvironmentBuildId) -> Result<()> {
    tx.run(WAIT_FOR_OTHER, values![build, other]).await.map(drop)
}

/// Removes a revision; false when it is gone.
pub async fn delete(tx: &mut Tx, id: RevisionId) -> Result<bool> {
    Ok(tx.run(DELETE, values![id]).await? == 1)
}
