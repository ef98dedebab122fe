"""The registry's main job from consent to a locked dataset, as people do it: through the pages
alone, in Korean, each person at a browser of their own, on real processes.

One test, since it is one story: what each of its people sees was left there by the one before.
"""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import io
import json
import re
import uuid
import zipfile
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, expect

from tests.browser import browser_type_launch_args  # noqa: F401
from tests.cast import PASSWORD
from tests.desk import Desk, ko
from tests.processes import Installation, installation  # noqa: F401

pytestmark = pytest.mark.browser

NAME, CHART, BORN = "남궁시연", "CH-88213407", dt.date(1979, 3, 14)
NUMBER = "JSS-001"
TODAY = dt.datetime.now(ZoneInfo("Asia/Seoul")).date()
BEGIN = TODAY - dt.timedelta(days=57)  # week 0; the last visit was yesterday
CONSENT = BEGIN - dt.timedelta(days=2)

ELIGIBLE: dict[str, Any] = {
    "region": "cervical",
    "screening_nrs": 7,
    "procedure_planned": "yes",
    "consent_difficulty": "no",
    "pregnancy": "no",
    "severe_disease": "no",
    "unsuitable": "no",
}
BASELINE = {
    "care_setting": "outpatient",
    "height": "162.5",
    "weight": "58",
    "occupation": "office",
    "smoking": "never",
    "alcohol": "monthly",
    "onset_date": (CONSENT - dt.timedelta(days=200)).isoformat(),
    "pain_duration": "chronic",
    "onset_cause": "none",
    "radiating_side": "left",
    "earlier_episodes": "no",
    "spine_surgery": "no",
    "imaging": ["mri"],
    "prior_treatment": ["physical"],
    "comorbidity": ["none"],
    "anticoagulant": "no",
    "allergy": "no",
}
EQ5D = ("mobility", "self_care", "usual_activities", "pain_discomfort", "anxiety_depression")
TREATMENTS = (
    "acupuncture",
    "herbal",
    "moxibustion",
    "cupping",
    "chuna",
    "physical_therapy",
    "injection",
    "medication",
)
NO_TREATMENT = dict.fromkeys(TREATMENTS, "no")
NO_EVENT = {"ae_occurred": "no", "ae_asked_by": "in_person", "ae_ongoing_changed": "no"}
SATISFACTION = (
    "satisfied_process",
    "satisfied_result",
    "preferred",
    "reasons_met",
    "effective",
    "would_recommend",
)
PROCEDURE = {
    "performed_on": BEGIN.isoformat(),
    "purpose": ["guiding"],
    "product_1": "BV",
    "volume_1": "1.5",
    "lot_1": "L-2401",
    "skin_test": "negative",
    "venom_allergy": "no",
    "target_site_1": "C5-C6",
    "target_side_1": "left",
    "target_1": "FACET",
    "max_insertion": "25",
    "needle_gauge": "g29",
    "needle_length": "38",
    "probe": "linear",
    "probe_frequency": "12",
    "approach": "in_plane",
    "disinfection": "alcohol",
    "probe_cover": "yes",
    "sterile_gloves": "yes",
}


def ndi(*points: int) -> dict[str, int]:
    return {f"ndi_{number:02}": point for number, point in enumerate(points, 1)}


def forms(coordinator: Desk, *filled: tuple[str, dict[str, Any]]) -> None:
    """Fills in and completes the forms of a visit, each of which leads to the next."""
    for title, answers in filled:
        expect(coordinator.page.locator("h1")).to_have_text(title)
        coordinator.answer(answers)
        coordinator.complete()


# 1. From consent to a subject number --------------------------------------------------------------


def consented(coordinator: Desk, *, name: str, chart: str, born: dt.date) -> str:
    """Consent to the study and, separately, to sharing; answers with the participant's page."""
    page = coordinator.menu("Today")
    coordinator.follow("New participant")
    coordinator.choose("study_given", "yes")
    coordinator.day("study_signed_on", CONSENT)
    coordinator.fill("study_explained_by", "김설명")
    coordinator.choose("sharing_given", "yes")
    coordinator.fill("name", name)
    coordinator.day("birth_date", born)
    coordinator.choose("sex", "female")
    coordinator.fill("chart_number", chart)
    coordinator.press("Record the consent")
    expect(page).to_have_url(re.compile(r"/uspp/participants/\d+/$"))
    return page.url


