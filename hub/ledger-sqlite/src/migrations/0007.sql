-- Bodies apart: digest and size of those whose bytes are in the store of large bodies. Kept while `leaving` is
-- null; else the event that let them go, until the store has deleted them or a document names them anew.

CREATE TABLE body_apart (
    sha256  BLOB PRIMARY KEY CHECK (length(sha256) = 32),
    size    INTEGER NOT NULL,
    leaving INTEGER REFERENCES event (seq)
) STRICT;
CREATE INDEX body_apart_leaving ON body_apart (leaving, sha256) WHERE leaving IS NOT NULL;
CREATE TRIGGER body_apart_update BEFORE UPDATE OF sha256, size ON body_apart
BEGIN SELECT RAISE(ABORT, 'bodies are never changed'); END;
CREATE TRIGGER body_apart_delete BEFORE DELETE ON body_apart WHEN OLD.leaving IS NULL
BEGIN SELECT RAISE(ABORT, 'a body is deleted when it leaves'); END;
-- The deletion must be recorded first, after everything that names the bytes.
CREATE TRIGGER body_apart_leaves BEFORE UPDATE OF leaving ON body_apart
WHEN NEW.leaving IS NOT NULL AND coalesce((SELECT max(event) FROM body_deleted WHERE sha256 = OLD.sha256), 0) <= max(
    coalesce((SELECT max(event) FROM document WHERE sha256 = OLD.sha256), 0),
    coalesce((SELECT max(event) FROM status WHERE sha256 = OLD.sha256), 0),
    coalesce((SELECT max(event) FROM refusal WHERE sha256 = OLD.sha256 AND body_kept = 1), 0))
BEGIN SELECT RAISE(ABORT, 'a body goes only with an event that says so'); END;

-- One digest is kept in one place: bytes that come a second time, the other way, stay where they were first.
CREATE TRIGGER body_once BEFORE INSERT ON body
WHEN EXISTS (SELECT 1 FROM body_apart WHERE sha256 = NEW.sha256 AND leaving IS NULL)
BEGIN SELECT RAISE(IGNORE); END;
CREATE TRIGGER body_apart_once BEFORE INSERT ON body_apart
WHEN NEW.leaving IS NULL AND EXISTS (SELECT 1 FROM body WHERE sha256 = NEW.sha256)
BEGIN SELECT RAISE(IGNORE); END;
