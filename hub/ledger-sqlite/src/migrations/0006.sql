-- Alerts that are open or whose end is still to be told, and messages to the channels of alerts.

CREATE TABLE alert (
    alert      TEXT NOT NULL PRIMARY KEY,
    kind       TEXT NOT NULL,
    subject    TEXT NOT NULL,
    severity   TEXT NOT NULL,
    event      INTEGER NOT NULL REFERENCES event (seq),
    raised_at  INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL,
    seen       INTEGER NOT NULL,
    agencies   TEXT NOT NULL,
    system     TEXT,
    document   TEXT,
    facts      TEXT NOT NULL,
    told       TEXT,
    cleared_at INTEGER,
    cause      TEXT,
    untold     INTEGER NOT NULL
) STRICT;
-- Raised once: no two open alerts of a kind and a subject.
CREATE UNIQUE INDEX alert_open ON alert (kind, subject) WHERE cleared_at IS NULL;
CREATE INDEX alert_event ON alert (event) WHERE cleared_at IS NULL;
CREATE INDEX alert_untold ON alert (event) WHERE untold = 1;

-- `moment` is the time its place needs: not before, until, or since.
CREATE TABLE alert_post (
    post       TEXT NOT NULL PRIMARY KEY,
    channel    TEXT NOT NULL,
    kind       TEXT NOT NULL,
    lines      TEXT NOT NULL,
    more       INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    attempts   INTEGER NOT NULL,
    place      TEXT NOT NULL CHECK (place IN ('waiting', 'leased', 'dead')),
    moment     INTEGER NOT NULL,
    owner      TEXT,
    failure    TEXT
) STRICT;
CREATE INDEX alert_post_channel ON alert_post (channel, created_at, post) WHERE place <> 'dead';
CREATE INDEX alert_post_dead ON alert_post (created_at, post) WHERE place = 'dead';

CREATE TABLE alert_allowance (
    channel    TEXT NOT NULL PRIMARY KEY,
    left_milli INTEGER NOT NULL,
    at         INTEGER NOT NULL
) STRICT;
