-- Environment variables of projects, deployments and versions, and those that builds of an environment tag find. `owner_id` is
-- the id of what they belong to, which one of the references names again. A secret has no `value`: it is `sealed` with the key
-- that `key_id` names, bound to its place and this row.
CREATE TABLE variables (
    id {id} PRIMARY KEY NOT NULL,
    project_id {id} NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    deployment_id {id} REFERENCES deployments (id) ON DELETE CASCADE,
    version_id {id} REFERENCES versions (id) ON DELETE CASCADE,
    tag_id {id} REFERENCES environment_tags (id) ON DELETE CASCADE,
    owner_id {id} NOT NULL,
    name TEXT NOT NULL,
    value TEXT,
    sealed {bytes},
    key_id TEXT,
    created_at {int} NOT NULL,
    updated_at {int} NOT NULL,
    UNIQUE (owner_id, name),
    CHECK ((value IS NULL) = (sealed IS NOT NULL) AND (sealed IS NULL) = (key_id IS NULL))
) {strict};
CREATE INDEX variables_name ON variables (project_id, name);
CREATE INDEX variables_deployment ON variables (deployment_id) WHERE deployment_id IS NOT NULL;
CREATE INDEX variables_version ON variables (version_id) WHERE version_id IS NOT NULL;
CREATE INDEX variables_tag ON variables (tag_id) WHERE tag_id IS NOT NULL;
CREATE INDEX variables_key ON variables (key_id, id) WHERE key_id IS NOT NULL;
