"""The migration operations that put the database's own guards on a table (DESIGN 2.4, 2.6, 5).

`Protect` gives a model its history trigger, row-level security and grants; `Immutable` makes rows
final once written; `Exempt` documents, in code that a test reads, why a table carries neither.
Run `Protect` again in the migration that changes a protected model's columns: the trigger
function is generated from them, and a test compares the two.
"""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation

# Tables without history or row-level security, each with its reason. Every table of the database
# is protected by an operation of a migration or is listed here; `tests/test_protection.py` asks.
EXEMPT = {
    "django_migrations": "written by migrations alone, as the owner",
    "django_content_type": "names of models",
    "django_session": "a session belongs to one account and holds no study data",
    "auth_group": "unused: roles are memberships",
    "auth_permission": "unused: roles are memberships",
    "auth_group_permissions": "unused: roles are memberships",
    "sites_user_groups": "unused: roles are memberships",
    "sites_user_user_permissions": "unused: roles are memberships",
    "account_emailaddress": "allauth's address book of accounts",
    "account_emailconfirmation": "allauth's pending confirmations",
    "sites_securityevent": "append-only log itself; log-ins happen before any site is known",
    "registry_counter": "counts over the whole study: under RLS they would see one site only",
    "registry_job": "work and its progress, with its requester and times; names no participant",
    "registry_savedview": "filters of a list under a name: an address that names no participant",
    "registry_personkey": "keyed digests without site, to warn of one person at two sites",
}

APP, OWNER = "edc_app", "edc_owner"
SITE_POLICY = "site_id = ANY((SELECT edc_sites())::bigint[])"


def columns(model: type[models.Model]) -> list[str]:
    return [f.column for f in model._meta.local_concrete_fields if f.column]


def historical(model: type[models.Model]) -> type[models.Model]:
    """The history model that `history()` made for `model`."""
    return model._meta.apps.get_model(model._meta.app_label, f"Historical{model._meta.object_name}")


def kept_columns(model: type[models.Model]) -> list[str]:
    """Columns of `model` that its history keeps, by name: migrations know another order."""
    return sorted(set(columns(model)) & set(columns(historical(model))))


def trigger_function(model: type[models.Model], site: str | None) -> str:
    """SQL of the function that copies a changed row to the history, one static insert per table."""
    table, history = model._meta.db_table, historical(model)._meta.db_table
    kept = kept_columns(model)
    names = ", ".join(f'"{c}"' for c in kept)
    old, new = (", ".join(f'{row}."{c}"' for c in kept) for row in ("OLD", "NEW"))
    values = ", ".join(f'r."{c}"' for c in kept)
    role = "current_setting('edc.role', true)"
    if site:
        own = f'{role}::jsonb ->> (r."{site}")::text'
        role = f"CASE WHEN {role} LIKE '{{%' THEN {own} ELSE {role} END"
    return f"""
CREATE OR REPLACE FUNCTION edc_history_{table}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
  r public."{table}";
  actor text := nullif(current_setting('edc.actor', true), '');
BEGIN
  IF TG_OP = 'UPDATE' AND ROW({old}) IS NOT DISTINCT FROM ROW({new}) THEN
    RETURN NULL;
  END IF;
  IF actor IS NULL THEN
    RAISE EXCEPTION 'a write to {table} outside acting(): nobody is named for it'
      USING ERRCODE = 'insufficient_privilege';
  END IF;
  IF TG_OP = 'DELETE' THEN r := OLD; ELSE r := NEW; END IF;
  INSERT INTO public."{history}" ({names}, history_type, history_date, history_change_reason,
    history_actor, history_user_id, history_role, history_source, history_captured_at,
    history_request, history_xid)
  VALUES ({values},
    CASE TG_OP WHEN 'INSERT' THEN '+' WHEN 'UPDATE' THEN '~' ELSE '-' END,
    clock_timestamp(), nullif(current_setting('edc.reason', true), ''), actor,
    nullif(current_setting('edc.user', true), '')::bigint,
    coalesce({role}, ''), coalesce(current_setting('edc.source', true), ''),
    nullif(current_setting('edc.captured_at', true), '')::timestamptz,
    coalesce(current_setting('edc.request', true), ''),
    pg_current_xact_id()::text::bigint);
  RETURN NULL;
END $body$;
REVOKE ALL ON FUNCTION edc_history_{table}() FROM PUBLIC;
"""


