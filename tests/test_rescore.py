"""Stored scores can be computed again at any time, and what differs is said line by line."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from crf.models import Entry, Lock
from crf.services import save_entry
from sites.audit import Actor, acting
from tests.cast import actor, seeing, working
from tests.story import play

pytestmark = pytest.mark.django_db


@pytest.fixture
def nrs(jss, coordinator):
    """A form whose score the rule computed."""
    by = actor(coordinator, jss)
    with seeing(jss):
        person = play(jss, by)
        entry = person.entries.get(instrument="nrs", visit__code="w0")
        save_entry(entry=entry, changes={"pain": 7}, by=by)
        entry.refresh_from_db()
    return entry


def store(site, entry, **scores):
    """What an older rule left."""
    with seeing(site), acting(Actor.job("demo")):
        entry.scores = {**entry.scores, **scores}
        entry.save()


def rescore(**options):
    said = StringIO()
    call_command("rescore", stdout=said, **options)
    return said.getvalue().splitlines()


def now(site, entry):
    with seeing(site):
        return Entry.objects.get(pk=entry.pk)


def written(site, entry):
    """How often the trail says that the form was written."""
    with seeing(site):
        return entry.history.count()


def test_nothing_differs_where_the_rules_are_those_of_then(nrs):
    assert rescore() == ["0 forms differ, 0 were changed."]


def test_a_dry_run_lists_each_difference_and_changes_nothing(nrs, jss):
    store(jss, nrs, nrs=3, **{"$versions": {"nrs": "0"}})
    before = written(jss, nrs)
    assert rescore(dry_run=True) == [
        "JSS JSS-001 w0 nrs 1: nrs 3 → 7",
        "JSS JSS-001 w0 nrs 1: rule nrs 0 → 1",
        "1 forms differ, 0 were changed.",
    ]
    assert now(jss, nrs).scores["nrs"] == 3
    assert written(jss, nrs) == before


def test_without_it_they_are_stored_and_the_trail_says_why(nrs, jss):
    store(jss, nrs, nrs=3)
    digest = now(jss, nrs).digest
    assert rescore(study="uspp")[-1] == "1 forms differ, 1 were changed."
    after = now(jss, nrs)
    assert after.scores["nrs"] == 7
    assert after.digest == digest  # answers did not change, so no signature is stale
    with seeing(jss):
        newest = after.history.latest("history_id")
    assert newest.history_actor == "job:rescore"
    assert "computed again" in newest.history_change_reason
    assert rescore() == ["0 forms differ, 0 were changed."]


def test_a_locked_site_is_listed_and_left_as_it_is(nrs, jss, datamanager):
    store(jss, nrs, nrs=3)
    with working(datamanager, jss):
        Lock.objects.create(site=jss, locked_by=datamanager)
    assert rescore()[-1] == "1 forms differ, 0 were changed."
    assert now(jss, nrs).scores["nrs"] == 3


def test_a_score_that_no_longer_belongs_to_the_form_is_a_difference(nrs, jss):
    store(jss, nrs, old_index="0.5")
    assert "JSS JSS-001 w0 nrs 1: old_index 0.5 → None" in rescore(dry_run=True)


def test_other_studies_stay_out_of_it(nrs, jss):
    store(jss, nrs, nrs=3)
    assert rescore(study="needle") == ["0 forms differ, 0 were changed."]
    with pytest.raises(CommandError, match="no study"):
        call_command("rescore", study="none")
