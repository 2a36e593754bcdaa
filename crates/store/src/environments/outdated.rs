//! Versions that run on a build of an environment which is no longer the one in use.

use modelyard_types::ids::{RevisionId, VersionId};

use crate::db::Source;
use crate::error::Result;
use crate::sql::statements;
use crate::value::values;

statements! {
    DIRECT = "SELECT versions.id FROM versions
        JOIN environments ON environments.id = versions.active_environment_id
        JOIN environment_tags ON environment_tags.environment_id = environments.id
        WHERE NOT environments.implicit AND NOT environments.system AND environment_tags.name = 'v1'
            AND environment_tags.active_build_id IS NOT NULL
            AND (versions.active_build_id IS NULL OR versions.active_build_id <> environment_tags.active_build_id)
        ORDER BY versions.id";
    ON_TOP = "SELECT versions.id, revisions.id FROM versions
        JOIN revisions ON revisions.id = versions.active_revision_id
        JOIN environments ON environments.id = revisions.environment_id
        JOIN environment_tags ON environment_tags.environment_id = environments.base_environment_id
        JOIN environment_builds ON environment_builds.id = revisions.environment_build_id
        WHERE environments.implicit AND environments.base_environment_id = versions.base_environment_id
            AND environment_tags.name = 'v1' AND environment_tags.active_build_id IS NOT NULL
            AND revisions.status NOT IN ('queued', 'building')
            AND (environment_builds.base_build_id IS NULL
                OR environment_builds.base_build_id <> environment_tags.active_build_id)
        ORDER BY versions.id";
}

/// The versions whose code runs right in an environment that has a newer build.
pub async fn direct(on: impl Source<'_>) -> Result<Vec<VersionId>> {
    let ids: Vec<(VersionId,)> = on.all(DIRECT, values![]).await?;
    Ok(ids.into_iter().map(|(id,)| id).collect())
}

/// The versions, with the revisions they serve, whose own requirements were installed on top of an environment that has
/// a newer build by now, and were not tried on top of that one yet.
pub async fn on_top(on: impl Source<'_>) -> Result<Vec<(VersionId, RevisionId)>> {
    on.all(ON_TOP, values![]).await
}
