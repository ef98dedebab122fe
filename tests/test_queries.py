"""Queries and every way out: asked, answered, closed, asked again, closing by themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.utils import translation

from crf.models import Entry, Query, QueryMessage
from crf.services import (
    answer_query,
    ask_query,
    close_query,
    reopen_query,
    save_entry,
    void_entry,
)
from crf.services.queries import message_text, question_text
from safety.models import AdverseEvent
from safety.services import void_event
from sites.access import Refused
from sites.audit import Actor
from sites.models import Site, User
from tests.cast import actor, seeing
from tests.events import report

TALL, TALLER, USUAL = "215.0", "216.0", "171.5"
RESIDENT_NUMBER = "주민번호 800505-2234567"


@pytest.fixture
def site(jss: Site) -> Iterator[Site]:
    with seeing(jss):
        yield jss


@pytest.fixture
def enters(coordinator: User, site: Site) -> Actor:
    return actor(coordinator, site)


@pytest.fixture
def asks(monitor: User, site: Site) -> Actor:
    return actor(monitor, site)


@pytest.fixture
def baseline(site: Site, participant: Callable[..., Any], enters: Actor) -> Entry:
    """The baseline form of a participant, begun."""
    person = participant(site)
    entry = person.entries.get(instrument="baseline")
    return saved(entry, enters, weight="64.5")


def saved(entry: Entry, by: Actor, **changes: Any) -> Entry:
    kept = save_entry(entry=entry, changes=changes, reason="misread", by=by)
    assert (kept.errors, kept.conflicts, kept.needs_reason) == ({}, {}, [])
    return Entry.objects.get(pk=entry.pk)


def acts(query: Query) -> list[str]:
    return list(query.messages.values_list("act", flat=True))


def test_a_question_about_an_item_waits_for_the_site(
    baseline: Entry, asks: Actor, monitor: User
) -> None:
    query = ask_query(entry=baseline, item="weight", text=" Is it in kg? ", by=asks)
    assert (query.state, query.text, query.opened_by) == ("open", "Is it in kg?", monitor)
    assert acts(query) == ["ask"]
    row = Query.history.get(id=query.pk)
    assert (row.history_user_id, row.history_role) == (monitor.pk, "monitor")


@pytest.mark.parametrize(
    ("text", "item", "field"),
    [("  ", "", "text"), (RESIDENT_NUMBER, "", "text"), ("why?", "no_such_item", "item")],
)
def test_a_question_that_can_not_be_asked(
    baseline: Entry, asks: Actor, text: str, item: str, field: str
) -> None:
    with pytest.raises(Refused) as refused:
        ask_query(entry=baseline, item=item, text=text, by=asks)
    assert refused.value.field == field
    assert not Query.objects.exists()


def test_nothing_is_asked_about_an_empty_form(baseline: Entry, asks: Actor) -> None:
    untouched = baseline.participant.entries.get(instrument="nrs", visit=baseline.visit)
    with pytest.raises(Refused):
        ask_query(entry=untouched, text="why?", by=asks)


def test_the_answer_is_the_reviewers_turn_and_closing_ends_it(
    baseline: Entry, enters: Actor, asks: Actor
) -> None:
    query = ask_query(entry=baseline, item="weight", text="In kg?", by=asks)
    query = answer_query(query=query, text="Yes, weighed here.", by=enters)
    assert (query.state, query.closed_at) == ("answered", None)
    query = close_query(query=query, by=asks)
    assert query.state == "closed"
    assert query.closed_at
    assert acts(query) == ["ask", "answer", "close"]


def test_asking_again_is_the_sites_turn(baseline: Entry, enters: Actor, asks: Actor) -> None:
    query = ask_query(entry=baseline, text="In kg?", by=asks)
    answer_query(query=query, text="Perhaps.", by=enters)
    with pytest.raises(Refused):
        reopen_query(query=query, text="", by=asks)
    query = reopen_query(query=query, text="Please look at the chart.", by=asks)
    assert (query.state, query.closed_at) == ("open", None)
    assert acts(query) == ["ask", "answer", "reopen"]


def test_a_closed_query_can_be_opened_again(baseline: Entry, asks: Actor) -> None:
    query = ask_query(entry=baseline, text="In kg?", by=asks)
    close_query(query=query, text="Asked in error.", by=asks)
    assert reopen_query(query=query, text="It was right after all.", by=asks).state == "open"


def test_who_acts_second_is_told(baseline: Entry, enters: Actor, asks: Actor) -> None:
    query = ask_query(entry=baseline, text="In kg?", by=asks)
    stale = Query.objects.get(pk=query.pk)
    answer_query(query=query, text="Yes.", by=enters)
    with pytest.raises(Refused):
        answer_query(query=stale, text="No.", by=enters)
    close_query(query=stale, by=asks)
    with pytest.raises(Refused):
        close_query(query=stale, by=asks)
    assert acts(query) == ["ask", "answer", "close"]


def test_closing_without_an_answer_needs_a_word(baseline: Entry, asks: Actor) -> None:
    query = ask_query(entry=baseline, text="In kg?", by=asks)
    with pytest.raises(Refused) as refused:
        close_query(query=query, by=asks)
    assert refused.value.field == "text"
    assert close_query(query=query, text="Found it in the chart.", by=asks).state == "closed"


@pytest.mark.parametrize("act", [answer_query, reopen_query])
@pytest.mark.parametrize("text", ["", "   ", RESIDENT_NUMBER])
def test_a_turn_needs_text_that_may_be_kept(
    baseline: Entry, asks: Actor, act: Callable[..., Query], text: str
) -> None:
    query = ask_query(entry=baseline, text="In kg?", by=asks)
    with pytest.raises(Refused) as refused:
        act(query=query, text=text, by=asks)
    assert refused.value.field == "text"
    assert acts(query) == ["ask"]


# What a soft check asks --------------------------------------------------------------------------


def test_a_broken_check_asks_once_and_keeps_the_value(baseline: Entry, enters: Actor) -> None:
    entry = saved(baseline, enters, height=TALL)
    entry = saved(entry, enters, weight="66.0")
    query = entry.queries.get()
    assert entry.answers["height"] == "215"
    assert (query.check_code, query.item, query.state) == ("unusual_height", "height", "open")
    assert query.opened_by is None


def test_correcting_the_data_closes_it(baseline: Entry, enters: Actor, asks: Actor) -> None:
    entry = saved(baseline, enters, height=TALL)
    entry = saved(entry, enters, height=USUAL)
    query = entry.queries.get()
    assert (query.state, acts(query)) == ("closed", ["ask", "close"])
    said = query.messages.last()
    with translation.override("en"):
        assert message_text(said) == "The data were corrected."
    with pytest.raises(Refused):
        reopen_query(query=query, text="Really?", by=asks)


def test_a_confirmed_value_is_quiet_until_it_changes(baseline: Entry, enters: Actor) -> None:
    entry = saved(baseline, enters, height=TALL)
    query = answer_query(query=entry.queries.get(), text="A basketball player.", by=enters)
    assert query.state == "closed"
    assert query.value_at_confirmation == {"height": "215"}
    entry = saved(entry, enters, weight="95.0")
    assert entry.queries.count() == 1
    entry = saved(entry, enters, height=TALLER)
    assert list(entry.queries.values_list("state", flat=True)) == ["closed", "open"]


def test_a_corrected_value_that_breaks_again_is_asked_again(baseline: Entry, enters: Actor) -> None:
    entry = saved(baseline, enters, height=TALL)
    entry = saved(entry, enters, height=USUAL)
    entry = saved(entry, enters, height=TALL)
    assert list(entry.queries.values_list("state", flat=True)) == ["closed", "open"]


def test_a_reviewer_who_closes_a_check_accepts_the_value(
    baseline: Entry, enters: Actor, asks: Actor
) -> None:
    entry = saved(baseline, enters, height=TALL)
    close_query(query=entry.queries.get(), text="Known from the chart.", by=asks)
    entry = saved(entry, enters, weight="95.0")
    assert list(entry.queries.values_list("state", flat=True)) == ["closed"]


def test_a_confirmation_may_be_questioned_but_not_beside_a_newer_question(
    baseline: Entry, enters: Actor, asks: Actor
) -> None:
    entry = saved(baseline, enters, height=TALL)
    query = answer_query(query=entry.queries.get(), text="Measured.", by=enters)
    query = reopen_query(query=query, text="Measured by whom?", by=asks)
    assert query.state == "open"
    query = answer_query(query=query, text="By the nurse.", by=enters)
    assert query.state == "closed"
    saved(entry, enters, height=TALLER)
    with pytest.raises(Refused):
        reopen_query(query=query, text="And now?", by=asks)


def test_a_check_is_read_in_the_readers_language(baseline: Entry, enters: Actor) -> None:
    query = saved(baseline, enters, height=TALL).queries.get()
    for language, words in (("ko", "키가 통상 범위"), ("en", "The height is outside")):
        with translation.override(language):
            assert question_text(query).startswith(words)


# What is void ------------------------------------------------------------------------------------


def test_voiding_a_form_closes_its_queries_and_says_so(
    baseline: Entry, enters: Actor, asks: Actor
) -> None:
    query = ask_query(entry=baseline, text="In kg?", by=asks)
    void_entry(entry=baseline, reason="wrong participant", by=enters)
    query.refresh_from_db()
    assert (query.state, acts(query)) == ("closed", ["ask", "close"])
    with pytest.raises(Refused):
        reopen_query(query=query, text="Why?", by=asks)
    baseline.refresh_from_db()
    with pytest.raises(Refused):
        ask_query(entry=baseline, text="Why?", by=asks)


def test_voiding_an_event_closes_its_queries_and_nothing_is_asked_of_it(
    site: Site, participant: Callable[..., Any], enters: Actor, asks: Actor
) -> None:
    event = report(participant(site), enters)
    query = ask_query(adverse_event=event, item="grade", text="Why grade 1?", by=asks)
    assert query.participant == event.participant
    void_event(event=event, reason="wrong participant", by=enters)
    query.refresh_from_db()
    assert query.state == "closed"
    with pytest.raises(Refused):
        ask_query(adverse_event=AdverseEvent.objects.get(), text="Why?", by=asks)


def test_what_is_said_stays(baseline: Entry, enters: Actor, asks: Actor) -> None:
    query = ask_query(entry=baseline, text="In kg?", by=asks)
    answer_query(query=query, text="Yes.", by=enters)
    said = [(row.act, row.text) for row in QueryMessage.history.order_by("history_id")]
    assert said == [("ask", "In kg?"), ("answer", "Yes.")]
    reasons = list(
        Query.history.order_by("history_id").values_list("history_change_reason", flat=True)
    )
    assert reasons == [None, "Yes."]
