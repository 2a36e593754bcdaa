-- Files. A container holds the files of one place, such as a bucket; it knows nothing of what it is for. One that is closed is
-- there only until it is empty. Names are compared byte by byte. An overwritten file is another row, with another id and other
-- bytes.
CREATE TABLE containers (
    id {id} PRIMARY KEY NOT NULL,
    closed {flag} NOT NULL,
    created_at {int} NOT NULL
) {strict};

-- `object_key` names the bytes; a file that came in parts has none, and its parts are in `file_parts`. A file expires by its own
-- `expires_at`, or with all of its container.
CREATE TABLE files (
    id {id} PRIMARY KEY NOT NULL,
    container_id {id} NOT NULL REFERENCES containers (id),
    name TEXT {bytewise} NOT NULL,
    size {int} NOT NULL,
    etag TEXT NOT NULL,
    content_type TEXT,
    object_key TEXT,
    metadata {json} NOT NULL,
    created_at {int} NOT NULL,
    expires_at {int},
    UNIQUE (container_id, name)
) {strict};
CREATE INDEX files_age ON files (container_id, created_at);
CREATE INDEX files_expiry ON files (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX files_object ON files (object_key) WHERE object_key IS NOT NULL;

-- Uploads in parts that are not complete. Its id becomes that of the file.
CREATE TABLE uploads (
    id {id} PRIMARY KEY NOT NULL,
    container_id {id} NOT NULL REFERENCES containers (id),
    name TEXT {bytewise} NOT NULL,
    created_at {int} NOT NULL
) {strict};
CREATE INDEX uploads_container ON uploads (container_id);
CREATE INDEX uploads_age ON uploads (created_at);

-- The parts of uploads and of files that came as such.
CREATE TABLE file_parts (
    file_id {id} NOT NULL,
    number {int} NOT NULL,
    object_key TEXT NOT NULL,
    size {int} NOT NULL,
    etag TEXT NOT NULL,
    PRIMARY KEY (file_id, number)
) {clustered};
CREATE INDEX file_parts_object ON file_parts (object_key);

-- Signed addresses that an upload has come by. Until they expire nothing else may come by them.
CREATE TABLE spent_tickets (
    id {id} PRIMARY KEY NOT NULL,
    etag TEXT NOT NULL,
    expires_at {int} NOT NULL
) {clustered};
CREATE INDEX spent_tickets_expiry ON spent_tickets (expires_at);

-- Buckets. One whose files are kept by the installation has a container of the same id. Credentials are `sealed` with the key that
-- `key_id` names, bound to their place and this row.
CREATE TABLE buckets (
    id {id} PRIMARY KEY NOT NULL,
    project_id {id} NOT NULL REFERENCES projects (id),
    name TEXT NOT NULL,
    provider TEXT NOT NULL,
    configuration {json} NOT NULL,
    sealed {bytes},
    key_id TEXT,
    description TEXT NOT NULL,
    labels {json} NOT NULL,
    ttl {int},
    size {int},
    measured_at {int},
    created_at {int} NOT NULL,
    updated_at {int} NOT NULL,
    UNIQUE (project_id, name),
    CHECK ((sealed IS NULL) = (key_id IS NULL))
) {strict};
CREATE INDEX buckets_key ON buckets (key_id, id) WHERE key_id IS NOT NULL;
