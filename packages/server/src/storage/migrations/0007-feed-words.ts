/** PostgreSQL tells every node at the commit that the feed has moved on, whoever moved it. SQLite has no such word. */
export const sql = `
-- postgres: CREATE FUNCTION keyturn_feed_moved() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_notify('keyturn_feed', TG_TABLE_SCHEMA); RETURN NULL; END $$;
-- postgres: CREATE TRIGGER keyturn_feed_moved AFTER UPDATE ON revocation_position FOR EACH ROW WHEN (OLD.seq IS DISTINCT FROM NEW.seq) EXECUTE FUNCTION keyturn_feed_moved();
`;
