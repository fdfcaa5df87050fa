-- Version 4: orders about earlier documents. What a document amends (recalls, updates) and replaces; for each
-- recipient its revision and the event that took its document back; of each message how many attempts surely
-- came to nothing, for whom it was ordered back, and whether for all.

ALTER TABLE document ADD COLUMN amends TEXT;
ALTER TABLE document ADD COLUMN replaces TEXT NOT NULL DEFAULT '[]';
CREATE INDEX document_amends ON document (amends, event) WHERE amends IS NOT NULL;
DROP TRIGGER document_update;
CREATE TRIGGER document_update BEFORE UPDATE OF
    event, uid, sender, document_id, sender_code, system, message_id, sha256, size, received_at, accepted_at,
    number, facts, verdict, warnings, directory_version, recipients, amends, replaces ON document
BEGIN SELECT RAISE(ABORT, 'an accepted document is never changed'); END;

ALTER TABLE recipient ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
ALTER TABLE recipient ADD COLUMN recalled INTEGER;

ALTER TABLE outbox ADD COLUMN failed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN ordered_back TEXT NOT NULL DEFAULT '[]';
ALTER TABLE outbox ADD COLUMN recalled INTEGER NOT NULL DEFAULT 0;
CREATE INDEX outbox_orders ON outbox (event, line) WHERE awaits_taken = 1 AND priority = 5;
CREATE INDEX outbox_recalled ON outbox (system, event, line) WHERE ordered_back <> '[]';

-- Until here a status 13 asked, and nothing more came of it.
UPDATE recipient SET recalled = (SELECT min(event) FROM status AS s
    WHERE s.document = recipient.document AND s.recipient = recipient.position AND s.code = '13')
WHERE EXISTS (SELECT 1 FROM status AS s
    WHERE s.document = recipient.document AND s.recipient = recipient.position AND s.code = '13');