def screened(
    coordinator: Desk, person: str, found: tuple[str, str], answers: dict[str, Any]
) -> None:
    """The screening form, up to the page that says what each criterion makes of it."""
    coordinator.open(person)
    coordinator.next_step("Open the screening form")
    coordinator.look_up("diagnosis", *found)
    coordinator.answer(answers)
    coordinator.complete()
    coordinator.open(person)
    coordinator.next_step("Decide on eligibility")


def from_consent_to_number(coordinator: Desk) -> str:
    """The participant of this story; their diagnosis is found by its Korean name."""
    page = coordinator.page
    person = consented(coordinator, name=NAME, chart=CHART, born=BORN)
    screened(coordinator, person, ("경추간판", "M50.1"), ELIGIBLE)
    expect(page.locator("tbody tr")).to_have_count(9)
    expect(page.locator("tbody .tone-ok")).to_have_count(9)
    coordinator.press("Eligible: go on to enrolment")
    coordinator.day("on", BEGIN)
    coordinator.press("Enrol")
    coordinator.says("Enrolled. The subject number is %(number)s.", number=NUMBER)
    return person


def a_screen_failure(coordinator: Desk) -> None:
    """Too little pain, and pregnant: kept with both reasons. The diagnosis is found by its code."""
    page = coordinator.page
    person = consented(coordinator, name="선우가람", chart="CH-2", born=dt.date(1990, 2, 28))
    answers = ELIGIBLE | {"region": "lumbar", "screening_nrs": 3, "pregnancy": "yes"}
    screened(coordinator, person, ("m51.1", "M51.1"), answers)
    expect(page.locator("tbody .tone-danger")).to_have_count(2)
    coordinator.press("Record the screen failure")
    coordinator.says("The screen failure is recorded with its reasons.")
    for criterion in ("I3", "E2"):
        expect(page.locator("#main li", has_text=criterion)).to_be_visible()
    coordinator.menu("Screening log")
    row = page.locator("tbody tr", has_text="JSS-S002")
    expect(row).to_contain_text("I3")
    expect(row).to_contain_text("E2")


def a_participant_in_error(coordinator: Desk) -> None:
    """Nothing is deleted: struck through, with the reason, and still there."""
    page = coordinator.page
    consented(coordinator, name="독고나래", chart="CH-3", born=dt.date(1988, 12, 1))
    coordinator.act("Entered in error…")
    coordinator.fill("reason", "다른 환자의 동의서를 입력함")
    page.locator("#main button.danger").click()
    expect(page.locator("h1 .voided")).to_have_text("JSS-S003")
    expect(page.locator("#main")).to_contain_text("다른 환자의 동의서를 입력함")
    coordinator.menu("Participants")
    expect(page.locator("tr.voided-row", has_text="JSS-S003")).to_be_visible()


# 2. The visits ------------------------------------------------------------------------------------


def visit(coordinator: Desk, person: str, label: str, day: dt.date) -> None:
    """Records the date of a visit; its forms can be filled in from then on."""
    page = coordinator.open(person)
    page.locator("table.grid tbody th").get_by_role("link", name=label, exact=True).click()
    coordinator.day("happened_on", day)
    coordinator.press("Record the visit")
    coordinator.says("The visit date is recorded.")
    page.locator("ul.work a").first.click()


