-- Version 8: what waits and what is out have an index each, so that a claim steps over inboxes for which nothing
-- waits and counts what is out without reading it, and a message changes half as many index entries on its way.
-- Leases are found by their end.

DROP INDEX outbox_inbox;
CREATE INDEX outbox_waiting ON outbox (system, priority DESC, event, line)
    WHERE awaits_taken = 1 AND place = 'waiting';
CREATE INDEX outbox_out ON outbox (system) WHERE awaits_taken = 1 AND place <> 'waiting';
DROP INDEX outbox_leased;
CREATE INDEX outbox_leased ON outbox (moment) WHERE place = 'leased';
