-- Version 2: turns are counted, and are taken in one statement; fewer indexes where each row costs.
--
-- A hub that had the turn before as well knows what it wrote then and need not read it again. The sequence goes on
-- whatever becomes of a transaction: whoever finds it one further than he left it was alone.

CREATE SEQUENCE turn AS bigint;

-- Waits for the turn, counts it, and reads the end of the chain. Each statement takes its own picture, so the last one
-- sees what the writer before has committed.
CREATE FUNCTION take_turn(OUT turn bigint, OUT seq bigint, OUT hash bytea) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(1416787299, 'event'::regclass::oid::int);
    turn := nextval('turn');
    SELECT e.seq, e.hash INTO seq, hash FROM event AS e ORDER BY e.seq DESC LIMIT 1;
END $$;

-- A hand at the database's own shell takes a turn too, knowing or not, before it changes what a hub may have at hand.
CREATE FUNCTION turn_by_hand() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(1416787299, 'event'::regclass::oid::int);
    PERFORM nextval('turn');
    RETURN NULL;
END $$;
CREATE TRIGGER document_by_hand BEFORE INSERT OR UPDATE OR DELETE ON document FOR EACH STATEMENT
    WHEN (current_setting('truc.turn', true) IS DISTINCT FROM 'taken') EXECUTE FUNCTION turn_by_hand();
CREATE TRIGGER recipient_by_hand BEFORE INSERT OR UPDATE OR DELETE ON recipient FOR EACH STATEMENT
    WHEN (current_setting('truc.turn', true) IS DISTINCT FROM 'taken') EXECUTE FUNCTION turn_by_hand();
CREATE TRIGGER body_by_hand BEFORE INSERT OR UPDATE OR DELETE ON body FOR EACH STATEMENT
    WHEN (current_setting('truc.turn', true) IS DISTINCT FROM 'taken') EXECUTE FUNCTION turn_by_hand();
CREATE TRIGGER outbox_by_hand BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON outbox FOR EACH STATEMENT
    WHEN (current_setting('truc.turn', true) IS DISTINCT FROM 'taken') EXECUTE FUNCTION turn_by_hand();

-- One index finds a sender's document and anybody's with that name or number.
DROP INDEX document_identity, document_named, document_number, document_numbered;
CREATE INDEX document_identity ON document (left(document_id, 200), sender, held, event);
CREATE INDEX document_number ON document (left(number, 200), sender, held, event) WHERE number IS NOT NULL;

-- Answers that a hub has in hand are found among the answers.
DROP INDEX outbox_leased;
CREATE INDEX outbox_leased ON outbox (system, moment) WHERE place = 'leased' AND awaits_taken;
