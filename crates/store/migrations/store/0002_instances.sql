-- Instances as they are shown; what runs is known to their servers. Rows stay for a while after the end of the instance, for
-- its events. No foreign keys: rows of what was deleted go in bounded steps.
CREATE TABLE instances (
    id {id} PRIMARY KEY NOT NULL,
    project_id {id} NOT NULL,
    deployment_id {id} NOT NULL,
    version_id {id} NOT NULL,
    revision_id {id} NOT NULL,
    instance_type TEXT NOT NULL,
    status TEXT NOT NULL,
    server_id {id} NOT NULL,
    life {int} NOT NULL,
    stop_wanted_by TEXT,
    created_at {int} NOT NULL,
    updated_at {int} NOT NULL,
    ended_at {int}
) {strict};
CREATE INDEX instances_version ON instances (version_id);
CREATE INDEX instances_project ON instances (project_id);
CREATE INDEX instances_living_version ON instances (version_id, id) WHERE ended_at IS NULL;
CREATE INDEX instances_living_project ON instances (project_id, id) WHERE ended_at IS NULL;
CREATE INDEX instances_living_server ON instances (server_id, life) WHERE ended_at IS NULL;
CREATE INDEX instances_ended ON instances (ended_at) WHERE ended_at IS NOT NULL;

-- What happened to an instance, a sentence each. They go with its row.
CREATE TABLE instance_events (
    id {id} NOT NULL,
    instance_id {id} NOT NULL,
    created_at {int} NOT NULL,
    description TEXT NOT NULL,
    PRIMARY KEY (instance_id, id)
) {clustered};
