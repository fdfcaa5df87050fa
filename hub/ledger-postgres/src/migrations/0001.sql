-- Version 1 of the tables. What a column means stands in the crate truc-ledger, at the row of the same name (rows.rs).
--
-- Times are microseconds since 1970 in UTC, as in the events; digests are 32 bytes; ids are uuid. Text that is
-- compared or sorted has the collation "C": bytes, as the hub sorts, and no index breaks with a new C library.
-- JSON stands in text columns, byte for byte as written; what is asked of it has a column of its own.
-- What strangers write can be longer than an index takes: such columns are found by their first 200 characters.
-- No foreign keys: each would look its parent up and lock it once more for every row, and `truc ledger verify`
-- compares all of it with the events. No partitions: decision 0009 says why, and what does their work.

CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'restrict_violation';
END $$;

CREATE TABLE event (
    seq       bigint PRIMARY KEY,
    at        bigint NOT NULL,
    kind      text COLLATE "C" NOT NULL,
    document  uuid,
    hash      bytea NOT NULL CHECK (octet_length(hash) = 32),
    canonical text NOT NULL
);
CREATE INDEX event_document ON event (document, seq) WHERE document IS NOT NULL;
CREATE INDEX event_hub ON event (kind, seq) WHERE document IS NULL;

-- Whatever holds the lock or does not: a statement's events follow the last one without a gap.
CREATE FUNCTION event_gapless() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    first bigint;
    last bigint;
    n bigint;
    before bigint;
BEGIN
    SELECT min(seq), max(seq), count(*) INTO first, last, n FROM added;
    IF n = 0 THEN
        RETURN NULL;
    END IF;
    SELECT seq INTO before FROM event WHERE seq < first ORDER BY seq DESC LIMIT 1;
    IF first <> coalesce(before, 0) + 1 OR last <> first + n - 1 THEN
        RAISE EXCEPTION 'events are numbered without gaps' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER event_gapless AFTER INSERT ON event REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION event_gapless();
CREATE TRIGGER event_update BEFORE UPDATE ON event
    FOR EACH ROW EXECUTE FUNCTION refuse('events are never changed');
CREATE TRIGGER event_delete BEFORE DELETE ON event
    FOR EACH ROW EXECUTE FUNCTION refuse('events are never deleted');
CREATE TRIGGER event_truncate BEFORE TRUNCATE ON event
    FOR EACH STATEMENT EXECUTE FUNCTION refuse('events are never deleted');

-- Bytes that are here, or NULL and their size when they are apart.
CREATE TABLE body (
    sha256 bytea PRIMARY KEY CHECK (octet_length(sha256) = 32),
    size   bigint NOT NULL,
    bytes  bytea,
    CHECK (bytes IS NULL OR octet_length(bytes) = size)
);
-- Packets are mostly compressed files in base64: trying to compress them again costs time and gains nothing.
ALTER TABLE body ALTER COLUMN bytes SET STORAGE EXTERNAL;
CREATE TRIGGER body_update BEFORE UPDATE ON body
    FOR EACH ROW EXECUTE FUNCTION refuse('bodies are never changed');
CREATE TRIGGER body_truncate BEFORE TRUNCATE ON body
    FOR EACH STATEMENT EXECUTE FUNCTION refuse('a body goes only with an event that says so');

CREATE TABLE body_deleted (
    sha256 bytea NOT NULL CHECK (octet_length(sha256) = 32),
    event  bigint NOT NULL,
    at     bigint NOT NULL,
    size   bigint NOT NULL,
    cause  text COLLATE "C" NOT NULL,
    PRIMARY KEY (sha256, event)
);
CREATE TRIGGER body_deleted_update BEFORE UPDATE ON body_deleted
    FOR EACH ROW EXECUTE FUNCTION refuse('a deletion is never changed');
CREATE TRIGGER body_deleted_delete BEFORE DELETE ON body_deleted
    FOR EACH ROW EXECUTE FUNCTION refuse('a deletion is never undone');
