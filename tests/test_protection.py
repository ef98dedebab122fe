"""The database's own guards, read from its catalogue: no table is forgotten, no right too much.

A table is protected (history trigger), final (rows are only added), or exempt with a reason.
Whoever adds a table without one of the three is told so here, and so is whoever changes a
protected model's columns without protecting it again.
"""

import re
from functools import cache
from pathlib import Path

import psycopg
import pytest
from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.db import DatabaseError, connection, connections, models, transaction
from django.db.migrations.loader import MigrationLoader

from crf.models import Import
from sites.audit import Actor, acting
from sites.models import AccessLog, User
from sites.protection import (
    EXEMPT,
    SITE_POLICY,
    Immutable,
    Protect,
    historical,
    kept_columns,
    trigger_function,
)
from tests.cast import seeing
from tests.samples import rows

OURS = ("sites", "registry", "crf", "safety", "exports")

# Protected tables that name a site and still have no row-level security, each with its reason.
WITHOUT_ROW_SECURITY = {
    "sites_membership": "is read to find out which sites a person may see",
    "sites_historicalmembership": "is as open as the memberships themselves",
    "sites_apitoken": "is looked up by digest before any site is known",
    "sites_historicalapitoken": "is as open as the tokens themselves",
    "registry_counter": EXEMPT["registry_counter"],
}


def ask(statement, *values):
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall()


def refused(statement):
    """The runtime role lacks the right, or a trigger says so."""
    with pytest.raises(DatabaseError) as caught, transaction.atomic():
        ask(statement)
    assert caught.value.__cause__.sqlstate == "42501"


def refused_to_the_owner(statement, why):
    with (
        pytest.raises(DatabaseError, match=why),
        transaction.atomic(using="owner"),
        connections["owner"].cursor() as cursor,
    ):
        cursor.execute(statement)


@cache
def operations():
    """The last word of the migrations on each model: (app, model in lower case) → operation."""
    loader = MigrationLoader(None)
    found = {}
    for app in OURS:
        for key in loader.graph.forwards_plan(loader.graph.leaf_nodes(app)[0]):
            for operation in loader.disk_migrations[key].operations:
                if isinstance(operation, Protect | Immutable):
                    found[key[0], operation.name.lower()] = operation
    return found


def guarded(kind):
    return {apps.get_model(*name): o for name, o in operations().items() if isinstance(o, kind)}


PROTECTED, FINAL = guarded(Protect), guarded(Immutable)
HISTORIES = {historical(model): model for model in PROTECTED}
FINAL_TABLES = {model._meta.db_table for model in FINAL} | {"sites_accesslog"}


def tables():
    """Every table of the database, without the partitions of one."""
    return {
        name
        for (name,) in ask(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " AND relkind IN ('r', 'p') AND NOT relispartition"
        )
    }


def triggers(table):
    """Name → (function, when, the events that fire it) of the triggers that are switched on."""
    found = ask(
        "SELECT tgname, tgfoid::regproc::text, tgtype FROM pg_trigger"
        " WHERE tgrelid = %s::regclass AND NOT tgisinternal AND tgenabled = 'O'",
        table,
    )
    events = ((4, "INSERT"), (8, "DELETE"), (16, "UPDATE"), (32, "TRUNCATE"))
    return {
        name: (
            function,
            "BEFORE" if kind & 2 else "AFTER",
            "ROW" if kind & 1 else "STATEMENT",
            {word for bit, word in events if kind & bit},
        )
        for name, function, kind in found
    }


# What triggers derive from other rows, which no history keeps and no lock concerns.
DERIVED = {"crf_entry": {"due_from"}, "safety_adverseevent": {"review_state"}}
DERIVING = {"edc_due_from", "edc_visit_held", "edc_review_state", "edc_event_reviewed"}


