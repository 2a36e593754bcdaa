"""inserts.py FILE GROUP SECONDS: prints how many rows of a small request SQLite takes a second, each group a commit on the disk."""
import sqlite3
import sys
import time

path, group, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
connection = sqlite3.connect(path, isolation_level=None)
connection.execute("PRAGMA journal_mode = WAL")
connection.execute("PRAGMA synchronous = FULL")
connection.execute("CREATE TABLE requests (id BLOB PRIMARY KEY NOT NULL, status INTEGER NOT NULL, data TEXT) WITHOUT ROWID")
written, start = 0, time.perf_counter()
while time.perf_counter() - start < seconds:
    rows = [((written + at).to_bytes(16, "big"), 0, '{"x": 21.0}') for at in range(group)]
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany("INSERT INTO requests VALUES (?, ?, ?)", rows)
    connection.execute("COMMIT")
    written += group
print(written / (time.perf_counter() - start))
