-- Version 10: an old ledger takes documents in as quickly as a new one, and is asked as quickly.
--
-- An index whose keys come in no order has another page written for every document. Two that serve one: whoever sent a
-- DocumentId or a number is found behind it.
DROP INDEX document_identity;
DROP INDEX document_named;
CREATE INDEX document_named ON document (document_id, sender, held, event);
DROP INDEX document_number;
DROP INDEX document_numbered;
CREATE INDEX document_numbered ON document (number, sender, held, event) WHERE number IS NOT NULL;

-- Days (of UTC) of acceptance, newest first, with what the balance adds up; and what is searched for a part of it. Both
-- grow at one end.
DROP INDEX document_accepted;
CREATE INDEX document_day ON document (accepted_at / 86400000000, event, accepted_at, sender, recipients);
CREATE INDEX document_names ON document (event, document_id, number);

-- What an agency has sent, beside what it has or got.
CREATE TABLE document_from (
    sender TEXT NOT NULL,
    event  INTEGER NOT NULL,
    PRIMARY KEY (sender, event)
) STRICT, WITHOUT ROWID;
INSERT INTO document_from (sender, event) SELECT sender, event FROM document ORDER BY sender, event;
DROP INDEX document_sender;

-- Documents up to this event are in the lists of agencies and systems. Those after it are looked through one by one, and
-- are put into the lists together: so a page of a list is written once for many documents. Few are not listed, and few
-- recipients: a document with many has all of them listed at once.
CREATE TABLE listed (
    one   INTEGER PRIMARY KEY CHECK (one = 1),
    event INTEGER NOT NULL
) STRICT;
INSERT INTO listed (one, event) SELECT 1, coalesce(max(event), 0) FROM document;
DROP TRIGGER document_listed;
DROP TRIGGER recipient_listed;

-- A key comes last of a document: its recipients are there.
CREATE TRIGGER submission_lists AFTER INSERT ON submission
WHEN NEW.event > (SELECT event + 16384 FROM listed)
    OR (SELECT recipients FROM document WHERE event = NEW.event) > 64
BEGIN
    INSERT OR IGNORE INTO document_party (party, event)
        SELECT r.party, d.event FROM document AS d CROSS JOIN recipient AS r ON r.document = d.uid
        WHERE d.event > (SELECT event FROM listed) AND d.event <= NEW.event
        UNION SELECT sender, event FROM document
        WHERE event > (SELECT event FROM listed) AND event <= NEW.event ORDER BY 1, 2;
    INSERT OR IGNORE INTO document_from (sender, event)
        SELECT sender, event FROM document
        WHERE event > (SELECT event FROM listed) AND event <= NEW.event ORDER BY 1, 2;
    INSERT OR IGNORE INTO document_at (system, event)
        SELECT r.system, d.event FROM document AS d CROSS JOIN recipient AS r ON r.document = d.uid
        WHERE d.event > (SELECT event FROM listed) AND d.event <= NEW.event AND r.system IS NOT NULL
        UNION SELECT system, event FROM document
        WHERE event > (SELECT event FROM listed) AND event <= NEW.event ORDER BY 1, 2;
    UPDATE listed SET event = NEW.event;
END;
