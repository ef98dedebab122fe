"""Every road to a protected table is recorded exactly once: who, in which role, when, why, what.

The database writes the history, so it makes no difference whether a row was changed by a page, a
bulk call, raw SQL, a shell or a worker; nobody can write, change or forge it.
"""

import datetime as dt
import subprocess
import sys
from pathlib import Path

import pytest
from celery import shared_task
from django.db import DatabaseError, connection, connections, transaction
from django.db.migrations.loader import MigrationLoader
from django.utils import timezone

from registry.models import Participant, Visit
from sites.audit import Actor, acting
from sites.models import ApiToken, Membership, Study, User
from sites.protection import Protect
from tests.cast import actor, seeing, working
from tests.samples import DAY, participant, rows

ROOT = Path(__file__).resolve().parent.parent


def sql(statement, *values):
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall() if cursor.description else cursor.rowcount


def visit(person, number, **fields):
    """A visit that is not yet saved."""
    return Visit(site_id=person.site_id, participant=person, code="x", number=number, **fields)


@shared_task
def task(person_id):
    person = Participant.objects.get(pk=person_id)
    visit(person, 1).save()


# Each adds visits to a participant, by its own road; the number is how many.
ADDING = {
    "save": (1, lambda p: visit(p, 1).save()),
    "create": (1, lambda p: p.visits.create(site=p.site, code="x")),
    "get_or_create": (1, lambda p: p.visits.get_or_create(site=p.site, code="x")),
    "bulk_create": (3, lambda p: Visit.objects.bulk_create([visit(p, n) for n in (1, 2, 3)])),
    "upsert": (
        2,
        lambda p: Visit.objects.bulk_create([visit(p, n) for n in (1, 2)], ignore_conflicts=True),
    ),
    "raw SQL": (
        2,
        lambda p: sql(
            "INSERT INTO registry_visit (site_id, participant_id, code, number,"
            " out_of_window_reason, missed_reason, void_reason)"
            " SELECT %s, %s, 'x', n, '', '', '' FROM generate_series(1, 2) n",
            p.site_id,
            p.pk,
        ),
    ),
    "MERGE": (
        1,
        lambda p: sql(
            "MERGE INTO registry_visit v USING (SELECT %s::bigint AS site, %s::bigint AS who) n"
            " ON v.participant_id = n.who AND v.code = 'x' WHEN NOT MATCHED THEN"
            " INSERT (site_id, participant_id, code, number, out_of_window_reason, missed_reason,"
            " void_reason) VALUES (n.site, n.who, 'x', 1, '', '', '')",
            p.site_id,
            p.pk,
        ),
    ),
    "a task": (1, lambda p: task.apply(args=[p.pk], throw=True)),
}

# Each moves all (two) visits of a participant to another day, by its own road.
LATER = DAY + dt.timedelta(days=1)


def _saved(person):
    for one in person.visits.all():
        one.happened_on = LATER
        one.save()


def _saved_field(person):
    for one in person.visits.all():
        one.happened_on = LATER
        one.save(update_fields=["happened_on"])


def _in_bulk(person):
    found = list(person.visits.all())
    for one in found:
        one.happened_on = LATER
    Visit.objects.bulk_update(found, ["happened_on"])


def _upserted(person):
    found = list(person.visits.all())
    for one in found:
        one.happened_on = LATER
    Visit.objects.bulk_create(
        found, update_conflicts=True, unique_fields=["id"], update_fields=["happened_on"]
    )


CHANGING = {
    "save": _saved,
    "save of one field": _saved_field,
    "update": lambda p: p.visits.update(happened_on=LATER),
    "update_or_create": lambda p: [
        p.visits.update_or_create(pk=one.pk, defaults={"happened_on": LATER})
        for one in p.visits.all()
    ],
    "bulk_update": _in_bulk,
    "upsert": _upserted,
    "raw SQL": lambda p: sql(
        "UPDATE registry_visit SET happened_on = %s WHERE participant_id = %s", LATER, p.pk
    ),
    "MERGE": lambda p: sql(
        "MERGE INTO registry_visit v USING (SELECT %s::bigint AS who) n ON v.participant_id = n.who"
        " WHEN MATCHED THEN UPDATE SET happened_on = %s",
        p.pk,
        LATER,
    ),
}