def week_0(coordinator: Desk, person: str) -> None:
    page = coordinator.page
    visit(coordinator, person, "0주(기저)", BEGIN)
    coordinator.look_up("main_diagnosis", "cervical disc", "M50.1")
    forms(
        coordinator,
        ("인구학적 특성, 병력, 진단", BASELINE),
        ("통증 숫자평가척도(NRS)", {"pain": 7}),
    )
    # Neck pain: the NDI is due, and its score is there before the form is complete.
    expect(page.locator("h1")).to_have_text("경부장애지수(NDI)")
    coordinator.answer(ndi(3, 3, 3, 3, 3, 3, 3))
    coordinator.missing("ndi_08", "not_applicable")
    coordinator.answer({"ndi_09": 3, "ndi_10": 3})
    expect(page.locator("[data-output=ndi_percent]")).to_contain_text("60")
    coordinator.complete()
    expect(page.locator("h1")).to_have_text("건강 관련 삶의 질(EQ-5D-5L)")
    coordinator.answer(dict.fromkeys(EQ5D, 2))
    expect(page.locator("[data-output=eq5d_index]")).to_contain_text("0.")
    coordinator.complete()
    forms(
        coordinator,
        ("병용 치료", NO_TREATMENT | {"acupuncture": "yes", "acupuncture_count": 3}),
        ("이상반응 확인", NO_EVENT),
    )
    coordinator.open(person)
    coordinator.panel("시술 기록").get_by_role("button").click()
    coordinator.answer(PROCEDURE)
    coordinator.complete()


def a_correction(coordinator: Desk, person: str) -> str:
    """A form that was complete changes only with a reason."""
    page = coordinator.open(person)
    page.locator("table.grid tbody").get_by_role("link", name="0주(기저)", exact=True).click()
    page.locator("ul.work").get_by_role("link", name="NRS").click()
    coordinator.correct("pain", 8, "종이 서식을 잘못 읽음")
    page.reload()
    expect(page.locator("#q-pain input[value='8']")).to_be_checked()
    return page.url


def an_adverse_event(coordinator: Desk, person: str) -> str:
    page = coordinator.open(person)
    coordinator.panel("이상반응").get_by_role("link").first.click()
    coordinator.fill("symptom", "시술 부위에 멍이 들고 누르면 아픔")
    coordinator.day("onset", BEGIN + dt.timedelta(days=1))
    page.locator("#id_term input[type=search]").press_sequentially("멍")
    page.locator("#term-results .tile", has_text="Bruising").click()
    expect(page.locator("#grades .tile")).to_have_count(2)  # the grades that this term has
    coordinator.choose("grade", "2")
    coordinator.choose("outcome", "1")
    coordinator.choose("serious", "no")
    coordinator.day("aware_on", BEGIN + dt.timedelta(days=7))
    coordinator.choose("causality", "probable")
    coordinator.press("Report the event")
    expect(page).to_have_url(re.compile(r"/uspp/events/\d+/$"))
    expect(page.locator("h1")).to_contain_text("멍이 들고")
    return page.url


def the_later_weeks(coordinator: Desk, person: str) -> str:
    """Week 1 with the adverse event, 2 missed, 4 with satisfaction, 8 by keys alone."""
    page = coordinator.page
    visit(coordinator, person, "1주", BEGIN + dt.timedelta(days=7))
    forms(
        coordinator,
        ("통증 숫자평가척도(NRS)", {"pain": 6}),
        ("경부장애지수(NDI)", ndi(2, 2, 2, 2, 2, 2, 2, 2, 2, 2)),
        ("건강 관련 삶의 질(EQ-5D-5L)", dict.fromkeys(EQ5D, 2)),
        ("병용 치료", NO_TREATMENT),
        ("이상반응 확인", NO_EVENT | {"ae_occurred": "yes"}),
    )
    event = an_adverse_event(coordinator, person)

    coordinator.open(person)
    page.locator("table.grid tbody th").get_by_role("link", name="2주", exact=True).click()
    coordinator.follow("Did not take place…")
    coordinator.fill("missed_reason", "해외 출장으로 내원하지 못함")
    page.locator("#main form button[type=submit]").click()
    coordinator.says("The visit is marked as missed.")

    visit(coordinator, person, "4주", BEGIN + dt.timedelta(days=28))
    forms(
        coordinator,
        ("통증 숫자평가척도(NRS)", {"pain": 3}),
        ("경부장애지수(NDI)", ndi(1, 1, 1, 1, 1, 1, 1, 1, 1, 1)),
        ("건강 관련 삶의 질(EQ-5D-5L)", dict.fromkeys(EQ5D, 1)),
    )
    expect(page.locator("h1")).to_have_text("환자 만족도")
    coordinator.answer(dict.fromkeys(SATISFACTION, 5))
    expect(page.locator("[data-output=satisfaction_total]")).to_contain_text("30")
    coordinator.complete()
    forms(coordinator, ("병용 치료", NO_TREATMENT), ("이상반응 확인", NO_EVENT))

    visit(coordinator, person, "8주", BEGIN + dt.timedelta(days=56))
    coordinator.keys("pain", "2")
    coordinator.keys("ndi_01", *"1110111011")
    coordinator.keys("mobility", *"11211", "Enter")  # no EQ VAS
    forms(coordinator, ("병용 치료", NO_TREATMENT), ("이상반응 확인", NO_EVENT))
    return event


