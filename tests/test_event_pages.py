"""The pages of adverse events: reported by the site, read and decided about by others."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from crf.models import Lock, Query
from crf.services import add_entry, ask_query, save_entry
from registry.models import Participant
from safety.models import AdverseEvent, AEReview
from safety.services import change_event, review_event
from sites.audit import acting
from sites.models import AccessLog, Site, User
from tests.cast import actor, seeing
from tests.events import PNEUMOTHORAX, SERIOUS, facts, report, typed

HTMX = {"HX-Request": "true"}
LIST_QUERIES, PAGE_QUERIES = 12, 24


def at(name: str, *args: Any) -> str:
    return reverse(name, args=["uspp", *args])


@pytest.fixture
def day(jss: Site) -> dt.date:
    return jss.today() - dt.timedelta(days=3)


@pytest.fixture
def person(jss: Site, participant: Callable[..., Participant]) -> Participant:
    return participant(jss)


@pytest.fixture
def make(coordinator: User) -> Callable[..., AdverseEvent]:
    """Reports an event of a participant, as its site would."""

    def made(person: Participant, **told: Any) -> AdverseEvent:
        with seeing(person.site):
            return report(person, actor(coordinator, person.site), **told)

    return made


@pytest.fixture
def event(person: Participant, make: Callable[..., AdverseEvent]) -> AdverseEvent:
    return make(person)


def kept(event: AdverseEvent) -> AdverseEvent:
    with seeing(event.site):
        return AdverseEvent.objects.get(pk=event.pk)


def count(site: Site, model: Any = AdverseEvent) -> int:
    with seeing(site):
        return int(model.objects.count())


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


# The queue ---------------------------------------------------------------------------------------


def listed(client: Client, **chosen: str) -> list[int]:
    page = client.get(at("events"), chosen)
    assert page.status_code == 200
    return [row.event.pk for row in page.context["rows"]]


@pytest.fixture
def five(
    jss: Site,
    djj: Site,
    person: Participant,
    participant: Callable[..., Participant],
    make: Callable[..., AdverseEvent],
    coordinator: User,
    monitor: User,
) -> dict[str, AdverseEvent]:
    other = participant(djj)
    made = {
        "mild": make(person),
        "moderate": make(person, grade=2, causality="unlikely"),
        "severe": make(person, term="", grade=3),
        "serious": make(other, **SERIOUS),
        "reviewed": make(person, grade=2),
    }
    with seeing(jss):
        for name in ("reviewed", "moderate"):
            review_event(
                event=made[name],
                decision="reviewed",
                seen=made[name].digest,
                by=actor(monitor, jss),
            )
        change_event(
            event=made["moderate"],
            facts=facts(jss.today() - dt.timedelta(days=3), grade=2, causality="possible"),
            reason="new facts",
            by=actor(coordinator, jss),
        )
        ask_query(adverse_event=made["mild"], text="언제?", by=actor(monitor, jss))
    return made


QUEUE: dict[str, tuple[dict[str, str], list[str]]] = {
    "by default what needs review": ({}, ["serious", "severe", "moderate", "mild"]),
    "new": ({"state": "new"}, ["serious", "severe", "mild"]),
    "changed": ({"state": "changed"}, ["moderate"]),
    "reviewed": ({"state": "reviewed"}, ["reviewed"]),
    "void": ({"state": "void"}, []),
    "all": ({"state": "all"}, ["serious", "severe", "moderate", "reviewed", "mild"]),
    "a site": ({"site": "DJJ"}, ["serious"]),
    "a grade": ({"state": "all", "grade": "2"}, ["moderate", "reviewed"]),
    "a grade at least": ({"grade": "3+"}, ["serious", "severe"]),
    "serious": ({"serious": "yes"}, ["serious"]),
    "not serious": ({"serious": "no", "grade": "3+"}, ["severe"]),
    "causality": ({"causality": "possible"}, ["moderate"]),
    "open query": ({"query": "open"}, ["mild"]),
    "no query": ({"query": "none", "state": "new"}, ["serious", "severe"]),
    "nonsense": (
        {"site": "XXX", "grade": "9", "state": "?"},
        ["serious", "severe", "moderate", "mild"],
    ),
}


@pytest.mark.parametrize("case", QUEUE)
def test_the_queue_is_what_the_url_says(
    as_: Callable[..., Client], monitor: User, five: dict[str, AdverseEvent], case: str
) -> None:
    chosen, expected = QUEUE[case]
    names = {event.pk: name for name, event in five.items()}
    found = [names[pk] for pk in listed(as_(monitor), **chosen)]
    if case == "nonsense":
        assert set(found) >= set(expected)
    else:
        assert found == expected


def test_a_participants_events_by_number(
    as_: Callable[..., Client], monitor: User, five: dict[str, AdverseEvent]
) -> None:
    number = five["serious"].participant.number.lower()
    assert listed(as_(monitor), participant=number) == [five["serious"].pk]


def test_each_view_says_how_many(
    as_: Callable[..., Client], monitor: User, five: dict[str, AdverseEvent]
) -> None:
    views = as_(monitor).get(at("events")).context["views"]
    assert [view["count"] for view in views] == [4, 1, 2, None]
    assert [view["current"] for view in views] == [True, False, False, False]


def test_a_site_sees_its_own_list_and_no_other(
    as_: Callable[..., Client],
    coordinator: User,
    coordinator2: User,
    five: dict[str, AdverseEvent],
) -> None:
    assert five["serious"].pk not in listed(as_(coordinator))
    assert len(listed(as_(coordinator))) == 4
    # A coordinator there who is monitor here: the queue is of the site that is monitored.
    assert five["serious"].pk not in listed(as_(coordinator2))
    assert five["serious"].pk in listed(as_(coordinator2), state="all")


def test_the_queue_costs_the_same_for_many_events(
    as_: Callable[..., Client],
    monitor: User,
    person: Participant,
    make: Callable[..., AdverseEvent],
) -> None:
    client = as_(monitor)
    make(person)
    client.get(at("events"))
    with CaptureQueriesContext(
        connection,
    ) as one:
        client.get(at("events"))
    for _n in range(5):
        make(person, **SERIOUS)
    with CaptureQueriesContext(connection) as many:
        client.get(at("events"))
    assert len(many) == len(one) <= LIST_QUERIES


def test_the_queue_logs_whose_data_it_shows(
    as_: Callable[..., Client], monitor: User, five: dict[str, AdverseEvent], djj: Site
) -> None:
    as_(monitor).get(at("events"), {"site": "DJJ"})
    with seeing(djj, five["mild"].site):
        seen = AccessLog.objects.filter(route="events").values_list("participant_id", flat=True)
        assert set(seen) == {five["serious"].participant_id}


# Deciding ----------------------------------------------------------------------------------------


def decision(event: AdverseEvent, **told: Any) -> dict[str, Any]:
    return {"decision": "reviewed", "seen": kept(event).digest, "review": "", "note": "", **told}


def test_a_decision_leads_back_to_the_queue_at_the_next_row(
    as_: Callable[..., Client], monitor: User, five: dict[str, AdverseEvent]
) -> None:
    client = as_(monitor)
    rows = client.get(at("events"), {"grade": "3+"}).context["rows"]
    page = client.get(rows[0].link)
    told = decision(rows[0].event, queue=page.context["queue"], next=page.context["next"])
    answer = client.post(at("event_review", rows[0].event.pk), told)
    assert answer.headers["Location"] == f"{at('events')}?grade=3%2B#event-{rows[1].event.pk}-link"
    assert listed(client, grade="3+") == [five["severe"].pk]


def test_a_decision_in_the_pane_gives_back_the_row_as_it_is_now(
    as_: Callable[..., Client], monitor: User, event: AdverseEvent
) -> None:
    client = as_(monitor)
    pane = client.get(at("event", event.pk), headers=HTMX).content.decode()
    assert "<html" not in pane
    answer = client.post(at("event_review", event.pk), decision(event), headers=HTMX)
    html = answer.content.decode()
    assert f'<tr id="event-{event.pk}" hx-swap-oob="true"' in html
    assert f'data-decided="{event.pk}"' in html
    assert "<form" not in html


@pytest.mark.parametrize("told", ["duplicate", "not_an_event"])
def test_a_note_is_asked_for_and_nothing_is_recorded(
    as_: Callable[..., Client], monitor: User, event: AdverseEvent, told: str
) -> None:
    client = as_(monitor)
    for headers in ({}, HTMX):
        answer = client.post(
            at("event_review", event.pk), decision(event, decision=told), headers=headers
        )
        assert (answer.status_code, set(answer.context["review"].errors)) == (422, {"note"})
    assert count(event.site, AEReview) == 0
    assert (
        client.post(
            at("event_review", event.pk), decision(event, decision=told, note="2번과 같음")
        ).status_code
        == 302
    )
    assert count(event.site, AEReview) == 1


def test_the_second_of_two_monitors_is_told(
    as_: Callable[..., Client], monitor: User, safety: User, event: AdverseEvent
) -> None:
    told = decision(event)
    as_(monitor).post(at("event_review", event.pk), told)
    for headers in ({}, HTMX):
        answer = as_(safety).post(at("event_review", event.pk), told, headers=headers)
        assert answer.status_code == 409
        assert "monitor" in answer.context["sentence"]
    assert count(event.site, AEReview) == 1


def test_a_change_since_the_review_is_shown_by_label(
    as_: Callable[..., Client],
    monitor: User,
    coordinator: User,
    event: AdverseEvent,
    day: dt.date,
) -> None:
    client = as_(monitor)
    stale = decision(event)
    client.post(at("event_review", event.pk), stale)
    with seeing(event.site):
        by = actor(coordinator, event.site)
        change_event(event=event, facts=facts(day, grade=2), reason="seen", by=by)
    page = client.get(at("event", event.pk))
    assert [each.name for each in page.context["changed"].values()] == ["grade"]
    last = page.context["last"].pk
    answer = client.post(at("event_review", event.pk), stale | {"review": last})
    assert answer.status_code == 409
    assert (
        client.post(at("event_review", event.pk), decision(event, review=last)).status_code == 302
    )


def test_the_deadline_of_a_serious_event_is_shown(
    as_: Callable[..., Client],
    monitor: User,
    person: Participant,
    make: Callable[..., AdverseEvent],
) -> None:
    event = make(person, **SERIOUS)
    page = as_(monitor).get(at("event", event.pk))
    assert page.context["due"].report_by == event.aware_on + dt.timedelta(days=15)
    assert page.context["days_left"] == 12
    assert str(page.context["due"].report_by) in page.content.decode()


def test_what_happened_around_the_onset(
    as_: Callable[..., Client], monitor: User, coordinator: User, event: AdverseEvent, day: dt.date
) -> None:
    with seeing(event.site):
        by = actor(coordinator, event.site)
        entry = add_entry(participant=event.participant, instrument="procedure", by=by)
        on = day - dt.timedelta(days=2)
        save_entry(entry=entry, changes={"performed_on": on.isoformat()}, by=by)
    moments = as_(monitor).get(at("event", event.pk)).context["moments"]
    assert (str(on), "-2") in [(each.day, each.offset) for each in moments]
    assert [each.day for each in moments] == sorted(each.day for each in moments)


def test_the_page_costs_the_same_for_many_queries(
    as_: Callable[..., Client], monitor: User, event: AdverseEvent
) -> None:
    client = as_(monitor)

    def ask() -> None:
        with seeing(event.site):
            ask_query(adverse_event=event, text="언제?", by=actor(monitor, event.site))

    ask()
    client.get(at("event", event.pk))
    with CaptureQueriesContext(connection) as one:
        client.get(at("event", event.pk))
    for _n in range(4):
        ask()
    with CaptureQueriesContext(connection) as many:
        client.get(at("event", event.pk))
    assert len(many) == len(one) <= PAGE_QUERIES


def test_asking_the_site(as_: Callable[..., Client], monitor: User, event: AdverseEvent) -> None:
    client, url = as_(monitor), at("event_ask", event.pk)
    assert client.post(url, {"item": "", "text": " "}).status_code == 422
    answer = client.post(url, {"item": "onset", "text": "며칠입니까?"})
    assert answer.headers["Location"] == f"{at('event', event.pk)}#queries"
    with seeing(event.site):
        asked = Query.objects.get()
    assert (asked.adverse_event_id, asked.item, asked.text) == (event.pk, "onset", "며칠입니까?")
    fragment = client.post(url, {"item": "", "text": "그리고?"}, headers=HTMX)
    assert (fragment.status_code, fragment.context["asked"]) == (200, True)


def test_the_history_page(
    as_: Callable[..., Client], auditor: User, monitor: User, event: AdverseEvent
) -> None:
    as_(monitor).post(at("event_review", event.pk), decision(event))
    page = as_(auditor).get(at("event_history", event.pk))
    changes = page.context["changes"]
    assert changes[0].who == "monitor"
    assert "UTC+0900" in page.content.decode()


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
