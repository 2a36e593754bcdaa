-- The words in braces are types: see `WORDS` in src/migrate.rs.

-- Log lines. No two lines of a project have the same time (nanoseconds since 1970), so that it names a line.
CREATE TABLE log_lines (
    project_id {id} NOT NULL,
    at {int} NOT NULL,
    level {int} NOT NULL,
    line TEXT NOT NULL,
    deployment_id {id},
    deployment_name TEXT,
    deployment_version_id {id},
    deployment_version TEXT,
    deployment_version_revision_id {id},
    instance_id {id},
    process_id TEXT,
    environment_name TEXT,
    environment_build_id {id},
    environment_tag TEXT,
    pipeline_id {id},
    pipeline_name TEXT,
    pipeline_version_id {id},
    pipeline_version TEXT,
    pipeline_object_id {id},
    pipeline_object_name TEXT,
    deployment_request_id {id},
    pipeline_request_id {id},
    webhook_name TEXT,
    system TEXT,
    PRIMARY KEY (project_id, at)
) {clustered};
CREATE INDEX log_lines_version ON log_lines (deployment_version_id, at) WHERE deployment_version_id IS NOT NULL;
CREATE INDEX log_lines_request ON log_lines (deployment_request_id, at) WHERE deployment_request_id IS NOT NULL;
CREATE INDEX log_lines_build ON log_lines (environment_build_id, at) WHERE environment_build_id IS NOT NULL;
