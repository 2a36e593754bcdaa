-- Groups of kinds of instances that users made. The one that every project has for each kind has no row. `members` are in the
-- order in which they are tried.
CREATE TABLE instance_type_groups (
    id {id} PRIMARY KEY NOT NULL,
    project_id {id} NOT NULL REFERENCES projects (id),
    name TEXT NOT NULL,
    members {json} NOT NULL,
    created_at {int} NOT NULL,
    updated_at {int} NOT NULL
) {strict};
CREATE INDEX instance_type_groups_project ON instance_type_groups (project_id, id);

-- The group of a version; nothing for the one of its instance type alone. `instance_type` is the first of the group.
ALTER TABLE versions ADD COLUMN instance_type_group_id {id} REFERENCES instance_type_groups (id);
CREATE INDEX versions_instance_type_group ON versions (instance_type_group_id, id) WHERE instance_type_group_id IS NOT NULL;
