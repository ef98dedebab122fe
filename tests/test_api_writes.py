"""The API as a program writes: all of what is sent or nothing, by the rules of the pages."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest

from crf.models import Entry, Lock, Query
from crf.services import complete, save_entry
from exports.models import Download, Release
from exports.release import make_release
from registry import jobs
from registry.models import Job, Participant
from safety.models import AdverseEvent
from sites.audit import acting
from sites.models import AccessLog
from tests.cast import actor, seeing
from tests.events import SURE, report
from tests.programs import Program

EQ5D = ("mobility", "self_care", "usual_activities", "pain_discomfort", "anxiety_depression")


@pytest.fixture
def here(jss, participant):
    return participant(jss)


@pytest.fixture
def program(coordinator, jss):
    return Program(coordinator, jss)


def form_of(person, instrument="nrs") -> Entry:
    with seeing(person.site):
        return Entry.objects.get(
            participant=person, visit__code="w0", instrument=instrument, voided_at=None
        )


def now(entry) -> Entry:
    with seeing(entry.site):
        return Entry.objects.get(pk=entry.pk)


def completed(person, coordinator) -> Entry:
    entry, by = form_of(person), actor(coordinator, person.site)
    with seeing(person.site):
        save_entry(entry=entry, changes={"pain": 7}, by=by)
        complete(entry=entry, by=by)
    return now(entry)


# Answers ------------------------------------------------------------------------------------------


@pytest.mark.requirement("P05", "P08", "E05")
def test_answers_are_stored_with_scores_and_trail(program, here, coordinator):
    entry = form_of(here, "eq5d5l")
    body = {"answers": dict.fromkeys(EQ5D, 2), "captured_at": "2026-01-02T10:30:00+09:00"}
    answer = program.patch("entry", entry.pk, body=body)
    assert answer.status_code == 200
    saved = answer.json()
    assert saved["scores"]["eq5d_index"] == "0.73"
    assert (saved["accepted"], saved["state"]) == (list(EQ5D), "started")
    entry = now(entry)
    assert entry.answers == dict.fromkeys(EQ5D, 2)
    with seeing(here.site):
        line = entry.history.first()
    assert (line.history_source, line.history_role) == ("API", "coordinator")
    assert line.history_user_id == coordinator.pk
    assert line.history_captured_at == dt.datetime(2026, 1, 2, 1, 30, tzinfo=dt.UTC)
    assert {about["source"] for about in entry.meta.values()} == {"API"}
    with seeing(here.site):
        assert AccessLog.objects.get().action == "enter"


def test_what_can_not_be_kept_keeps_the_rest_out_too(program, here):
    entry = form_of(here, "eq5d5l")
    body = {"answers": {"mobility": 2, "self_care": 9, "eq_vas": 101, "nowhere": 1}}
    answer = program.patch("entry", entry.pk, body=body)
    assert answer.status_code == 400
    told = answer.json()
    assert told["errors"].keys() == {"self_care", "eq_vas", "nowhere"}
    assert (told["detail"], told["accepted"], told["answers"]) == ("Nothing was stored.", [], {})
    assert now(entry).answers == {}


def test_a_missing_answer_has_a_reason_of_the_list(program, here):
    entry = form_of(here)
    assert program.patch("entry", entry.pk, body={"missing": {"pain": "x"}}).status_code == 400
    both = {"answers": {"pain": 7}, "missing": {"pain": "refused"}}
    answer = program.patch("entry", entry.pk, body=both)
    assert (answer.status_code, [*answer.json()["errors"]]) == (400, ["pain"])
    program.patch("entry", entry.pk, body={"missing": {"pain": "refused"}})
    assert program.get("entry", entry.pk).json()["missing"] == {"pain": "refused"}
    body = {"missing": {"pain": None}, "base": {"pain": {"missing": "refused"}}}
    assert program.patch("entry", entry.pk, body=body).json()["missing"] == {}


def test_what_is_unlikely_is_kept_and_questioned(program, here):
    entry = form_of(here, "baseline")
    told = program.patch("entry", entry.pk, body={"answers": {"height": "210"}}).json()
    assert told["answers"] == {"height": "210"}
    [check] = told["checks"]
    assert (check["code"], check["items"]) == ("unusual_height", ["height"])
    assert check["message"].startswith("The height is outside")
    with seeing(here.site):
        assert Query.objects.get(entry=entry).check_code == "unusual_height"


def test_nothing_is_overwritten_unseen(program, here, coordinator):
    """Without a base a program says that it saw no answer."""
    entry = form_of(here)
    with seeing(here.site):
        save_entry(entry=entry, changes={"pain": 7}, by=actor(coordinator, here.site))
    for base in ({}, {"pain": 6}, {"pain": {"missing": "refused"}}):
        answer = program.patch("entry", entry.pk, body={"answers": {"pain": 3}, "base": base})
        assert answer.status_code == 409
        assert answer.json()["conflicts"] == {"pain": {"theirs": 7, "missing": None, "mine": 3}}
    assert now(entry).answers == {"pain": 7}
    body = {"answers": {"pain": 3}, "base": {"pain": 7}}
    assert program.patch("entry", entry.pk, body=body).status_code == 200
    assert now(entry).answers == {"pain": 3}


@pytest.mark.requirement("G06")
def test_a_complete_form_changes_for_a_reason(program, here, coordinator):
    entry = completed(here, coordinator)
    change = {"answers": {"pain": 6}, "base": {"pain": 7}}
    answer = program.patch("entry", entry.pk, body=change)
    assert (answer.status_code, answer.json()["needs_reason"]) == (400, ["pain"])
    assert program.patch("entry", entry.pk, body=change | {"reason": "  "}).status_code == 400
    body = change | {"reasons": {"pain": "원자료 확인"}}
    assert program.patch("entry", entry.pk, body=body).json()["state"] == "complete"
    with seeing(here.site):
        assert entry.history.first().history_change_reason == "원자료 확인"


@pytest.mark.requirement("K06")
def test_a_resident_number_is_refused_wherever_it_is_written(program, here, coordinator):
    entry = form_of(here, "baseline")
    number = "800505-1234567"
    body = {"answers": {"occupation": "other", "occupation_other": number}}
    assert [*program.patch("entry", entry.pk, body=body).json()["errors"]] == ["occupation_other"]
    done = completed(here, coordinator)
    change = {"answers": {"pain": 6}, "base": {"pain": 7}}
    for reason in ({"reason": number}, {"reasons": {"pain": number}}):
        assert program.patch("entry", done.pk, body=change | reason).status_code in (400, 409)
    assert now(done).answers == {"pain": 7}


@pytest.mark.requirement("S03")
def test_a_repetition_changes_nothing_twice(program, here):
    entry, op = form_of(here), str(uuid.uuid4())
    body = {"answers": {"pain": 7}, "op": op}
    first = program.patch("entry", entry.pk, body=body)
    with seeing(here.site):
        lines = entry.history.count()
    again = program.patch("entry", entry.pk, body=body)
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.json() == first.json()
    with seeing(here.site):
        assert entry.history.count() == lines
    other = program.patch("entry", entry.pk, body={"answers": {"pain": 8}, "op": op})
    assert (other.status_code, now(entry).answers) == (409, {"pain": 7})


def test_an_operation_id_is_good_for_one_site_alone(
    program, here, djj, participant, coordinator, coordinator2
):
    """Whoever works at two sites has two tokens and must not use one id for both."""
    there, op = participant(djj), str(uuid.uuid4())
    body = {"answers": {"pain": 7}, "op": op}
    with acting(actor(coordinator2, djj)):
        coordinator2.memberships.filter(site=here.site).update(role="coordinator")
    assert (
        Program(coordinator2, djj).patch("entry", form_of(there).pk, body=body).status_code == 200
    )
    answer = Program(coordinator2, here.site).patch("entry", form_of(here).pk, body=body)
    assert answer.status_code == 409
    assert now(form_of(here)).answers == {}


@pytest.mark.parametrize("moment", ["2026-01-02T10:30:00", "2999-01-01T00:00:00Z", "yesterday", 3])
def test_a_moment_has_an_offset_and_lies_in_the_past(program, here, moment):
    body = {"answers": {"pain": 7}, "captured_at": moment}
    answer = program.patch("entry", form_of(here).pk, body=body)
    assert (answer.status_code, [*answer.json()["errors"]]) == (400, ["captured_at"])


# Completing and rows of logs ----------------------------------------------------------------------


def test_a_form_is_completed_when_nothing_is_open(program, here):
    entry = form_of(here)
    assert program.post("entry_complete", entry.pk).status_code == 409
    body = {"answers": {"pain": 7}}
    program.patch("entry", entry.pk, body=body)
    answer = program.post("entry_complete", entry.pk)
    assert (answer.status_code, answer.json()["state"]) == (200, "complete")
    eq5d = form_of(here, "eq5d5l")
    program.patch("entry", eq5d.pk, body={"answers": dict.fromkeys(EQ5D[:3], 1)})
    answer = program.post("entry_complete", eq5d.pk)
    assert (answer.status_code, answer.json()["items"]) == (409, list(EQ5D[3:]))


def test_rows_of_a_log(program, here):
    op = {"op": str(uuid.uuid4())}
    made = [program.post("entry_new", here.pk, "procedure", body=op) for _n in range(2)]
    assert [answer.status_code for answer in made] == [201, 201]
    assert made[0].json()["id"] == made[1].json()["id"]
    assert made[0].json()["number"] == 1
    assert program.post("entry_new", here.pk, "procedure").json()["number"] == 2
    assert program.post("entry_new", here.pk, "deviation", body=op).status_code == 409
    for instrument in ("nrs", "screening", "nowhere"):
        assert program.post("entry_new", here.pk, instrument).status_code == 409
    body = {"answers": {"performed_on": "2999-01-01"}}
    answer = program.patch("entry", made[0].json()["id"], body=body)
    assert answer.json()["errors"] == {"performed_on": "This date lies in the future."}


# Adverse events -----------------------------------------------------------------------------------


def event(person, **told) -> dict[str, Any]:
    day = (person.site.today() - dt.timedelta(days=2)).isoformat()
    return {
        "participant": person.pk,
        "symptom": "시술 부위 멍",
        "onset": day,
        "grade": 1,
        "causality": "probable",
        "causality_answers": SURE,
        "serious": False,
        "outcome": "1",
        "ended": day,
        "aware_on": day,
    } | told


def test_an_event_is_reported_once(program, here, coordinator):
    body = event(here, op=str(uuid.uuid4()))
    first, again = (program.post("events", body=body) for _n in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert first.json()["suggested_causality"] == "certain"
    with seeing(here.site):
        found = AdverseEvent.objects.get()
        assert (found.number, found.reported_by) == (1, coordinator)
        assert found.history.get().history_source == "API"
    entry = form_of(here)
    used = program.patch("entry", entry.pk, body={"answers": {"pain": 7}, "op": body["op"]})
    assert used.status_code == 409


@pytest.mark.parametrize(
    ("told", "wrong"),
    [
        ({"symptom": ""}, "symptom"),
        ({"onset": "2999"}, "onset"),
        ({"onset": "x"}, "onset"),
        ({"grade": 6}, "grade"),
        ({"term": "10006504", "grade": 5}, "grade"),
        ({"causality": "x"}, "causality"),
        ({"serious": True}, "seriousness"),
        ({"seriousness": ["x"]}, "seriousness"),
        ({"outcome": "9"}, "outcome"),
        ({"aware_on": "2999-01-01"}, "aware_on"),
        ({"narrative": "800505-1234567"}, "narrative"),
        ({"causality_answers": {"time": "x"}}, "causality_answers"),
        ({"number": 7}, "number"),
        ({"digest": "x"}, "digest"),
        ({"site": "DJJ"}, "site"),
    ],
)
def test_an_event_that_can_not_be_kept_is_not(program, here, told, wrong):
    answer = program.post("events", body=event(here, **told))
    assert (answer.status_code, [*answer.json()["errors"]]) == (400, [wrong])
    with seeing(here.site):
        assert not AdverseEvent.objects.exists()


def test_an_event_changes_for_a_reason_as_it_was_read(program, here, coordinator):
    with seeing(here.site):
        found = report(here, actor(coordinator, here.site))
    change = {"grade": 2, "reason": "진료기록 확인", "seen": found.digest}
    for name in ("reason", "seen"):
        body = {key: value for key, value in change.items() if key != name}
        answer = program.patch("event", found.pk, body=body)
        assert (answer.status_code, [*answer.json()["errors"]]) == (400, [name])
    answer = program.patch("event", found.pk, body=change | {"seen": "0" * 64})
    assert answer.status_code == 409
    told = program.patch("event", found.pk, body=change).json()
    assert (told["grade"], told["symptom"]) == (2, found.symptom)
    assert told["digest"] != found.digest
    with seeing(here.site):
        assert found.history.first().history_change_reason == "진료기록 확인"


# Who may ------------------------------------------------------------------------------------------


@pytest.mark.requirement("S01", "S02", "F07")
def test_only_who_may_enter_writes(monitor, datamanager, auditor, safety, coordinator, jss, here):
    entry = form_of(here)
    with seeing(jss):
        known = report(here, actor(coordinator, jss))
    for user in (monitor, datamanager, auditor, safety):
        reader = Program(user, jss)
        answers = [
            reader.patch("entry", entry.pk, body={"answers": {"pain": 1}}),
            reader.post("entry_complete", entry.pk),
            reader.post("entry_new", here.pk, "procedure"),
            reader.post("events", body=event(here)),
            reader.patch("event", known.pk, body={"grade": 2}),
        ]
        assert [answer.status_code for answer in answers] == [403] * 5
    assert now(entry).answers == {}


@pytest.mark.requirement("S01", "P08")
def test_nothing_is_written_elsewhere(program, djj, participant, coordinator2):
    there = participant(djj)
    entry = form_of(there)
    with seeing(djj):
        known = report(there, actor(coordinator2, djj))
    answers = [
        program.patch("entry", entry.pk, body={"answers": {"pain": 1}}),
        program.post("entry_complete", entry.pk),
        program.post("entry_new", there.pk, "procedure"),
        program.post("events", body=event(there)),
        program.patch("event", known.pk, body={"grade": 2, "reason": "x", "seen": known.digest}),
    ]
    assert [answer.status_code for answer in answers] == [404] * 5
    assert now(entry).answers == {}


@pytest.mark.requirement("P06", "G08")
def test_a_locked_site_is_not_written_to(program, here, datamanager):
    entry = form_of(here)
    with seeing(here.site), acting(actor(datamanager, here.site)):
        Lock.objects.create(site=here.site, locked_by=datamanager)
    for answer in (
        program.patch("entry", entry.pk, body={"answers": {"pain": 7}}),
        program.post("events", body=event(here)),
        program.post("entry_new", here.pk, "procedure"),
    ):
        assert answer.status_code == 409
        assert "locked" in answer.json()["detail"]
    assert program.get("entry", entry.pk).status_code == 200


# What may be sent ---------------------------------------------------------------------------------


@pytest.mark.requirement("S14")
def test_only_named_fields_can_be_written(program, here):
    """Every column of the table, and what reaches beyond it, is refused by name."""
    entry = form_of(here)
    before = Participant.objects.none()
    with seeing(here.site):
        before = Entry.objects.values().get(pk=entry.pk)
    columns = {field.attname: 1 for field in Entry._meta.concrete_fields} | {
        "state": "complete",
        "completed_by": 1,
        "site__users__password__startswith": "p",
        "_connector": "OR",
        "_state": {},
        "participant__voided_at": "2026-01-01",
    }
    columns.pop("answers")
    answer = program.patch("entry", entry.pk, body={"answers": {"pain": 7}} | columns)
    assert answer.status_code == 400
    assert answer.json()["errors"].keys() == columns.keys()
    with seeing(here.site):
        assert Entry.objects.values().get(pk=entry.pk) == before


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"3",
        b'{"answers": []}',
        b'{"answers": {"pain": NaN}}',
        b'{"answers": {"pain": 1' + b"0" * 5000 + b"}}",
        b'{"answers": {"occupation_other": "\\ud800"}}',
        b"[" * 100_000,
        b'{"op": "x"}',
        b'{"base": 1}',
        b'{"reasons": {"pain": {}}}',
        b"\xff\xfe",
    ],
)
def test_what_can_not_be_read_is_said_to_be_so(program, here, body):
    answer = program.patch("entry", form_of(here).pk, body=body)
    assert answer.status_code == 400
    assert answer.json()["detail"]


@pytest.mark.parametrize("value", [True, 7.0, {"a": 1}, ["7"], "\x00", "７.5", "=1+1", " "])
def test_an_answer_of_the_wrong_kind_is_no_fault_of_the_server(program, here, value):
    entry = form_of(here)
    answer = program.patch("entry", entry.pk, body={"answers": {"pain": value}})
    assert answer.status_code in (200, 400)
    assert now(entry).answers == {}


def test_full_width_digits_are_digits(program, here):
    entry = form_of(here)
    program.patch("entry", entry.pk, body={"answers": {"pain": "７"}})
    assert now(entry).answers == {"pain": 7}


def test_too_much_at_once_is_refused(program, here, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    body = {"answers": {"pain": "7" * 1000}}
    answer = program.patch("entry", form_of(here).pk, body=body)
    assert (answer.status_code, "1000" in answer.json()["detail"]) == (413, True)


def test_a_body_that_is_no_json_is_refused(program, here):
    answer = program.client.generic(
        "PATCH",
        program.address("entry", form_of(here).pk),
        "pain=7",
        "application/x-www-form-urlencoded",
        headers=program.headers,
    )
    assert answer.status_code == 415


# Datasets -----------------------------------------------------------------------------------------


@pytest.mark.requirement("K03", "P02")
def test_a_dataset_is_asked_for_built_and_taken_out(
    fresh_database, datamanager, jss, djj, participant, settings, tmp_path
):
    settings.DATA_DIR = tmp_path
    here = participant(jss)
    program = Program(datamanager, jss)
    answer = program.post("releases", body={"reason": "중간 분석"})
    assert (answer.status_code, answer.json()["state"]) == (202, "queued")
    jobs.run(uuid.UUID(answer.json()["id"]), {"release": make_release})
    job = program.get("job", answer.json()["id"]).json()
    assert (job["state"], job["release"]) == ("done", 1)
    [release] = program.get("releases").json()["results"]
    assert (release["sites"], release["locked"], release["reason"]) == (["JSS"], False, "중간 분석")
    assert program.post("release_download", 1).status_code == 400
    answer = program.post("release_download", 1, body={"reason": "통계 분석"})
    assert b"".join(answer.streaming_content)[:2] == b"PK"
    assert release["file_name"] in answer["Content-Disposition"]
    assert Download.objects.get().reason == "통계 분석"
    with seeing(jss):
        taken = AccessLog.objects.get(route="api_release_download")
    assert (taken.participant_id, taken.action) == (here.pk, "download")
    elsewhere = Program(datamanager, djj)
    assert elsewhere.get("releases").json()["results"] == []
    assert elsewhere.post("release_download", 1, body={"reason": "x"}).status_code == 404
    assert elsewhere.get("job", job["id"]).status_code == 200


def test_a_dataset_is_of_sites_of_the_token_alone(datamanager, coordinator, jss):
    program = Program(datamanager, jss)
    for code in ("DJJ", "NDA", "XXX"):
        answer = program.post("releases", body={"sites": [code], "reason": "x"})
        assert (answer.status_code, answer.json()["errors"]) == (
            400,
            {"sites": f"No such site: {code}"},
        )
    assert program.post("releases", body={"sites": ["JSS"]}).status_code == 400
    assert not Job.objects.exists()
    assert not Release.objects.exists()
    reader = Program(coordinator, jss)
    assert reader.get("releases").status_code == 403
    assert reader.post("releases", body={"reason": "x"}).status_code == 403
