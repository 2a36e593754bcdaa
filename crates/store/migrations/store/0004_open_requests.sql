-- Each server asks every second what is claimed and what is to be cancelled: the index says so without a look into the
-- table. Rows that have ended are not in it.
DROP INDEX requests_open;
CREATE INDEX requests_open ON requests (server_id, life, status, kind) WHERE status < 3;