NO_TRUNCATE = {"edc_refuse_truncate": ("edc_refuse", "BEFORE", "STATEMENT", {"TRUNCATE"})}
NO_CHANGE = {"edc_refuse_update": ("edc_refuse", "BEFORE", "ROW", {"UPDATE", "DELETE"})}


@pytest.mark.requirement("P05")
@pytest.mark.requirement("E03")
def test_every_table_is_protected_final_or_exempt_with_a_reason(db):
    histories = {model._meta.db_table for model in HISTORIES}
    protected = {model._meta.db_table for model in PROTECTED}
    known = histories | protected | FINAL_TABLES | EXEMPT.keys()
    assert tables() - known == set(), "say Protect or Immutable in a migration, or why not"
    assert known - tables() == set()
    assert not protected & (FINAL_TABLES | EXEMPT.keys())
    assert all(len(reason) > 10 for reason in EXEMPT.values())


def test_every_model_that_keeps_a_history_is_protected():
    keeping = {
        model
        for app in OURS
        for model in apps.get_app_config(app).get_models()
        if hasattr(model, "history") and model not in HISTORIES
    }
    assert keeping == set(PROTECTED)


@pytest.mark.requirement("G03")
@pytest.mark.parametrize("model", PROTECTED, ids=lambda model: model._meta.label)
def test_a_protected_table_has_its_triggers_switched_on(db, model):
    operation, table = PROTECTED[model], model._meta.db_table
    wanted = {
        "edc_history": (f"edc_history_{table}", "AFTER", "ROW", {"INSERT", "UPDATE", "DELETE"}),
        **NO_TRUNCATE,
    }
    if not operation.delete:
        wanted["edc_refuse_delete"] = ("edc_refuse", "BEFORE", "ROW", {"DELETE"})
    if operation.guard:
        wanted["edc_locked"] = ("edc_refuse_locked", "BEFORE", "ROW", {"INSERT", "UPDATE"})
    found = triggers(table)
    assert {name: found.get(name) for name in wanted} == wanted
    assert found.keys() - wanted.keys() <= {"edc_digest"} | DERIVING
    assert triggers(historical(model)._meta.db_table) == {**NO_CHANGE, **NO_TRUNCATE}


@pytest.mark.parametrize("table", sorted(FINAL_TABLES))
def test_a_final_table_only_grows(db, table):
    assert triggers(table) == {**NO_CHANGE, **NO_TRUNCATE}


@pytest.mark.parametrize("model", PROTECTED, ids=lambda model: model._meta.label)
def test_the_trigger_copies_the_columns_that_the_table_has_now(db, model):
    """A migration that changes a protected model must say `Protect` again."""
    [(source, settled, definer)] = ask(
        "SELECT prosrc, proconfig, prosecdef FROM pg_proc WHERE proname = %s",
        f"edc_history_{model._meta.db_table}",
    )
    text = trigger_function(model, PROTECTED[model].site)
    assert source == re.search(r"\$body\$(.*)\$body\$", text, re.DOTALL)[1]
    assert settled == ["search_path=pg_catalog, pg_temp"]
    assert definer
    here = {
        name
        for (name,) in ask(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass"
            " AND attnum > 0 AND NOT attisdropped",
            model._meta.db_table,
        )
    }
    left_out = {User: {"password", "last_login"}, Import: {"content"}}.get(model, set())
    left_out = left_out | DERIVED.get(model._meta.db_table, set())
    assert here - left_out == set(kept_columns(model))


def test_protected_tables_compute_no_column(db):
    names = [model._meta.db_table for model in (*PROTECTED, *HISTORIES)]
    generated = ask(
        "SELECT attrelid::regclass::text, attname FROM pg_attribute WHERE attgenerated <> ''"
        " AND attrelid = ANY (%s::regclass[])",
        names,
    )
    assert generated == []


def with_site():
    return {
        name
        for (name,) in ask(
            "SELECT attrelid::regclass::text FROM pg_attribute JOIN pg_class c ON c.oid = attrelid"
            " WHERE attname = 'site_id' AND NOT attisdropped AND c.relkind IN ('r', 'p')"
            " AND NOT c.relispartition AND c.relnamespace = 'public'::regnamespace"
        )
    }


