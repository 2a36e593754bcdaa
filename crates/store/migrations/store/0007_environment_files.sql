-- The name of the uploaded file, and the dependency files in it: nothing for what a deployment package asked for.
ALTER TABLE environment_revisions ADD COLUMN file_name TEXT;
ALTER TABLE environment_revisions ADD COLUMN dependency_files {json};
-- The build of the environment below that a build was made on top of; nothing on top of a base environment.
ALTER TABLE environment_builds ADD COLUMN base_build_id {id};
CREATE INDEX versions_active_environment ON versions (active_environment_id);
