"""A treatment filled in from the one before it: what is copied, who stands by it, what is told."""

from __future__ import annotations

import datetime as dt
import html
import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from crf.definitions import instrument_of
from crf.history import entry_changes
from crf.models import Entry
from crf.services import (
    add_entry,
    complete,
    confirm_copied,
    copy_last,
    last_of,
    preview_entry,
    save_entry,
    unconfirmed,
    undo_copy,
    void_entry,
)
from registry.models import Participant
from sites.access import Refused
from tests.cast import actor, seeing

LAST = {
    "performed_on": "2026-03-02",
    "purpose": ["guiding"],
    "product_1": "SBV",
    "volume_1": "1.5",
    "lot_1": "L-1",
    "product_2": "SHINBARO2",
    "volume_2": "2",
    "lot_2": "L-2",
    "skin_test": "negative",
    "venom_allergy": "no",
    "point_1": "BL23",
    "point_side_1": "left",
    "target_site_1": "L4-L5",
    "target_side_1": "bilateral",
    "target_1": "FACET",
    "max_insertion": "3.5cm",
    "needle_gauge": "g29",
    "needle_length": "50",
    "probe": "linear",
    "probe_frequency": "10",
    "approach": "in_plane",
    "disinfection": "alcohol",
    "probe_cover": "yes",
    "sterile_gloves": "yes",
    "remark": "특이 사항 없음",
}
OWN = {"performed_on", "lot_1", "lot_2", "skin_test", "remark"}  # of one treatment alone


@pytest.fixture
def person(participant: Any, jss: Any) -> Participant:
    return participant(jss)


@pytest.fixture
def by(coordinator: Any, jss: Any) -> Any:
    return actor(coordinator, jss)


def treated(person: Participant, by: Any, **answers: Any) -> Entry:
    entry = add_entry(participant=person, instrument="procedure", by=by)
    saved = save_entry(entry=entry, changes=LAST | answers, by=by)
    assert not saved.errors
    return now(entry)


def now(entry: Entry) -> Entry:
    return Entry.objects.get(pk=entry.pk)


def begun(person: Participant, by: Any, **answers: Any) -> Entry:
    entry = add_entry(participant=person, instrument="procedure", by=by)
    if answers:
        save_entry(entry=entry, changes=answers, by=by)
    return now(entry)


def test_everything_but_what_belongs_to_one_treatment_is_copied(
    person: Participant, by: Any, jss: Any
) -> None:
    with seeing(jss):
        first = treated(person, by)
        entry = begun(person, by)
        assert copy_last(entry=entry, by=by) == len(LAST) - len(OWN)
        entry = now(entry)
    assert entry.answers == {k: v for k, v in first.answers.items() if k not in OWN}
    assert entry.answers["max_insertion"] == "35"
    assert entry.meta["purpose"] == {"copied": 1, "unconfirmed": True}
    assert entry.meta["point_1"]["list"].startswith("WHO")
    assert unconfirmed(entry) == dict.fromkeys(entry.answers, 1)


def test_the_last_treatment_is_the_one_of_the_latest_day_and_never_a_void_one(
    person: Participant, by: Any, jss: Any
) -> None:
    with seeing(jss):
        treated(person, by, performed_on="2026-03-09", probe_frequency="5")
        treated(person, by, performed_on="2026-03-05", probe_frequency="7")
        wrong = treated(person, by, performed_on="2026-03-12")
        void_entry(entry=wrong, reason="다른 대상자의 시술", by=by)
        new = begun(person, by)
        assert getattr(last_of(new), "number", None) == 1
        between = begun(person, by, performed_on="2026-03-06")
        assert getattr(last_of(between), "number", None) == 2
        before = begun(person, by, performed_on="2026-03-01")
        assert last_of(before) is None


def test_nothing_typed_is_replaced_and_no_volume_lands_on_another_product(
    person: Participant, by: Any, jss: Any
) -> None:
    with seeing(jss):
        treated(person, by)
        entry = begun(person, by, product_1="HOMINIS", probe="convex")
        copy_last(entry=entry, by=by)
        answers = now(entry).answers
    assert (answers["product_1"], answers["probe"]) == ("HOMINIS", "convex")
    assert {"volume_1", "product_2", "volume_2", "venom_allergy"} & answers.keys() == set()
    assert answers["target_1"] == "FACET"


