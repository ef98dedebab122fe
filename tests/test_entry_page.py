"""The entry page as it is sent: whole forms without scripts, saves as JSON, who may do what."""

from __future__ import annotations

import html
import json
import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from crf.forms import form_for
from crf.models import Entry, Lock
from crf.services import complete, save_entry
from registry.models import Participant
from sites.audit import acting
from sites.models import AccessLog, Site, User
from tests.cast import actor, seeing

MOST_QUERIES = 12


@pytest.fixture
def form(participant: Callable[..., Participant], jss: Site) -> Callable[..., Entry]:
    person = participant(jss)

    def entry(instrument: str, visit: str = "w0") -> Entry:
        with seeing(jss):
            return Entry.objects.select_related("participant", "visit").get(
                participant=person, instrument=instrument, visit__code=visit, voided_at=None
            )

    return entry


@pytest.fixture
def browser_of(as_: Callable[[User], Client], coordinator: User) -> Client:
    return as_(coordinator)


def url(entry: Entry, tail: str = "") -> str:
    return f"/uspp/entries/{entry.pk}/{tail}"


def page_fields(client: Client, entry: Entry) -> dict[str, Any]:
    """What a browser without scripts would send back: the page's hidden fields."""
    page = client.get(url(entry)).content.decode()
    found = re.findall(r'<input type="hidden" name="(base|op)" value="([^"]*)">', page)
    return {name: html.unescape(value) for name, value in found}


def post_json(client: Client, entry: Entry, **message: Any) -> Any:
    return client.post(
        url(entry, "save/"),
        json.dumps(message),
        content_type="application/json",
        headers={"X-Requested-With": "fetch"},
    )


# The page ------------------------------------------------------------------------------------


@pytest.mark.parametrize("instrument", ["baseline", "nrs", "ndi", "eq5d5l", "concurrent"])
@pytest.mark.parametrize("language", ["ko", "en"])
def test_every_question_is_on_the_page_with_all_of_its_answers(
    form: Any, browser_of: Client, jss: Site, instrument: str, language: str
) -> None:
    entry = form(instrument)
    page = browser_of.get(url(entry), headers={"Accept-Language": language}).content.decode()
    with seeing(jss):
        entry.site = entry.participant.site = jss
        shown = form_for(entry, language)
    for field in shown.fields:
        assert f'data-item="{field["code"]}"' in page
        assert html.escape(field["label"]) in page
        for choice in field["choices"]:
            assert f'name="{field["code"]}" value="{choice["code"]}"' in page or (
                field["widget"] == "list"
            )
    assert "\x01" not in page
    assert "<style" not in page
    assert " style=" not in page


def test_stored_answers_come_back_and_are_escaped(
    form: Any, browser_of: Client, jss: Site, coordinator: User
) -> None:
    entry = form("concurrent")
    with seeing(jss):
        save_entry(
            entry=entry,
            changes={"herbal": "yes", "herbal_name": '"><script>alert(1)</script>'},
            by=actor(coordinator, jss),
        )
    page = browser_of.get(url(entry)).content.decode()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert re.search(r'name="herbal" value="yes"[^>]* checked', page)


def test_the_page_needs_few_statements_whatever_it_holds(
    form: Any, browser_of: Client, jss: Site, coordinator: User
) -> None:
    counts = []
    for instrument, changes in (("nrs", {"pain": 3}), ("baseline", {"height": "120"})):
        entry = form(instrument)
        with seeing(jss):
            save_entry(entry=entry, changes=changes, by=actor(coordinator, jss))
        browser_of.get(url(entry))
        with CaptureQueriesContext(connection) as asked:
            assert browser_of.get(url(entry)).status_code == 200
        statements = [q["sql"] for q in asked if "SAVEPOINT" not in q["sql"]]
        counts.append(len(statements))
    assert max(counts) <= MOST_QUERIES
    assert len(set(counts)) == 1


def test_reading_is_logged_with_the_participant(
    form: Any, browser_of: Client, coordinator: User, jss: Site
) -> None:
    entry = form("nrs")
    browser_of.get(url(entry))
    with seeing(jss):
        seen = AccessLog.objects.filter(route="entry", participant_id=entry.participant_id)
        assert seen.filter(user=coordinator, action="view").exists()


# Without scripts -----------------------------------------------------------------------------