# 3. The monitor -----------------------------------------------------------------------------------


def the_monitor_asks(monitor: Desk, event: str) -> None:
    """The queue of all sites, narrowed by each of its filters, and a question beside it."""
    page = monitor.menu("Adverse events")
    page.locator("details.filters summary").click()
    for name, value in (
        ("site", "JSS"),
        ("grade", "2"),
        ("serious", "no"),
        ("causality", "probable"),
        ("state", "new"),
    ):
        page.locator(f".filter-bar [name={name}]").select_option(value)
    monitor.press("Apply")
    expect(page).to_have_url(re.compile("site=JSS"))
    expect(page.locator("#queue tbody tr")).to_have_count(1)
    page.locator("#queue .row-link").click()
    pane = page.locator("#event-pane")
    expect(pane.locator("h2").first).to_contain_text(NUMBER)
    pane.locator("#queries summary").click()
    pane.locator("[name=text]").fill("멍의 크기를 확인해 주십시오.")
    pane.get_by_role("button", name=ko("Ask"), exact=True).click()
    expect(pane.locator(".thread")).to_contain_text("멍의 크기")


def the_monitor_changes_nothing(monitor: Desk, event: str, entry: str) -> None:
    """No control to enter anything, and what is sent all the same is refused."""
    page = monitor.open(event)
    expect(monitor.link("Change")).to_have_count(0)
    expect(monitor.link("Entered in error…")).to_have_count(0)
    monitor.open(entry)
    expect(page.locator("form#entry")).to_have_count(0)
    expect(
        page.locator("#main input:not([type=hidden]), #main select, #main textarea")
    ).to_have_count(0)
    token = page.locator("[name=csrfmiddlewaretoken]").first.input_value()
    for path in (f"{entry}save/", entry, f"{entry}complete/", f"{entry}void/", f"{event}edit/"):
        refused = monitor.context.request.post(
            path, headers={"X-CSRFToken": token}, form={"pain": "0", "then": "save"}
        )
        assert refused.status == 403, path


def the_coordinator_answers(coordinator: Desk, event: str) -> None:
    """Adds what was asked for, with its reason, and says so."""
    page = coordinator.open(event)
    coordinator.follow("Change")
    coordinator.day("ended", BEGIN + dt.timedelta(days=6))
    coordinator.fill("reason", "추적 관찰 결과를 추가함")
    coordinator.press("Save the change")
    expect(page).to_have_url(event)
    coordinator.menu("Today")
    page.locator("ul.work").get_by_role("link", name="멍의 크기").click()
    coordinator.fill("text", "지름 2 cm, 5일 뒤 없어짐")
    coordinator.press("Answer")
    expect(page.locator(".thread")).to_contain_text("지름 2 cm")


