//! Builds of environment revisions, and the queue of those that have to be made.

use modelyard_types::Timestamp;
use modelyard_types::ids::{EnvironmentBuildId, EnvironmentId, EnvironmentRevisionId, ServerId};
use modelyard_types::revisions::BuildStatus;

use crate::db::Source;
use crate::error::Result;
use crate::servers::Life;
use crate::sql::{row, statements};
use crate::tx::Tx;
use crate::value::values;

row! {
    /// A build of an environment revision.
    pub struct EnvironmentBuild {
        /// Its id.
        pub id: EnvironmentBuildId,
        /// The revision that is built.
        pub revision_id: EnvironmentRevisionId,
        /// Where it stands.
        pub status: BuildStatus,
        /// Why it failed.
        pub error_message: Option<String>,
        /// What asked for it.
        pub build_trigger: String,
        /// The size of what was built, in bytes.
        pub size: Option<i64>,
        /// The folder that came out, named by its content.
        pub content_key: Option<String>,
        /// The build of the environment below that it was made on top of; nothing on top of a base environment.
        pub base_build_id: Option<EnvironmentBuildId>,
        /// The server that works on it.
        pub server_id: Option<ServerId>,
        /// The life of that server.
        pub life: Option<i64>,
        /// When it was asked for.
        pub created_at: Timestamp,
        /// When it was begun.
        pub started_at: Option<Timestamp>,
        /// When it ended.
        pub finished_at: Option<Timestamp>,
    }
}

statements! {
    INSERT = "INSERT INTO environment_builds (", EnvironmentBuild::COLUMNS,
        ") VALUES (", EnvironmentBuild::MARKS, ")";
    GET = "SELECT ", EnvironmentBuild::COLUMNS, " FROM environment_builds WHERE id = $1";
    LIST = "SELECT ", EnvironmentBuild::COLUMNS, " FROM environment_builds WHERE revision_id = $1 ORDER BY id DESC";
    LIST_OF_ENVIRONMENT = "SELECT ", EnvironmentBuild::COLUMNS, " FROM environment_builds WHERE revision_id IN
        (SELECT environment_revisions.id FROM environment_revisions
            JOIN environment_tags ON environment_tags.id = environment_revisions.tag_id
            WHERE environment_tags.environment_id = $1)
        ORDER BY id DESC";
    KEYS_IN_USE = "SELECT DISTINCT content_key FROM environment_builds WHERE content_key IS NOT NULL AND (
        id IN (SELECT active_build_id FROM environment_tags)
        OR id IN (SELECT active_build_id FROM versions)
        OR id IN (SELECT environment_build_id FROM revisions WHERE status IN ('queued', 'building')))";
    UPDATE = "UPDATE environment_builds SET ", EnvironmentBuild::ASSIGNMENTS, " WHERE id = $1";
    CLAIM_LITE = "UPDATE environment_builds SET status = 'building', server_id = $1, life = $2, started_at = $3
        WHERE id = (SELECT id FROM environment_builds ", READY, " LIMIT 1)
        RETURNING ", EnvironmentBuild::COLUMNS;
    CLAIM_PG = "UPDATE environment_builds SET status = 'building', server_id = $1, life = $2, started_at = $3
        WHERE id = (SELECT id FROM environment_builds ", READY, " LIMIT 1 FOR UPDATE SKIP LOCKED)
        RETURNING ", EnvironmentBuild::COLUMNS;
    WAITING = "SELECT ", EnvironmentBuild::COLUMNS, " FROM environment_builds ", READY, " LIMIT $1";
    REQUEUE = "UPDATE environment_builds SET status = 'queued', server_id = NULL, life = NULL, started_at = NULL
        WHERE status = 'building' AND ((server_id = $1 AND life < $2)
            OR server_id IN (SELECT id FROM servers WHERE heartbeat_at < $3))";
}

/// Queued, and not waiting for the first build of the environment below.
const READY: &str = "WHERE status = 'queued' AND NOT EXISTS (
        SELECT 1 FROM environment_revisions
        JOIN environment_tags ON environment_tags.id = environment_revisions.tag_id
        JOIN environments ON environments.id = environment_tags.environment_id
        JOIN environment_tags AS below ON below.environment_id = environments.base_environment_id
        WHERE environment_revisions.id = environment_builds.revision_id AND below.status = 'building')
    ORDER BY id";

/// Adds a build; refused when the revision is gone.
pub async fn insert(tx: &mut Tx, build: &EnvironmentBuild) -> Result<()> {
    tx.run(INSERT, build.values()).await.map(drop)
}

/// The build of an id.
pub async fn get(on: impl Source<'_>, id: EnvironmentBuildId) -> Result<Option<EnvironmentBuild>> {
    on.first(GET, values![id]).await
}

/// The build of an id, kept from other changes until the transaction has ended.
pub async fn lock(tx: &mut Tx, id: EnvironmentBuildId) -> Result<Option<EnvironmentBuild>> {
    tx.locked(GET, values![id]).await
}

/// The builds of a revision, newest first.
pub async fn list(on: impl Source<'_>, revision: EnvironmentRevisionId) -> Result<Vec<EnvironmentBuild>> {
    on.all(LIST, values![revision]).await
}

/// The builds of all revisions of an environment, newest first.
pub async fn list_of_environment(on: impl Source<'_>, environment: EnvironmentId) -> Result<Vec<EnvironmentBuild>> {
    on.all(LIST_OF_ENVIRONMENT, values![environment]).await
}

/// The folders that environments and versions run in, or are about to; any other may be removed.
pub async fn keys_in_use(on: impl Source<'_>) -> Result<Vec<String>> {
    let keys: Vec<(String,)> = on.all(KEYS_IN_USE, values![]).await?;
    Ok(keys.into_iter().map(|(key,)| key).collect())
}

/// Writes all fields of a build; false when it is gone.
pub async fn update(tx: &mut Tx, build: &EnvironmentBuild) -> Result<bool> {
    Ok(tx.run(UPDATE, build.values()).await? == 1)
}

/// Takes the oldest queued build that can be made; it is `building` then.
pub async fn next_queued(tx: &mut Tx, life: Life, now: Timestamp) -> Result<Option<EnvironmentBuild>> {
    let text = tx.text(CLAIM_LITE, CLAIM_PG);
    tx.first(text, values![life.server, life.number, now]).await
}

/// The oldest queued builds that can be made.
pub async fn waiting(on: impl Source<'_>, most: i64) -> Result<Vec<EnvironmentBuild>> {
    on.all(WAITING, values![most]).await
}

/// Puts back what earlier lives of this server, or servers silent since `dead_since`, were working on.
pub async fn requeue(tx: &mut Tx, life: Life, dead_since: Timestamp) -> Result<u64> {
    tx.run(REQUEUE, values![life.server, life.number, dead_since]).await
}