def check_columns(record, user, site):
    """What every row of the history says beside the row itself (E01)."""
    assert record.history_actor == f"user:{user.pk}"
    assert record.history_user_id == user.pk
    assert record.history_user == user
    assert record.history_role == "coordinator"
    assert record.site_id == site.pk
    assert record.history_source == "entry"
    assert record.history_request == "request-1"
    assert record.history_change_reason == "the reason"
    assert abs(timezone.now() - record.history_date) < dt.timedelta(minutes=5)
    [(xid,)] = sql("SELECT pg_current_xact_id()::text::bigint")
    assert record.history_xid == xid


def working_as(user, site):
    by = actor(user, site)
    return Actor(by.label, by.user_id, by.roles, request="request-1")


@pytest.mark.requirement("P05")
@pytest.mark.requirement("E01")
@pytest.mark.parametrize("road", ADDING)
def test_a_new_row_is_recorded_once(coordinator, jss, road):
    number, add = ADDING[road]
    with seeing(jss), acting(working_as(coordinator, jss), "the reason"):
        person = participant(jss)
        add(person)
        found = Visit.history.filter(participant_id=person.pk)
        assert [record.history_type for record in found] == ["+"] * number
        assert {record.id for record in found} == {one.pk for one in person.visits.all()}
        for record in found:
            check_columns(record, coordinator, jss)


@pytest.mark.requirement("P05")
@pytest.mark.requirement("F02")
@pytest.mark.parametrize("road", CHANGING)
def test_a_change_is_recorded_once_with_old_and_new(coordinator, jss, road):
    with working(coordinator, jss):
        person = participant(jss)
        Visit.objects.bulk_create([visit(person, n, happened_on=DAY) for n in (1, 2)])
    with seeing(jss), acting(working_as(coordinator, jss), "the reason"):
        CHANGING[road](person)
        for one in person.visits.all():
            new, old = one.history.all()
            assert (new.history_type, old.history_type) == ("~", "+")
            check_columns(new, coordinator, jss)
            [change] = new.diff_against(old).changes
            assert (change.field, change.old, change.new) == ("happened_on", DAY, LATER)
            assert one.history.as_of(old.history_date).happened_on == DAY
            assert one.history.as_of(new.history_date).happened_on == LATER


@pytest.mark.requirement("P05")
def test_a_shell_is_recorded_and_refused_like_everybody_else(fresh_database, coordinator):
    def shell(code):
        return subprocess.run(
            [sys.executable, "manage.py", "shell", "--no-imports", "-c", code],
            cwd=ROOT,
            env=fresh_database.environment | {"DJANGO_SETTINGS_MODULE": "registry.settings"},
            capture_output=True,
            text=True,
            check=False,
        )

    alone = "from sites.models import User; User.objects.filter(username='coordinator')"
    refused = shell(f"{alone}.update(name='by a shell')")
    assert refused.returncode
    assert "outside acting()" in refused.stderr
    done = shell(
        f"{alone[:0]}from sites.audit import Actor, acting\n"
        "with acting(Actor('shell:root'), 'asked for in ticket 7'):\n"
        f"    {alone}.update(name='by a shell')"
    )
    assert done.returncode == 0, done.stderr
    changed, _created = coordinator.history.all()
    assert (changed.history_actor, changed.history_change_reason, changed.name) == (
        "shell:root",
        "asked for in ticket 7",
        "by a shell",
    )


