"""The second look: which forms are drawn, what the second hand sees, and what is decided."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from crf.definitions import definition_of
from crf.models import Entry, SecondLook
from crf.services import complete, finish_look, save_entry, save_look, settle_look, void_entry
from crf.services.entries import drawn
from crf.services.looks import differences
from registry.models import Participant
from registry.protocol import SecondLook as Wanted
from sites.access import Refused
from sites.models import Site, User
from tests.cast import actor, seeing


def at(name: str, *args: Any) -> str:
    return reverse(name, args=["uspp", *args])


@pytest.fixture
def look(jss: Site, participant: Callable[..., Participant], coordinator: User) -> SecondLook:
    """The NRS of week 0, which belongs to the primary endpoint, entered by the coordinator."""
    person = participant(jss)
    by = actor(coordinator, jss)
    with seeing(jss):
        entry = person.entries.get(instrument="nrs", visit__code="w0")
        save_entry(entry=entry, changes={"pain": 7}, by=by)
        complete(entry=entry, by=by)
        return now_of(entry)


def now_of(entry: Entry) -> SecondLook:
    related = "entry__site", "entry__visit", "entry__participant__site"
    return SecondLook.objects.select_related(*related).get(entry=entry)


def again(look: SecondLook) -> SecondLook:
    with seeing(look.site):
        return now_of(look.entry)


def look_at(look: SecondLook, by: Any, **changes: Any) -> SecondLook:
    with seeing(look.site):
        save_look(look=look, changes=changes, missing={}, by=by)
        finish_look(look=now_of(look.entry), by=by)
    return again(look)


def test_the_primary_endpoint_is_always_drawn_and_a_share_of_the_rest(look: SecondLook) -> None:
    protocol = definition_of(look.entry.version_id).protocol
    assert protocol.second_look == Wanted(share=5, primary=True)
    entry = look.entry
    with seeing(look.site):
        other = entry.participant.entries.select_related("visit").get(
            instrument="ndi", visit__code="w0"
        )
    assert drawn(entry, protocol)
    every = protocol.model_copy(update={"second_look": Wanted(share=100)})
    none = protocol.model_copy(update={"second_look": Wanted(share=0)})
    without = protocol.model_copy(update={"second_look": None})
    assert drawn(other, every)
    assert not any(drawn(each, p) for each in (entry, other) for p in (none, without))
    half = protocol.model_copy(update={"second_look": Wanted(share=50)})
    count = 0
    for number in range(1, 401):
        other.pk = number
        count += drawn(other, half)
    assert 160 < count < 240


def test_whoever_entered_waits_a_day_and_anybody_else_looks_at_once(
    look: SecondLook, coordinator: User, investigator: User, jss: Site
) -> None:
    with seeing(jss):
        with pytest.raises(Refused):
            save_look(look=look, changes={"pain": 7}, missing={}, by=actor(coordinator, jss))
        save_look(look=look, changes={"pain": 7}, missing={}, by=actor(investigator, jss))
    look.entry.completed_at -= dt.timedelta(days=1)
    from crf.services.looks import why_not

    assert why_not(look, coordinator.pk) == ""


def test_two_hands_that_agree_are_settled(look: SecondLook, investigator: User, jss: Site) -> None:
    done = look_at(look, actor(investigator, jss), pain=7)
    assert (done.compared, done.differing) == (1, 0)
    assert done.settled_at is not None
    with seeing(jss), pytest.raises(Refused):
        finish_look(look=done, by=actor(investigator, jss))


def test_a_difference_is_decided_with_a_reason_and_written_into_the_form(
    look: SecondLook, investigator: User, jss: Site
) -> None:
    by = actor(investigator, jss)
    done = look_at(look, by, pain=4)
    assert (done.differing, done.settled_at, differences(done)) == (1, None, ["pain"])
    with seeing(jss):
        for kept, reasons in (({}, {}), ({"pain": "second"}, {}), ({"pain": "x"}, {})):
            with pytest.raises(Refused) as refused:
                settle_look(look=done, kept=kept, reasons=reasons, by=by)
            assert refused.value.field == "pain"
        settle_look(look=done, kept={"pain": "second"}, reasons={"pain": "잘못 읽음"}, by=by)
        entry = Entry.objects.get(pk=look.entry_id)
        assert entry.answers == {"pain": 4}
        assert entry.history.first().history_change_reason == "잘못 읽음"
        assert entry.history.first().history_user == investigator
    settled = again(look)
    assert settled.decisions == [
        {
            "item": "pain",
            "first": {"value": 7, "missing": None},
            "second": {"value": 4, "missing": None},
            "kept": "second",
            "reason": "잘못 읽음",
        }
    ]
    with seeing(jss), pytest.raises(Refused):
        settle_look(look=settled, kept={}, reasons={}, by=by)


def test_the_first_may_be_right_and_stays(look: SecondLook, investigator: User, jss: Site) -> None:
    by = actor(investigator, jss)
    done = look_at(look, by, pain=4)
    with seeing(jss):
        settle_look(look=done, kept={"pain": "first"}, reasons={}, by=by)
        assert Entry.objects.get(pk=look.entry_id).answers == {"pain": 7}
    assert again(look).settled_at is not None


def test_what_is_not_answered_is_not_compared(
    look: SecondLook, investigator: User, jss: Site
) -> None:
    with seeing(jss), pytest.raises(Refused):
        finish_look(look=look, by=actor(investigator, jss))


# The pages ------------------------------------------------------------------------------------


def test_the_blind_form_shows_nothing_of_the_first(
    as_: Callable[..., Client], look: SecondLook, investigator: User
) -> None:
    page = as_(investigator).get(at("second_look", look.pk)).content.decode()
    assert 'data-item="pain"' in page
    assert " checked" not in page.replace('id="digits" checked', "")
    assert 'name="base" value="{}"' in page
    assert "data-last>" not in page
    assert 'data-change="' not in page


def test_saving_finishing_and_deciding_by_pages(
    as_: Callable[..., Client], look: SecondLook, investigator: User, jss: Site
) -> None:
    client = as_(investigator)
    message = {"op": str(uuid.uuid4()), "base": {}, "changes": {"pain": "4"}, "missing": {}}
    answer = client.post(
        at("second_look_save", look.pk),
        json.dumps(message),
        content_type="application/json",
        headers={"X-Requested-With": "fetch"},
    )
    assert answer.status_code == 200
    assert answer.json()["accepted"] == ["pain"]
    assert answer.json()["answers"] == {"pain": 4}
    answer = client.post(
        at("second_look", look.pk), {"then": "complete", "base": '{"pain": 4}', "pain": "4"}
    )
    assert answer["Location"] == at("second_look", look.pk)
    page = client.get(at("second_look", look.pk)).content.decode()
    assert "keep.pain" in page
    answer = client.post(at("second_look", look.pk), {"keep.pain": "second"})
    assert answer.status_code == 422
    assert 'href="#keep-pain"' in answer.content.decode()
    told = {"keep.pain": "second", "reason.pain": "잘못 읽음"}
    assert client.post(at("second_look", look.pk), told)["Location"] == at("second_looks")
    assert "잘못 읽음" in client.get(at("second_look", look.pk)).content.decode()
    rates = client.get(at("second_looks")).context["rates"]
    assert [(r["instrument"], r["compared"], r["differing"], r["percent"]) for r in rates] == [
        ("nrs", 1, 1, 100.0)
    ]


def test_the_list_says_who_may_look_and_leaves_void_forms_out(
    as_: Callable[..., Client],
    look: SecondLook,
    coordinator: User,
    investigator: User,
    monitor: User,
    jss: Site,
) -> None:
    link = at("second_look", look.pk)
    for user, may in ((coordinator, False), (investigator, True), (monitor, False)):
        client = as_(user)
        client.get(at("second_looks"))
        with CaptureQueriesContext(connection) as asked:
            page = client.get(at("second_looks"))
        assert (f'href="{link}"' in page.content.decode()) is may
        assert len([q for q in asked if "SAVEPOINT" not in q["sql"]]) <= 12
    with seeing(jss):
        void_entry(entry=look.entry, reason="잘못 입력", by=actor(coordinator, jss))
    assert as_(investigator).get(at("second_looks")).context["waiting"] == []


def test_another_site_finds_nothing_and_a_reader_enters_nothing(
    as_: Callable[..., Client],
    look: SecondLook,
    coordinator2: User,
    monitor: User,
    coordinator: User,
) -> None:
    for name in ("second_look", "second_look_save"):
        assert as_(coordinator2).get(at(name, look.pk)).status_code == 404
        assert as_(monitor).get(at(name, look.pk)).status_code == 403
    assert as_(coordinator).get(at("second_look", look.pk)).status_code == 409
