//! What the catalogue is made from: numbered changes, and consistent reads of what they touched.

use std::collections::HashMap;

use modelyard_types::Timestamp;
use modelyard_types::ids::{EnvironmentBuildId, OrganizationId, ProjectId, TokenId, UserId};
use modelyard_types::names::ResourceName;
use uuid::Uuid;

use crate::Store;
use crate::buckets::{self, Bucket};
use crate::db::Source;
use crate::deployments::{self, Deployment};
use crate::environments::tags::{self, Tag};
use crate::environments::{self, Environment};
use crate::error::Result;
use crate::instance_type_groups::{self, InstanceTypeGroup};
use crate::projects::{self, Project};
use crate::revisions::Revision;
use crate::sql::{row, statements};
use crate::tx::Tx;
use crate::value::values;
use crate::versions::{self, Version};

/// The id under which changes of tokens, users and organizations stand.
const SHARED: ProjectId = ProjectId(Uuid::nil());

row! {
    /// A token with what the catalogue needs of its user.
    pub struct TokenEntry {
        /// The token's id.
        pub id: TokenId,
        /// The SHA-256 of the token.
        pub hash: [u8; 32],
        /// When it stops to work; never when absent.
        pub expires_at: Option<Timestamp>,
        /// Whose it is.
        pub user_id: UserId,
        /// The user's address.
        pub email: String,
        /// Whether the user may do everything.
        pub is_admin: bool,
        /// Whether the user may sign in.
        pub active: bool,
    }
}

row! {
    /// A project in the list of all.
    pub struct ProjectEntry {
        /// Its id.
        pub id: ProjectId,
        /// Its name.
        pub name: ResourceName,
        /// The organization that owns it.
        pub organization_id: OrganizationId,
    }
}

statements! {
    COUNT = "UPDATE change_counter SET number = number + 1 RETURNING number";
    NOTE = "INSERT INTO changes (project_id, number) VALUES ($1, $2)
        ON CONFLICT (project_id) DO UPDATE SET number = excluded.number";
    NUMBER = "SELECT number FROM change_counter";
    SINCE = "SELECT project_id, number FROM changes WHERE number > $1 ORDER BY number";
    PROJECTS = "SELECT ", ProjectEntry::COLUMNS, " FROM projects ORDER BY id";
    TOKENS = "SELECT tokens.id, hash, expires_at, user_id, email, is_admin, active
        FROM tokens JOIN users ON users.id = tokens.user_id ORDER BY tokens.id";
    ACTIVE_REVISIONS = "SELECT ", Revision::COLUMNS, " FROM revisions
        WHERE id IN (SELECT active_revision_id FROM versions WHERE project_id = $1)";
    CONTENTS = "SELECT id, content_key FROM environment_builds WHERE content_key IS NOT NULL AND id IN
        (SELECT active_build_id FROM versions WHERE project_id = $1)";
}

/// Notes that something the catalogue shows has changed: in a project, or, without one, tokens, users, organizations
/// or the list of projects. Belongs into the transaction of the change; numbers follow the order of commits.
pub async fn touch(tx: &mut Tx, project: Option<ProjectId>) -> Result<i64> {
    let (number,): (i64,) = tx.one(COUNT, values![]).await?;
    tx.run(NOTE, values![project.unwrap_or(SHARED), number]).await?;
    Ok(number)
}

/// The number of the last change.
pub async fn number(on: impl Source<'_>) -> Result<i64> {
    let (number,) = on.one(NUMBER, values![]).await?;
    Ok(number)
}

/// What changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The number of the last of these changes; the one asked for when there is none.
    pub number: i64,
    /// Whether tokens, users, organizations or the list of projects changed.
    pub shared: bool,
    /// The projects that changed.
    pub projects: Vec<ProjectId>,
}

