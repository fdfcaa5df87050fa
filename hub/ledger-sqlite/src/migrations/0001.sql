-- Version 1 of the tables. Times are microseconds since 1970 in UTC; digests are 32 bytes; ids are text.
-- What a column means stands in the crate truc-ledger, at the row of the same name (rows.rs).

CREATE TABLE event (
    seq       INTEGER PRIMARY KEY,
    at        INTEGER NOT NULL,
    kind      TEXT NOT NULL,
    document  TEXT,
    hash      BLOB NOT NULL CHECK (length(hash) = 32),
    canonical TEXT NOT NULL
) STRICT;
CREATE INDEX event_document ON event (document, seq) WHERE document IS NOT NULL;
CREATE TRIGGER event_gapless BEFORE INSERT ON event
WHEN NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM event)
BEGIN SELECT RAISE(ABORT, 'events are numbered without gaps'); END;
CREATE TRIGGER event_update BEFORE UPDATE ON event
BEGIN SELECT RAISE(ABORT, 'events are never changed'); END;
CREATE TRIGGER event_delete BEFORE DELETE ON event
BEGIN SELECT RAISE(ABORT, 'events are never deleted'); END;

CREATE TABLE body (
    sha256 BLOB PRIMARY KEY CHECK (length(sha256) = 32),
    bytes  BLOB NOT NULL
) STRICT;
CREATE TRIGGER body_update BEFORE UPDATE ON body
BEGIN SELECT RAISE(ABORT, 'bodies are never changed'); END;

CREATE TABLE document (
    event             INTEGER PRIMARY KEY REFERENCES event (seq),
    uid               TEXT NOT NULL UNIQUE,
    sender            TEXT NOT NULL,
    document_id       TEXT NOT NULL,
    sender_code       TEXT NOT NULL,
    system            TEXT NOT NULL,
    message_id        TEXT NOT NULL,
    sha256            BLOB NOT NULL,
    size              INTEGER NOT NULL,
    received_at       INTEGER NOT NULL,
    accepted_at       INTEGER NOT NULL,
    number            TEXT,
    facts             TEXT NOT NULL,
    verdict           TEXT NOT NULL,
    warnings          TEXT NOT NULL,
    directory_version INTEGER NOT NULL,
    recipients        INTEGER NOT NULL,
    held              INTEGER NOT NULL
) STRICT;
CREATE INDEX document_identity ON document (sender, document_id, held, event);
CREATE INDEX document_number ON document (sender, number, held, event) WHERE number IS NOT NULL;
CREATE INDEX document_sha256 ON document (sha256);
CREATE INDEX document_accepted ON document (accepted_at);
CREATE INDEX document_named ON document (document_id);
CREATE INDEX document_numbered ON document (number) WHERE number IS NOT NULL;
CREATE INDEX document_system ON document (system, event);
CREATE TRIGGER document_update BEFORE UPDATE OF
    event, uid, sender, document_id, sender_code, system, message_id, sha256, size, received_at, accepted_at,
    number, facts, verdict, warnings, directory_version, recipients ON document
BEGIN SELECT RAISE(ABORT, 'an accepted document is never changed'); END;
CREATE TRIGGER document_delete BEFORE DELETE ON document
BEGIN SELECT RAISE(ABORT, 'an accepted document is never deleted'); END;