@pytest.mark.requirement("S01")
def test_every_table_with_a_site_shows_that_site_alone(db):
    """Forced row-level security with exactly one policy, and one more to append to a history."""
    secured = ask(
        "SELECT relname, relforcerowsecurity FROM pg_class WHERE relrowsecurity"
        " AND relnamespace = 'public'::regnamespace"
    )
    assert all(forced for _table, forced in secured)
    assert {table for table, _forced in secured} == with_site() - WITHOUT_ROW_SECURITY.keys()
    assert WITHOUT_ROW_SECURITY.keys() <= with_site()

    def normal(condition):
        return condition and re.sub(r"[()\s]", "", condition).replace("ASedc_sites", "")

    policies = {}
    for table, name, kind, roles, seen, written in ask(
        "SELECT tablename, policyname, cmd, roles::text[], qual, with_check FROM pg_policies"
        " WHERE permissive = 'PERMISSIVE'"
    ):
        policies.setdefault(table, {})[name] = (kind, roles, normal(seen), normal(written))
    own = normal(SITE_POLICY)
    histories = {model._meta.db_table for model in HISTORIES}
    assert policies == {
        table: {
            "edc_site": ("SELECT", ["public"], own, None),
            "edc_append": ("INSERT", ["edc_owner"], None, "true"),
        }
        if table in histories
        else {"edc_site": ("ALL", ["public"], own, None)}
        for table, _forced in secured
    }
    assert ask("SELECT count(*) FROM pg_policies WHERE permissive <> 'PERMISSIVE'") == [(0,)]


def test_site_ids_are_never_empty_where_rows_are_hidden_by_them(db):
    empty = ask(
        "SELECT attrelid::regclass::text FROM pg_attribute JOIN pg_class c ON c.oid = attrelid"
        " WHERE attname = 'site_id' AND NOT attnotnull AND relrowsecurity"
        " AND NOT relname LIKE '%%_historical%%'"
    )
    assert empty == []


def test_a_row_refers_to_rows_of_its_own_site_alone(db):
    """Foreign keys are checked past row-level security; so each carries the site as well."""
    wanted = {
        (model._meta.db_table, field.column)
        for model in (*PROTECTED, *FINAL)
        for field in model._meta.local_concrete_fields
        if isinstance(field, models.ForeignKey)
        and {"site_id"} & {f.column for f in field.related_model._meta.local_concrete_fields}
    }
    found = ask(
        "SELECT conrelid::regclass::text, a.attname FROM pg_constraint c"
        " JOIN pg_attribute a ON a.attrelid = conrelid AND a.attnum = conkey[1]"
        " JOIN pg_attribute s ON s.attrelid = conrelid AND s.attnum = conkey[2]"
        " JOIN pg_attribute p ON p.attrelid = confrelid AND p.attnum = confkey[2]"
        " WHERE contype = 'f' AND cardinality(conkey) = 2 AND convalidated"
        " AND s.attname = 'site_id' AND p.attname = 'site_id'"
    )
    assert set(found) == wanted


# Rights ---------------------------------------------------------------------------------------


def test_the_roles_are_what_production_has(db):
    """A superuser among them would make mistakes pass here that fail there."""
    roles = {
        name: attributes
        for name, *attributes in ask(
            "SELECT rolname, rolsuper, rolbypassrls, rolcreaterole, rolreplication, rolcanlogin"
            " FROM pg_roles WHERE rolname LIKE 'edc_%%'"
        )
    }
    nothing = [False, False, False, False, True]
    assert roles == {
        "edc_owner": nothing,
        "edc_app": nothing,
        "edc_backup": [False, True, False, False, True],
    }
    members = ask(
        "SELECT member::regrole::text, roleid::regrole::text FROM pg_auth_members"
        " WHERE member::regrole::text LIKE 'edc_%%' OR roleid::regrole::text LIKE 'edc_%%'"
    )
    assert members == [("edc_backup", "pg_read_all_data")]
    assert ask("SELECT current_user, session_user") == [("edc_app", "edc_app")]


