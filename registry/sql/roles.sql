-- The three roles of an installation, made or put right by a superuser; safe to run again.
--
-- Run in the database of the registry, by the compose init script, by the embedded server and by
-- `manage.py up` alike. Before it, the session says the three passwords:
--   SELECT set_config('edc.owner_password', '…', false), set_config('edc.app_password', '…', false),
--          set_config('edc.backup_password', '…', false);
-- Nobody but the superuser may bypass row security, save the backup, which may only read.

DO $$
DECLARE
    role record;
BEGIN
    FOR role IN
        SELECT * FROM (VALUES
            ('edc_owner', 'NOBYPASSRLS', current_setting('edc.owner_password')),
            ('edc_app', 'NOBYPASSRLS', current_setting('edc.app_password')),
            ('edc_backup', 'BYPASSRLS', current_setting('edc.backup_password'))
        ) AS wanted (name, rls, password)
    LOOP
        IF length(role.password) < 20 THEN
            RAISE EXCEPTION 'the password of % must have at least 20 characters', role.name;
        END IF;
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role.name) THEN
            EXECUTE format('CREATE ROLE %I', role.name);
        END IF;
        EXECUTE format(
            'ALTER ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION INHERIT %s PASSWORD %L',
            role.name, role.rls, role.password
        );
    END LOOP;
    EXECUTE format('ALTER DATABASE %I OWNER TO edc_owner', current_database());
END
$$;

GRANT pg_read_all_data TO edc_backup;
ALTER ROLE edc_backup SET default_transaction_read_only = on;
-- The trail is sealed only up to the oldest running transaction, so none may stay open for ever.
ALTER ROLE edc_app SET idle_in_transaction_session_timeout = '10min';