def test_a_whole_page_saves_what_was_changed_on_it(
    form: Any, browser_of: Client, jss: Site
) -> None:
    entry = form("nrs")
    fields = page_fields(browser_of, entry)
    answer = browser_of.post(url(entry), {**fields, "pain": "6", "then": "save"})
    assert answer.status_code == 302
    assert form("nrs").answers == {"pain": 6}
    with seeing(jss):
        rows = entry.history.count()
    browser_of.post(url(entry), {**fields, "pain": "6", "then": "save"})  # sent twice
    with seeing(jss):
        assert entry.history.count() == rows


def test_what_was_left_alone_is_no_conflict(
    form: Any, browser_of: Client, jss: Site, investigator: User
) -> None:
    entry = form("ndi")
    fields = page_fields(browser_of, entry)
    with seeing(jss):
        save_entry(entry=entry, changes={"ndi_01": 4}, by=actor(investigator, jss))
    answer = browser_of.post(url(entry), {**fields, "ndi_02": "1", "then": "save"})
    assert answer.status_code == 302
    assert form("ndi").answers == {"ndi_01": 4, "ndi_02": 1}


def test_a_conflict_is_shown_and_decided_without_scripts(
    form: Any, browser_of: Client, jss: Site, investigator: User
) -> None:
    entry = form("nrs")
    fields = page_fields(browser_of, entry)
    with seeing(jss):
        save_entry(entry=entry, changes={"pain": 4}, by=actor(investigator, jss))
    answer = browser_of.post(url(entry), {**fields, "pain": "9", "then": "save"})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "investigator" in page
    assert re.search(r'name="pain" value="9"[^>]* checked', page)
    assert form("nrs").answers == {"pain": 4}
    seen = {"pain.theirs": "4", "pain": "9", "then": "save", "op": str(uuid.uuid4())}
    browser_of.post(url(entry), {**seen, "base": "{}", "pain.conflict": "theirs"})
    assert form("nrs").answers == {"pain": 4}
    browser_of.post(url(entry), {**seen, "base": "{}", "pain.conflict": "mine"})
    assert form("nrs").answers == {"pain": 9}


@pytest.mark.requirement("K06")
def test_everything_typed_stays_when_something_is_wrong(form: Any, browser_of: Client) -> None:
    entry = form("baseline")
    fields = page_fields(browser_of, entry)
    sent = {
        **fields,
        "occupation": "other",
        "occupation_other": "홍길동 900101-1234567",
        "height": "１６８",
        "weight": "heavy",
        "onset_date.year": "2023",
        "onset_date.month": "2",
        "onset_date.day": "29",
        "then": "complete",
    }
    answer = browser_of.post(url(entry), sent)
    page = answer.content.decode()
    assert answer.status_code == 422
    assert re.search(r"<title>\s*(오류:|Error:)", page)
    for text in ("홍길동 900101-1234567", 'value="heavy"', 'value="2023"', 'value="29"'):
        assert text in page
    for item in ("occupation_other", "weight", "onset_date"):
        assert f'href="#f-{item}"' in page
        assert f'id="e-{item}"' in page
    assert form("baseline").answers == {"occupation": "other", "height": "168"}
    assert form("baseline").completed_at is None


def test_a_hundred_kilobytes_of_text_are_met_well(form: Any, browser_of: Client) -> None:
    entry = form("concurrent")
    text = "가" * 100_000
    sent = {**page_fields(browser_of, entry), "herbal_name": text, "cupping": "no"}
    answer = browser_of.post(url(entry), sent)
    assert answer.status_code == 422
    assert text in answer.content.decode()
    assert form("concurrent").answers == {"cupping": "no"}


def test_completing_lists_what_is_open_and_then_goes_on(form: Any, browser_of: Client) -> None:
    entry = form("ndi")
    fields = page_fields(browser_of, entry)
    answer = browser_of.post(url(entry), {**fields, "ndi_01": "3", "then": "complete"})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert 'href="#f-ndi_02"' in page
    assert 'href="#f-ndi_01"' not in page
    sent = page_fields(browser_of, entry) | {f"ndi_{n:02}": "3" for n in range(1, 11)}
    answer = browser_of.post(url(entry), {**sent, "ndi_08.missing": "refused", "then": "complete"})
    assert answer.status_code == 422  # an answer and no answer at once
    sent.pop("ndi_08")
    answer = browser_of.post(url(entry), {**sent, "ndi_08.missing": "refused", "then": "complete"})
    assert answer.status_code == 302
    assert answer["Location"] == url(form("eq5d5l"), "#start")
    assert form("ndi").completed_at is not None


