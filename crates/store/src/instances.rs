//! Instances as they are shown, and what happened to them. What runs is known to the servers; these rows tell others.

use modelyard_types::Timestamp;
use modelyard_types::ids::{DeploymentId, InstanceEventId, InstanceId, ProjectId, RevisionId, ServerId, VersionId};
use modelyard_types::instances::InstanceStatus;
use uuid::Uuid;

use crate::bulk::Bulk;
use crate::db::Source;
use crate::error::Result;
use crate::servers::Life;
use crate::sql::{row, statements};
use crate::tx::Tx;
use crate::value::values;

row! {
    /// An instance.
    pub struct Instance {
        /// Its id.
        pub id: InstanceId,
        /// The project it belongs to.
        pub project_id: ProjectId,
        /// The deployment it belongs to.
        pub deployment_id: DeploymentId,
        /// The version it runs.
        pub version_id: VersionId,
        /// The revision it was started from.
        pub revision_id: RevisionId,
        /// Its kind, such as `512mb`.
        pub instance_type: String,
        /// Where it stands; of one that ended, where it last stood.
        pub status: InstanceStatus,
        /// The server that runs it.
        pub server_id: ServerId,
        /// The life of that server.
        pub life: i64,
        /// The address of who wants it stopped.
        pub stop_wanted_by: Option<String>,
        /// When its start was decided.
        pub created_at: Timestamp,
        /// When its status changed last.
        pub updated_at: Timestamp,
        /// When it ended, if it has.
        pub ended_at: Option<Timestamp>,
    }
}

row! {
    /// Something that happened to an instance.
    pub struct InstanceEvent {
        /// Its id.
        pub id: InstanceEventId,
        /// The instance.
        pub instance_id: InstanceId,
        /// When it happened.
        pub created_at: Timestamp,
        /// What happened, in a sentence.
        pub description: String,
    }
}

/// Whose instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Those of a version.
    Version(VersionId),
    /// Those of a project.
    Project(ProjectId),
}

/// A part of a list that is cut by ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// What has an id below this one, the highest first.
    Below(Uuid),
    /// What has an id above this one, the lowest first.
    Above(Uuid),
}

statements! {
    GET = "SELECT ", Instance::COLUMNS, " FROM instances WHERE id = $1";
    LIST_VERSION_BELOW = "SELECT ", Instance::COLUMNS, " FROM instances WHERE version_id = $1 AND id < $2", LIVING, DOWN;
    LIST_VERSION_ABOVE = "SELECT ", Instance::COLUMNS, " FROM instances WHERE version_id = $1 AND id > $2", LIVING, UP;
    LIST_PROJECT_BELOW = "SELECT ", Instance::COLUMNS, " FROM instances WHERE project_id = $1 AND id < $2", LIVING, DOWN;
    LIST_PROJECT_ABOVE = "SELECT ", Instance::COLUMNS, " FROM instances WHERE project_id = $1 AND id > $2", LIVING, UP;
    EVENTS_BELOW = "SELECT ", InstanceEvent::COLUMNS, " FROM instance_events
        WHERE instance_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3";
    EVENTS_ABOVE = "SELECT ", InstanceEvent::COLUMNS, " FROM instance_events
        WHERE instance_id = $1 AND id > $2 ORDER BY id LIMIT $3";
    WANT_STOPPED = "UPDATE instances SET status = 'stopping', stop_wanted_by = $2, updated_at = $3
        WHERE id = $1 AND ended_at IS NULL AND status <> 'stopping'";
    STOPS_WANTED = "SELECT ", Instance::COLUMNS, " FROM instances
        WHERE server_id = $1 AND life = $2 AND ended_at IS NULL AND stop_wanted_by IS NOT NULL";
    RUNS_ELSEWHERE = "SELECT id FROM instances
        WHERE version_id = $1 AND ended_at IS NULL AND status = 'running' AND (server_id <> $2 OR life <> $3) LIMIT 1";
    END_ORPHANS = "UPDATE instances SET updated_at = $4, ended_at = $4
        WHERE ended_at IS NULL AND ((server_id = $1 AND life < $2)
            OR server_id <> $1 AND server_id IN (SELECT id FROM servers WHERE heartbeat_at < $3))
        RETURNING id";
    DELETE_ENDED = "DELETE FROM instances WHERE id IN
            (SELECT id FROM instances WHERE ended_at < $1 ORDER BY ended_at LIMIT $2)
        RETURNING id";
    DELETE_OF_VERSION = "DELETE FROM instances WHERE id IN
            (SELECT id FROM instances WHERE version_id = $1 LIMIT $2)
        RETURNING id";
    DELETE_OF_PROJECT = "DELETE FROM instances WHERE id IN
            (SELECT id FROM instances WHERE project_id = $1 LIMIT $2)
        RETURNING id";
    DELETE_EVENTS = "DELETE FROM instance_events WHERE instance_id = $1";
}

