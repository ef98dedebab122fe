"""Histories as people read them: of a question, of a form, of everything of a participant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.utils.translation import override

from crf.history import entry_changes, last_change, participant_changes
from crf.models import Entry
from crf.services import answer_query, ask_query, complete, save_entry, verify, void_entry
from registry.models import Participant
from registry.services import record_visit
from sites.models import Site, User
from tests.cast import actor, seeing


@pytest.fixture
def story(
    participant: Callable[..., Participant],
    jss: Site,
    coordinator: User,
    investigator: User,
    monitor: User,
) -> Entry:
    """A pain score that was entered, completed, corrected, questioned and verified."""
    person = participant(jss)
    with seeing(jss):
        by = actor(coordinator, jss)
        entry = Entry.objects.select_related("participant", "visit").get(
            participant=person, instrument="nrs", visit__code="w0"
        )
        entry.visit.participant = entry.participant
        save_entry(entry=entry, changes={"pain": 3}, by=by)
        complete(entry=entry, by=by)
        save_entry(
            entry=entry,
            changes={"pain": 10},
            reasons={"pain": "종이 서식을 잘못 읽음"},
            by=actor(investigator, jss),
        )
        entry.refresh_from_db()
        query = ask_query(entry=entry, item="pain", text="원자료는?", by=actor(monitor, jss))
        answer_query(query=query, text="10이 맞습니다", by=by)
        entry.refresh_from_db()
        verify(entry=entry, by=actor(monitor, jss))
    return entry


@pytest.mark.requirement("E01")
@pytest.mark.requirement("P05")
def test_a_question_tells_who_when_what_and_why(
    story: Entry, jss: Site, investigator: User
) -> None:
    with seeing(jss), override("ko"):
        changes = [c for c in entry_changes(story, "pain") if c.kind == "crf.Entry"]
        who, at = last_change(story, "pain")
    newest, first = changes
    assert (newest.old, newest.new) == ("3", "10 상상할 수 있는 가장 심한 통증")
    assert newest.who == str(investigator) == who
    assert newest.role == "연구자" or newest.role
    assert newest.site == jss.short
    assert newest.reason == "종이 서식을 잘못 읽음"
    assert newest.at.tzinfo is not None
    assert newest.at == at
    assert newest.item.startswith("가장 심한 통증")
    assert (first.old, first.new, first.reason) == ("", "3", "")


def test_a_question_shows_its_queries_too(story: Entry, jss: Site) -> None:
    with seeing(jss):
        said = [c.new for c in entry_changes(story, "pain") if c.kind == "crf.Query"]
    assert said == ["10이 맞습니다", "원자료는?"]


def test_a_form_tells_its_whole_life(story: Entry, jss: Site, coordinator: User) -> None:
    with seeing(jss), override("en"):
        void_entry(entry=story, reason="wrong person", by=actor(coordinator, jss))
        told = [c.new for c in entry_changes(story) if c.item == "Form"]
    assert told == ["void", "complete", "expected"]


def test_missing_reasons_are_part_of_the_history(
    participant: Any, jss: Site, coordinator: User
) -> None:
    person = participant(jss)
    with seeing(jss), override("en"):
        entry = person.entries.get(instrument="ndi", visit__code="w0")
        save_entry(entry=entry, changes={"ndi_08": 2}, by=actor(coordinator, jss))
        save_entry(
            entry=entry, changes={}, missing={"ndi_08": "refused"}, by=actor(coordinator, jss)
        )
        entry.visit.participant = person
        newest = entry_changes(entry, "ndi_08")[0]
    assert (newest.old, newest.new) == ("2", "[refused]")


def test_a_visit_tells_field_by_field(story: Entry, jss: Site, coordinator: User) -> None:
    with seeing(jss), override("en"):
        record_visit(
            visit=story.visit,
            on=jss.today(),
            out_of_window_reason="holiday",
            reason="wrong day",
            by=actor(coordinator, jss),
        )
        person = Participant.objects.get(pk=story.participant_id)
        changes = participant_changes(person, see_arm=False)
    moved = next(c for c in changes if c.new == jss.today().isoformat())
    assert moved.kind == "registry.Visit"
    assert moved.reason == "wrong day"
    assert moved.who == str(coordinator)


@pytest.mark.requirement("G02")
def test_the_timeline_of_a_participant_covers_every_table(story: Entry, jss: Site) -> None:
    with seeing(jss):
        person = Participant.objects.get(pk=story.participant_id)
        kinds = {c.kind for c in participant_changes(person, see_arm=True)}
    assert kinds >= {
        "registry.Participant",
        "registry.Identity",
        "registry.Consent",
        "registry.Visit",
        "crf.Entry",
        "crf.Query",
        "crf.Verification",
    }


def test_names_are_in_no_history(story: Entry, jss: Site, as_: Any, coordinator: User) -> None:
    page = as_(coordinator).get(f"/uspp/participants/{story.participant_id}/history/")
    assert page.status_code == 200
    assert "홍길동" not in page.content.decode()
    with seeing(jss):
        person = Participant.objects.get(pk=story.participant_id)
        told = [
            c for c in participant_changes(person, see_arm=False) if c.kind == "registry.Identity"
        ]
    assert told
    assert all("gAAAA" not in c.new for c in told)


def test_pages_and_drawer(story: Entry, jss: Site, as_: Any, monitor: User, admin: User) -> None:
    client = as_(monitor)
    drawer = client.get(
        f"/uspp/entries/{story.pk}/history/pain/", headers={"X-Requested-With": "fetch"}
    ).content.decode()
    assert "<html" not in drawer
    assert "+09:00" in drawer
    page = client.get(f"/uspp/entries/{story.pk}/history/pain/").content.decode()
    assert "종이 서식을 잘못 읽음" in page
    assert client.get(f"/uspp/entries/{story.pk}/history/").status_code == 200
    assert client.get(f"/uspp/entries/{story.pk}/history/unheard/").status_code == 404
    assert as_(admin).get(f"/uspp/entries/{story.pk}/history/").status_code == 403