CREATE TRIGGER body_deleted_truncate BEFORE TRUNCATE ON body_deleted
    FOR EACH STATEMENT EXECUTE FUNCTION refuse('a deletion is never undone');

-- Bodies apart that the ledger let go and whose bytes are still to be deleted.
CREATE TABLE body_leaving (
    sha256 bytea PRIMARY KEY CHECK (octet_length(sha256) = 32),
    size   bigint NOT NULL,
    event  bigint NOT NULL
);

CREATE TABLE document (
    event             bigint PRIMARY KEY,
    uid               uuid NOT NULL UNIQUE,
    sender            text COLLATE "C" NOT NULL,
    document_id       text COLLATE "C" NOT NULL,
    sender_code       text COLLATE "C" NOT NULL,
    system            text COLLATE "C" NOT NULL,
    message_id        uuid NOT NULL,
    sha256            bytea NOT NULL,
    size              bigint NOT NULL,
    received_at       bigint NOT NULL,
    accepted_at       bigint NOT NULL,
    number            text COLLATE "C",
    facts             text NOT NULL,
    verdict           text NOT NULL,
    warnings          text NOT NULL,
    directory_version bigint NOT NULL,
    recipients        integer NOT NULL,
    amends            uuid,
    replaces          uuid[] NOT NULL,
    held              boolean NOT NULL,
    -- Taken out of facts and verdict, because lists and counts ask for them.
    attachments       integer NOT NULL,
    sent_late         boolean NOT NULL,
    verdict_kind      text COLLATE "C" NOT NULL,
    pdfs              text
);
CREATE INDEX document_identity ON document (sender, left(document_id, 200), held, event);
CREATE INDEX document_number ON document (sender, left(number, 200), held, event) WHERE number IS NOT NULL;
CREATE INDEX document_sha256 ON document (sha256);
CREATE INDEX document_accepted ON document (accepted_at, event);
CREATE INDEX document_named ON document (left(document_id, 200));
CREATE INDEX document_numbered ON document (left(number, 200)) WHERE number IS NOT NULL;
CREATE INDEX document_sender ON document (sender, event);
CREATE INDEX document_system ON document (system, event);
CREATE INDEX document_amends ON document (amends, event) WHERE amends IS NOT NULL;
CREATE INDEX document_sent_late ON document (event) WHERE sent_late;
CREATE INDEX document_pdfs ON document (accepted_at, event) WHERE pdfs IS NOT NULL;
CREATE TRIGGER document_update BEFORE UPDATE OF
    event, uid, sender, document_id, sender_code, system, message_id, sha256, size, received_at, accepted_at,
    number, facts, verdict, warnings, directory_version, recipients, amends, replaces, attachments, sent_late,
    verdict_kind, pdfs ON document
    FOR EACH ROW EXECUTE FUNCTION refuse('an accepted document is never changed');
CREATE TRIGGER document_delete BEFORE DELETE ON document
    FOR EACH ROW EXECUTE FUNCTION refuse('an accepted document is never deleted');
CREATE TRIGGER document_truncate BEFORE TRUNCATE ON document
    FOR EACH STATEMENT EXECUTE FUNCTION refuse('an accepted document is never deleted');