const LIVING: &str = " AND ended_at IS NULL AND status IN ($3, $4, $5, $6)";
const DOWN: &str = " ORDER BY id DESC LIMIT $7";
const UP: &str = " ORDER BY id LIMIT $7";

/// Only the life that runs an instance writes its row. That somebody wants it stopped is not forgotten by what its server
/// wrote before it knew.
const RECORD: Bulk = Bulk {
    table: "instances",
    columns: Instance::COLUMNS,
    types: Instance::TYPES,
    suffix: "ON CONFLICT (id) DO UPDATE SET
        status = CASE WHEN instances.stop_wanted_by IS NULL THEN excluded.status ELSE 'stopping' END,
        updated_at = excluded.updated_at, ended_at = excluded.ended_at
        WHERE instances.server_id = excluded.server_id AND instances.life = excluded.life",
};

const INSERT_EVENTS: Bulk = Bulk {
    table: "instance_events",
    columns: InstanceEvent::COLUMNS,
    types: InstanceEvent::TYPES,
    suffix: "ON CONFLICT (instance_id, id) DO NOTHING",
};

/// Writes instances as they stand, each at most once, and events.
pub async fn record(tx: &mut Tx, instances: &[Instance], events: &[InstanceEvent]) -> Result<()> {
    RECORD.insert(tx, instances.len(), instances.iter().flat_map(Instance::values)).await?;
    INSERT_EVENTS.insert(tx, events.len(), events.iter().flat_map(InstanceEvent::values)).await.map(drop)
}

/// The instance of an id, also one that ended.
pub async fn get(on: impl Source<'_>, id: InstanceId) -> Result<Option<Instance>> {
    on.first(GET, values![id]).await
}

/// Living instances whose status is one of these; all when there are none.
pub async fn list(
    on: impl Source<'_>,
    scope: Scope,
    statuses: &[InstanceStatus],
    cut: Cut,
    limit: i64,
) -> Result<Vec<Instance>> {
    let statuses = if statuses.is_empty() { &InstanceStatus::ALL } else { statuses };
    // There are four statuses and four marks: of fewer, some are named again.
    let nth = |at: usize| statuses[at % statuses.len()].as_str();
    let (owner, at) = (owner_of(scope), boundary(cut));
    let values = values![owner, at, nth(0), nth(1), nth(2), nth(3), limit];
    match (scope, cut) {
        (Scope::Version(_), Cut::Below(_)) => on.all(LIST_VERSION_BELOW, values).await,
        (Scope::Version(_), Cut::Above(_)) => on.all(LIST_VERSION_ABOVE, values).await,
        (Scope::Project(_), Cut::Below(_)) => on.all(LIST_PROJECT_BELOW, values).await,
        (Scope::Project(_), Cut::Above(_)) => on.all(LIST_PROJECT_ABOVE, values).await,
    }
}

