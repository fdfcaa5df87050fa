-- Version 9: lists of an agency's or a system's documents, newest first, are read off an index from their end. Before,
-- all documents of a system were looked up and sorted to show the newest fifty. A row may be of one who was once a
-- recipient and is no more: whoever reads it looks at the recipients too.

CREATE TABLE document_party (
    party TEXT NOT NULL,
    event INTEGER NOT NULL,
    PRIMARY KEY (party, event)
) STRICT, WITHOUT ROWID;
CREATE TABLE document_at (
    system TEXT NOT NULL,
    event  INTEGER NOT NULL,
    PRIMARY KEY (system, event)
) STRICT, WITHOUT ROWID;

INSERT OR IGNORE INTO document_party (party, event)
    SELECT r.party, d.event FROM recipient AS r JOIN document AS d ON d.uid = r.document
    UNION SELECT sender, event FROM document ORDER BY 1, 2;
INSERT OR IGNORE INTO document_at (system, event)
    SELECT r.system, d.event FROM recipient AS r JOIN document AS d ON d.uid = r.document WHERE r.system IS NOT NULL
    UNION SELECT system, event FROM document ORDER BY 1, 2;

CREATE TRIGGER document_listed AFTER INSERT ON document
BEGIN
    INSERT OR IGNORE INTO document_party (party, event) VALUES (NEW.sender, NEW.event);
    INSERT OR IGNORE INTO document_at (system, event) VALUES (NEW.system, NEW.event);
END;
CREATE TRIGGER recipient_listed AFTER INSERT ON recipient
BEGIN
    INSERT OR IGNORE INTO document_party (party, event) SELECT NEW.party, event FROM document WHERE uid = NEW.document;
    INSERT OR IGNORE INTO document_at (system, event)
        SELECT NEW.system, event FROM document WHERE uid = NEW.document AND NEW.system IS NOT NULL;
END;
CREATE TRIGGER recipient_moved AFTER UPDATE OF party, system ON recipient
WHEN NEW.party <> OLD.party OR NEW.system IS NOT OLD.system
BEGIN
    INSERT OR IGNORE INTO document_party (party, event) SELECT NEW.party, event FROM document WHERE uid = NEW.document;
    INSERT OR IGNORE INTO document_at (system, event)
        SELECT NEW.system, event FROM document WHERE uid = NEW.document AND NEW.system IS NOT NULL;
END;

DROP INDEX recipient_party;
DROP INDEX recipient_system;
DROP INDEX document_system;
CREATE INDEX document_sender ON document (sender, event);