def the_monitor_decides(monitor: Desk, event: str) -> None:
    """Reads the answer, closes the query, and marks the event as reviewed."""
    page = monitor.menu("Queries")
    page.locator("tbody").get_by_role("link", name=NUMBER).click()
    expect(page.locator(".thread")).to_contain_text("지름 2 cm")
    monitor.press("Close", "query")
    expect(page.locator("article.query .q-closed")).to_be_visible()
    monitor.menu("Adverse events")
    page.locator("#queue .row-link").click()
    page.locator("#event-pane [name=decision][value=reviewed]").click()
    expect(page.locator("[data-decided]")).to_be_attached()
    monitor.menu("Adverse events")
    expect(page.locator("#queue")).to_have_count(0)
    monitor.says("No adverse event needs review")


# 4. The investigator ------------------------------------------------------------------------------


def the_end_of_study(coordinator: Desk, person: str) -> None:
    coordinator.open(person)
    coordinator.next_step("Record the end of the study")
    coordinator.day("on", BEGIN + dt.timedelta(days=56))
    coordinator.choose("end_reason", "completed")
    coordinator.page.locator("#main form button[type=submit]").click()
    coordinator.says("The end of the study is recorded.")


def signed(investigator: Desk, person: str) -> None:
    """Reads everything that the signature covers, and signs by password."""
    page = investigator.open(person)
    investigator.panel(ko("Signatures")).get_by_role("link", name=ko("Read and sign")).click()
    for read in ("멍이 들고", "해외 출장", "BV"):
        expect(page.locator("#main")).to_contain_text(read)
    expect(page.locator("#signature")).to_contain_text("SHA-256")
    investigator.choose("meaning", "reviewed")
    investigator.fill("number", NUMBER[-3:])
    investigator.fill("password", PASSWORD)
    investigator.press("Sign")
    investigator.says("Signed.")
    expect(investigator.panel(ko("Signatures")).locator(".st-signed")).to_be_visible()


def not_by_another_password(investigator: Desk, person: str) -> None:
    page = investigator.menu("Today")
    page.locator("ul.work").get_by_role("link", name=NUMBER).click()
    investigator.choose("meaning", "reviewed")
    investigator.fill("number", NUMBER[-3:])
    investigator.fill("password", "not-my-password")
    investigator.press("Sign")
    expect(page.locator("#main .field-error").first).to_be_visible()
    investigator.open(person)
    investigator.says("Not signed.")


def an_outdated_signature(coordinator: Desk, person: str) -> None:
    page = coordinator.open(person)
    page.locator("table.grid tbody th").get_by_role("link", name="4주", exact=True).click()
    page.locator("ul.work").get_by_role("link", name="NRS").click()
    coordinator.correct("pain", 4, "원자료가 정정됨")
    coordinator.open(person)
    expect(coordinator.panel(ko("Signatures")).locator(".st-stale")).to_be_visible()


# 5. The data manager ------------------------------------------------------------------------------


def what_stands_in_the_way(datamanager: Desk, person: str) -> None:
    """A query and an outdated signature: both are listed, each with the way to it."""
    page = datamanager.open(person)
    page.locator("table.grid tbody th").get_by_role("link", name="4주", exact=True).click()
    page.locator("ul.work").get_by_role("link", name="NRS").click()
    page.locator('#q-pain a[href*="/ask/"]').click()
    datamanager.fill("text", "정정된 원자료의 사본이 있습니까?")
    datamanager.press("Ask")
    expect(page.locator(".thread")).to_contain_text("사본")
    datamanager.menu("Locking")
    row = page.locator("tbody tr", has_text="서울자생")
    datamanager.follow("What is missing", within=row)
    for title in ("Queries that are not closed", "Participants without a valid signature"):
        expect(page.locator(".blockers li", has_text=ko(title))).to_contain_text("1")
    expect(page.locator(".blockers li")).to_have_count(2)
    expect(page.locator("[name=site_code]")).to_have_count(0)


def answered(coordinator: Desk) -> None:
    page = coordinator.menu("Today")
    page.locator("ul.work").get_by_role("link", name="사본").click()
    coordinator.fill("text", "대상자 파일에 보관 중")
    coordinator.press("Answer")
    expect(page.locator(".thread")).to_contain_text("보관 중")