@pytest.mark.django_db(databases=["owner"])
def test_the_owner_connects_as_the_owner():
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT current_user")
        assert cursor.fetchone() == ("edc_owner",)


def test_the_runtime_role_owns_nothing(db):
    owned = ask(
        "SELECT classid::regclass::text, objid FROM pg_shdepend"
        " WHERE refobjid = 'edc_app'::regrole AND deptype = 'o'"
    )
    assert owned == []
    owners = ask(
        "SELECT DISTINCT relowner::regrole::text FROM pg_class"
        " WHERE relnamespace = 'public'::regnamespace UNION"
        " SELECT DISTINCT proowner::regrole::text FROM pg_proc"
        " WHERE pronamespace = 'public'::regnamespace"
    )
    assert owners == [("edc_owner",)]
    assert ask(
        "SELECT datdba::regrole::text FROM pg_database WHERE datname = current_database()"
    ) == [("edc_owner",)]
    assert ask("SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'public'") == [
        ("edc_owner",)
    ]


READ, ADD = {"SELECT"}, {"SELECT", "INSERT"}
CHANGE = ADD | {"UPDATE"}
DELETE = CHANGE | {"DELETE"}


def rights(grantee):
    found = {}
    for table, right in ask(
        "SELECT relname, a.privilege_type FROM pg_class, aclexplode(relacl) a"
        " WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm')"
        f" AND a.grantee = {grantee}"
    ):
        found.setdefault(table, set()).add(right)
    return found


@pytest.mark.requirement("G03")
@pytest.mark.requirement("K03")
def test_the_runtime_role_may_do_no_more_than_it_must(db):
    wanted = dict.fromkeys(EXEMPT, DELETE)
    wanted |= {
        "django_migrations": READ,
        "django_content_type": READ,
        "auth_permission": READ,
        "auth_group": READ,
        "auth_group_permissions": READ,
        "sites_user_groups": READ,
        "sites_user_user_permissions": READ,
    }
    wanted |= dict.fromkeys(FINAL_TABLES, ADD)
    for model, operation in PROTECTED.items():
        wanted[model._meta.db_table] = DELETE if operation.delete else CHANGE
        wanted[historical(model)._meta.db_table] = READ
    assert rights("'edc_app'::regrole") == wanted
    assert rights("0") == {}, "PUBLIC has rights on tables"
    columns = ask(
        "SELECT attrelid::regclass::text, attname FROM pg_attribute"
        " JOIN pg_class c ON c.oid = attrelid WHERE attacl IS NOT NULL"
        " AND c.relnamespace = 'public'::regnamespace"
    )
    assert columns == []


def test_nobody_makes_tables_or_calls_the_triggers_functions(db):
    callable_by = ask(
        "SELECT proname, has_function_privilege('edc_app', oid, 'EXECUTE') FROM pg_proc"
        " WHERE pronamespace = 'public'::regnamespace"
    )
    assert {name for name, allowed in callable_by if allowed} == {
        "edc_sites",
        "edc_access_partitions",
    }
    open_functions = ask(
        "SELECT proname FROM pg_proc, aclexplode(coalesce(proacl, acldefault('f', proowner))) a"
        " WHERE pronamespace = 'public'::regnamespace AND a.grantee = 0"
    )
    assert open_functions == [("edc_sites",)]
    unsettled = ask(
        "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef"
        " AND NOT 'search_path=pg_catalog, pg_temp' = ANY (coalesce(proconfig, '{}'))"
    )
    assert unsettled == []
    for right in ("TEMPORARY", "CREATE"):
        assert ask("SELECT has_database_privilege('edc_app', current_database(), %s)", right) == [
            (False,)
        ]
    schemas = ask(
        "SELECT nspname FROM pg_namespace WHERE has_schema_privilege('edc_app', oid, 'CREATE')"
    )
    assert schemas == []