def test_the_rest_can_be_marked_at_once(form: Any, browser_of: Client) -> None:
    entry = form("ndi")
    fields = page_fields(browser_of, entry)
    browser_of.post(url(entry), {**fields, "ndi_01": "3", "rest": "not_done", "then": "rest"})
    entry = form("ndi")
    assert entry.answers == {"ndi_01": 3}
    assert len(entry.meta) == 9
    assert browser_of.post(url(entry, "complete/")).status_code == 302
    assert form("ndi").completed_at is not None


def test_a_correction_without_scripts_asks_for_its_reason(
    form: Any, browser_of: Client, jss: Site, coordinator: User
) -> None:
    with seeing(jss):
        save_entry(entry=form("nrs"), changes={"pain": 4}, by=actor(coordinator, jss))
        complete(entry=form("nrs"), by=actor(coordinator, jss))
    entry = form("nrs")
    fields = page_fields(browser_of, entry)
    answer = browser_of.post(url(entry), {**fields, "pain": "5"})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert 'name="pain.reason"' in page
    assert re.search(r'name="pain" value="5"[^>]* checked', page)
    again = page_fields(browser_of, entry)
    sent = {**again, "pain": "5", "pain.reason": "종이 서식을 잘못 읽음"}
    assert browser_of.post(url(entry), sent).status_code == 302
    assert form("nrs").answers == {"pain": 5}


def test_a_questioned_value_is_confirmed_without_scripts(form: Any, browser_of: Client) -> None:
    entry = form("baseline")
    browser_of.post(url(entry), {**page_fields(browser_of, entry), "height": "120"})
    query = form("baseline").queries
    page = browser_of.get(url(entry)).content.decode()
    (pk,) = re.findall(r'name="confirm" value="(\d+)"', page)
    sent = {**page_fields(browser_of, entry), "height": "120", "confirm": pk}
    answer = browser_of.post(url(entry), {**sent, f"confirm.{pk}": "차트에서 확인"})
    assert answer.status_code == 302
    page = browser_of.get(url(entry)).content.decode()
    assert "check confirmed" in page
    assert query is not None


# As JSON -------------------------------------------------------------------------------------


def test_a_save_answers_with_everything_that_follows(form: Any, browser_of: Client) -> None:
    answer = post_json(
        browser_of,
        form("baseline"),
        op=str(uuid.uuid4()),
        base={},
        changes={"height": "120", "main_diagnosis": "m51.1", "weight": "x"},
    )
    said = answer.json()
    assert answer.status_code == 200
    assert said["answers"] == {"height": "120", "main_diagnosis": "M51.1"}
    assert said["coded"]["main_diagnosis"]
    assert "weight" in said["errors"]
    assert 'class="check' in said["notes"]["height"]
    assert said["due"] > said["answered"] == 2


def test_a_conflict_is_409_and_keeps_the_rest(
    form: Any, browser_of: Client, jss: Site, investigator: User
) -> None:
    with seeing(jss):
        save_entry(entry=form("ndi"), changes={"ndi_01": 4}, by=actor(investigator, jss))
    answer = post_json(
        browser_of, form("ndi"), changes={"ndi_01": 2, "ndi_02": 2}, base={"ndi_01": None}
    )
    assert answer.status_code == 409
    assert answer.json()["conflicts"]["ndi_01"]["theirs"] == 4
    assert "investigator" in answer.json()["notes"]["ndi_01"]
    assert form("ndi").answers == {"ndi_01": 4, "ndi_02": 2}


def test_a_preview_stores_nothing(form: Any, browser_of: Client) -> None:
    answer = post_json(browser_of, form("nrs"), changes={"pain": 3}, preview=True)
    assert answer.json()["answers"] == {"pain": 3}
    assert form("nrs").answers == {}


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'{"changes": []}', b'{"op": "x"}', b'{"missing": {"pain": 3}}', b"\xff"],
)
def test_what_cannot_be_read_is_400(form: Any, browser_of: Client, body: bytes) -> None:
    answer = browser_of.post(
        url(form("nrs"), "save/"),
        body,
        content_type="application/json",
        headers={"X-Requested-With": "fetch"},
    )
    assert answer.status_code == 400