def resolved(datamanager: Desk) -> None:
    page = datamanager.menu("Locking")
    datamanager.follow("What is missing", within=page.locator("tbody tr", has_text="서울자생"))
    page.locator("#queries").get_by_role("link", name="사본").click()
    datamanager.press("Close", "query")
    expect(page.locator("article.query .q-closed")).to_be_visible()


def locked(datamanager: Desk) -> None:
    page = datamanager.menu("Locking")
    datamanager.follow("Lock", within=page.locator("tbody tr", has_text="서울자생"))
    datamanager.fill("site_code", "JSS")
    datamanager.fill("reason", "중간 분석")
    datamanager.press("Lock")
    expect(page.locator("tbody tr", has_text="서울자생").locator(".st-locked")).to_be_visible()


def closed_for_all(coordinator: Desk, entry: str) -> None:
    """In the page there is nothing to type into, and what is sent all the same is refused."""
    page = coordinator.open(entry)
    expect(page.locator("form#entry")).to_have_count(0)
    coordinator.says("The data of this site are locked.")
    token = page.locator("[name=csrfmiddlewaretoken]").first.input_value()
    refused = coordinator.context.request.post(
        f"{entry}save/",
        headers={"X-CSRFToken": token},
        data={
            "op": str(uuid.uuid4()),
            "base": {"pain": 8},
            "changes": {"pain": 1},
            "reasons": {"pain": "잠금 이후의 수정"},
        },
    )
    assert refused.status == 409


def dataset(datamanager: Desk, purpose: str) -> bytes:
    """Asked for, built by the worker while its page tells how far it is, taken for a reason."""
    page = datamanager.menu("Datasets")
    for tile in page.locator(".tile:has(input[name=sites])", has_not_text="(서울)").all():
        tile.click()
    expect(page.locator("input[name=sites]:checked")).to_have_count(1)
    datamanager.fill("reason", purpose)
    datamanager.press("Ask for it")
    expect(page.locator("#job progress")).to_be_attached()
    expect(page.locator("#job[data-state=done]")).to_be_attached(timeout=60_000)
    page.locator("#job a.button").click()
    expect(page.locator("#main .st-locked").first).to_be_visible()
    datamanager.fill("reason", "통계 분석 담당자에게 전달")
    with page.expect_download() as download:
        page.locator("#download button[type=submit]").click()
    content = Path(download.value.path()).read_bytes()
    page.reload()
    expect(page.locator("#download .timeline li")).to_contain_text("통계 분석 담당자에게 전달")
    expect(page.locator("#main .hash").first).to_have_text(hashlib.sha256(content).hexdigest())
    return content