fn owner_of(scope: Scope) -> Uuid {
    match scope {
        Scope::Version(id) => id.0,
        Scope::Project(id) => id.0,
    }
}

fn boundary(cut: Cut) -> Uuid {
    match cut {
        Cut::Below(id) | Cut::Above(id) => id,
    }
}

/// Events of an instance.
pub async fn events(on: impl Source<'_>, id: InstanceId, cut: Cut, limit: i64) -> Result<Vec<InstanceEvent>> {
    let values = values![id, boundary(cut), limit];
    match cut {
        Cut::Below(_) => on.all(EVENTS_BELOW, values).await,
        Cut::Above(_) => on.all(EVENTS_ABOVE, values).await,
    }
}

/// Notes that somebody wants a living instance stopped; false when it is stopping already, or gone.
pub async fn want_stopped(tx: &mut Tx, id: InstanceId, by: &str, now: Timestamp) -> Result<bool> {
    Ok(tx.run(WANT_STOPPED, values![id, by, now]).await? == 1)
}

/// The living instances of a server that somebody wants stopped.
pub async fn stops_wanted(on: impl Source<'_>, life: Life) -> Result<Vec<Instance>> {
    on.all(STOPS_WANTED, values![life.server, life.number]).await
}

/// Whether an instance of a version runs that is not of this life.
pub async fn runs_elsewhere(on: impl Source<'_>, version: VersionId, life: Life) -> Result<bool> {
    let found: Option<(InstanceId,)> = on.first(RUNS_ELSEWHERE, values![version, life.server, life.number]).await?;
    Ok(found.is_some())
}

/// Ends the instances that earlier lives of this server, or servers silent since `dead_since`, left behind, and writes down
/// why. Tells how many.
pub async fn end_orphans(tx: &mut Tx, life: Life, dead_since: Timestamp, now: Timestamp, why: &str) -> Result<u64> {
    let ended: Vec<(InstanceId,)> = tx.all(END_ORPHANS, values![life.server, life.number, dead_since, now]).await?;
    let count = ended.len() as u64;
    let event = |(instance_id,)| InstanceEvent {
        id: InstanceEventId::new(),
        instance_id,
        created_at: now,
        description: why.to_owned(),
    };
    let events: Vec<_> = ended.into_iter().map(event).collect();
    record(tx, &[], &events).await?;
    Ok(count)
}

/// Deletes some instances that ended before a time, with their events; tells how many.
pub async fn delete_ended(tx: &mut Tx, before: Timestamp, limit: i64) -> Result<usize> {
    let gone = tx.all(DELETE_ENDED, values![before, limit]).await?;
    delete_events(tx, gone).await
}

/// Deletes some instances of a version that is gone, with their events; tells how many.
pub async fn delete_of_version(tx: &mut Tx, version: VersionId, limit: i64) -> Result<usize> {
    let gone = tx.all(DELETE_OF_VERSION, values![version, limit]).await?;
    delete_events(tx, gone).await
}

/// Deletes some instances of a project that is gone, with their events; tells how many.
pub async fn delete_of_project(tx: &mut Tx, project: ProjectId, limit: i64) -> Result<usize> {
    let gone = tx.all(DELETE_OF_PROJECT, values![project, limit]).await?;
    delete_events(tx, gone).await
}

async fn delete_events(tx: &mut Tx, gone: Vec<(InstanceId,)>) -> Result<usize> {
    for (instance,) in &gone {
        tx.run(DELETE_EVENTS, values![instance]).await?;
    }
    Ok(gone.len())
}

pub(crate) fn built_texts(postgres: bool) -> Vec<(String, String)> {
    let text = |bulk: &Bulk| if postgres { bulk.text_for_pg() } else { bulk.text_for_lite(5) };
    vec![("instances::record".into(), text(&RECORD)), ("instances::events".into(), text(&INSERT_EVENTS))]
}