-- `aside` is the state when it is not one of the way from scheduled to taken. So the way changes no column that
-- an index has, and the new row stays on its page beside the old one (HOT): hence the room on each page.
CREATE TABLE recipient (
    document uuid NOT NULL,
    position integer NOT NULL,
    party    text COLLATE "C" NOT NULL,
    codes    text NOT NULL,
    system   text COLLATE "C",
    delivery uuid,
    state    text COLLATE "C" NOT NULL,
    aside    text COLLATE "C",
    detail   text NOT NULL,
    business text COLLATE "C" NOT NULL,
    change   text COLLATE "C" NOT NULL,
    revision integer NOT NULL,
    recalled bigint,
    PRIMARY KEY (document, position)
) WITH (fillfactor = 60);
CREATE INDEX recipient_delivery ON recipient (delivery) WHERE delivery IS NOT NULL;
CREATE INDEX recipient_party ON recipient (left(party, 200), document);
CREATE INDEX recipient_system ON recipient (system, document) WHERE system IS NOT NULL;
CREATE INDEX recipient_aside ON recipient (aside, document) WHERE aside IS NOT NULL;
CREATE TRIGGER recipient_delete BEFORE DELETE ON recipient
    FOR EACH ROW EXECUTE FUNCTION refuse('a recipient is never deleted');
CREATE TRIGGER recipient_truncate BEFORE TRUNCATE ON recipient
    FOR EACH STATEMENT EXECUTE FUNCTION refuse('a recipient is never deleted');

CREATE TABLE submission (
    system      text COLLATE "C" NOT NULL,
    message_id  uuid NOT NULL,
    kind        text COLLATE "C" NOT NULL,
    sha256      bytea NOT NULL,
    event       bigint NOT NULL,
    accepted_at bigint NOT NULL,
    document    uuid NOT NULL,
    receipt     text NOT NULL,
    PRIMARY KEY (message_id, system)
);
CREATE TRIGGER submission_update BEFORE UPDATE ON submission
    FOR EACH ROW EXECUTE FUNCTION refuse('a receipt is never changed');
CREATE TRIGGER submission_delete BEFORE DELETE ON submission
    FOR EACH ROW EXECUTE FUNCTION refuse('a key is never freed');
CREATE TRIGGER submission_truncate BEFORE TRUNCATE ON submission
    FOR EACH STATEMENT EXECUTE FUNCTION refuse('a key is never freed');

-- An absent system or message_id is the empty text: two absences are the same.
CREATE TABLE refusal (
    event       bigint PRIMARY KEY,
    system      text COLLATE "C" NOT NULL,
    message_id  text COLLATE "C" NOT NULL,
    sha256      bytea NOT NULL,
    code        text COLLATE "C" NOT NULL,
    intake      text COLLATE "C" NOT NULL,
    size        bigint NOT NULL,
    sender      text COLLATE "C",
    received_at bigint NOT NULL,
    refused_at  bigint NOT NULL,
    document    uuid,
    body_kept   boolean NOT NULL,
    answer      text NOT NULL,
    UNIQUE (system, message_id, sha256, code)
);
CREATE INDEX refusal_refused ON refusal (refused_at);
CREATE INDEX refusal_body ON refusal (sha256) WHERE body_kept;
CREATE TRIGGER refusal_update BEFORE UPDATE ON refusal
    FOR EACH ROW EXECUTE FUNCTION refuse('a refusal is never changed');
CREATE TRIGGER refusal_delete BEFORE DELETE ON refusal
    FOR EACH ROW EXECUTE FUNCTION refuse('a refusal is never deleted');
CREATE TRIGGER refusal_truncate BEFORE TRUNCATE ON refusal
    FOR EACH STATEMENT EXECUTE FUNCTION refuse('a refusal is never deleted');

CREATE TABLE status (
    event        bigint PRIMARY KEY,
    document     uuid NOT NULL,
    recipient    integer NOT NULL,
    code         text COLLATE "C" NOT NULL,
    reporter     text COLLATE "C" NOT NULL,
    system       text COLLATE "C" NOT NULL,
    message_id   uuid NOT NULL,
    sha256       bytea NOT NULL,
    size         bigint NOT NULL,
    accepted_at  bigint NOT NULL,
    effect       text COLLATE "C" NOT NULL,
    delivery     uuid,
    to_system    text COLLATE "C",
    reason_given boolean NOT NULL,
    warnings     text NOT NULL
);
CREATE INDEX status_document ON status (document, event);
CREATE INDEX status_delivery ON status (delivery) WHERE delivery IS NOT NULL;
CREATE INDEX status_sha256 ON status (sha256);
CREATE TRIGGER status_update BEFORE UPDATE ON status
    FOR EACH ROW EXECUTE FUNCTION refuse('a status is never changed');