def test_a_form_is_complete_only_when_somebody_stands_by_the_copies(
    person: Participant, by: Any, jss: Any
) -> None:
    with seeing(jss):
        treated(person, by)
        entry = begun(person, by)
        copy_last(entry=entry, by=by)
        own = {k: LAST[k] for k in OWN} | {"performed_on": "2026-03-09"}
        save_entry(entry=entry, changes=own, by=by)
        with pytest.raises(Refused):
            complete(entry=entry, by=by)
        assert confirm_copied(entry=entry, section="product", by=by) == 5
        with pytest.raises(Refused):
            complete(entry=entry, by=by)
        confirm_copied(entry=entry, by=by)
        complete(entry=entry, by=by)
        entry = now(entry)
        assert entry.completed_at is not None
        assert entry.meta["purpose"] == {"copied": 1}
        assert "copied" not in entry.meta.get("remark", {})
        for act in (copy_last, undo_copy, confirm_copied):
            with pytest.raises(Refused):
                act(entry=entry, by=by)


def test_what_is_typed_over_is_ones_own_and_the_rest_can_be_taken_back(
    person: Participant, by: Any, jss: Any
) -> None:
    with seeing(jss):
        treated(person, by)
        entry = begun(person, by, performed_on="2026-03-09")
        copied = copy_last(entry=entry, by=by)
        saved = save_entry(entry=entry, changes={"probe": "convex"}, by=by)
        assert "probe" not in saved.copied
        assert len(saved.copied) == copied - 1
        ahead = preview_entry(entry=now(entry), changes={"volume_1": "3"})
        assert "volume_1" not in ahead.copied
        assert len(ahead.copied) == copied - 2
        assert undo_copy(entry=entry, by=by) == copied - 1
        entry = now(entry)
        assert entry.answers == {"performed_on": "2026-03-09", "probe": "convex"}
        with pytest.raises(Refused):
            undo_copy(entry=entry, by=by)


def test_without_an_earlier_treatment_nothing_is_copied(
    person: Participant, by: Any, jss: Any
) -> None:
    with seeing(jss):
        entry = begun(person, by)
        with pytest.raises(Refused):
            copy_last(entry=entry, by=by)
        treated(person, by)
        copy_last(entry=entry, by=by)
        with pytest.raises(Refused):  # all that can be copied is there
            copy_last(entry=entry, by=by)


def test_the_history_says_what_was_copied_and_what_was_confirmed(
    person: Participant, by: Any, jss: Any
) -> None:
    with seeing(jss):
        treated(person, by)
        entry = begun(person, by)
        copy_last(entry=entry, by=by)
        confirm_copied(entry=entry, section="product", by=by)
        save_entry(entry=entry, changes={"probe": "convex"}, by=by)
        changes = entry_changes(now(entry))
    copied = [each for each in changes if each.code == "volume_1"]
    assert [(each.old, each.new, each.source) for each in copied] == [
        ("", "1.5 mL", "1번 서식에서 가져옴")
    ]
    confirmed = [each for each in changes if "주입량 1" in each.new]
    assert [each.item for each in confirmed] == ["가져온 답"]
    probe = [each for each in changes if each.code == "probe"]
    assert next(each.source for each in probe) != "1번 서식에서 가져옴"


# On the page ----------------------------------------------------------------------------------


def page_of(client: Client, entry: Entry) -> str:
    return client.get(f"/uspp/entries/{entry.pk}/").content.decode()


def press(client: Client, entry: Entry, step: str, **typed: str) -> Any:
    """What a browser without scripts sends when a button of the page is pressed."""
    page = page_of(client, entry)
    found = re.findall(r'<input type="hidden" name="(base|op)" value="([^"]*)">', page)
    hidden = {name: html.unescape(value) for name, value in found}
    # The boxes hold what is stored, as a browser would send them back.
    stored = {k: v for k, v in now_at(entry).items() if k != "performed_on"}
    return client.post(
        f"/uspp/entries/{entry.pk}/", {**hidden, **stored, **typed, "then": step}, follow=True
    )


