-- Batch requests: their order, what they told while they ran, and who is to hear of their ends.
--
-- A batch request that no server has claimed has life 0 and the server of all zeros.
ALTER TABLE requests ADD COLUMN priority {int} NOT NULL DEFAULT 1;
ALTER TABLE requests ADD COLUMN user_id {id};
ALTER TABLE requests ADD COLUMN updates {bytes};
ALTER TABLE requests ADD COLUMN updates_key TEXT;
-- The last three columns are there so that SQLite need not look into the table to see what the condition says already.
CREATE INDEX requests_queue ON requests (version_id, priority, id, kind, status, life)
    WHERE kind = 1 AND status = 0 AND life = 0;

-- Ends of batch requests, written with them, for those who tell others. `status` has the codes of requests.
CREATE TABLE outbox (
    id {id} PRIMARY KEY NOT NULL,
    project_id {id} NOT NULL,
    deployment_id {id} NOT NULL,
    version_id {id} NOT NULL,
    request_id {id} NOT NULL,
    status {int} NOT NULL
) {clustered};

-- Keys by which a repeated creation finds the first. The key itself is not kept, only the hash of it and its user.
-- `status` and `error_message` are those of a direct request of which nothing else is kept.
CREATE TABLE idempotency_keys (
    project_id {id} NOT NULL,
    key_hash {bytes} NOT NULL,
    body_hash {bytes} NOT NULL,
    request_ids {json} NOT NULL,
    status {int},
    created_at {int} NOT NULL,
    PRIMARY KEY (project_id, key_hash)
) {clustered};
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);