@pytest.mark.requirement("E03")
@pytest.mark.parametrize(
    "attempt",
    [
        "CREATE TEMPORARY TABLE forged (id int)",
        "CREATE TABLE forged (id int)",
        "CREATE SCHEMA forged",
        "CREATE FUNCTION forged() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "ALTER TABLE registry_participant DISABLE TRIGGER edc_history",
        "ALTER TABLE registry_participant DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE registry_participant NO FORCE ROW LEVEL SECURITY",
        "DROP POLICY edc_site ON registry_participant",
        "DROP TRIGGER edc_refuse_update ON registry_historicalparticipant",
        "SET session_replication_role = replica",
        "SET ROLE edc_owner",
        "SET SESSION AUTHORIZATION edc_owner",
        "TRUNCATE registry_participant",
        "TRUNCATE registry_historicalparticipant",
        "TRUNCATE sites_accesslog",
        "DELETE FROM django_migrations",
        "ALTER ROLE edc_app BYPASSRLS",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "SELECT pg_read_file('postgresql.conf')",
        "SELECT setval('registry_participant_id_seq', 1)",
    ],
)
def test_the_runtime_role_cannot_take_a_guard_away(db, attempt):
    refused(attempt)


@pytest.mark.requirement("G03")
@pytest.mark.parametrize("model", HISTORIES, ids=lambda model: model._meta.label)
@pytest.mark.parametrize("verb", ["INSERT", "UPDATE", "DELETE", "TRUNCATE"])
def test_the_runtime_role_writes_no_history(coordinator, jss, model, verb):
    table = model._meta.db_table
    attempt = {
        "INSERT": f"INSERT INTO {table} SELECT * FROM {table} LIMIT 1",
        "UPDATE": f"UPDATE {table} SET history_actor = 'user:1'",
        "DELETE": f"DELETE FROM {table}",
        "TRUNCATE": f"TRUNCATE {table}",
    }[verb]
    with seeing(jss), acting(Actor.job("demo")):
        refused(attempt)


@pytest.mark.requirement("G03")
@pytest.mark.django_db(databases=["default", "owner"])
@pytest.mark.parametrize("verb", ["UPDATE", "DELETE", "TRUNCATE"])
def test_not_even_the_owner_changes_history_by_mistake(verb):
    attempt = {
        "UPDATE": "UPDATE sites_historicaluser SET history_actor = 'user:1'",
        "DELETE": "DELETE FROM sites_historicaluser",
        "TRUNCATE": "TRUNCATE sites_historicaluser",
    }[verb]
    refused_to_the_owner(attempt, "rows are kept")


@pytest.mark.django_db(databases=["owner"])
@pytest.mark.parametrize(
    "attempt",
    [
        "TRUNCATE sites_accesslog",
        "TRUNCATE sites_accesslog_default",
        "TRUNCATE sites_securityevent",
        "DELETE FROM sites_securityevent",
        "UPDATE sites_user SET name = 'x'",
        "DELETE FROM sites_user",
        "TRUNCATE sites_historicaluser",
    ],
)
def test_the_owner_is_held_by_the_same_rules(attempt):
    if "DELETE FROM sites_securityevent" in attempt:
        with connections["owner"].cursor() as cursor:
            cursor.execute(
                "INSERT INTO sites_securityevent (at, kind, path, detail)"
                " VALUES (now(), 'refused', '', '')"
            )
    refused_to_the_owner(attempt, r"rows are kept|outside acting\(\)")


# The two forgeries of DESIGN 5 ------------------------------------------------------------------


