-- What one database of the registry allows whom, before its first migration; safe to run again.
--
-- Run by the database's owner or a superuser after roles.sql, and again in every copy that was
-- made of a template: PostgreSQL copies the rights on schemas, but not those on the database.
-- TEMPORARY is revoked since a temporary table may shadow a real one in a trigger's search path.

DO $$
BEGIN
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO edc_app, edc_backup', current_database());
END
$$;

ALTER SCHEMA public OWNER TO edc_owner;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO edc_app, edc_backup;

-- Tables of third parties (sessions, log-ins, content types) get what they need from here;
-- protected tables are narrowed by their migrations, and functions are granted one by one.
ALTER DEFAULT PRIVILEGES FOR ROLE edc_owner IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO edc_app;
ALTER DEFAULT PRIVILEGES FOR ROLE edc_owner IN SCHEMA public
    GRANT USAGE, SELECT ON SEQUENCES TO edc_app;
ALTER DEFAULT PRIVILEGES FOR ROLE edc_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
