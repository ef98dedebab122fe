"""Saving, completing, voiding and verifying a form: every way out of the services."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import DatabaseError, transaction

from crf.definitions import instrument_of
from crf.models import Entry, Lock, Query
from crf.services import (
    Incomplete,
    add_entry,
    answer_query,
    complete,
    preview_entry,
    save_entry,
    verify,
    void_entry,
)
from crf.values import Invalid, date_text, parse
from registry.models import Participant
from registry.services import mark_missed, void_participant
from sites.access import Refused
from sites.audit import Actor, acting
from sites.models import Site, User
from tests.cast import actor, seeing

RESIDENT_NUMBER = "900101-1234567"


@pytest.fixture
def by(coordinator: User, jss: Site) -> Actor:
    return actor(coordinator, jss)


@pytest.fixture
def person(participant: Callable[..., Participant], jss: Site) -> Participant:
    return participant(jss)


@pytest.fixture(autouse=True)
def _at_the_site(jss: Site) -> Iterator[None]:
    with seeing(jss):
        yield


@pytest.fixture
def form(person: Participant) -> Callable[..., Entry]:
    def entry(instrument: str, visit: str = "w0") -> Entry:
        return Entry.objects.get(
            participant=person, instrument=instrument, visit__code=visit, voided_at=None
        )

    return entry


def test_a_save_keeps_answers_scores_and_one_history_row(
    form: Callable[..., Entry], by: Actor
) -> None:
    entry = form("ndi")
    rows = entry.history.count()
    saved = save_entry(entry=entry, changes={f"ndi_{n:02}": 2 for n in range(1, 11)}, by=by)
    entry = form("ndi")
    assert sorted(saved.accepted) == sorted(entry.answers)
    assert entry.scores["ndi_percent"] == "40"
    assert entry.scores["$versions"] == {"ndi": "1"}
    assert (saved.answered, saved.due, saved.state) == (10, 10, "started")
    assert entry.history.count() == rows + 1
    assert entry.digest != ""


@pytest.mark.parametrize(
    ("instrument", "item", "typed", "stored"),
    [
        ("baseline", "height", "１６８．５", "168.5"),
        ("baseline", "height", "168.50", "168.5"),
        ("nrs", "pain", "１０", 10),
        ("nrs", "pain", 7, 7),
        ("baseline", "imaging", ["mri", "xray", "mri"], ["xray", "mri"]),
        ("baseline", "main_diagnosis", "m511", "M51.1"),
        ("baseline", "onset_date", "2024-02-29", "2024-02-29"),
        ("baseline", "onset_date", "２０２４０２２９", "2024-02-29"),
        ("baseline", "onset_date", "2024년 2월 29일", "2024-02-29"),
        ("baseline", "onset_date", "2024. 2.", "2024-02"),
        ("baseline", "onset_date", "2024", "2024"),
        ("baseline", "spine_surgery", "yes", "yes"),
        ("concurrent", "herbal_name", "=cmd|' /C calc'!A0", "=cmd|' /C calc'!A0"),
        ("concurrent", "herbal_name", " 오\x00적산 ", "오적산"),
    ],
)
def test_what_is_typed_is_stored_in_one_form(
    form: Callable[..., Entry], by: Actor, instrument: str, item: str, typed: Any, stored: Any
) -> None:
    saved = save_entry(entry=form(instrument), changes={item: typed}, by=by)
    assert saved.errors == {}
    assert form(instrument).answers[item] == stored


@pytest.mark.requirement("K06")
@pytest.mark.parametrize(
    ("instrument", "item", "typed"),
    [
        ("baseline", "height", "tall"),
        ("baseline", "height", "1.75e2"),
        ("baseline", "height", "168.55"),
        ("baseline", "height", "1000"),
        ("nrs", "pain", "15"),
        ("nrs", "pain", "1.0"),
        ("nrs", "pain", True),
        ("nrs", "pain", {"a": 1}),
        ("baseline", "imaging", ["none", "petscan"]),
        ("baseline", "main_diagnosis", "감기"),
        ("baseline", "onset_date", "2023-02-29"),
        ("baseline", "onset_date", "2199-01-01"),
        ("baseline", "onset_date", "2026115"),
        ("baseline", "onset_date", "yesterday"),
        ("baseline", "spine_surgery", "maybe"),
        ("concurrent", "herbal_name", f"김철수 {RESIDENT_NUMBER}"),
        ("concurrent", "herbal_name", "９００１０１１２３４５６７"),
        ("concurrent", "herbal_name", "가" * 100_000),
    ],
)
def test_what_is_no_answer_is_refused_with_a_sentence_and_the_rest_kept(
    form: Callable[..., Entry], by: Actor, instrument: str, item: str, typed: Any
) -> None:
    other = {"nrs": {}, "baseline": {"weight": "60"}, "concurrent": {"cupping": "no"}}[instrument]
    saved = save_entry(entry=form(instrument), changes={item: typed, **other}, by=by)
    assert list(saved.errors) == [item]
    assert len(saved.errors[item]) < 200
    assert form(instrument).answers == other


def test_a_whole_date_is_never_guessed() -> None:
    assert date_text("20261105") == "2026-11-05"
    for text in ("2026115", "26-11-05", "2026-13-01", "1899-12-31", "2026-11", ""):
        with pytest.raises(Invalid):
            date_text(text)
    assert date_text("202611", partial=True) == "2026-11"


def test_a_day_that_has_not_come_yet_is_refused(form: Callable[..., Entry], jss: Site) -> None:
    item = instrument_of(form("baseline")).item("onset_date")
    today = jss.today()
    assert parse(item, today.isoformat(), today=today) == today.isoformat()
    with pytest.raises(Invalid):
        parse(item, (today + dt.timedelta(days=1)).isoformat(), today=today)


def test_an_unknown_question_is_told(form: Callable[..., Entry], by: Actor) -> None:
    saved = save_entry(entry=form("nrs"), changes={"nonsense": 1, "pain": 3}, by=by)
    assert list(saved.errors) == ["nonsense"]
    assert form("nrs").answers == {"pain": 3}


# Missing ----------------------------------------------------------------------------------------


def test_missing_with_a_reason_counts_as_answered_and_goes_with_an_answer(
    form: Callable[..., Entry], by: Actor
) -> None:
    saved = save_entry(
        entry=form("ndi"), changes={"ndi_01": 3}, missing={"ndi_08": "not_applicable"}, by=by
    )
    assert saved.missing == {"ndi_08": "not_applicable"}
    assert saved.answered == 2
    save_entry(entry=form("ndi"), changes={"ndi_08": 1}, by=by)
    assert form("ndi").answers == {"ndi_01": 3, "ndi_08": 1}
    assert form("ndi").meta == {}
    save_entry(entry=form("ndi"), changes={}, missing={"ndi_01": "refused"}, by=by)
    assert form("ndi").answers == {"ndi_08": 1}
    save_entry(entry=form("ndi"), changes={}, missing={"ndi_01": None}, by=by)
    assert "ndi_01" not in form("ndi").meta


def test_a_reason_that_the_question_does_not_know_is_refused(
    form: Callable[..., Entry], by: Actor
) -> None:
    saved = save_entry(entry=form("ndi"), changes={}, missing={"ndi_08": "lazy"}, by=by)
    assert list(saved.errors) == ["ndi_08"]
    assert form("ndi").meta == {}


# Conflicts and repetition -----------------------------------------------------------------------


def test_different_items_merge_and_the_same_item_is_shown(
    form: Callable[..., Entry], by: Actor
) -> None:
    save_entry(entry=form("ndi"), changes={"ndi_01": 1, "ndi_02": 2}, by=by)
    saved = save_entry(
        entry=form("ndi"),
        changes={"ndi_01": 5, "ndi_03": 3},
        base={"ndi_01": None, "ndi_03": None},
        by=by,
    )
    assert saved.accepted == ["ndi_03"]
    assert saved.conflicts == {"ndi_01": {"theirs": 1, "missing": None, "mine": 5}}
    assert form("ndi").answers == {"ndi_01": 1, "ndi_02": 2, "ndi_03": 3}


def test_a_conflict_with_somebody_who_marked_it_missing(
    form: Callable[..., Entry], by: Actor
) -> None:
    save_entry(entry=form("ndi"), changes={}, missing={"ndi_01": "refused"}, by=by)
    saved = save_entry(entry=form("ndi"), changes={"ndi_01": 5}, base={"ndi_01": None}, by=by)
    assert saved.conflicts["ndi_01"]["missing"] == "refused"
    again = save_entry(
        entry=form("ndi"), changes={"ndi_01": 5}, base={"ndi_01": {"missing": "refused"}}, by=by
    )
    assert again.accepted == ["ndi_01"]


def test_two_people_who_say_the_same_do_not_disagree(form: Callable[..., Entry], by: Actor) -> None:
    save_entry(entry=form("nrs"), changes={"pain": 4}, by=by)
    saved = save_entry(entry=form("nrs"), changes={"pain": 4}, base={"pain": None}, by=by)
    assert (saved.accepted, saved.conflicts) == (["pain"], {})


def test_a_repeated_operation_changes_nothing_twice(form: Callable[..., Entry], by: Actor) -> None:
    op = uuid.uuid4()
    first = save_entry(entry=form("nrs"), changes={"pain": 4}, op=op, by=by)
    save_entry(entry=form("nrs"), changes={"pain": 9}, by=by)
    again = save_entry(entry=form("nrs"), changes={"pain": 4}, op=op, by=by)
    assert again.as_dict() == first.as_dict()
    assert form("nrs").answers == {"pain": 9}


def test_an_operation_id_serves_one_request_only(
    form: Callable[..., Entry], by: Actor, investigator: User, jss: Site
) -> None:
    op = uuid.uuid4()
    save_entry(entry=form("nrs"), changes={"pain": 4}, op=op, by=by)
    with pytest.raises(Refused):
        save_entry(entry=form("nrs"), changes={"pain": 5}, op=op, by=by)
    with pytest.raises(Refused):
        save_entry(entry=form("ndi"), changes={"pain": 4}, op=op, by=by)
    other = save_entry(entry=form("nrs"), changes={"pain": 5}, op=op, by=actor(investigator, jss))
    assert other.accepted == ["pain"]  # ids are unique per person


def test_strict_keeps_all_or_nothing(form: Callable[..., Entry], by: Actor) -> None:
    op = uuid.uuid4()
    entry = form("baseline")
    saved = save_entry(
        entry=entry, changes={"height": "tall", "weight": "60"}, op=op, strict=True, by=by
    )
    assert list(saved.errors) == ["height"]
    assert form("baseline").answers == {}
    save_entry(entry=entry, changes={"height": "170", "weight": "60"}, op=op, strict=True, by=by)
    assert form("baseline").answers == {"height": "170", "weight": "60"}


def test_a_save_that_changes_nothing_leaves_no_trace(form: Callable[..., Entry], by: Actor) -> None:
    save_entry(entry=form("nrs"), changes={"pain": 4}, by=by)
    rows = form("nrs").history.count()
    save_entry(entry=form("nrs"), changes={"pain": "4"}, by=by)
    assert form("nrs").history.count() == rows


@pytest.mark.requirement("E05")
def test_the_time_of_the_answer_is_kept_beside_the_time_of_the_save(
    form: Callable[..., Entry], by: Actor
) -> None:
    at = dt.datetime(2026, 5, 1, 10, 0, tzinfo=dt.UTC)
    save_entry(entry=form("nrs"), changes={"pain": 4}, captured_at=at, by=by)
    row = form("nrs").history.first()
    assert row.history_captured_at == at
    assert row.history_date > at


# Soft checks ------------------------------------------------------------------------------------


@pytest.mark.requirement("F03")
def test_an_unlikely_value_is_kept_and_asked_about_once(
    form: Callable[..., Entry], by: Actor
) -> None:
    saved = save_entry(entry=form("baseline"), changes={"height": "120"}, by=by)
    assert [check["code"] for check in saved.checks] == ["unusual_height"]
    assert [(q["check"], q["state"]) for q in saved.queries] == [("unusual_height", "open")]
    save_entry(entry=form("baseline"), changes={"weight": "60"}, by=by)
    assert form("baseline").queries.count() == 1


def test_a_query_of_a_check_closes_itself_when_the_data_are_corrected(
    form: Callable[..., Entry], by: Actor
) -> None:
    save_entry(entry=form("baseline"), changes={"height": "120"}, by=by)
    saved = save_entry(entry=form("baseline"), changes={"height": "170"}, by=by)
    assert saved.queries == []
    query = form("baseline").queries.get()
    assert query.state == Query.State.CLOSED
    save_entry(entry=form("baseline"), changes={"height": "120"}, by=by)
    assert form("baseline").queries.unresolved().count() == 1


def test_a_confirmed_value_is_quiet_until_it_changes_again(
    form: Callable[..., Entry], by: Actor
) -> None:
    save_entry(entry=form("baseline"), changes={"height": "120"}, by=by)
    answer_query(query=form("baseline").queries.get(), text="차트 확인", by=by)
    saved = save_entry(entry=form("baseline"), changes={"weight": "60"}, by=by)
    assert [(q["state"], q["confirmed"]) for q in saved.queries] == [("closed", True)]
    save_entry(entry=form("baseline"), changes={"height": "121"}, by=by)
    states = form("baseline").queries.values_list("state", flat=True)
    assert sorted(states) == ["closed", "open"]
    save_entry(entry=form("baseline"), changes={"height": "120"}, by=by)
    assert form("baseline").queries.unresolved().count() == 0


def test_an_answer_to_a_question_that_does_not_apply_is_kept_and_questioned(
    form: Callable[..., Entry], by: Actor
) -> None:
    save_entry(
        entry=form("baseline"), changes={"smoking": "current", "cigarettes_per_day": 10}, by=by
    )
    saved = save_entry(entry=form("baseline"), changes={"smoking": "never"}, by=by)
    assert saved.answers["cigarettes_per_day"] == 10
    assert "cigarettes_per_day" not in saved.shown
    assert [q["item"] for q in saved.queries] == ["cigarettes_per_day"]
    saved = save_entry(entry=form("baseline"), changes={"cigarettes_per_day": ""}, by=by)
    assert saved.queries == []


def test_a_preview_shows_all_of_it_and_stores_nothing(form: Callable[..., Entry]) -> None:
    saved = preview_entry(
        entry=form("ndi"), changes={f"ndi_{n:02}": 5 for n in range(1, 11)} | {"ndi_11": 1}
    )
    assert saved.scores["ndi_percent"] == "100"
    assert [check["code"] for check in saved.checks] == ["all_at_worst"]
    assert form("ndi").answers == {}
    assert not form("ndi").queries.exists()


# Reasons ----------------------------------------------------------------------------------------


@pytest.fixture
def completed(form: Callable[..., Entry], by: Actor) -> Callable[[], Entry]:
    save_entry(entry=form("nrs"), changes={"pain": 4}, by=by)
    complete(entry=form("nrs"), by=by)
    return lambda: form("nrs")


@pytest.mark.requirement("G06")
def test_after_completion_each_changed_item_needs_a_reason(
    completed: Callable[[], Entry], by: Actor
) -> None:
    saved = save_entry(entry=completed(), changes={"pain": 5}, reasons={"pain": "  "}, by=by)
    assert saved.needs_reason == ["pain"]
    assert completed().answers == {"pain": 4}
    save_entry(entry=completed(), changes={"pain": 5}, reasons={"pain": "오기"}, by=by)
    assert completed().answers == {"pain": 5}
    assert completed().history.first().history_change_reason == "오기"
    assert completed().completed_at is not None


def test_reasons_of_several_items_are_kept_apart(form: Callable[..., Entry], by: Actor) -> None:
    save_entry(entry=form("ndi"), changes={f"ndi_{n:02}": 2 for n in range(1, 11)}, by=by)
    complete(entry=form("ndi"), by=by)
    saved = save_entry(
        entry=form("ndi"),
        changes={"ndi_01": 3, "ndi_02": 3, "ndi_03": 3},
        reasons={"ndi_01": "오기", "ndi_02": "원자료 정정"},
        by=by,
    )
    assert saved.needs_reason == ["ndi_03"]
    row = form("ndi").history.first()
    assert row.history_change_reason == "ndi_01: 오기\nndi_02: 원자료 정정"


@pytest.mark.requirement("K06")
def test_a_resident_number_is_refused_in_every_reason(
    completed: Callable[[], Entry], by: Actor
) -> None:
    saved = save_entry(
        entry=completed(), changes={"pain": 5}, reasons={"pain": RESIDENT_NUMBER}, by=by
    )
    assert list(saved.errors) == ["pain"]
    with pytest.raises(Refused):
        save_entry(entry=completed(), changes={"pain": 5}, reason=RESIDENT_NUMBER, by=by)
    with pytest.raises(Refused):
        void_entry(entry=completed(), reason=f"환자 {RESIDENT_NUMBER}", by=by)
    assert completed().answers == {"pain": 4}


# Completion, void, verification -----------------------------------------------------------------


def test_completion_needs_every_question_that_applies(
    form: Callable[..., Entry], by: Actor
) -> None:
    with pytest.raises(Refused):
        complete(entry=form("ndi"), by=by)
    save_entry(entry=form("ndi"), changes={"ndi_01": 1}, missing={"ndi_08": "refused"}, by=by)
    with pytest.raises(Incomplete) as refused:
        complete(entry=form("ndi"), by=by)
    assert refused.value.items == [f"ndi_{n:02}" for n in (2, 3, 4, 5, 6, 7, 9, 10)]
    save_entry(entry=form("ndi"), changes=dict.fromkeys(refused.value.items, 0), by=by)
    assert complete(entry=form("ndi"), by=by).completed_by_id == by.user_id
    with pytest.raises(Refused):
        complete(entry=form("ndi"), by=by)


def test_a_void_form_is_kept_and_due_anew(form: Callable[..., Entry], by: Actor) -> None:
    entry = form("baseline")
    with pytest.raises(Refused):
        void_entry(entry=entry, reason="x", by=by)  # nothing was entered
    save_entry(entry=entry, changes={"height": "120"}, by=by)
    with pytest.raises(Refused) as refused:
        void_entry(entry=entry, reason=" ", by=by)
    assert refused.value.field == "reason"
    void_entry(entry=entry, reason="다른 대상자의 자료", by=by)
    entry.refresh_from_db()
    assert entry.answers == {"height": "120"}
    assert not entry.queries.unresolved().exists()
    assert form("baseline").answers == {}
    for act in (complete, verify):
        with pytest.raises(Refused):
            act(entry=entry, by=by)
    with pytest.raises(Refused):
        save_entry(entry=entry, changes={"height": "121"}, by=by)


def test_verification_is_of_a_complete_form_and_stale_after_a_change(
    completed: Callable[[], Entry],
    form: Callable[..., Entry],
    monitor: User,
    jss: Site,
    by: Actor,
) -> None:
    with pytest.raises(Refused):
        verify(entry=form("ndi"), by=actor(monitor, jss))
    mark = verify(entry=completed(), by=actor(monitor, jss))
    assert mark.digest == completed().digest
    save_entry(entry=completed(), changes={"pain": 5}, reason="오기", by=by)
    assert mark.digest != completed().digest


# What stands in the way -------------------------------------------------------------------------


def test_a_visit_must_have_been_held(form: Callable[..., Entry], by: Actor) -> None:
    with pytest.raises(Refused):
        save_entry(entry=form("nrs", "w1"), changes={"pain": 3}, by=by)
    mark_missed(visit=form("nrs", "w2").visit, reason="연락 두절", by=by)
    with pytest.raises(Refused):
        save_entry(entry=form("nrs", "w2"), changes={"pain": 3}, by=by)


def test_a_void_participant_is_closed(
    form: Callable[..., Entry], person: Participant, by: Actor
) -> None:
    void_participant(participant=person, reason="중복 등록", by=by)
    with pytest.raises(Refused):
        save_entry(entry=form("nrs"), changes={"pain": 3}, by=by)


def test_the_database_refuses_a_locked_site(
    form: Callable[..., Entry], by: Actor, datamanager: User, jss: Site
) -> None:
    with acting(actor(datamanager, jss)):
        Lock.objects.create(site=jss, locked_by=datamanager)
    with pytest.raises(DatabaseError), transaction.atomic():
        save_entry(entry=form("nrs"), changes={"pain": 3}, by=by)
    assert form("nrs").answers == {}


# Logs -------------------------------------------------------------------------------------------


def test_rows_of_a_log_are_numbered_and_only_logs_are_added(
    person: Participant, participant: Callable[..., Participant], jss: Site, by: Actor
) -> None:
    first = add_entry(participant=person, instrument="procedure", by=by)
    save_entry(entry=first, changes={"performed_on": jss.today().isoformat()}, by=by)
    void_entry(entry=first, reason="중복", by=by)
    assert add_entry(participant=person, instrument="procedure", by=by).number == 2
    for instrument in ("nrs", "screening", "unheard_of"):
        with pytest.raises(Refused):
            add_entry(participant=person, instrument=instrument, by=by)
    with pytest.raises(Refused):
        add_entry(participant=participant(jss, stage="screened"), instrument="procedure", by=by)


def test_rows_of_a_group_ask_only_for_what_was_begun(person: Participant, by: Actor) -> None:
    entry = add_entry(participant=person, instrument="procedure", by=by)
    saved = save_entry(
        entry=entry, changes={"product_1": "SBV", "product_2": "", "volume_1": "2.5"}, by=by
    )
    assert {"product_1", "product_2", "volume_1", "lot_1", "skin_test"} <= set(saved.shown)
    assert "volume_2" not in saved.shown
    assert "product_3" not in saved.shown