class _ModelOperation(Operation):
    reduces_to_sql = True
    reversible = True

    def state_forwards(self, app_label: str, state: Any) -> None:
        pass

    def _run(self, schema_editor: BaseDatabaseSchemaEditor, statements: list[str]) -> None:
        for statement in statements:
            schema_editor.execute(statement, None)


class Protect(_ModelOperation):
    """History trigger, row-level security by `site` (None: no site) and grants for a model.

    `delete` says whether the runtime role may delete rows (recorded) or the database refuses it.
    `guard` makes every write ask `edc_refuse_locked` first: rows of a locked site stay as they are.
    """

    def __init__(
        self, name: str, *, site: str | None = "site_id", delete: bool = False, guard: bool = False
    ) -> None:
        self.name, self.site, self.delete, self.guard = name, site, delete, guard

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        options = {"site": self.site, "delete": self.delete, "guard": self.guard}
        return "Protect", [self.name], options

    def describe(self) -> str:
        return f"Protect {self.name} by history trigger, row-level security and grants"

    def database_forwards(self, app_label, schema_editor, from_state, to_state) -> None:  # type: ignore[no-untyped-def]
        model = to_state.apps.get_model(app_label, self.name)
        table, history = model._meta.db_table, historical(model)._meta.db_table
        rights = "SELECT, INSERT, UPDATE" + (", DELETE" if self.delete else "")
        statements = [
            trigger_function(model, self.site),
            f'DROP TRIGGER IF EXISTS edc_history ON "{table}"',
            f'CREATE TRIGGER edc_history AFTER INSERT OR UPDATE OR DELETE ON "{table}" '
            f"FOR EACH ROW EXECUTE FUNCTION edc_history_{table}()",
            f'REVOKE ALL ON "{table}", "{history}" FROM {APP}',
            f'GRANT {rights} ON "{table}" TO {APP}',
            f'GRANT SELECT ON "{history}" TO {APP}',
        ]
        for name in (table, history):
            statements += _refuse(name, "TRUNCATE", each="STATEMENT")
        statements += _refuse(history, "UPDATE OR DELETE")
        # What an earlier `Protect` of this table asked for goes when this one does not.
        statements += [
            f'DROP TRIGGER IF EXISTS edc_refuse_delete ON "{table}"',
            f'DROP TRIGGER IF EXISTS edc_locked ON "{table}"',
        ]
        if not self.delete:
            statements += _refuse(table, "DELETE")
        if self.guard:
            statements += [
                # What is derived and in no history follows from other rows, also when locked.
                "CREATE TRIGGER edc_locked BEFORE INSERT OR UPDATE OF "
                f'{", ".join(kept_columns(model))} ON "{table}" '
                "FOR EACH ROW EXECUTE FUNCTION edc_refuse_locked()",
            ]
        if self.site:
            statements += row_security(table)
            statements += row_security(history, append_only=True)
            statements += same_site(model)
        self._run(schema_editor, statements)

    def database_backwards(self, app_label, schema_editor, from_state, to_state) -> None:  # type: ignore[no-untyped-def]
        model = from_state.apps.get_model(app_label, self.name)
        table = model._meta.db_table
        self._run(schema_editor, [f"DROP FUNCTION IF EXISTS edc_history_{table}() CASCADE"])


class Immutable(_ModelOperation):
    """Rows of a model that nobody changes or deletes once they are written."""

    def __init__(self, name: str, *, site: str | None = None) -> None:
        self.name, self.site = name, site

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return "Immutable", [self.name], {"site": self.site}

    def describe(self) -> str:
        return f"Make rows of {self.name} final"

    def database_forwards(self, app_label, schema_editor, from_state, to_state) -> None:  # type: ignore[no-untyped-def]
        model = to_state.apps.get_model(app_label, self.name)
        statements = final_table(model._meta.db_table, site=bool(self.site))
        if self.site:
            statements += same_site(model)
        self._run(schema_editor, statements)

    def database_backwards(self, app_label, schema_editor, from_state, to_state) -> None:  # type: ignore[no-untyped-def]
        pass


