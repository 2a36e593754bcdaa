-- The version that the first call under a key was for: a repeat is told its name whatever the default is by then.
-- Nothing in keys that are older than this.
ALTER TABLE idempotency_keys ADD COLUMN version_id {id};