def test_each_row_keeps_the_role_that_its_author_holds_at_its_site(coordinator2, jss, djj):
    with working(coordinator2, jss, djj):
        people = {site.pk: participant(site) for site in (jss, djj)}
        roles = {site: person.history.get().history_role for site, person in people.items()}
    assert roles == {jss.pk: "monitor", djj.pk: "coordinator"}


@pytest.mark.requirement("E05")
def test_the_time_of_capture_stands_beside_the_time_of_saving(coordinator, jss):
    captured = dt.datetime(2026, 6, 1, 1, 0, tzinfo=dt.UTC)
    with seeing(jss), acting(actor(coordinator, jss).captured(captured)):
        record = participant(jss).history.get()
    assert record.history_captured_at == captured
    assert record.history_date > captured


def test_the_order_within_one_transaction_is_kept(coordinator):
    with acting(Actor.job("demo")):
        for number in range(5):
            User.objects.filter(pk=coordinator.pk).update(name=f"name {number}")
    names = [record.name for record in coordinator.history.all()]
    assert names == ["name 4", "name 3", "name 2", "name 1", "name 0", "coordinator"]
    dates = [record.history_date for record in coordinator.history.all()]
    assert dates == sorted(dates, reverse=True)
    assert len(set(dates)) == len(dates)


def test_what_is_rolled_back_leaves_no_trace(coordinator):
    def fail():
        User.objects.filter(pk=coordinator.pk).update(name="not kept")
        User.objects.filter(pk=coordinator.pk).update(username="monitor")

    with acting(Actor.job("demo")), pytest.raises(DatabaseError), transaction.atomic():
        fail()
    assert coordinator.history.count() == 1


@pytest.mark.parametrize("outside", [True, False])
def test_changing_nothing_writes_nothing(coordinator, outside):
    """An update to the same values is neither recorded nor refused: nobody did anything."""
    if outside:
        coordinator.save()
        User.objects.filter(pk=coordinator.pk).update(name=coordinator.name)
    else:
        with acting(Actor.job("demo")):
            coordinator.save()
            User.objects.filter(pk=coordinator.pk).update(name=coordinator.name)
    assert coordinator.history.count() == 1


def test_a_value_that_becomes_or_was_empty_is_a_change(coordinator, uspp):
    with acting(Actor.job("demo")):
        role = coordinator.memberships.get()
        for until in (DAY, None):
            Membership.objects.filter(pk=role.pk).update(until=until)
    assert [record.until for record in role.history.all()] == [None, DAY, None]


def test_passwords_and_log_in_times_are_neither_recorded_nor_refused(coordinator, client):
    coordinator.set_password("another-long-password")
    coordinator.save(update_fields=["password"])
    client.force_login(coordinator)
    coordinator.refresh_from_db()
    assert coordinator.last_login
    assert coordinator.check_password("another-long-password")
    assert coordinator.history.count() == 1
    kept = {field.name for field in User.history.model._meta.fields}
    assert not kept & {"password", "last_login"}


@pytest.mark.requirement("G01")
def test_an_account_and_a_role_are_recorded_from_their_beginning(admin, uspp, jss):
    by = Actor(f"user:{admin.pk}", admin.pk)
    with acting(by, "new coordinator"):
        user = User.objects.create(username="new", email="new@example.org", name="New")
        role = Membership.objects.create(
            user=user, study=uspp, site=jss, role="coordinator", since=DAY
        )
    with acting(by, "has left"):
        Membership.objects.filter(pk=role.pk).update(until=LATER)
    ended, began = role.history.all()
    assert began.history_user_id == ended.history_user_id == admin.pk
    assert (began.until, ended.until) == (None, LATER)
    assert (began.history_change_reason, ended.history_change_reason) == (
        "new coordinator",
        "has left",
    )
    assert user.history.get().history_type == "+"