def final_table(table: str, *, site: bool) -> list[str]:
    """Statements that let the runtime role add rows and nobody change or delete them."""
    return [
        f'REVOKE ALL ON "{table}" FROM {APP}',
        f'GRANT SELECT, INSERT ON "{table}" TO {APP}',
        *_refuse(table, "UPDATE OR DELETE"),
        *_refuse(table, "TRUNCATE", each="STATEMENT"),
        *(row_security(table) if site else []),
    ]


def _refuse(table: str, events: str, each: str = "ROW") -> list[str]:
    name = f"edc_refuse_{events.split()[0].lower()}"
    return [
        f'DROP TRIGGER IF EXISTS {name} ON "{table}"',
        f'CREATE TRIGGER {name} BEFORE {events} ON "{table}" '
        f"FOR EACH {each} EXECUTE FUNCTION edc_refuse()",
    ]


def row_security(table: str, append_only: bool = False) -> list[str]:
    """Statements that show and accept only rows of the sites in the context (DESIGN 2.6)."""
    statements = [
        f'ALTER TABLE "{table}" ENABLE ROW LEVEL SECURITY',
        f'ALTER TABLE "{table}" FORCE ROW LEVEL SECURITY',
        f'DROP POLICY IF EXISTS edc_site ON "{table}"',
        f'CREATE POLICY edc_site ON "{table}" FOR {"SELECT" if append_only else "ALL"} '
        f"USING ({SITE_POLICY})",
    ]
    if append_only:
        statements += [
            f'DROP POLICY IF EXISTS edc_append ON "{table}"',
            f'CREATE POLICY edc_append ON "{table}" FOR INSERT TO {OWNER} WITH CHECK (true)',
        ]
    return statements


def same_site(model: type[models.Model]) -> list[str]:
    """Statements that let a row refer to rows of its own site alone.

    A foreign key is checked past row-level security: without this a row of one's own site could
    name a participant of another, and the answer would tell whether that one exists.
    """
    table, statements = model._meta.db_table, []
    for field in model._meta.local_concrete_fields:
        parent = field.related_model
        if not isinstance(parent, type) or field.column == "site_id":
            continue
        site = next((f for f in parent._meta.local_concrete_fields if f.column == "site_id"), None)
        if site is None:
            continue
        name, one = f"{table}_{field.column}_same_site", parent._meta.db_table
        statements += [
            f'CREATE UNIQUE INDEX IF NOT EXISTS "{one}_at_site" ON "{one}" (id, site_id)',
            f'ALTER TABLE "{table}" DROP CONSTRAINT IF EXISTS "{name}"',
            f'ALTER TABLE "{table}" ADD CONSTRAINT "{name}" FOREIGN KEY ("{field.column}", site_id)'
            f' REFERENCES "{one}" (id, site_id)',
        ]
    # The rows that are there are checked as the owner, who sees those of the context alone.
    return [ALL_SITES, *statements, NO_SITES] if statements else []


ALL_SITES = (
    "SELECT set_config('edc.sites', coalesce(array_agg(id), '{}')::text, true) FROM sites_site"
)
NO_SITES = "SELECT set_config('edc.sites', '', true)"


# Tables of the framework that the runtime role only reads: migrations write them, or nobody.
READ_ONLY = """
REVOKE INSERT, UPDATE, DELETE ON django_migrations, django_content_type, auth_permission,
  auth_group, auth_group_permissions, sites_user_groups, sites_user_user_permissions FROM edc_app;
"""