def now_at(entry: Entry) -> dict[str, Any]:
    with seeing(entry.site):
        return dict(now(entry).answers)


def test_without_scripts_a_treatment_is_copied_confirmed_and_taken_back(
    person: Participant, by: Any, jss: Any, as_: Any, coordinator: Any
) -> None:
    client = as_(coordinator)
    with seeing(jss):
        treated(person, by)
        entry = begun(person, by)
    page = page_of(client, entry)
    assert 'value="copied.copy"' in page
    assert "2026-03-02" in page
    said = press(client, entry, "copied.copy").content.decode()
    assert 'value="copied.confirm"' in said
    assert said.count("copied-mark") == len(LAST) - len(OWN)
    assert press(client, entry, "complete").status_code == 422
    press(client, entry, "copied.confirm.technique")
    assert page_of(client, entry).count("copied-mark") == len(LAST) - len(OWN) - 9
    press(client, entry, "copied.undo")
    technique = {item.code for item in instrument_of(entry).sections[-1].flat}
    assert now_at(entry).keys() == (LAST.keys() - OWN) & technique


def test_a_treatment_is_typed_without_scripts(
    person: Participant, by: Any, jss: Any, as_: Any, coordinator: Any
) -> None:
    client = as_(coordinator)
    with seeing(jss):
        entry = begun(person, by)
    press(
        client,
        entry,
        "save",
        performed_on="20260302",
        product_1="봉독약침",
        volume_1="2cc",
        point_1="신유",
        target_site_1="L4/5",
        target_side_1="left",
        target_1="후관절",
        max_insertion="3.5 cm",
    )
    assert now_at(entry) == {
        "performed_on": "2026-03-02",
        "product_1": "BV",
        "volume_1": "2",
        "point_1": "BL23",
        "target_site_1": "L4-L5",
        "target_side_1": "left",
        "target_1": "FACET",
        "max_insertion": "35",
    }


def test_who_may_not_enter_copies_nothing(
    person: Participant, by: Any, jss: Any, as_: Any, monitor: Any, needle_coordinator: Any
) -> None:
    with seeing(jss):
        treated(person, by)
        entry = begun(person, by)
    assert "copied.copy" not in page_of(as_(monitor), entry)
    for user, status in ((monitor, 403), (needle_coordinator, 404)):
        answer = as_(user).post(f"/uspp/entries/{entry.pk}/", {"then": "copied.copy"})
        assert answer.status_code == status
    assert now_at(entry) == {}


def test_the_page_asks_no_more_however_many_treatments_there_were(
    person: Participant, by: Any, jss: Any, as_: Any, coordinator: Any
) -> None:
    client = as_(coordinator)
    with seeing(jss):
        treated(person, by)
        entry = begun(person, by)
    page_of(client, entry)  # what is worked out once is
    with CaptureQueriesContext(connection) as few:
        page_of(client, entry)
    with seeing(jss):
        for _n in range(3):
            treated(person, by)
    with CaptureQueriesContext(connection) as many:
        page_of(client, entry)
    assert len(many) == len(few) <= 13


def test_treatments_are_counted_up_to_each_visit(
    person: Participant, by: Any, jss: Any, as_: Any, coordinator: Any
) -> None:
    with seeing(jss):
        day = person.enrolled_on
        assert day is not None
        for after in (0, 3):
            treated(person, by, performed_on=(day - dt.timedelta(days=after)).isoformat())
        wrong = treated(person, by, performed_on=day.isoformat())
        void_entry(entry=wrong, reason="중복 입력", by=by)
        later = begun(person, by)  # no day yet: it counts for no visit
        assert later.started_at is None
    page = as_(coordinator).get(f"/uspp/participants/{person.pk}/").content.decode()
    assert "여기까지 시술 2회" in page
