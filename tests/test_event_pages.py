"""The pages on which a site reports an adverse event, changes it, or calls it an error."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from crf.models import Lock
from registry.models import Participant
from safety.models import AdverseEvent, AEReview
from sites.audit import acting
from sites.models import Site, User
from tests import event_pages as shared
from tests.cast import actor, seeing
from tests.event_pages import HTMX, at, count, decision, kept
from tests.events import PNEUMOTHORAX, report, typed

day, person, make, event = shared.day, shared.person, shared.make, shared.event

# Reporting ---------------------------------------------------------------------------------------


def test_a_coordinator_reports_an_event(
    as_: Callable[..., Client], coordinator: User, person: Participant, day: dt.date
) -> None:
    client = as_(coordinator)
    url = at("event_new", person.pk)
    page = client.get(url)
    assert page.status_code == 200
    op = page.context["form"].initial["op"]
    answer = client.post(url, typed(day, op=op))
    with seeing(person.site):
        event = AdverseEvent.objects.get()
    assert answer.headers["Location"] == at("event", event.pk)
    assert (event.symptom, event.grade, event.causality) == ("목 주사 부위 멍", 1, "probable")
    assert (event.onset, event.ended, event.aware_on) == (str(day), str(day), day)
    assert (event.expected, event.action, event.suggested_causality) == (True, "4", "certain")
    assert client.post(url, typed(day, op=op)).status_code == 302
    assert count(person.site) == 1


@pytest.mark.parametrize(
    ("boxes", "kept_as"),
    [
        (("2026", "", ""), "2026"),
        (("2026", "5", ""), "2026-05"),
        (("2026", "05", "UNK"), "2026-05"),
        (("2026", "unk", "UNK"), "2026"),
        (("2026-05-03", "", ""), "2026-05-03"),
        (("２０２６", "５", "３"), "2026-05-03"),
    ],
)
def test_the_day_or_month_of_the_onset_may_be_unknown(
    as_: Callable[..., Client],
    coordinator: User,
    person: Participant,
    day: dt.date,
    boxes: tuple[str, ...],
    kept_as: str,
) -> None:
    parts = dict(zip(("onset_year", "onset_month", "onset_day"), boxes, strict=True))
    answer = as_(coordinator).post(at("event_new", person.pk), typed(day, **parts))
    assert answer.status_code == 302
    with seeing(person.site):
        event = AdverseEvent.objects.get()
    assert event.onset == kept_as
    page = as_(coordinator).get(at("event_edit", event.pk)).context["form"]
    shown = page["onset"].value().split("-")
    assert [part for part in shown if part] == kept_as.split("-")


def test_all_problems_are_told_and_everything_typed_is_kept(
    as_: Callable[..., Client], coordinator: User, person: Participant, day: dt.date
) -> None:
    wrong = typed(day, grade="3", serious="yes", ended_year="2020", narrative="<b>넘어짐</b>")
    answer = as_(coordinator).post(at("event_new", person.pk), wrong)
    assert answer.status_code == 422
    assert set(answer.context["form"].errors) == {"grade", "seriousness", "ended"}
    html = answer.content.decode()
    assert "&lt;b&gt;넘어짐&lt;/b&gt;" in html
    assert 'value="2020"' in html
    assert count(person.site) == 0


@pytest.mark.parametrize("bad", ["800505-2234567", "８００５０５-２２３４５６７"])
@pytest.mark.parametrize("field", ["symptom", "treatment", "narrative"])
def test_no_resident_number_is_stored(
    as_: Callable[..., Client],
    coordinator: User,
    person: Participant,
    day: dt.date,
    field: str,
    bad: str,
) -> None:
    answer = as_(coordinator).post(at("event_new", person.pk), typed(day, **{field: bad}))
    assert set(answer.context["form"].errors) == {field}
    assert count(person.site) == 0


def test_looking_something_up_without_scripts_keeps_what_was_typed(
    as_: Callable[..., Client], coordinator: User, person: Participant, day: dt.date
) -> None:
    client, url = as_(coordinator), at("event_new", person.pk)
    told = typed(day, do="find", q="기흉", grade="", outcome="", narrative="진행 중")
    answer = client.post(url, told)
    html = answer.content.decode()
    assert answer.status_code == 200
    assert f'value="{PNEUMOTHORAX}"' in html
    assert "진행 중" in html
    assert "field-error" not in html
    suggested = client.post(url, typed(day, do="suggest"))
    assert suggested.context["suggestion"]["label"]
    assert count(person.site) == 0


def test_the_suggestion_stands_beside_the_own_judgement(
    as_: Callable[..., Client], coordinator: User, person: Participant, day: dt.date
) -> None:
    client, url = as_(coordinator), at("event_new", person.pk)
    answers = {name: told for name, told in typed(day).items() if name.startswith("umc_")}
    full = client.get(url, {"suggest": "1", **answers}, headers=HTMX)
    assert full.context["suggestion"]["flags"]
    partly = client.get(url, {"suggest": "1", "umc_data": "sufficient"}, headers=HTMX)
    assert partly.context["suggestion"] is None
    wrong = client.get(url, {"suggest": "1", **dict.fromkeys(answers, "?")}, headers=HTMX)
    assert wrong.context["suggestion"] is None


def test_only_grades_that_exist_are_offered(
    as_: Callable[..., Client], coordinator: User, event: AdverseEvent
) -> None:
    client = as_(coordinator)
    form = client.get(at("event_edit", event.pk)).context["form"]
    assert [value for value, _label in form.fields["grade"].choices] == [1, 2]
    grades = client.get(at("terms"), {"term": PNEUMOTHORAX}, headers=HTMX).content.decode()
    assert [f'value="{n}"' in grades for n in range(1, 7)] == [True] * 5 + [False]


def test_terms_are_found_by_korean_and_english_name(
    as_: Callable[..., Client], coordinator: User, auditor: User
) -> None:
    client = as_(coordinator)
    as_json = {"Accept": "application/json"}
    for name in ("기흉", "pneumothorax"):
        found = client.get(at("terms"), {"q": name}, headers=as_json).json()
        assert found["version"] == "5.0"
        assert PNEUMOTHORAX in [term["code"] for term in found["terms"]]
    assert "기흉" in client.get(at("terms"), {"q": "기흉"}).content.decode()
    fragment = client.get(at("terms"), {"q": "기흉"}, headers=HTMX).content.decode()
    assert "<html" not in fragment
    assert PNEUMOTHORAX in fragment
    assert as_(auditor).get(at("terms"), {"q": "x" * 5000, "version": "9"}).status_code == 200


def test_what_is_unlikely_is_said_after_saving(
    as_: Callable[..., Client], coordinator: User, person: Participant, day: dt.date
) -> None:
    early = typed(day, onset_year="2020", ended_year="", ended_month="", ended_day="")
    answer = as_(coordinator).post(at("event_new", person.pk), early, follow=True)
    assert len([m for m in answer.context["messages"] if m.level_tag == "warning"]) == 2


# Changing and voiding ----------------------------------------------------------------------------


@pytest.mark.requirement("G06")
def test_a_change_needs_a_reason(
    as_: Callable[..., Client], coordinator: User, event: AdverseEvent, day: dt.date
) -> None:
    client, url = as_(coordinator), at("event_edit", event.pk)
    seen = client.get(url).context["form"].initial["seen"]
    told = typed(day, grade="2", seen=seen)
    answer = client.post(url, told)
    assert (answer.status_code, set(answer.context["form"].errors)) == (422, {"reason"})
    assert client.post(url, told | {"reason": "다시 확인함"}).status_code == 302
    assert kept(event).grade == 2
    with seeing(event.site):
        assert AdverseEvent.history.latest().history_change_reason == "다시 확인함"


def test_the_form_shows_the_event_as_it_is(
    as_: Callable[..., Client], coordinator: User, event: AdverseEvent
) -> None:
    client, url = as_(coordinator), at("event_edit", event.pk)
    form = client.get(url).context["form"]
    posted = {
        name: value for name in form.fields if (value := form[name].value()) not in (None, "", [])
    }
    answer = client.post(url, posted | {"reason": "nothing else"})
    assert answer.context["form"].non_field_errors()
    assert count(event.site, AdverseEvent.history.model) == 1


def test_who_saves_second_sees_what_the_first_changed(
    as_: Callable[..., Client],
    coordinator: User,
    investigator: User,
    event: AdverseEvent,
    day: dt.date,
) -> None:
    first, second, url = as_(coordinator), as_(investigator), at("event_edit", event.pk)
    seen = second.get(url).context["form"].initial["seen"]
    first.post(url, typed(day, grade="2", seen=seen, reason="phone"))
    mine = typed(day, outcome="2", ended_year="", ended_month="", ended_day="", seen=seen)
    answer = second.post(url, mine | {"reason": "visit"})
    assert answer.status_code == 409
    assert [each.name for each in answer.context["theirs"]] == ["grade"]
    now = kept(event)
    assert (now.grade, now.outcome) == (2, "1")
    again = {"grade": "2", "reason": "visit", "seen": answer.context["form"]["seen"].value()}
    assert second.post(url, mine | again).status_code == 302
    now = kept(event)
    assert (now.grade, now.outcome, now.ended) == (2, "2", "")


def test_voiding_needs_a_reason_and_ends_the_work(
    as_: Callable[..., Client], coordinator: User, event: AdverseEvent
) -> None:
    client = as_(coordinator)
    assert client.post(at("event_void", event.pk), {"reason": " "}).status_code == 422
    assert client.post(at("event_void", event.pk), {"reason": "이중 입력"}).status_code == 302
    assert kept(event).void_reason == "이중 입력"
    page = client.get(at("event", event.pk)).content.decode()
    assert "이중 입력" in page
    assert at("event_edit", event.pk) not in page
    for name in ("event_edit", "event_void"):
        answer = client.post(at(name, event.pk), {"reason": "again"})
        assert answer.status_code in (409, 422), name


def test_a_locked_site_offers_no_change_and_takes_none(
    as_: Callable[..., Client],
    coordinator: User,
    datamanager: User,
    event: AdverseEvent,
    day: dt.date,
) -> None:
    with seeing(event.site), acting(actor(datamanager, event.site)):
        Lock.objects.create(site=event.site, locked_by=datamanager)
    client = as_(coordinator)
    assert at("event_edit", event.pk) not in client.get(at("event", event.pk)).content.decode()
    for url in (at("event_edit", event.pk), at("event_new", event.participant_id)):
        answer = client.post(url, typed(day, grade="2", reason="late"))
        assert answer.status_code == 409, url
    assert kept(event).grade == 1


# Who may -----------------------------------------------------------------------------------------

READ_ONLY = ("monitor", "datamanager", "safety", "auditor")


@pytest.mark.requirement("G06")
@pytest.mark.requirement("F07")
@pytest.mark.parametrize("name", READ_ONLY)
def test_who_reads_and_reviews_can_change_no_data(
    as_: Callable[..., Client],
    request: pytest.FixtureRequest,
    event: AdverseEvent,
    day: dt.date,
    name: str,
) -> None:
    client = as_(request.getfixturevalue(name))
    before = kept(event).digest
    told = typed(day, grade="2", reason="I know better", op=uuid.uuid4())
    for url in (
        at("event_new", event.participant_id),
        at("event_edit", event.pk),
        at("event_void", event.pk),
    ):
        assert client.get(url).status_code == 403
        assert client.post(url, told).status_code == 403
    assert (kept(event).digest, count(event.site)) == (before, 1)
    page = client.get(at("event", event.pk)).content.decode()
    assert at("event_edit", event.pk) not in page


@pytest.mark.parametrize("name", ["coordinator", "investigator", "datamanager", "auditor"])
def test_who_may_not_review_is_offered_none_and_refused(
    as_: Callable[..., Client], request: pytest.FixtureRequest, event: AdverseEvent, name: str
) -> None:
    client = as_(request.getfixturevalue(name))
    assert client.post(at("event_review", event.pk), decision(event)).status_code == 403
    assert count(event.site, AEReview) == 0
    assert "data-review" not in client.get(at("event", event.pk)).content.decode()


def test_another_sites_event_does_not_exist(
    as_: Callable[..., Client],
    coordinator: User,
    coordinator2: User,
    djj: Site,
    participant: Callable[..., Participant],
    event: AdverseEvent,
    day: dt.date,
) -> None:
    there = participant(djj)
    with seeing(djj):
        theirs = report(there, actor(coordinator2, djj))
    client = as_(coordinator)
    for name in ("event", "event_edit", "event_void", "event_history"):
        assert client.get(at(name, theirs.pk)).status_code == 404, name
    for name in ("event_edit", "event_void"):
        assert client.post(at(name, theirs.pk), typed(day, reason="x")).status_code == 404
    assert client.get(at("event_new", there.pk)).status_code == 404
    # A monitor of one site who is coordinator at another decides about the first alone.
    elsewhere = as_(coordinator2)
    assert elsewhere.post(at("event_review", theirs.pk), decision(theirs)).status_code == 404
    assert elsewhere.post(at("event_review", event.pk), decision(event)).status_code == 302
    assert elsewhere.get(at("event_edit", event.pk)).status_code == 404


def test_a_form_in_english(
    as_: Callable[..., Client], coordinator: User, person: Participant
) -> None:
    client = as_(coordinator)
    client.post(reverse("set_language"), {"language": "en"})
    page = client.get(at("event_new", person.pk)).content.decode()
    assert "Life-threatening" in page
    assert "Symptom, in your own words" in page