/// What changed after a number.
pub async fn changes_since(on: impl Source<'_>, number: i64) -> Result<Changes> {
    let mut changes = Changes { number, ..Changes::default() };
    let rows: Vec<(ProjectId, i64)> = on.all(SINCE, values![number]).await?;
    for (project, number) in rows {
        changes.number = number;
        if project == SHARED {
            changes.shared = true;
        } else {
            changes.projects.push(project);
        }
    }
    Ok(changes)
}

/// A project with everything in it, as it stood at one moment.
#[derive(Clone, Debug)]
pub struct ProjectState {
    /// The number of the last change that is in it.
    pub number: i64,
    /// The project.
    pub project: Project,
    /// Its deployments by name.
    pub deployments: Vec<Deployment>,
    /// Its buckets by name.
    pub buckets: Vec<Bucket>,
    /// Its versions.
    pub versions: Vec<VersionState>,
    /// The groups of kinds of instances that its users made.
    pub groups: Vec<InstanceTypeGroup>,
    /// The environments it can use: its own and the base environments, with their first tags.
    pub environments: Vec<(Environment, Tag)>,
}

/// A version with the code it runs.
#[derive(Clone, Debug)]
pub struct VersionState {
    /// The version.
    pub version: Version,
    /// The revision that takes its requests.
    pub active: Option<Revision>,
    /// The built folder that revision runs in; none in a base environment.
    pub content_key: Option<String>,
}

/// Reads a project with everything in it; nothing when it is gone.
pub async fn project(store: &Store, id: ProjectId) -> Result<Option<ProjectState>> {
    let mut tx = store.snapshot().await?;
    let Some(project) = projects::get(&mut tx, id).await? else {
        return Ok(None);
    };
    let number = number(&mut tx).await?;
    let deployments = deployments::list(&mut tx, id).await?;
    let buckets = buckets::list(&mut tx, id).await?;
    let versions = versions::list_of_project(&mut tx, id).await?;
    let active: Vec<Revision> = (&mut tx).all(ACTIVE_REVISIONS, values![id]).await?;
    let contents: Vec<(EnvironmentBuildId, String)> = (&mut tx).all(CONTENTS, values![id]).await?;
    let groups = instance_type_groups::of_project(&mut tx, id).await?;
    let mut environments = environments::list(&mut tx, id).await?;
    environments.extend(environments::list_base(&mut tx).await?);
    let tags = tags::list_of_project(&mut tx, id).await?;
    tx.commit().await?;
    Ok(Some(ProjectState {
        number,
        project,
        deployments,
        buckets,
        versions: with_code(versions, active, contents),
        groups,
        environments: with_tags(environments, tags),
    }))
}

fn with_code(
    versions: Vec<Version>,
    active: Vec<Revision>,
    contents: Vec<(EnvironmentBuildId, String)>,
) -> Vec<VersionState> {
    let mut active: HashMap<_, _> = active.into_iter().map(|it| (Some(it.id), it)).collect();
    let contents: HashMap<_, _> = contents.into_iter().collect();
    let with_code = |version: Version| {
        let active = active.remove(&version.active_revision_id);
        let content_key = version.active_build_id.and_then(|build| contents.get(&build).cloned());
        VersionState { version, active, content_key }
    };
    versions.into_iter().map(with_code).collect()
}

fn with_tags(environments: Vec<Environment>, tags: Vec<Tag>) -> Vec<(Environment, Tag)> {
    let mut first: HashMap<_, _> =
        tags.into_iter().filter(|tag| tag.name == tags::FIRST).map(|tag| (tag.environment_id, tag)).collect();
    environments.into_iter().filter_map(|it| first.remove(&it.id).map(|tag| (it, tag))).collect()
}

/// All projects.
pub async fn projects_index(on: impl Source<'_>) -> Result<Vec<ProjectEntry>> {
    on.all(PROJECTS, values![]).await
}

/// All tokens with their users.
pub async fn tokens(on: impl Source<'_>) -> Result<Vec<TokenEntry>> {
    on.all(TOKENS, values![]).await
}