@pytest.mark.requirement("G03")
def test_a_trigger_function_cannot_be_hung_onto_another_table(fresh_database):
    """With a table of one's own, the owner's trigger function would write what one likes."""
    with (
        fresh_database.connect("default") as app,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        app.execute("CREATE TEMPORARY TABLE forged (LIKE sites_user)")
    # Even if somebody gave the right to make a table, they may not call the function.
    with fresh_database.connect("owner") as owner:
        owner.execute(f"GRANT TEMPORARY ON DATABASE {fresh_database.name} TO edc_app")
    with fresh_database.connect("default") as app:
        app.execute("CREATE TEMPORARY TABLE forged (LIKE sites_user)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="edc_history_sites_user"):
            app.execute(
                "CREATE TRIGGER forged AFTER INSERT ON forged"
                " FOR EACH ROW EXECUTE FUNCTION public.edc_history_sites_user()"
            )


@pytest.mark.requirement("G03")
def test_a_temporary_table_does_not_shadow_the_history(fresh_database, coordinator):
    """Written to a table that somebody put in front of it, a change would leave no trace."""
    with fresh_database.connect("owner") as owner:
        owner.execute(f"GRANT TEMPORARY ON DATABASE {fresh_database.name} TO edc_app")
    with fresh_database.connect("default") as app:
        for name in ("sites_historicaluser", "crf_lock", "sites_site"):
            app.execute(f"CREATE TEMPORARY TABLE {name} (LIKE public.{name} INCLUDING ALL)")
        app.execute("SET search_path = pg_temp, public")
        app.execute("SELECT set_config('edc.actor', 'user:0', true)")
        app.execute("UPDATE sites_user SET name = 'forged' WHERE id = %s", [coordinator.pk])
        assert app.execute("SELECT count(*) FROM pg_temp.sites_historicaluser").fetchone() == (0,)
    assert coordinator.history.first().name == "forged"


# Partitions, migrations --------------------------------------------------------------------------


@pytest.mark.requirement("K03")
def test_the_access_log_is_not_reached_past_its_parent(db, jss):
    partitions = [
        name
        for (name,) in ask(
            "SELECT inhrelid::regclass::text FROM pg_inherits"
            " WHERE inhparent = 'sites_accesslog'::regclass"
        )
    ]
    assert len(partitions) >= 4
    with seeing(jss):
        assert list(AccessLog.objects.all()) == []
        for name in partitions:
            refused(f"SELECT * FROM {name}")
            refused(f"DELETE FROM {name}")


def test_the_next_months_have_their_partitions_and_asking_again_changes_nothing(db):
    count = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'sites_accesslog'::regclass"
    before = ask(count)
    ask("SELECT edc_access_partitions()")
    assert ask(count) == before


def test_migrations_say_everything_that_the_models_say(db):
    call_command("makemigrations", check=True, dry_run=True, verbosity=0, skip_checks=True)


@pytest.mark.parametrize("app", OURS)
def test_migrations_are_one_line_each_with_a_name(app):
    names = sorted(p.stem for p in Path(settings.BASE_DIR, app, "migrations").glob("0*.py"))
    assert [name[:4] for name in names] == [f"{n:04}" for n in range(1, len(names) + 1)]
    assert not [name for name in names if re.search(r"_(auto|merge)_|^\d+$", name)]
    loader = MigrationLoader(None)
    assert loader.graph.leaf_nodes(app) == [(app, names[-1])]


def test_the_signals_of_the_history_are_off():
    assert settings.SIMPLE_HISTORY_ENABLED is False


def test_there_is_a_sample_of_every_kind_of_row_of_a_site(coordinator, jss):
    """What `tests/samples.py` lacks, the proofs of row-level security would pass over."""
    with seeing(jss), acting(Actor.job("demo")):
        made = {type(row)._meta.db_table for row in rows(jss, coordinator).values()}
    histories = {model._meta.db_table for model in HISTORIES}
    missing = with_site() - histories - WITHOUT_ROW_SECURITY.keys() - made
    assert missing == {"crf_lock", "sites_accesslog"}, "these two have proofs of their own"
