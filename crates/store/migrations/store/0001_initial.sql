-- The words in braces are types: see `WORDS` in src/migrate.rs. Times are microseconds since 1970, UTC. Ids are UUIDv7.

-- The installation as a whole: one row.
CREATE TABLE installation (
    one_row {int} PRIMARY KEY CHECK (one_row = 1),
    key_check TEXT NOT NULL,
    created_at {int} NOT NULL
) {strict};

-- Servers of the installation. A server's life counts its starts.
CREATE TABLE servers (
    id {id} PRIMARY KEY NOT NULL,
    life {int} NOT NULL,
    started_at {int} NOT NULL,
    heartbeat_at {int} NOT NULL
) {strict};

-- Numbers the writes that the catalogue has to see, in the order of their commits.
CREATE TABLE change_counter (
    one_row {int} PRIMARY KEY CHECK (one_row = 1),
    number {int} NOT NULL
) {strict};
INSERT INTO change_counter (one_row, number) VALUES (1, 0);

-- The last change of each project; that of tokens, users and organizations stands under the id of zeros.
CREATE TABLE changes (
    project_id {id} PRIMARY KEY NOT NULL,
    number {int} NOT NULL
) {strict};
CREATE INDEX changes_number ON changes (number);

CREATE TABLE organizations (
    id {id} PRIMARY KEY NOT NULL,
    name TEXT NOT NULL UNIQUE,
    subscription TEXT NOT NULL,
    subscription_start_date TEXT,
    subscription_end_date TEXT,
    status TEXT NOT NULL,
    two_factor_forced {flag} NOT NULL,
    created_at {int} NOT NULL
) {strict};

CREATE TABLE users (
    id {id} PRIMARY KEY NOT NULL,
    email TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    surname TEXT NOT NULL,
    password_hash TEXT,
    is_admin {flag} NOT NULL,
    active {flag} NOT NULL,
    created_at {int} NOT NULL
) {strict};

-- `hash` is the SHA-256 of the token.
CREATE TABLE tokens (
    id {id} PRIMARY KEY NOT NULL,
    user_id {id} NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    hash {bytes} NOT NULL UNIQUE,
    label TEXT NOT NULL,
    created_at {int} NOT NULL,
    expires_at {int}
) {strict};
CREATE INDEX tokens_user ON tokens (user_id);

CREATE TABLE projects (
    id {id} PRIMARY KEY NOT NULL,
    organization_id {id} NOT NULL REFERENCES organizations (id),
    name TEXT NOT NULL UNIQUE,
    advanced_permissions {flag} NOT NULL,
    credits {float},
    suspended {flag} NOT NULL,
    suspended_reason TEXT,
    cors_origins {json} NOT NULL,
    labels {json} NOT NULL,
    created_at {int} NOT NULL,
    updated_at {int} NOT NULL
) {strict};
CREATE INDEX projects_organization ON projects (organization_id);

CREATE TABLE deployments (
    id {id} PRIMARY KEY NOT NULL,
    project_id {id} NOT NULL REFERENCES projects (id),
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    input_type TEXT,
    output_type TEXT,
    input_fields {json} NOT NULL,
    output_fields {json} NOT NULL,
    labels {json} NOT NULL,
    supports_request_format {flag} NOT NULL,
    default_version_id {id},
    created_at {int} NOT NULL,
    updated_at {int} NOT NULL,
    UNIQUE (project_id, name)
) {strict};

-- Base environments belong to no project.
CREATE TABLE environments (
    id {id} PRIMARY KEY NOT NULL,
    project_id {id} REFERENCES projects (id),
    name TEXT NOT NULL,
    display_name TEXT NOT NULL,
    description TEXT NOT NULL,
    labels {json} NOT NULL,
    base_environment_id {id} REFERENCES environments (id),
    implicit {flag} NOT NULL,
    hidden {flag} NOT NULL,
    system {flag} NOT NULL,
    gpu_required {flag} NOT NULL,
    deprecated {flag} NOT NULL,
    supports_request_format {flag} NOT NULL,
    interpreter TEXT NOT NULL,
    created_at {int} NOT NULL,
    updated_at {int} NOT NULL
) {strict};
CREATE UNIQUE INDEX environments_name ON environments (project_id, name) WHERE project_id IS NOT NULL;
CREATE UNIQUE INDEX environments_base_name ON environments (name) WHERE project_id IS NULL;
CREATE INDEX environments_base ON environments (base_environment_id);

