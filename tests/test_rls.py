"""Row-level security, tried with raw SQL as the runtime role, on every table that names a site.

Another site's rows and their history can be neither seen nor written; without a context the
answer is an error, never an empty result, which would look like "there are none".
"""

import psycopg
import pytest
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, connection, transaction

from registry.models import Participant, SiteApproval, Visit
from sites.access import set_sites, system
from sites.audit import Actor, acting
from tests.cast import seeing, working
from tests.samples import participant, rows
from tests.test_protection import PROTECTED, WITHOUT_ROW_SECURITY, ask, historical, with_site

TABLES = sorted(
    {
        *(model._meta.db_table for model in PROTECTED if PROTECTED[model].site),
        "crf_operation",
        "sites_accesslog",
    }
)
HISTORIES = sorted(historical(m)._meta.db_table for m in PROTECTED if PROTECTED[m].site)
NO_POLICY = "42501"  # insufficient_privilege: the policy of a table, or edc_sites() itself


@pytest.fixture
def both(coordinator2, jss, djj):
    """A row of every kind at both sites, and the context of the first alone."""
    made = {}
    with seeing(jss, djj), acting(Actor.job("demo")):
        for site in (jss, djj):
            made[site.code] = {
                row._meta.db_table: row.pk for row in rows(site, coordinator2).values()
            }
            ask(
                "INSERT INTO crf_lock (site_id, locked_by_id, locked_at, reason, release_reason,"
                " released_at, released_by_id) VALUES (%s, %s, now(), '', 'x', now(), %s)"
                " RETURNING id",
                site.pk,
                coordinator2.pk,
                coordinator2.pk,
            )
            run(
                "INSERT INTO sites_accesslog (at, user_id, site_id, participant_id, action, route,"
                " request) VALUES (now(), 1, %s, 1, 'view', 'x', gen_random_uuid())",
                site.pk,
            )
    with seeing(jss):
        yield made


def run(statement, *values):
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.rowcount


def refused(statement, *values, code=NO_POLICY):
    with pytest.raises(DatabaseError) as caught, transaction.atomic():
        run(statement, *values)
    assert caught.value.__cause__.sqlstate == code, str(caught.value)


def insertable(table):
    """The columns of a table that a statement may name."""
    return ", ".join(
        f'"{name}"'
        for (name,) in ask(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0"
            " AND NOT attisdropped AND attname <> 'id'",
            table,
        )
    )


def test_every_table_with_a_site_is_tried(db):
    assert {*TABLES, *HISTORIES} == with_site() - WITHOUT_ROW_SECURITY.keys()


@pytest.mark.requirement("S01")
def test_rows_and_history_of_another_site_are_invisible(both, jss, djj):
    for table in (*TABLES, *HISTORIES):
        seen = ask(f"SELECT DISTINCT site_id FROM {table}")
        assert seen == [(jss.pk,)], table
        assert ask(f"SELECT count(*) FROM {table} WHERE site_id = %s", djj.pk) == [(0,)], table
        assert ask(f"SELECT count(*) FROM {table} WHERE site_id <> %s", jss.pk) == [(0,)], table


@pytest.mark.requirement("S01")
def test_rows_of_another_site_cannot_be_changed(both, djj):
    with acting(Actor.job("demo")):
        for table in TABLES:
            if table in ("crf_operation", "sites_accesslog"):
                refused(f"UPDATE {table} SET site_id = site_id WHERE site_id = %s", djj.pk)
            else:
                changed = run(f"UPDATE {table} SET site_id = site_id WHERE site_id = %s", djj.pk)
                assert changed == 0, table


@pytest.mark.requirement("S01")
def test_a_row_cannot_be_moved_to_another_site(both, jss, djj):
    with acting(Actor.job("demo")):
        for table in TABLES:
            refused(f"UPDATE {table} SET site_id = %s", djj.pk)
    with seeing(jss, djj), acting(Actor.job("demo")):
        for model, operation in PROTECTED.items():
            if operation.guard:
                refused(f"UPDATE {model._meta.db_table} SET site_id = %s", djj.pk)


@pytest.mark.requirement("S01")
def test_a_row_cannot_be_put_into_another_site(both, djj):
    with acting(Actor.job("demo")):
        for table in (*TABLES, *HISTORIES):
            names = insertable(table)
            values = names.replace('"site_id"', "%s")
            refused(f"INSERT INTO {table} ({names}) SELECT {values} FROM {table} LIMIT 1", djj.pk)