def as_it_should_be(content: bytes) -> None:
    """What a statistician needs is there, and who the participants are is not."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(files["manifest.json"])
    assert manifest["locked"] is True
    assert manifest["protocol_versions"][0]["sha256"]
    assert manifest["trail"]
    described = {file["name"]: file for file in manifest["files"]}
    assert described.keys() == files.keys() - {"manifest.json"}
    for name, file in described.items():
        assert hashlib.sha256(files[name]).hexdigest() == file["sha256"], name
        if name.endswith(".csv"):
            assert len(table(files[name])) == file["rows"], name
    for name in ("long.csv", "wide.csv", "adverse_events.csv", "codebook.csv", "participants.csv"):
        assert described[name]["rows"] > 0, name
    everything = b"\n".join(files.values()).decode()
    for secret in (NAME, CHART, BORN.isoformat(), f"{BORN:%Y%m%d}", "선우가람", "독고나래"):
        assert secret not in everything

    numbers = {row["subject"] for row in table(files["long.csv"])}
    assert numbers == {NUMBER}
    labels = {
        row["column"]: (row["label_ko"], row["label_en"]) for row in table(files["codebook.csv"])
    }
    assert all(korean and english for korean, english in labels.values())


def table(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode())))


# 6. Who, role, site, when, what, why --------------------------------------------------------------


def history(desk: Desk, *words: str) -> None:
    """One line of the history holds all of this, and the time with its offset."""
    rows = desk.page.locator("#main tbody tr")
    for word in words:
        rows = rows.filter(has_text=word)
    expect(rows.first).to_contain_text("UTC+0900")


def histories(auditor: Desk, event: str, entry: str) -> None:
    role, site = ko("Site coordinator"), "서울자생"
    changed = (role, site, "7", "8", "종이 서식을 잘못 읽음")
    page = auditor.open(entry)
    auditor.follow("History", within=page.locator(".page-head"))
    history(auditor, "coordinator", *changed)
    auditor.open(entry)
    page.locator("#q-pain [data-history]").click()
    expect(page.locator("#drawer .timeline")).to_contain_text("종이 서식을 잘못 읽음")
    auditor.open(f"{entry}history/pain/")
    history(auditor, "coordinator", *changed)
    auditor.open(event)
    auditor.follow("History")
    history(auditor, "coordinator", role, site, "멍이 들고")
    ended = f"{BEGIN + dt.timedelta(days=6)}"
    history(auditor, "coordinator", role, site, ended, "추적 관찰 결과를 추가함")
    history(auditor, "monitor", ko("Monitor"), site)


def a_role_given_and_ended(admin: Desk) -> None:
    page = admin.menu("People")
    page.get_by_role("link", name="nobody").click()
    admin.follow("Give a role")
    admin.choose("role", "auditor")
    page.locator("select[name=site]").select_option(label="자생한방병원(서울)")
    admin.day("since", TODAY - dt.timedelta(days=1))
    page.locator("#main form button[type=submit]").click()
    admin.follow("End", "verb")
    admin.day("until", TODAY)
    admin.fill("reason", "점검 완료")
    page.locator("#main form button[type=submit]").click()
    admin.follow("History")
    history(admin, "admin", ko("Administrator"), f"{TODAY}", "점검 완료")


def in_english(desk: Desk, entry: str) -> None:
    """One click, and the same page is in English; one more, and it is in Korean again."""
    page = desk.open(entry)
    expect(page.locator("html")).to_have_attribute("lang", "ko")
    page.locator(".language button[value=en]").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page).to_have_url(entry)
    expect(page.locator("h1")).to_have_text("Numerical rating scale of pain (NRS)")
    assert not re.search("[가-힣]", page.locator("#main").inner_text())
    page.locator(".language button[value=ko]").click()
    expect(page.locator("html")).to_have_attribute("lang", "ko")


@pytest.mark.requirement("G02")
@pytest.mark.requirement("G06")
@pytest.mark.requirement("G08")
@pytest.mark.requirement("E02")
def test_from_consent_to_a_locked_dataset(browser: Browser, installation: Installation) -> None:  # noqa: F811
    desks: dict[str, Desk] = {}

    def sits_down(name: str) -> Desk:
        desks[name] = Desk(browser, installation.url, name)
        return desks[name]

    coordinator = sits_down("coordinator")
    person = from_consent_to_number(coordinator)
    a_screen_failure(coordinator)
    a_participant_in_error(coordinator)

    week_0(coordinator, person)
    entry = a_correction(coordinator, person)
    event = the_later_weeks(coordinator, person)

    monitor = sits_down("monitor")
    the_monitor_asks(monitor, event)
    the_monitor_changes_nothing(monitor, event, entry)
    the_coordinator_answers(coordinator, event)
    the_monitor_decides(monitor, event)

    the_end_of_study(coordinator, person)
    investigator = sits_down("investigator")
    not_by_another_password(investigator, person)
    signed(investigator, person)
    an_outdated_signature(coordinator, person)

    datamanager = sits_down("datamanager")
    what_stands_in_the_way(datamanager, person)
    answered(coordinator)
    resolved(datamanager)
    signed(investigator, person)
    locked(datamanager)
    closed_for_all(coordinator, entry)
    first = dataset(datamanager, "중간 분석")
    as_it_should_be(first)
    assert dataset(datamanager, "같은 자료를 다시") == first

    auditor = sits_down("auditor")
    histories(auditor, event, entry)
    in_english(auditor, entry)
    a_role_given_and_ended(sits_down("admin"))

    assert {name: desk.close() for name, desk in desks.items()} == {name: [] for name in desks}