CREATE TRIGGER status_delete BEFORE DELETE ON status
    FOR EACH ROW EXECUTE FUNCTION refuse('a status is never deleted');
CREATE TRIGGER status_truncate BEFORE TRUNCATE ON status
    FOR EACH STATEMENT EXECUTE FUNCTION refuse('a status is never deleted');

-- The deletion must be recorded first, after everything that names the bytes.
CREATE FUNCTION body_delete() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF coalesce((SELECT max(event) FROM body_deleted WHERE sha256 = OLD.sha256), 0) <= greatest(
        coalesce((SELECT max(event) FROM document WHERE sha256 = OLD.sha256), 0),
        coalesce((SELECT max(event) FROM status WHERE sha256 = OLD.sha256), 0),
        coalesce((SELECT max(event) FROM refusal WHERE sha256 = OLD.sha256 AND body_kept), 0))
    THEN
        RAISE EXCEPTION 'a body goes only with an event that says so' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN OLD;
END $$;
CREATE TRIGGER body_delete BEFORE DELETE ON body FOR EACH ROW EXECUTE FUNCTION body_delete();

-- What waits to go out or to be taken. `moment` is the time its place needs: not before, until, or since.
-- A row lives seconds and changes place twice: every look has an index of the open rows alone.
CREATE TABLE outbox (
    delivery       uuid PRIMARY KEY,
    system         text COLLATE "C" NOT NULL,
    outgoing       text COLLATE "C" NOT NULL,
    awaits_taken   boolean NOT NULL,
    priority       smallint NOT NULL,
    event          bigint NOT NULL,
    line           integer NOT NULL,
    document       uuid,
    correlation_id uuid,
    body           text,
    sha256         bytea NOT NULL,
    size           bigint NOT NULL,
    from_code      text,
    to_codes       text NOT NULL,
    status         text,
    accepted_at    bigint NOT NULL,
    attempts       integer NOT NULL,
    place          text COLLATE "C" NOT NULL CHECK (place IN ('waiting', 'leased', 'forwarded')),
    moment         bigint,
    owner          text COLLATE "C",
    confirmed      integer,
    alerted        boolean NOT NULL,
    failed         integer NOT NULL,
    ordered_back   text NOT NULL,
    recalled       boolean NOT NULL
);
CREATE INDEX outbox_waiting ON outbox (system, priority DESC, event, line)
    WHERE awaits_taken AND place = 'waiting' AND NOT recalled;
CREATE INDEX outbox_inside ON outbox (system, moment, event, line) WHERE awaits_taken AND place = 'forwarded';
CREATE INDEX outbox_leased ON outbox (system, moment) WHERE place = 'leased';
CREATE INDEX outbox_answers ON outbox (event, line) WHERE NOT awaits_taken;
CREATE INDEX outbox_orders ON outbox (event, line) WHERE awaits_taken AND priority = 5 AND place <> 'forwarded';
CREATE INDEX outbox_untaken ON outbox (alerted, moment, event, line) WHERE place = 'forwarded';
CREATE INDEX outbox_document ON outbox (document) WHERE document IS NOT NULL;
CREATE INDEX outbox_recalled ON outbox (event, line) WHERE ordered_back <> '[]';

CREATE TABLE directory (
    version bigint PRIMARY KEY,
    event   bigint NOT NULL,
    at      bigint NOT NULL,
    json    text NOT NULL
);
CREATE TRIGGER directory_update BEFORE UPDATE ON directory
    FOR EACH ROW EXECUTE FUNCTION refuse('a version of the directory is never changed');
CREATE TRIGGER directory_delete BEFORE DELETE ON directory
    FOR EACH ROW EXECUTE FUNCTION refuse('a version of the directory is never deleted');
