"""Rows of a locked site stay as they are, whoever writes and by whatever road.

The trigger takes the site's row FOR SHARE and `lock` takes it FOR UPDATE first, so that a save is
wholly before the lock or refused.
"""

import threading
from copy import copy

import pytest
from django.db import DatabaseError, connection, connections, transaction

from crf.models import Lock
from registry.models import Participant, Visit
from sites.access import LOCKED
from sites.audit import Actor, acting
from sites.models import Site
from tests.cast import seeing, working
from tests.samples import participant, rows
from tests.test_protection import PROTECTED, ask

GUARDED = {model._meta.label: model for model, how in PROTECTED.items() if how.guard}
CLINICAL = {
    "registry.Participant",
    "registry.Identity",
    "registry.Consent",
    "registry.Withdrawal",
    "registry.Allocation",
    "registry.Visit",
    "crf.Entry",
    "crf.Query",
    "crf.QueryMessage",
    "crf.SecondLook",
    "safety.AdverseEvent",
}


def refused(write):
    with pytest.raises(DatabaseError) as caught, transaction.atomic():
        write()
    assert caught.value.__cause__.sqlstate == LOCKED


def test_everything_that_is_collected_is_guarded():
    assert set(GUARDED) == CLINICAL


@pytest.mark.requirement("G08")
def test_after_the_lock_the_database_refuses_every_write(coordinator, datamanager, jss, djj):
    with seeing(jss, djj), acting(Actor.job("demo")):
        here, there = rows(jss, coordinator), rows(djj, coordinator)
        lock = Lock.objects.create(site=jss, locked_by=datamanager)
        for label, model in GUARDED.items():
            row = here[label]
            refused(row.save)
            refused(lambda m=model, r=row: m.objects.filter(pk=r.pk).update(site=r.site_id))
            refused(lambda r=row: ask(f"UPDATE {r._meta.db_table} SET id = id"))
            there[label].save()
            another = copy(row)
            another.pk = None
            refused(lambda m=model, r=another: m.objects.bulk_create([r]))
        Lock.objects.filter(pk=lock.pk).update(
            released_by=datamanager, released_at="2026-07-01T00:00Z", release_reason="a late visit"
        )
        Participant.objects.filter(site=jss).update(birth_year=1990)
        states = [record.release_reason for record in lock.history.all()]
        assert states == ["a late visit", ""]


def test_a_site_has_one_lock_at_a_time(datamanager, jss):
    with working(datamanager, jss):
        Lock.objects.create(site=jss, locked_by=datamanager)
        with pytest.raises(DatabaseError, match="one_lock_per_site"), transaction.atomic():
            Lock.objects.create(site=jss, locked_by=datamanager)


@pytest.mark.requirement("G08")
def test_a_save_in_flight_is_wholly_before_the_lock(fresh_database, coordinator, datamanager, jss):
    """Who locks waits for the save; who saves after it is refused."""
    with working(coordinator, jss):
        visit = Visit.objects.create(site=jss, participant=participant(jss), code="x")
    order, failures = [], []

    def lock():
        try:
            with working(datamanager, jss):
                Site.objects.select_for_update().get(pk=jss.pk)
                Lock.objects.create(site=jss, locked_by=datamanager)
                order.append("locked")
        except Exception as error:
            failures.append(error)
        finally:
            connections.close_all()

    locking = threading.Thread(target=lock)
    with working(coordinator, jss):
        Visit.objects.filter(pk=visit.pk).update(missed_reason="x", missed_at="2026-07-01T00:00Z")
        locking.start()
        _until_somebody_waits(fresh_database)
        order.append("saved")
    locking.join(timeout=30)
    assert not failures
    assert order == ["saved", "locked"]
    with working(coordinator, jss):
        refused(lambda: Visit.objects.filter(pk=visit.pk).update(missed_reason="y"))
        visit.refresh_from_db()
    assert visit.missed_reason == "x"


@pytest.mark.requirement("G08")
def test_a_save_that_comes_while_the_site_is_being_locked_is_refused(
    fresh_database, coordinator, datamanager, jss
):
    with working(coordinator, jss):
        visit = Visit.objects.create(site=jss, participant=participant(jss), code="x")
    answers = []

    def save():
        try:
            with working(coordinator, jss):
                Visit.objects.filter(pk=visit.pk).update(due_on="2026-07-01")
            answers.append("saved")
        except DatabaseError as error:
            answers.append(error.__cause__.sqlstate)
        finally:
            connections.close_all()

    saving = threading.Thread(target=save)
    with working(datamanager, jss):
        Site.objects.select_for_update().get(pk=jss.pk)
        Lock.objects.create(site=jss, locked_by=datamanager)
        saving.start()
        _until_somebody_waits(fresh_database)
    saving.join(timeout=30)
    assert answers == [LOCKED]
    with seeing(jss):
        assert visit.history.count() == 1


def _until_somebody_waits(database):
    """Until another connection waits for a lock, as PostgreSQL tells it."""
    with database.connect("owner", autocommit=True) as watcher:
        for _attempt in range(100_000):
            waiting = watcher.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()
            if waiting != (0,):
                return
    raise AssertionError("nobody waits")


def test_the_guard_looks_at_the_row_not_at_the_connection(coordinator, jss, djj, datamanager):
    """A lock of one site is no reason to refuse another, also in one statement."""
    with seeing(jss, djj), acting(Actor.job("demo")):
        mine, other = participant(jss), participant(djj)
        Lock.objects.create(site=djj, locked_by=datamanager)
        refused(
            lambda: Participant.objects.filter(pk__in=[mine.pk, other.pk]).update(birth_year=1990)
        )
        assert Participant.objects.filter(pk=mine.pk).update(birth_year=1990) == 1
    assert connection.in_atomic_block