@pytest.mark.requirement("F07")
def test_no_clinical_row_can_be_deleted(coordinator, jss):
    with working(coordinator, jss):
        for label, row in rows(jss, coordinator).items():
            with pytest.raises(DatabaseError) as caught, transaction.atomic():
                type(row).objects.filter(pk=row.pk)._raw_delete("default")
            assert caught.value.__cause__.sqlstate == "42501", label
        assert Visit.objects.exists()


@pytest.mark.parametrize("model", [User, Study, Membership])
def test_people_studies_and_roles_are_ended_not_deleted(coordinator, model):
    with acting(Actor.job("demo")), pytest.raises(DatabaseError), transaction.atomic():
        model.objects.all()._raw_delete("default")
    assert model.objects.exists()


def _allow_deleting(*names):
    """Protect these models of `sites` anew, as a later migration might, so that rows may go."""
    state = MigrationLoader(None).project_state()
    with connections["owner"].schema_editor() as editor:
        for name in names:
            Protect(name, site=None, delete=True).database_forwards("sites", editor, state, state)


@pytest.mark.parametrize("road", ["delete", "query set", "raw SQL"])
def test_where_deleting_is_allowed_it_is_recorded(fresh_database, nobody, jss, road):
    _allow_deleting("apitoken")
    with acting(Actor.job("demo")):
        token = ApiToken.objects.create(
            user=nobody, site=jss, purpose="none", digest="0" * 64, expires_on=DAY
        )
    gone = {
        "delete": token.delete,
        "query set": ApiToken.objects.filter(pk=token.pk).delete,
        "raw SQL": lambda: sql("DELETE FROM sites_apitoken WHERE id = %s", pk),
    }[road]
    pk = token.pk
    with pytest.raises(DatabaseError, match=r"outside acting\(\)"), transaction.atomic():
        gone()
    token.pk = pk  # Django has already forgotten it
    with acting(Actor.job("demo"), "no longer used"):
        gone()
    removed, _created = ApiToken.history.filter(id=pk)
    assert (removed.history_type, removed.digest) == ("-", "0" * 64)
    assert removed.history_change_reason == "no longer used"


def test_a_cascade_in_the_database_is_recorded_for_each_row(fresh_database, jss):
    _allow_deleting("apitoken", "user")
    [(name,)] = sql(
        "SELECT conname FROM pg_constraint WHERE conrelid = 'sites_apitoken'::regclass"
        " AND confrelid = 'sites_user'::regclass"
    )
    with fresh_database.connect("owner") as owner:
        owner.execute(
            f'ALTER TABLE sites_apitoken DROP CONSTRAINT "{name}", ADD FOREIGN KEY (user_id)'
            " REFERENCES sites_user ON DELETE CASCADE"
        )
    with acting(Actor.job("demo")):
        user = User.objects.create(username="brief", email="brief@example.org")
        for number in (1, 2):
            ApiToken.objects.create(
                user=user, site=jss, purpose="none", digest=str(number) * 64, expires_on=DAY
            )
        sql("DELETE FROM sites_user WHERE id = %s", user.pk)
    assert [record.history_type for record in ApiToken.history.all()] == ["-", "-", "+", "+"]
    assert User.history.filter(id=user.pk).first().history_type == "-"
    assert set(ApiToken.history.values_list("history_actor", flat=True)) == {"job:demo"}


def test_answers_keep_every_state_that_they_had(coordinator, jss):
    with working(coordinator, jss):
        entry = rows(jss, coordinator)["crf.Entry"]
    for value in (8, None):
        with working(coordinator, jss, reason=f"now {value}"):
            entry.answers = {"pain": value} if value else {}
            entry.save()
    with seeing(jss):
        last, middle, first = entry.history.all()
    assert [r.answers for r in (first, middle, last)] == [{"pain": 7}, {"pain": 8}, {}]
    assert len({r.digest for r in (first, middle, last)}) == 3
    assert {c.field for c in last.diff_against(middle).changes} == {"answers", "digest"}
