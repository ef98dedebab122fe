"""`acting` names one author and one reason for what is written inside it, and for nothing else."""

import datetime as dt
from contextlib import nullcontext, suppress

import pytest
from django.db import DatabaseError, connection, transaction
from django.db.transaction import TransactionManagementError

from sites.audit import Actor, acting
from sites.models import User

NAMES = ("actor", "user", "role", "source", "request", "captured_at", "reason", "sites")


def context():
    """What the database knows of who writes; empty where nobody is named."""
    with connection.cursor() as cursor:
        names = ", ".join(f"current_setting('edc.{name}', true)" for name in NAMES)
        cursor.execute(f"SELECT {names}")
        values = cursor.fetchone()
    return {name: value for name, value in zip(NAMES, values, strict=True) if value}


def rename(user, name):
    User.objects.filter(pk=user.pk).update(name=name)


@pytest.mark.requirement("P05")
def test_a_write_that_nobody_makes_is_refused_by_the_database(coordinator):
    with pytest.raises(DatabaseError, match=r"outside acting\(\)"), transaction.atomic():
        rename(coordinator, "somebody else")
    coordinator.refresh_from_db()
    assert coordinator.name == "coordinator"


def test_an_author_without_a_label_is_nobody(coordinator):
    with pytest.raises(DatabaseError, match=r"outside acting\(\)"), acting(Actor(label="")):
        rename(coordinator, "somebody else")


def test_the_database_is_told_everything_and_forgets_it_at_the_end(coordinator):
    captured = dt.datetime(2026, 6, 1, 9, 30, tzinfo=dt.UTC)
    by = Actor("user:1", 1, {7: "coordinator"}, "import", "r-1").captured(captured)
    with acting(by, "typing error"):
        assert context() == {
            "actor": "user:1",
            "user": "1",
            "role": "coordinator",
            "source": "import",
            "request": "r-1",
            "captured_at": "2026-06-01T09:30:00+00:00",
            "reason": "typing error",
        }
    # The test runs inside an outer transaction, as a service may: nothing is left there either.
    assert context() == {}
    with pytest.raises(DatabaseError, match=r"outside acting\(\)"), transaction.atomic():
        rename(coordinator, "somebody else")


def test_it_does_not_nest(coordinator):
    with acting(Actor.job("demo"), "the first"):
        with pytest.raises(RuntimeError, match="one author"), acting(Actor("user:1", 1)):
            raise AssertionError("never entered")
        rename(coordinator, "still the first")
    row = coordinator.history.first()
    assert (row.history_actor, row.history_change_reason) == ("job:demo", "the first")


def fail(user):
    rename(user, "somebody else")
    raise ZeroDivisionError


@pytest.mark.parametrize("outer", [transaction.atomic, nullcontext])
def test_an_error_takes_the_write_and_its_author_with_it(coordinator, outer):
    with outer():
        with pytest.raises(ZeroDivisionError), acting(Actor.job("demo"), "fails"):
            fail(coordinator)
        assert context() == {}
    coordinator.refresh_from_db()
    assert coordinator.name == "coordinator"
    assert coordinator.history.count() == 1
    with acting(Actor.job("demo"), "works again"):
        rename(coordinator, "after the error")


def break_transaction(user):
    """Carry on after an error of the database as if nothing had been."""
    with suppress(DatabaseError), transaction.atomic(savepoint=False):
        User.objects.filter(pk=user.pk).update(username="monitor")


def test_an_error_that_broke_the_transaction_is_not_hidden(coordinator):
    with pytest.raises(TransactionManagementError), acting(Actor.job("demo")):
        break_transaction(coordinator)
    assert context() == {}
    assert coordinator.history.count() == 1


def test_a_savepoint_inside_that_fails_leaves_the_author_in_place(coordinator):
    with acting(Actor.job("demo"), "one of two"):
        with pytest.raises(DatabaseError), transaction.atomic():
            User.objects.filter(pk=coordinator.pk).update(username="monitor")
        assert context()["actor"] == "job:demo"
        rename(coordinator, "second try")
    assert coordinator.history.first().history_change_reason == "one of two"


def test_two_after_each_other_keep_their_own_reasons(coordinator):
    with acting(Actor.job("demo"), "first"):
        rename(coordinator, "first")
    with acting(Actor("user:9", 9)):
        rename(coordinator, "second")
    newest, older, _created = coordinator.history.all()
    assert (newest.history_actor, newest.history_user_id) == ("user:9", 9)
    assert newest.history_change_reason is None
    assert (older.history_actor, older.history_user_id) == ("job:demo", None)
    assert older.history_change_reason == "first"


def test_committed_it_ends_with_its_transaction(fresh_database, coordinator):
    with acting(Actor.job("demo"), "committed"):
        rename(coordinator, "committed")
    assert context() == {}
    with fresh_database.connect() as other:
        found = other.execute(
            "SELECT history_actor FROM sites_historicaluser WHERE id = %s ORDER BY history_id DESC",
            [coordinator.pk],
        ).fetchone()
    assert found == ("job:demo",)