CREATE TRIGGER directory_truncate BEFORE TRUNCATE ON directory
    FOR EACH STATEMENT EXECUTE FUNCTION refuse('a version of the directory is never deleted');

CREATE TABLE time_limit (
    document uuid NOT NULL,
    position integer NOT NULL,
    kind     text COLLATE "C" NOT NULL,
    began    bigint NOT NULL,
    urgency  smallint NOT NULL,
    told     smallint NOT NULL,
    ended    bigint,
    PRIMARY KEY (document, position, kind, began)
);
-- In this order what is late is read off the front.
CREATE INDEX time_limit_open ON time_limit (kind, urgency, told, began) WHERE ended IS NULL;
CREATE INDEX time_limit_ended ON time_limit (ended) WHERE ended IS NOT NULL;

CREATE TABLE alert (
    alert      uuid PRIMARY KEY,
    kind       text COLLATE "C" NOT NULL,
    subject    text COLLATE "C" NOT NULL,
    severity   text COLLATE "C" NOT NULL,
    event      bigint NOT NULL,
    raised_at  bigint NOT NULL,
    changed_at bigint NOT NULL,
    seen_at    bigint NOT NULL,
    seen       bigint NOT NULL,
    agencies   text NOT NULL,
    system     text COLLATE "C",
    document   uuid,
    facts      text NOT NULL,
    told       text COLLATE "C",
    cleared_at bigint,
    cause      text COLLATE "C",
    untold     boolean NOT NULL
);
-- Raised once: no two open alerts of a kind and a subject.
CREATE UNIQUE INDEX alert_open ON alert (kind, subject) WHERE cleared_at IS NULL;
CREATE INDEX alert_event ON alert (event) WHERE cleared_at IS NULL;
CREATE INDEX alert_untold ON alert (event) WHERE untold;

CREATE TABLE alert_post (
    post       uuid PRIMARY KEY,
    channel    text COLLATE "C" NOT NULL,
    kind       text COLLATE "C" NOT NULL,
    lines      text NOT NULL,
    more       bigint NOT NULL,
    created_at bigint NOT NULL,
    attempts   integer NOT NULL,
    place      text COLLATE "C" NOT NULL CHECK (place IN ('waiting', 'leased', 'dead')),
    moment     bigint NOT NULL,
    owner      text COLLATE "C",
    failure    text
);
CREATE INDEX alert_post_channel ON alert_post (channel, created_at, post) WHERE place <> 'dead';
CREATE INDEX alert_post_dead ON alert_post (created_at, post) WHERE place = 'dead';

CREATE TABLE alert_allowance (
    channel    text COLLATE "C" PRIMARY KEY,
    left_milli bigint NOT NULL,
    at         bigint NOT NULL
);

-- Tables that only grow are vacuumed in small steps, and what is there is frozen at once and never read for it
-- again. Tables whose rows come and go are vacuumed early: their dead rows lie where the next look begins.
ALTER TABLE event SET (autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 500000,
    autovacuum_freeze_min_age = 0, autovacuum_analyze_scale_factor = 0.02);
ALTER TABLE submission SET (autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 500000,
    autovacuum_freeze_min_age = 0, autovacuum_analyze_scale_factor = 0.02);
ALTER TABLE status SET (autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 500000,
    autovacuum_freeze_min_age = 0, autovacuum_analyze_scale_factor = 0.02);
ALTER TABLE document SET (autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 100000,
    autovacuum_freeze_min_age = 0, autovacuum_analyze_scale_factor = 0.02);
ALTER TABLE body SET (autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 100000,
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000, autovacuum_freeze_min_age = 0);
ALTER TABLE recipient SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200000,
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 500000,
    autovacuum_analyze_scale_factor = 0.02);
ALTER TABLE outbox SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 20000);
ALTER TABLE time_limit SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