FUNCTIONS = """
CREATE FUNCTION edc_sites() RETURNS text LANGUAGE plpgsql STABLE PARALLEL SAFE AS $body$
DECLARE sites text := current_setting('edc.sites', true);
BEGIN
  -- A setting that was set in an earlier transaction comes back as '', not as NULL.
  IF sites IS NULL OR sites = '' THEN
    RAISE EXCEPTION 'no site context: this table is read through find(), rows() or system()'
      USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN sites;
END $body$;
GRANT EXECUTE ON FUNCTION edc_sites() TO PUBLIC;

CREATE FUNCTION edc_refuse() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
  RAISE EXCEPTION '% on % is refused: rows are kept', TG_OP, TG_TABLE_NAME
    USING ERRCODE = 'insufficient_privilege';
END $body$;
REVOKE ALL ON FUNCTION edc_refuse() FROM PUBLIC;

-- Before a row of a site is written: take the site's row FOR SHARE, then look for a lock. Whoever
-- locks takes it FOR UPDATE first, so a save is wholly before the lock or refused. A row stays at
-- its site, or it could be moved out of a locked one.
CREATE FUNCTION edc_refuse_locked() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
  IF TG_OP = 'UPDATE' AND NEW.site_id <> OLD.site_id THEN
    RAISE EXCEPTION 'a row of % stays at its site', TG_TABLE_NAME
      USING ERRCODE = 'insufficient_privilege';
  END IF;
  PERFORM 1 FROM public.sites_site WHERE id = NEW.site_id FOR SHARE;
  IF EXISTS (SELECT 1 FROM public.crf_lock WHERE site_id = NEW.site_id AND released_at IS NULL)
  THEN
    RAISE EXCEPTION 'site % is locked', NEW.site_id USING ERRCODE = 'EDC01';
  END IF;
  RETURN NEW;
END $body$;
REVOKE ALL ON FUNCTION edc_refuse_locked() FROM PUBLIC;
"""

ACCESS_LOG = """
CREATE TABLE sites_accesslog (
  id bigint GENERATED ALWAYS AS IDENTITY,
  at timestamptz NOT NULL,
  user_id bigint NOT NULL,
  site_id bigint NOT NULL,
  participant_id bigint NOT NULL,
  action text NOT NULL CHECK (action IN ('view', 'enter', 'download')),
  route text NOT NULL,
  ip inet,
  request uuid NOT NULL,
  PRIMARY KEY (id, at)
) PARTITION BY RANGE (at);
CREATE INDEX sites_accesslog_participant ON sites_accesslog (participant_id, at);
CREATE INDEX sites_accesslog_user ON sites_accesslog (user_id, at);
CREATE TABLE sites_accesslog_default PARTITION OF sites_accesslog DEFAULT;
CREATE TRIGGER edc_refuse_truncate BEFORE TRUNCATE ON sites_accesslog_default
  FOR EACH STATEMENT EXECUTE FUNCTION edc_refuse();

-- Makes the partitions of this month and the two after it; called by `up` and by beat every day.
-- The runtime role reaches a partition through its parent alone: row-level security stands there.
CREATE FUNCTION edc_access_partitions() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE first date; name text;
BEGIN
  FOR ahead IN 0..2 LOOP
    first := date_trunc('month', now() AT TIME ZONE 'UTC')::date + make_interval(months => ahead);
    name := 'sites_accesslog_' || to_char(first, 'YYYYMM');
    IF to_regclass('public.' || name) IS NULL THEN
      EXECUTE format(
        'CREATE TABLE public.%I PARTITION OF public.sites_accesslog FOR VALUES FROM (%L) TO (%L)',
        name, first::text || ' 00:00:00+00',
        (first + interval '1 month')::date::text || ' 00:00:00+00');
      EXECUTE format('REVOKE ALL ON public.%I FROM edc_app', name);
      EXECUTE format('CREATE TRIGGER edc_refuse_truncate BEFORE TRUNCATE ON public.%I '
        'FOR EACH STATEMENT EXECUTE FUNCTION public.edc_refuse()', name);
    END IF;
  END LOOP;
END $body$;
REVOKE ALL ON FUNCTION edc_access_partitions() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION edc_access_partitions() TO edc_app;
SELECT edc_access_partitions();
REVOKE ALL ON sites_accesslog, sites_accesslog_default FROM edc_app;
GRANT SELECT, INSERT ON sites_accesslog TO edc_app;
"""