def test_signed_out_is_401_and_locked_is_409_in_json(
    form: Any, browser_of: Client, jss: Site, datamanager: User
) -> None:
    assert post_json(Client(), form("nrs"), changes={"pain": 3}).status_code == 401
    with seeing(jss), acting(actor(datamanager, jss)):
        Lock.objects.create(site=jss, locked_by=datamanager)
    answer = post_json(browser_of, form("nrs"), changes={"pain": 3})
    assert answer.status_code == 409
    assert answer.json()["error"] == "refused"
    assert 'id="entry"' not in browser_of.get(url(form("nrs"))).content.decode()
    assert browser_of.post(url(form("nrs")), {"pain": "3", "base": "{}"}).status_code in (409, 422)
    assert form("nrs").answers == {}


# Who ------------------------------------------------------------------------------------------


def test_a_monitor_reads_verifies_and_changes_nothing(
    form: Any, as_: Any, monitor: User, jss: Site, coordinator: User
) -> None:
    with seeing(jss):
        save_entry(entry=form("nrs"), changes={"pain": 4}, by=actor(coordinator, jss))
        complete(entry=form("nrs"), by=actor(coordinator, jss))
    client, entry = as_(monitor), form("nrs")
    page = client.get(url(entry)).content.decode()
    assert 'id="entry"' not in page
    assert "said" in page
    for tail, sent in (("", {"pain": "5"}), ("complete/", {}), ("void/", {"reason": "x"})):
        assert client.post(url(entry, tail), sent).status_code == 403
    assert post_json(client, entry, changes={"pain": 5}).status_code == 403
    assert client.post(url(entry, "verify/")).status_code == 302
    with seeing(jss):
        assert entry.verifications.get().verified_by == monitor


def test_nobody_reaches_a_form_of_another_site(
    form: Any, as_: Any, coordinator2: User, needle_coordinator: User, participant: Any, djj: Site
) -> None:
    elsewhere = participant(djj)
    with seeing(djj):
        theirs = elsewhere.entries.filter(instrument="nrs").first()
    client = as_(coordinator2)  # coordinator at DJJ, monitor here
    assert client.get(url(form("nrs"))).status_code == 200
    assert post_json(client, form("nrs"), changes={"pain": 5}).status_code == 404
    for tail in ("", "history/", "history/pain/"):
        assert as_(needle_coordinator).get(url(form("nrs"), tail)).status_code == 404
        assert client.get(url(theirs, tail)).status_code == 200


def test_a_form_entered_in_error_is_struck_through(form: Any, browser_of: Client) -> None:
    entry = form("nrs")
    browser_of.post(url(entry), {**page_fields(browser_of, entry), "pain": "3"})
    assert browser_of.post(url(entry, "void/"), {"reason": " "}).status_code == 200
    refused = browser_of.post(url(entry, "void/"), {"reason": "900101-1234567"})
    assert refused.status_code == 200
    assert form("nrs").pk == entry.pk
    assert browser_of.post(url(entry, "void/"), {"reason": "다른 대상자"}).status_code == 302
    page = browser_of.get(url(entry)).content.decode()
    assert 'class="voided"' in page
    assert "다른 대상자" in page
    assert form("nrs").pk != entry.pk


def test_a_row_of_a_log_is_begun_by_a_post(form: Any, browser_of: Client, jss: Site) -> None:
    person = form("nrs").participant
    new = f"/uspp/participants/{person.pk}/forms/procedure/new/"
    assert browser_of.get(new).status_code == 200
    with seeing(jss):
        assert not person.entries.filter(instrument="procedure").exists()
    answer = browser_of.post(new)
    assert answer.status_code == 302
    assert browser_of.get(answer["Location"]).status_code == 200
    twice = {"op": str(uuid.uuid4())}
    rows = {browser_of.post(new, twice)["Location"] for _time in range(2)}
    assert len(rows - {answer["Location"]}) == 1
    assert browser_of.post(new.replace("procedure", "nrs")).status_code == 422


@pytest.mark.parametrize(
    ("text", "found"),
    [("M51.1", "M51.1"), ("m511", "M51.1"), ("요추 추간판", "M51"), ("radiculopathy", "M5")],
)
def test_codes_are_found_by_code_and_by_name(browser_of: Client, text: str, found: str) -> None:
    answer = browser_of.get("/uspp/codes/kcd/", {"q": text}, headers={"X-Requested-With": "fetch"})
    assert any(each["code"].startswith(found) for each in answer.json()["codes"])
    assert found in browser_of.get("/uspp/codes/kcd/", {"q": text}).content.decode()
    assert browser_of.get("/uspp/codes/unheard/").status_code == 404
