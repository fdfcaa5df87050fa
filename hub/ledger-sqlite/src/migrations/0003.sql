-- Version 3: bodies that were deleted, each with the event that says so; no body goes without.

CREATE TABLE body_deleted (
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
    event  INTEGER NOT NULL REFERENCES event (seq),
    at     INTEGER NOT NULL,
    size   INTEGER NOT NULL,
    cause  TEXT NOT NULL,
    PRIMARY KEY (sha256, event)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER body_deleted_update BEFORE UPDATE ON body_deleted
BEGIN SELECT RAISE(ABORT, 'a deletion is never changed'); END;
CREATE TRIGGER body_deleted_delete BEFORE DELETE ON body_deleted
BEGIN SELECT RAISE(ABORT, 'a deletion is never undone'); END;

CREATE INDEX status_sha256 ON status (sha256);
CREATE INDEX refusal_body ON refusal (sha256) WHERE body_kept = 1;

-- The deletion must be recorded first, after everything that names the bytes.
CREATE TRIGGER body_delete BEFORE DELETE ON body
WHEN coalesce((SELECT max(event) FROM body_deleted WHERE sha256 = OLD.sha256), 0) <= max(
    coalesce((SELECT max(event) FROM document WHERE sha256 = OLD.sha256), 0),
    coalesce((SELECT max(event) FROM status WHERE sha256 = OLD.sha256), 0),
    coalesce((SELECT max(event) FROM refusal WHERE sha256 = OLD.sha256 AND body_kept = 1), 0))
BEGIN SELECT RAISE(ABORT, 'a body goes only with an event that says so'); END;