CREATE TABLE environment_tags (
    id {id} PRIMARY KEY NOT NULL,
    environment_id {id} NOT NULL REFERENCES environments (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    active_revision_id {id},
    latest_revision_id {id},
    active_build_id {id},
    latest_build_id {id},
    created_at {int} NOT NULL,
    updated_at {int} NOT NULL,
    UNIQUE (environment_id, name)
) {strict};

CREATE TABLE environment_revisions (
    id {id} PRIMARY KEY NOT NULL,
    tag_id {id} NOT NULL REFERENCES environment_tags (id) ON DELETE CASCADE,
    created_at {int} NOT NULL,
    created_by TEXT NOT NULL,
    package_key TEXT,
    requirements TEXT NOT NULL,
    expired {flag} NOT NULL
) {strict};
CREATE INDEX environment_revisions_tag ON environment_revisions (tag_id);

-- `server_id` and `life` name who builds it; `content_key` the folder that came out.
CREATE TABLE environment_builds (
    id {id} PRIMARY KEY NOT NULL,
    revision_id {id} NOT NULL REFERENCES environment_revisions (id) ON DELETE CASCADE,
    status TEXT NOT NULL,
    error_message TEXT,
    build_trigger TEXT NOT NULL,
    size {int},
    content_key TEXT,
    server_id {id},
    life {int},
    created_at {int} NOT NULL,
    started_at {int},
    finished_at {int}
) {strict};
CREATE INDEX environment_builds_revision ON environment_builds (revision_id);
CREATE INDEX environment_builds_open ON environment_builds (status, id) WHERE status IN ('queued', 'building');

-- `base_environment_id` is the one the user chose; `environment_id` the one in use, which may be an implicit one on top.
CREATE TABLE versions (
    id {id} PRIMARY KEY NOT NULL,
    deployment_id {id} NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
    project_id {id} NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    labels {json} NOT NULL,
    environment_id {id} NOT NULL REFERENCES environments (id),
    base_environment_id {id} NOT NULL REFERENCES environments (id),
    environment_explicit {flag} NOT NULL,
    instance_type TEXT NOT NULL,
    minimum_instances {int} NOT NULL,
    maximum_instances {int} NOT NULL,
    maximum_idle_time {int} NOT NULL,
    instance_processes {int} NOT NULL,
    scaling_strategy TEXT NOT NULL,
    request_retention_mode {int} NOT NULL,
    request_retention_time {int} NOT NULL,
    maximum_queue_size {int} NOT NULL,
    maximum_queue_size_express {int} NOT NULL,
    maximum_queue_size_batch {int} NOT NULL,
    restart_request_interruption {flag} NOT NULL,
    monitoring TEXT,
    ports {json} NOT NULL,
    status TEXT NOT NULL,
    active_revision_id {id},
    active_environment_id {id},
    active_build_id {id},
    latest_revision_id {id},
    last_file_upload {int},
    generation {int} NOT NULL,
    created_at {int} NOT NULL,
    updated_at {int} NOT NULL,
    UNIQUE (deployment_id, name)
) {strict};
CREATE INDEX versions_project ON versions (project_id);
CREATE INDEX versions_environment ON versions (environment_id);
CREATE INDEX versions_base_environment ON versions (base_environment_id);

CREATE TABLE revisions (
    id {id} PRIMARY KEY NOT NULL,
    version_id {id} NOT NULL REFERENCES versions (id) ON DELETE CASCADE,
    project_id {id} NOT NULL,
    created_at {int} NOT NULL,
    created_by TEXT NOT NULL,
    build_trigger TEXT NOT NULL,
    status TEXT NOT NULL,
    error_message TEXT,
    has_request_method {flag},
    has_requests_method {flag},
    package_key TEXT NOT NULL,
    package_size {int} NOT NULL,
    package_sha256 {bytes} NOT NULL,
    file_name TEXT NOT NULL,
    main_file TEXT NOT NULL,
    language TEXT NOT NULL,
    environment_id {id} NOT NULL,
    environment_build_id {id},
    server_id {id},
    life {int},
    finished_at {int}
) {strict};
CREATE INDEX revisions_version ON revisions (version_id);
CREATE INDEX revisions_package ON revisions (package_key);
CREATE INDEX revisions_open ON revisions (status, id) WHERE status IN ('queued', 'building');

-- The largest table. Its codes are kept in src/requests/mod.rs: status below 3 is not final. The id carries the time of
-- creation, so lists are cut by id. No foreign keys: rows of what was deleted go in bounded steps.
CREATE TABLE requests (
    id {id} PRIMARY KEY NOT NULL,
    project_id {id} NOT NULL,
    deployment_id {id} NOT NULL,
    version_id {id} NOT NULL,
    revision_id {id},
    kind {int} NOT NULL,
    status {int} NOT NULL,
    started_at {int},
    completed_at {int},
    timeout {int} NOT NULL,
    error_message TEXT,
    input_plain {flag} NOT NULL,
    output_plain {flag} NOT NULL,
    input_size {int} NOT NULL,
    output_size {int} NOT NULL,
    created_by TEXT NOT NULL,
    retention_mode {int} NOT NULL,
    expires_at {int} NOT NULL,
    server_id {id} NOT NULL,
    life {int} NOT NULL,
    epoch {int} NOT NULL,
    retries {int} NOT NULL,
    request_data {bytes},
    request_key TEXT,
    result {bytes},
    result_key TEXT
) {clustered};
CREATE INDEX requests_version ON requests (version_id, status, id);
CREATE INDEX requests_project ON requests (project_id, status, id);
CREATE INDEX requests_expiry ON requests (expires_at);
CREATE INDEX requests_open ON requests (server_id, life) WHERE status < 3;

CREATE TABLE audit_events (
    id {id} PRIMARY KEY NOT NULL,
    project_id {id},
    organization_id {id},
    deployment_id {id},
    action TEXT NOT NULL,
    user_email TEXT NOT NULL,
    event TEXT NOT NULL,
    object_type TEXT NOT NULL,
    object_name TEXT NOT NULL,
    created_at {int} NOT NULL
) {strict};
CREATE INDEX audit_events_project ON audit_events (project_id, id) WHERE project_id IS NOT NULL;
CREATE INDEX audit_events_organization ON audit_events (organization_id, id) WHERE organization_id IS NOT NULL;
CREATE INDEX audit_events_deployment ON audit_events (deployment_id, id) WHERE deployment_id IS NOT NULL;

-- What deleted objects left behind for loops to clear away: requests of a `version`, request and audit rows of a
-- `project`, and stored bytes (`object`).
CREATE TABLE leftovers (
    what TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at {int} NOT NULL,
    PRIMARY KEY (what, name)
) {strict};