@pytest.mark.requirement("S01")
def test_a_row_cannot_name_a_row_of_another_site(both, jss):
    """Neither can it be found out by trying whether one of that number exists there."""
    theirs, none = both["DJJ"]["registry_participant"], 10**9
    statement = (
        "INSERT INTO registry_visit (site_id, participant_id, code, number, out_of_window_reason,"
        " missed_reason, void_reason) VALUES (%s, %s, 'x', 1, '', '', '')"
    )
    for pk in (theirs, none):
        with acting(Actor.job("demo")):
            refused(statement, jss.pk, pk, code="23503")


@pytest.mark.parametrize("setting", ["", "nonsense", "1"])
def test_without_a_context_every_row_answers_with_an_error(both, setting):
    """Where there is a row that must not be seen, the answer is an error, not "there is none"."""
    run("SELECT set_config('edc.sites', %s, true)", setting)
    for table in (*TABLES, *HISTORIES):
        refused(f"SELECT count(*) FROM {table}", code="22P02" if setting else NO_POLICY)


def test_a_new_connection_has_no_context(fresh_database):
    with (
        fresh_database.connect() as app,
        pytest.raises(psycopg.errors.InsufficientPrivilege, match="no site context"),
    ):
        app.execute("SELECT * FROM registry_siteapproval")


def test_without_a_context_nothing_is_written(coordinator, jss):
    with seeing(jss), acting(Actor.job("demo")):
        person = participant(jss)
    with acting(Actor.job("demo")):
        with pytest.raises(DatabaseError, match="no site context"), transaction.atomic():
            Visit.objects.bulk_create([Visit(site=jss, participant=person, code="x")])
        with pytest.raises(DatabaseError, match="no site context"), transaction.atomic():
            Participant.objects.update(birth_year=1990)


def test_a_context_without_sites_shows_nothing(both):
    with seeing():
        for table in (*TABLES, *HISTORIES):
            assert ask(f"SELECT count(*) FROM {table}") == [(0,)], table


def test_switching_row_security_off_shows_an_error_not_the_rows(both):
    with transaction.atomic():
        run("SET LOCAL row_security = off")
        for table in (*TABLES, *HISTORIES):
            refused(f"SELECT * FROM {table}")


@pytest.mark.requirement("S01")
def test_one_study_sees_nothing_of_another(both, uspp, needle):
    theirs = [site.pk for site in uspp.sites.all()]
    with seeing(*needle.sites.all()):
        for table in (*TABLES, *HISTORIES):
            found = ask(f"SELECT count(*) FROM {table} WHERE site_id = ANY (%s)", theirs)
            assert found == [(0,)], table


def test_the_wider_context_is_for_named_jobs_and_ends_with_them(both, jss, djj):
    with pytest.raises(PermissionDenied, match="list of jobs"), system("mine", sites=[1]):
        raise AssertionError("never entered")
    with system("release", sites=[jss.pk, djj.pk]) as by:
        assert by.label == "job:release"
        assert Participant.objects.count() == 2
    assert Participant.objects.count() == 1, "the context around the job is back"


def test_a_job_leaves_no_context_behind(jss):
    with system("release", sites=[jss.pk]):
        assert SiteApproval.objects.count() == 1
    with pytest.raises(DatabaseError, match="no site context"), transaction.atomic():
        SiteApproval.objects.count()


def test_a_context_holds_for_its_transaction_alone(fresh_database, jss):
    with transaction.atomic():
        set_sites([jss.pk])
        assert SiteApproval.objects.count() == 1
    with pytest.raises(DatabaseError, match="no site context"):
        SiteApproval.objects.count()


def test_the_owner_sees_no_rows_either_and_is_told_so(fresh_database, coordinator, jss):
    """A data migration without a context fails; it never changes nothing in silence."""
    with working(coordinator, jss):
        participant(jss)
    change = "UPDATE registry_participant SET birth_year = 1990"
    with (
        fresh_database.connect("owner") as owner,
        pytest.raises(psycopg.errors.InsufficientPrivilege, match="no site context"),
    ):
        owner.execute(change)


def test_the_backup_reads_every_site_and_writes_none(fresh_database, coordinator, jss):
    with working(coordinator, jss):
        participant(jss)
    with fresh_database.connect("backup") as backup:
        assert backup.execute("SELECT count(*) FROM registry_participant").fetchone() == (1,)
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            backup.execute("UPDATE registry_participant SET birth_year = 1990")
    with fresh_database.connect("backup", autocommit=True) as backup:
        backup.execute("SET default_transaction_read_only = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied"):
            backup.execute("UPDATE registry_participant SET birth_year = 1990")
