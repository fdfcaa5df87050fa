-- Version 5: time limits that run for a recipient, and those that ended after it was told that they ran out.
-- They begin with what is taken from now on: what lay about before is not made late by an update.

CREATE TABLE time_limit (
    document TEXT NOT NULL,
    position INTEGER NOT NULL,
    kind     TEXT NOT NULL,
    began    INTEGER NOT NULL,
    urgency  INTEGER NOT NULL,
    told     INTEGER NOT NULL DEFAULT 0,
    ended    INTEGER,
    PRIMARY KEY (document, position, kind, began)
) STRICT, WITHOUT ROWID;

-- In this order what is late is read off the front.
CREATE INDEX time_limit_open ON time_limit (kind, urgency, told, began) WHERE ended IS NULL;
CREATE INDEX time_limit_ended ON time_limit (told, ended) WHERE ended IS NOT NULL;

CREATE INDEX document_sent_late ON document (event) WHERE json_extract(facts, '$.sent_late') IS NOT NULL;
