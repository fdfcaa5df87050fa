-- Version 2: what happened to the hub itself is found by its kind, among however many events of documents.

CREATE INDEX event_hub ON event (kind, seq) WHERE document IS NULL;