CREATE TABLE recipient (
    document TEXT NOT NULL REFERENCES document (uid),
    position INTEGER NOT NULL,
    party    TEXT NOT NULL,
    codes    TEXT NOT NULL,
    system   TEXT,
    delivery TEXT,
    state    TEXT NOT NULL,
    detail   TEXT NOT NULL,
    business TEXT NOT NULL,
    change   TEXT NOT NULL,
    PRIMARY KEY (document, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX recipient_delivery ON recipient (delivery) WHERE delivery IS NOT NULL;
CREATE INDEX recipient_party ON recipient (party);
CREATE INDEX recipient_system ON recipient (system) WHERE system IS NOT NULL;
-- All but the many that are taken. Written with OR: SQLite sees that one of these implies the whole.
CREATE INDEX recipient_state ON recipient (state) WHERE state = 'scheduled' OR state = 'forwarded'
    OR state = 'parked' OR state = 'refused' OR state = 'withdrawn' OR state = 'undeliverable';
CREATE TRIGGER recipient_delete BEFORE DELETE ON recipient
BEGIN SELECT RAISE(ABORT, 'a recipient is never deleted'); END;

CREATE TABLE submission (
    system      TEXT NOT NULL,
    message_id  TEXT NOT NULL,
    kind        TEXT NOT NULL,
    sha256      BLOB NOT NULL,
    event       INTEGER NOT NULL REFERENCES event (seq),
    accepted_at INTEGER NOT NULL,
    document    TEXT NOT NULL REFERENCES document (uid),
    receipt     TEXT NOT NULL,
    PRIMARY KEY (system, message_id)
) STRICT;
CREATE INDEX submission_message ON submission (message_id);
CREATE TRIGGER submission_update BEFORE UPDATE ON submission
BEGIN SELECT RAISE(ABORT, 'a receipt is never changed'); END;
CREATE TRIGGER submission_delete BEFORE DELETE ON submission
BEGIN SELECT RAISE(ABORT, 'a key is never freed'); END;

-- An absent system or message_id is the empty text: two absences are the same.
CREATE TABLE refusal (
    event       INTEGER PRIMARY KEY REFERENCES event (seq),
    system      TEXT NOT NULL,
    message_id  TEXT NOT NULL,
    sha256      BLOB NOT NULL,
    code        TEXT NOT NULL,
    intake      TEXT NOT NULL,
    size        INTEGER NOT NULL,
    sender      TEXT,
    received_at INTEGER NOT NULL,
    refused_at  INTEGER NOT NULL,
    document    TEXT,
    body_kept   INTEGER NOT NULL,
    answer      TEXT NOT NULL,
    UNIQUE (system, message_id, sha256, code)
) STRICT;
CREATE INDEX refusal_refused ON refusal (refused_at);
CREATE TRIGGER refusal_update BEFORE UPDATE ON refusal
BEGIN SELECT RAISE(ABORT, 'a refusal is never changed'); END;
CREATE TRIGGER refusal_delete BEFORE DELETE ON refusal
BEGIN SELECT RAISE(ABORT, 'a refusal is never deleted'); END;

CREATE TABLE status (
    event        INTEGER PRIMARY KEY REFERENCES event (seq),
    document     TEXT NOT NULL REFERENCES document (uid),
    recipient    INTEGER NOT NULL,
    code         TEXT NOT NULL,
    reporter     TEXT NOT NULL,
    system       TEXT NOT NULL,
    message_id   TEXT NOT NULL,
    sha256       BLOB NOT NULL,
    size         INTEGER NOT NULL,
    accepted_at  INTEGER NOT NULL,
    effect       TEXT NOT NULL,
    delivery     TEXT,
    to_system    TEXT,
    reason_given INTEGER NOT NULL,
    warnings     TEXT NOT NULL
) STRICT;
CREATE INDEX status_document ON status (document, event);
CREATE INDEX status_delivery ON status (delivery) WHERE delivery IS NOT NULL;
CREATE TRIGGER status_update BEFORE UPDATE ON status
BEGIN SELECT RAISE(ABORT, 'a status is never changed'); END;
CREATE TRIGGER status_delete BEFORE DELETE ON status
BEGIN SELECT RAISE(ABORT, 'a status is never deleted'); END;

-- What waits to go out or to be taken. `moment` is the time its place needs: not before, until, or since.
CREATE TABLE outbox (
    delivery       TEXT NOT NULL PRIMARY KEY,
    system         TEXT NOT NULL,
    outgoing       TEXT NOT NULL,
    awaits_taken   INTEGER NOT NULL,
    priority       INTEGER NOT NULL,
    event          INTEGER NOT NULL,
    line           INTEGER NOT NULL,
    document       TEXT,
    correlation_id TEXT,
    body           TEXT,
    sha256         BLOB NOT NULL,
    size           INTEGER NOT NULL,
    from_code      TEXT,
    to_codes       TEXT NOT NULL,
    status         TEXT,
    accepted_at    INTEGER NOT NULL,
    attempts       INTEGER NOT NULL,
    place          TEXT NOT NULL CHECK (place IN ('waiting', 'leased', 'forwarded')),
    moment         INTEGER,
    owner          TEXT,
    confirmed      INTEGER,
    alerted        INTEGER NOT NULL
) STRICT;
CREATE INDEX outbox_inbox ON outbox (awaits_taken, system, place, priority DESC, event, line);
CREATE INDEX outbox_answers ON outbox (event, line) WHERE awaits_taken = 0;
CREATE INDEX outbox_forwarded ON outbox (moment, event, line) WHERE place = 'forwarded';
CREATE INDEX outbox_leased ON outbox (owner) WHERE place = 'leased';
CREATE INDEX outbox_document ON outbox (document) WHERE document IS NOT NULL;

CREATE TABLE directory (
    version INTEGER PRIMARY KEY,
    event   INTEGER NOT NULL REFERENCES event (seq),
    at      INTEGER NOT NULL,
    json    TEXT NOT NULL
) STRICT;
CREATE TRIGGER directory_update BEFORE UPDATE ON directory
BEGIN SELECT RAISE(ABORT, 'a version of the directory is never changed'); END;
CREATE TRIGGER directory_delete BEFORE DELETE ON directory
BEGIN SELECT RAISE(ABORT, 'a version of the directory is never deleted'); END;
