"""The API as a program reads it: who gets in, what is told, what is refused to be understood."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import get_resolver
from jsonschema import Draft202012Validator
from rest_framework.settings import api_settings

from crf.definitions import instrument_of
from crf.instrument.schema import answers_schema
from crf.models import Entry
from crf.services import save_entry
from registry.api.participants import STATES
from registry.services import (
    allocate,
    end_study,
    screen,
    void_participant,
    withdraw,
)
from registry.simulation import simulate
from safety.services import review_event
from sites.access import system
from sites.models import AccessLog, SecurityEvent
from tests.cast import actor, seeing
from tests.events import SERIOUS, report
from tests.programs import Program

pytestmark = pytest.mark.django_db

LISTS = ("participants", "visits", "entries", "events")


@pytest.fixture
def here(jss, participant):
    return participant(jss)


@pytest.fixture
def there(djj, participant):
    return participant(djj)


@pytest.fixture
def program(coordinator, jss):
    return Program(coordinator, jss)


def objects(person, user):
    """One object of every kind of a participant, by the name of its route."""
    with seeing(person.site):
        visit = person.visits.exclude(happened_on=None).get()
        return {
            "participant": person.pk,
            "visit": visit.pk,
            "entry": visit.entries.get(instrument="nrs").pk,
            "event": report(person, actor(user, person.site)).pk,
        }


# Who gets in --------------------------------------------------------------------------------------


def test_every_endpoint_asks_for_a_token(client, program, here, coordinator):
    client.force_login(coordinator)
    for name, pk in objects(here, coordinator).items():
        assert client.get(program.address(name, pk)).status_code == 401
    for name in (*LISTS, "releases", "instruments"):
        answer = client.get(program.address(name))
        assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Token")
    assert client.get("/api/schema/").status_code == 401


@pytest.mark.requirement("P15")
def test_a_token_that_ended_was_revoked_or_is_wrong_opens_nothing(coordinator, jss):
    yesterday = jss.today() - dt.timedelta(days=1)
    for fields in ({"expires_on": yesterday}, {"revoked_at": dt.datetime.now(dt.UTC)}):
        assert Program(coordinator, jss, **fields).get("participants").status_code == 401
    wrong = Program(coordinator, jss)
    wrong.headers["Authorization"] += "x"
    answer = wrong.get("participants")
    assert (answer.status_code, answer.json()) == (401, {"detail": "A valid API token is needed."})


@pytest.mark.requirement("S01", "P08")
def test_what_is_elsewhere_does_not_exist(program, here, there, coordinator2, monitor, jss):
    elsewhere = objects(there, coordinator2)
    for caller in (program, Program(monitor, jss)):
        for name, pk in elsewhere.items():
            answer = caller.get(name, pk)
            assert (answer.status_code, answer.json()) == (404, {"detail": "Not found."})
            assert caller.get(name, pk, study="needle").status_code == 404
        for name in LISTS:
            told = caller.get(name).json()["results"]
            assert {record["site"] for record in told} <= {"JSS"}
            filtered = {"participant": there.pk} if name != "participants" else {"site": "DJJ"}
            assert caller.get(name, query=filtered).json()["results"] == []
    refused = SecurityEvent.objects.filter(kind="refused", user=monitor)
    assert refused.count() == 2 * len(elsewhere)


@pytest.mark.requirement("S01")
def test_whose_role_sees_no_data_gets_none(admin, auditor, nobody, jss, here):
    assert Program(admin, jss).get("participants").status_code == 403
    assert Program(nobody, jss).get("participants").status_code == 404
    assert len(Program(auditor, jss).get("participants").json()["results"]) == 1


def test_a_token_of_one_site_never_opens_another_of_the_same_person(coordinator2, djj, jss, here):
    """The monitor of one site who is coordinator at another holds a token for the latter alone."""
    assert Program(coordinator2, djj).get("participants").json()["results"] == []
    assert len(Program(coordinator2, jss).get("participants").json()["results"]) == 1


# What is told -------------------------------------------------------------------------------------


def test_a_participant_without_a_name(program, here):
    told = program.get("participant", here.pk).json()
    assert told | {"consents": None} == {
        "id": here.pk,
        "site": "JSS",
        "screening_number": here.screening_number,
        "subject_number": here.subject_number,
        "state": "enrolled",
        "version": "1.0",
        "sex": "female",
        "birth_year": 1980,
        "age": here.age,
        "cohort": "cervical",
        "arm": None,
        "consented_on": here.consented_on.isoformat(),
        "consents": None,
        "withdrawals": [],
        "failed_criteria": None,
        "enrolled_on": here.enrolled_on.isoformat(),
        "ended_on": None,
        "end_reason": "",
        "void_reason": "",
    }
    assert {consent["kind"] for consent in told["consents"]} == {"study", "sharing"}
    assert "홍길동" not in program.get("participant", here.pk).content.decode()


def test_the_filter_of_a_state_finds_who_is_in_it(jss, coordinator, participant, program):
    by = actor(coordinator, jss)
    participant(jss, stage="consented")
    participant(jss, stage="screened")
    people = [participant(jss, stage="screened"), *(participant(jss) for _n in range(3))]
    with seeing(jss):
        screen(participant=people[0], failed=["I1"], cohort="", by=by)
        end_study(participant=people[1], on=jss.today(), end_reason="completed", by=by)
        void_participant(participant=people[2], reason="twice", by=by)
        withdraw(participant=people[3], scope="sharing", on=jss.today(), taken_by="somebody", by=by)
    for state in STATES:
        told = program.get("participants", query={"state": state}).json()["results"]
        assert [record["state"] for record in told] == [state]
    assert told[0]["void_reason"] == "twice"
    number = {"number": people[3].subject_number}
    [found] = program.get("participants", query=number).json()["results"]
    assert found["withdrawals"] == ["sharing"]


def test_an_arm_is_told_to_who_may_see_it(
    needle_coordinator, needle_investigator, nda, participant
):
    person = participant(nda, stage="enrolled")
    with seeing(nda):
        allocate(participant=person, arm="DN", by=actor(needle_investigator, nda))
    told = {
        user: Program(user, nda).get("participant", person.pk).json()["arm"]
        for user in (needle_coordinator, needle_investigator)
    }
    assert told == {needle_coordinator: None, needle_investigator: "DN"}


def test_visits_with_the_status_of_the_pages(program, here):
    told = program.get("visits", query={"participant": here.pk}).json()["results"]
    assert [visit["code"] for visit in told] == ["w0", "w1", "w2", "w4", "w8"]
    assert [visit["status"] for visit in told] == [
        "due",
        "overdue",
        "overdue",
        "due",
        "expected",
    ]
    assert told[0]["happened_on"] == here.enrolled_on.isoformat()
    assert (told[0]["title"], told[0]["subject"]) == ("Week 0 (baseline)", here.subject_number)
    program.headers["Accept-Language"] = "ko"
    assert program.get("visit", told[0]["id"]).json()["title"] == "0주(기저)"
    assert len(program.get("visits", query={"code": "w4"}).json()["results"]) == 1


def test_entries_with_answers_and_scores(program, here, coordinator):
    pk = objects(here, coordinator)["entry"]
    with seeing(here.site):
        entry = Entry.objects.get(pk=pk)
        save_entry(entry=entry, changes={"pain": 7}, by=actor(coordinator, here.site))
    told = program.get("entry", pk).json()
    assert (told["answers"], told["scores"]) == ({"pain": 7}, {"nrs": 7})
    assert (told["state"], told["visit_code"], told["missing"]) == ("started", "w0", {})
    query = {"participant": here.pk, "instrument": "nrs", "visit": told["visit"]}
    assert [e["id"] for e in program.get("entries", query=query).json()["results"]] == [pk]
    assert len(program.get("entries", query={"instrument": "nrs"}).json()["results"]) == 5


def test_events_with_review_and_clock(program, here, coordinator, monitor):
    by = actor(coordinator, here.site)
    with seeing(here.site):
        mild, grave = report(here, by), report(here, by, **SERIOUS)
        review_event(
            event=mild, decision="reviewed", seen=mild.digest, by=actor(monitor, here.site)
        )
    told = {event["id"]: event for event in program.get("events").json()["results"]}
    assert (told[mild.pk]["review"], told[mild.pk]["report_by"]) == ("reviewed", None)
    assert told[grave.pk]["review"] == "new"
    due = grave.aware_on + dt.timedelta(days=15)
    assert told[grave.pk]["report_by"] == due.isoformat()
    for query, found in (
        ({"serious": "true"}, grave),
        ({"grade": 3}, grave),
        ({"review": "reviewed"}, mild),
    ):
        assert [e["id"] for e in program.get("events", query=query).json()["results"]] == [found.pk]


@pytest.mark.requirement("K01")
def test_whose_data_are_told_is_logged(program, here, participant, coordinator):
    other = participant(here.site)
    program.get("participants", query={"number": here.subject_number})
    program.get("visits", query={"participant": other.pk})
    with seeing(here.site):
        log = AccessLog.objects.order_by("id").values_list("participant_id", "route", "action")
        assert list(log) == [
            (here.pk, "api_participants", "view"),
            (other.pk, "api_visits", "view"),
        ]


def test_pages_of_a_list_follow_each_other(program, here, participant):
    people = [here, *(participant(here.site, stage="consented") for _n in range(4))]
    found, address = [], program.address("participants") + "?size=2"
    while address:
        page = program.client.get(address, headers=program.headers).json()
        assert len(page["results"]) <= 2
        found += [record["id"] for record in page["results"]]
        address = page["next"]
    assert found == sorted(person.pk for person in people)


@pytest.mark.parametrize("name", LISTS)
def test_lists_cost_the_same_however_long_they_are(program, here, coordinator, participant, name):
    def cost():
        with CaptureQueriesContext(connection) as captured:
            assert program.get(name).status_code == 200
        return len(captured)

    objects(here, coordinator)
    cost()
    first = cost()
    for _n in range(3):
        objects(participant(here.site), coordinator)
    assert cost() == first <= 20


# What is not understood ---------------------------------------------------------------------------


@pytest.mark.requirement("S14", "S15")
@pytest.mark.parametrize(
    "query",
    [
        {"ordering": "id"},
        {"ordering": "site__users__password"},
        {"_connector": "OR"},
        {"_negated": "1"},
        {"site__users__password__startswith": "p"},
        {"participant__identity__name": "x"},
        {"pk__in": "1"},
        {"columns[]": "name"},
        {"q": "x"},
        {"size": "0"},
        {"size": "501"},
        {"size": "x"},
        {"after": "-1"},
        {"after": str(2**63)},
        {"after": "1; DROP TABLE sites_user"},
    ],
)
@pytest.mark.parametrize("name", LISTS)
def test_a_query_that_is_not_known_is_refused(program, name, query):
    answer = program.get(name, query=query)
    assert answer.status_code == 400
    assert answer.json()["errors"].keys() == query.keys()


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("participants", {"state": "x"}),
        ("participants", {"number": "\x00"}),
        ("visits", {"participant": "x"}),
        ("entries", {"instrument": "x" * 41}),
        ("events", {"grade": 6}),
        ("events", {"review": "x"}),
        ("instruments", {"version": "x" * 21}),
    ],
)
def test_a_filter_that_can_match_nothing_is_refused(program, name, query):
    answer = program.get(name, query=query)
    assert (answer.status_code, [*answer.json()["errors"]]) == (400, [*query])


def test_a_filter_is_given_once(program):
    answer = program.get("visits", query={"participant": ["1", "2"]})
    assert (answer.status_code, answer.json()["errors"]) == (
        400,
        {"participant": "This is given twice."},
    )


def test_sentences_come_in_the_language_that_is_asked_for(program):
    program.headers["Accept-Language"] = "ko"
    answer = program.get("participants", query={"state": "x"}).json()
    assert "가" <= answer["errors"]["state"][-2] <= "힣"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "TRACE", "OPTIONS", "POST"])
def test_other_methods_are_not_allowed(program, here, coordinator, method):
    pk = objects(here, coordinator)["entry"]
    answer = program.send(method, program.address("entry", pk), {})
    assert (answer.status_code, answer["Allow"]) == (405, "GET, HEAD, PATCH")


def test_a_token_may_not_call_without_end(program, monkeypatch):
    monkeypatch.setitem(api_settings.DEFAULT_THROTTLE_RATES, "token", "2/min")
    codes = [program.get("participants").status_code for _n in range(3)]
    assert codes == [200, 200, 429]


# What describes it --------------------------------------------------------------------------------


def test_the_description_is_whole_and_valid(program, tmp_path):
    file = tmp_path / "schema.json"
    call_command("spectacular", "--validate", "--fail-on-warn", "--format=openapi-json", file=file)
    described = json.loads(file.read_text())
    routes = {str(pattern.pattern) for pattern in get_resolver("registry.urls").url_patterns}
    ours = {route for route in routes if route.startswith("api/")} - {"api/schema/"}
    assert len(described["paths"]) == len(ours) > 10
    operations = [o for path in described["paths"].values() for o in path.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    assert {*described["paths"]["/api/{study}/entries/{id}/"]} == {"get", "patch"}
    answer = program.client.get("/api/schema/?format=json", headers=program.headers)
    assert answer.status_code == 200
    assert answer.json()["paths"].keys() == described["paths"].keys()


def test_an_instrument_as_json_schema(program, coordinator):
    listed = program.get("instruments").json()
    assert listed["version"] == "1.0"
    assert {"code": "nrs", "title": "Numerical rating scale of pain (NRS)", "repeating": False} in (
        listed["instruments"]
    )
    schema = program.get("instrument", "concurrent").json()
    assert schema["properties"]["acupuncture_count"] | {"title": ""} == {
        "title": "",
        "type": "integer",
        "minimum": 1,
        "maximum": 200,
        "x-unit": "times",
        "x-when": "acupuncture == 'yes'",
        "x-required": True,
        "x-critical": False,
        "x-missing": ["not_done", "refused", "not_applicable", "unknown"],
    }
    assert program.get("instrument", "nowhere").status_code == 404
    assert program.get("instrument", "nrs", query={"version": "9"}).status_code == 404
    assert program.get("instrument", "nrs", query={"version": "1.0"}).json() == (
        program.get("instrument", "nrs").json()
    )


def test_what_is_stored_fits_its_json_schema(uspp, jss):
    """Every answer of some simulated participants, each form against its own schema."""
    with system("simulate", sites=[jss.pk]) as by:
        simulate(study=uspp, sites=[jss], participants=2, seed=4, by=by)
        entries = list(Entry.objects.exclude(started_at=None))
        assert len({entry.instrument for entry in entries}) >= 6
        for entry in entries:
            schema = answers_schema(instrument_of(entry), "en")
            Draft202012Validator.check_schema(schema)
            Draft202012Validator(schema).validate(entry.answers)
