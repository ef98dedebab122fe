"""The pages from consent to the end of the study: what works, what is refused, and who may."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.html import escape
from django.utils.translation import gettext, override

from crf.models import Entry, Lock
from crf.services import add_entry, complete, save_entry
from registry.models import Allocation, Consent, Counter, Identity, Participant, Prescreen
from registry.services.participants import person_of
from sites.audit import acting
from sites.models import AccessLog, Site, User
from tests.cast import actor, seeing
from tests.story import ELIGIBLE, play

DAY = dt.timedelta(days=1)
NESTED = (
    "SAVEPOINT",
    "RELEASE",
    "SELECT coalesce(current_setting('edc.sites'",
    "SELECT set_config('edc.sites', ''",
)
LIST_QUERIES, PAGE_QUERIES, TODAY_QUERIES = 11, 12, 11


def at(name: str, *args: Any, study: str = "uspp") -> str:
    return reverse(name, args=[study, *args])


@pytest.fixture
def page(as_: Callable[[User], Client], coordinator: User) -> Client:
    """The coordinator's browser, in English."""
    client = as_(coordinator)
    client.cookies["language"] = "en"
    return client


def text(response: Any) -> str:
    return str(response.content.decode())


def kept(person: Participant) -> Participant:
    with seeing(person.site):
        return Participant.objects.get(pk=person.pk)


def consent_data(site: Site, **changes: str) -> dict[str, str]:
    day = site.today().isoformat()
    return {
        "site": site.code,
        "study_given": "yes",
        "study_form_version": "1.0",
        "study_signed_on": day,
        "study_explained_by": "이정훈",
        "sharing_given": "no",
        "sharing_form_version": "1.0",
        "name": "홍길동",
        "birth_date_year": "1980",
        "birth_date_month": "5",
        "birth_date_day": "5",
        "sex": "female",
        "chart_number": "A-100",
        "contact": "010-1234-5678",
        **changes,
    }


def sql_of(client: Client, url: str) -> list[str]:
    """The statements of one look at a page, without those that the test's transaction adds."""
    client.get(url)  # what is parsed once per process
    with CaptureQueriesContext(connection) as caught:
        assert client.get(url).status_code == 200
    statements = [each["sql"] for each in caught.captured_queries]
    return [sql for sql in statements if not sql.startswith(NESTED)]


def seen_by(user: User, site: Site) -> set[int]:
    with seeing(site):
        log = AccessLog.objects.filter(user=user, site=site)
        return set(log.values_list("participant_id", flat=True))


# Consent -----------------------------------------------------------------------------------------


@pytest.mark.requirement("P06")
def test_a_consent_is_recorded_with_sharing_by_itself(page, jss, coordinator):
    form = text(page.get(at("participant_new")))
    assert "Consent to third-party provision" in form
    assert 'name="study_given"' in form
    assert 'name="sharing_given"' in form
    assert not re.search(r'name="(study|sharing)_given"[^>]*checked', form)
    response = page.post(at("participant_new"), consent_data(jss), follow=True)
    assert "JSS-S001" in text(response)
    assert "Fill in the screening form" in text(response)
    with seeing(jss):
        person = Participant.objects.get()
        assert {c.kind: c.given for c in person.consents.all()} == {"study": True, "sharing": False}
        assert {c.explained_by for c in person.consents.all()} == {"이정훈"}
        assert Entry.objects.get().instrument == "screening"
    assert seen_by(coordinator, jss) == {person.pk}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"study_given": "no"}, "Without “"),
        ({"study_given": ""}, "Please say whether there is a consent"),
        ({"sharing_given": ""}, "Please say whether there is a consent"),
        ({"study_signed_on": "2999-01-01"}, "The consent date lies in the future."),
        ({"study_signed_on": "2025-12-31"}, "not in force on that day"),
        ({"study_signed_on": "2026-02-30"}, "There is no such date."),
        ({"birth_date_year": "2999"}, "The birth date lies in the future."),
        ({"birth_date_year": "2001", "birth_date_month": "2", "birth_date_day": "29"}, "no such"),
        ({"birth_date_day": ""}, "Please enter year, month and day."),
        ({"name": "홍길동 800505-2234567"}, "resident registration number"),
        ({"name": "홍" * 101}, "at most 100 characters"),
        ({"contact": "가" * 100_000}, "at most 200 characters"),
        ({"sex": "other"}, "Select a valid choice"),
    ],
)
def test_what_can_not_be_recorded_is_said_at_its_field_and_nothing_is_lost(
    page, jss, changes, said
):
    response = page.post(at("participant_new"), consent_data(jss, **changes))
    assert response.status_code == 422
    assert said in text(response)
    assert "There is a problem" in text(response)
    assert "<title>Error:" in re.sub(r"\s+", " ", text(response))
    if "chart_number" not in changes:
        assert "A-100" in text(response)
    with seeing(jss):
        assert not Participant.objects.exists()
        assert not Identity.objects.exists()


def test_days_may_be_typed_in_full_width_digits_and_in_one_piece(page, jss):
    typed = consent_data(
        jss, birth_date_year="２０００", birth_date_month="２", birth_date_day="２９"
    )
    assert page.post(at("participant_new"), typed).status_code == 302
    pasted = consent_data(jss, birth_date_month="", birth_date_day="", chart_number="A-101")
    assert (
        page.post(at("participant_new"), pasted | {"birth_date_year": "19800505"}).status_code
        == 302
    )
    with seeing(jss):
        assert [p.birth_year for p in Participant.objects.order_by("pk")] == [2000, 1980]


def test_a_chart_number_of_this_hospital_must_be_confirmed(page, jss):
    page.post(at("participant_new"), consent_data(jss))
    response = page.post(at("participant_new"), consent_data(jss, name="홍길순"))
    assert response.status_code == 422
    assert "belongs to JSS-S001 already" in text(response)
    response = page.post(at("participant_new"), consent_data(jss, again="on"), follow=True)
    assert "JSS-S002" in text(response)
    assert "may already be in the study" in text(response)


def test_one_person_at_two_hospitals_is_noticed_without_saying_where(
    page, jss, djj, as_, coordinator2
):
    page.post(at("participant_new"), consent_data(jss))
    there = as_(coordinator2)
    there.cookies["language"] = "en"
    response = there.post(at("participant_new"), consent_data(djj, chart_number="Z-9"), follow=True)
    assert "may already be in the study" in text(response)
    assert "JSS-S001" not in text(response)


def test_who_enters_at_one_site_records_nobody_at_another(page, jss, djj):
    assert page.post(at("participant_new"), consent_data(djj)).status_code == 404
    with seeing(jss, djj):
        assert not Participant.objects.exists()


@pytest.mark.parametrize("name", ["participant_new", "prescreen"])
@pytest.mark.parametrize("who", ["monitor", "datamanager", "auditor", "safety", "admin"])
def test_only_who_enters_data_records_a_consent(request, as_, name, who):
    client = as_(request.getfixturevalue(who))
    assert client.get(at(name)).status_code == 403
    assert client.post(at(name), {}).status_code == 403


def test_who_did_not_consent_is_counted_and_nothing_else(page, jss):
    today = jss.today()
    response = page.post(
        at("prescreen"), {"site": "JSS", "on": today.isoformat(), "reason": "no_time"}, follow=True
    )
    assert "No personal data were kept" in text(response)
    bad = page.post(at("prescreen"), {"on": (today + DAY).isoformat(), "reason": "no_time"})
    assert (bad.status_code, "lies in the future" in text(bad)) == (422, True)
    bad = page.post(at("prescreen"), {"on": today.isoformat(), "reason": "x"})
    assert bad.status_code == 422
    with seeing(jss):
        assert Prescreen.objects.get().reason == "no_time"


# The list ----------------------------------------------------------------------------------------


def test_the_list_shows_one_s_own_sites_and_logs_whom_it_showed(
    page, participant, jss, djj, coordinator, as_, monitor
):
    here, there = participant(jss, stage="enrolled"), participant(djj, stage="enrolled")
    shown = text(page.get(at("participants")))
    assert here.subject_number in shown
    assert there.subject_number not in shown
    assert seen_by(coordinator, jss) == {here.pk}
    shown = text(as_(monitor).get(at("participants")))
    assert here.subject_number in shown
    assert there.subject_number in shown
    shown = text(as_(monitor).get(at("participants") + "?site=DJJ"))
    assert here.subject_number not in shown
    assert there.subject_number in shown


def test_a_number_leads_to_the_participant_as_it_may_be_typed(page, participant, jss, djj):
    people = [participant(jss, stage="enrolled") for _ in range(12)]
    there = participant(djj, stage="enrolled")
    twelfth = people[11]
    for typed in ("JSS-012", "jss-012", "12", "ＪＳＳ－０１２", "JSS-S012"):
        response = page.get(at("participants"), {"q": typed})
        assert response.headers["Location"] == at("participant", twelfth.pk), typed
    shown = text(page.get(at("participants"), {"q": "JSS-01"}))
    assert all(f"JSS-01{n}" in shown for n in (0, 1, 2))
    assert "JSS-009" not in shown
    for typed in (there.subject_number, "99", "'; --", "%", "홍길동"):
        assert "Nobody fits" in text(page.get(at("participants"), {"q": typed})), typed


@pytest.mark.requirement("S01")
def test_a_chart_number_is_found_at_its_own_hospital_alone(
    page, participant, jss, djj, as_, coordinator2, monitor
):
    person = participant(jss, stage="consented")
    with seeing(jss):
        number = person_of(Participant.objects.get(pk=person.pk)).chart_number
    found = page.post(at("participants"), {"chart_number": number.replace("-", " ")})
    assert found.headers["Location"] == at("participant", person.pk)
    missed = page.post(at("participants"), {"chart_number": "0000"})
    assert (missed.status_code, "No participant of your hospital" in text(missed)) == (422, True)
    elsewhere = as_(coordinator2).post(at("participants"), {"chart_number": number})
    assert elsewhere.status_code == 422
    assert person.number not in text(elsewhere)
    assert as_(monitor).post(at("participants"), {"chart_number": number}).status_code == 403
    assert "chart_number" not in text(as_(monitor).get(at("participants")))


def test_the_filters_keep_to_state_and_to_what_is_needed(page, participant, jss):
    screened = participant(jss, stage="screened")
    failed = participant(jss, stage="screened", answers={"screening_nrs": 1})
    late = participant(jss, stage="enrolled", days_ago=45)
    begun = participant(jss, days_ago=0)
    for query, people in (
        ("state=screening", {screened}),
        ("state=failed", {failed}),
        ("state=enrolled", {late, begun}),
        ("state=ended", set()),
        ("need=overdue", {late}),
        ("need=due", {late}),
        ("need=forms", {begun}),
        ("need=queries", set()),
        ("state=nonsense&need=nonsense&site=XXX", {screened, failed, late, begun}),
    ):
        shown = text(page.get(f"{at('participants')}?{query}"))
        found = {p for p in (screened, failed, late, begun) if f">{p.number}<" in shown}
        assert found == people, query


def test_the_list_comes_in_pages_of_fifty(page, participant, jss, coordinator):
    with seeing(jss):
        by = actor(coordinator, jss)
        for _ in range(51):
            play(jss, by, stage="consented")
    first, second = (text(page.get(f"{at('participants')}?page={n}")) for n in (1, 2))
    assert first.count('scope="row"') == 50
    assert second.count('scope="row"') == 1
    assert "JSS-S001" in second
    assert "JSS-S051" in first


def test_the_list_takes_as_many_statements_for_many_as_for_one(page, participant, jss):
    participant(jss)
    one = sql_of(page, at("participants"))
    for _ in range(4):
        participant(jss)
    many = sql_of(page, at("participants"))
    assert len(one) == len(many) <= LIST_QUERIES


# One participant ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stage", "days_ago", "said"),
    [
        ("consented", 0, "Fill in the screening form."),
        ("screened", 0, "Eligible, and not enrolled yet."),
        ("enrolled", 0, "Week 0 (baseline) is due"),
        ("enrolled", 20, "Week 0 (baseline) is overdue"),
        ("begun", 0, "is not complete."),
    ],
)
def test_the_page_says_what_is_next(page, participant, jss, stage, days_ago, said):
    person = participant(jss, stage=stage, days_ago=days_ago)
    assert said in text(page.get(at("participant", person.pk)))


def test_who_only_reads_is_told_what_is_next_without_a_button(as_, monitor, participant, jss):
    person = participant(jss, stage="enrolled", days_ago=0)
    reader = as_(monitor)
    reader.cookies["language"] = "en"
    shown = text(reader.get(at("participant", person.pk)))
    assert "Week 0 (baseline) is due" in shown
    assert "Record the visit" not in shown
    assert at("void_participant", person.pk) not in shown
    assert at("identity", person.pk) not in shown


def test_the_page_takes_as_many_statements_with_many_forms_as_with_one(
    page, participant, jss, coordinator
):
    person = participant(jss)
    before = sql_of(page, at("participant", person.pk))
    with seeing(jss):
        by = actor(coordinator, jss)
        for instrument in ("procedure", "procedure", "deviation"):
            add_entry(participant=person, instrument=instrument, by=by)
        for entry in Entry.objects.filter(visit__happened_on__isnull=False):
            save_entry(entry=entry, changes={}, by=by)
    assert len(sql_of(page, at("participant", person.pk))) == len(before) <= PAGE_QUERIES


@pytest.mark.parametrize(
    "name",
    ["participant", "identity", "consents", "screening_decision", "enrol", "end_study", "withdraw",
     "void_participant", "drivers", "visit_new"],
)  # fmt: skip
def test_a_participant_elsewhere_does_not_exist(page, participant, djj, name):
    person = participant(djj, stage="screened")
    for response in (page.get(at(name, person.pk)), page.get(at(name, 10**9))):
        assert response.status_code == 404
        assert person.number not in text(response)
    assert page.post(at(name, person.pk), {"reason": "x"}).status_code in (404, 405)
    assert kept(person).voided_at is None


@pytest.mark.requirement("K01")
def test_who_it_is_shows_at_the_own_hospital_alone_and_is_logged(
    page, participant, jss, as_, coordinator, monitor, investigator, auditor
):
    person = participant(jss, stage="consented", name="홍길동")
    assert "홍길동" in text(page.get(at("identity", person.pk)))
    assert "홍길동" not in text(page.get(at("participant", person.pk)))
    assert seen_by(coordinator, jss) == {person.pk}
    assert "홍길동" in text(as_(investigator).get(at("identity", person.pk)))
    for user in (monitor, auditor):
        assert as_(user).get(at("identity", person.pk)).status_code == 403


def test_a_study_is_unknown_to_who_has_no_role_in_it(
    as_, nobody, needle_coordinator, participant, jss
):
    person = participant(jss, stage="consented")
    for user in (nobody, needle_coordinator):
        for name, *key in (("participants",), ("participant", person.pk), ("today",)):
            assert as_(user).get(at(name, *key)).status_code == 404


# Screening and enrolment -------------------------------------------------------------------------


@pytest.fixture
def answered(coordinator: User, jss: Site) -> Callable[..., Participant]:
    """Somebody in screening whose form has these answers, complete if it can be."""

    def make(**changes: Any) -> Participant:
        with seeing(jss):
            by = actor(coordinator, jss)
            person = play(jss, by, stage="consented")
            form = add_entry(participant=person, instrument="screening", by=by)
            save_entry(entry=form, changes=ELIGIBLE["uspp"] | changes, by=by)
            form.refresh_from_db()
            complete(entry=form, by=by)
        return person

    return make


def test_the_decision_follows_the_criteria_and_leads_to_the_subject_number(page, answered, jss):
    person = answered()
    shown = text(page.get(at("screening_decision", person.pk)))
    assert "Every criterion allows enrolment." in shown
    response = page.post(at("screening_decision", person.pk))
    assert response.headers["Location"] == at("enrol", person.pk)
    assert kept(person).cohort == "cervical"
    today = jss.today()
    assert today.isoformat()[:4] in text(page.get(at("enrol", person.pk)))
    early = page.post(at("enrol", person.pk), {"on": (today - 90 * DAY).isoformat()})
    assert (early.status_code, "between consent and today" in text(early)) == (422, True)
    response = page.post(at("enrol", person.pk), {"on": today.isoformat()}, follow=True)
    assert "The subject number is JSS-001." in text(response)
    again = page.post(at("enrol", person.pk), {"on": today.isoformat()})
    assert (again.status_code, "passed screening" in text(again)) == (422, True)


def test_a_screen_failure_is_recorded_with_what_was_not_met_and_shows_in_the_log(
    page, answered, jss
):
    person = answered(screening_nrs=3, unsuitable="yes", unsuitable_reason="기타")
    shown = text(page.get(at("screening_decision", person.pk)))
    assert "Record the screen failure" in shown
    assert "Every criterion allows" not in shown
    page.post(at("screening_decision", person.pk))
    assert kept(person).failed_criteria == ["I3", "E4"]
    log = text(page.get(at("screening_log")))
    assert person.screening_number in log
    assert "NRS 5 or more" in log
    assert "NRS 5 or more" in text(page.get(at("participant", person.pk)))
    refused = page.post(at("enrol", person.pk), {"on": jss.today().isoformat()})
    assert refused.status_code == 422


def test_a_second_decision_needs_a_reason(page, answered):
    person = answered(screening_nrs=3)
    page.post(at("screening_decision", person.pk))
    bare = page.post(at("screening_decision", person.pk))
    assert bare.status_code == 422
    done = page.post(at("screening_decision", person.pk), {"reason": "확인함"})
    assert done.status_code == 302
    with seeing(person.site):
        assert kept(person).history.first().history_change_reason == "확인함"


def test_nothing_is_decided_before_the_form_is_complete(page, participant, jss, coordinator):
    person = participant(jss, stage="consented")
    shown = text(page.get(at("screening_decision", person.pk)))
    assert "Complete the screening form first." in shown
    assert page.post(at("screening_decision", person.pk)).status_code == 422
    assert kept(person).state == "consented"


def test_an_undecided_criterion_admits_nobody(page, nda, as_, needle_coordinator):
    with seeing(nda):
        by = actor(needle_coordinator, nda)
        person = play(nda, by, stage="consented")
        form = add_entry(participant=person, instrument="needle_screening", by=by)
        save_entry(
            entry=form, changes={"months_of_pain": 6}, missing={"fear_of_needles": "unknown"}, by=by
        )
        form.refresh_from_db()
        complete(entry=form, by=by)
    client = as_(needle_coordinator)
    client.cookies["language"] = "en"
    url = at("screening_decision", person.pk, study="needle")
    assert "undecided" in text(client.get(url))
    assert client.post(url).status_code == 422
    assert kept(person).state == "consented"


def test_a_full_study_refuses_with_a_sentence_at_the_form(page, participant, jss):
    person = participant(jss, stage="screened")
    Counter.objects.filter(study=jss.study, site=None, name="enrolled").update(used=600)
    response = page.post(at("enrol", person.pk), {"on": jss.today().isoformat()})
    assert response.status_code == 422
    assert "The study has enrolled all of its participants." in text(response)
    assert kept(person).subject_number is None


def test_the_screening_log_counts_and_keeps_to_one_s_sites(
    page, participant, jss, djj, as_, monitor
):
    failed = participant(
        jss, stage="screened", answers={"severe_disease": "no", "screening_nrs": 0}
    )
    there = participant(djj, stage="consented")
    page.post(at("prescreen"), {"site": "JSS", "on": jss.today().isoformat(), "reason": "privacy"})
    log = text(page.get(at("screening_log")))
    assert failed.screening_number in log
    assert there.screening_number not in log
    assert "Concern about privacy" in log
    both = text(as_(monitor).get(at("screening_log")))
    assert failed.screening_number in both
    assert there.screening_number in both


# Consents ----------------------------------------------------------------------------------------


def test_a_further_consent_is_recorded_and_one_in_error_is_kept_struck_through(
    page, participant, jss
):
    person = participant(jss, stage="enrolled")
    url, today = at("consents", person.pk), jss.today().isoformat()
    told = {"consent": "sharing:1.0", "given": "yes", "signed_on": today, "explained_by": "이정훈"}
    twice = page.post(url, told)
    assert (twice.status_code, "already recorded" in text(twice)) == (422, True)
    with seeing(jss):
        sharing = Consent.objects.get(kind="sharing")
    assert page.post(url, {"void": sharing.pk, "reason": ""}).status_code == 422
    assert page.post(url, {"void": sharing.pk, "reason": "다른 사람의 서식"}).status_code == 302
    assert page.post(url, told | {"given": "no"}).status_code == 302
    shown = text(page.get(url))
    assert "다른 사람의 서식" in shown
    assert shown.count("voided-row") == 1
    assert "declined" in shown
    late = page.post(url, told | {"signed_on": "2999-01-01"})
    assert (late.status_code, "in the future" in text(late)) == (422, True)


def test_a_consent_of_somebody_else_is_not_void_through_this_page(page, participant, jss, djj):
    person, other = participant(jss, stage="consented"), participant(djj, stage="consented")
    with seeing(djj):
        theirs = other.consents.first()
    for key in (theirs.pk, "x", "9" * 40):
        response = page.post(at("consents", person.pk), {"void": key, "reason": "x"})
        assert response.status_code == 404
    with seeing(djj):
        assert Consent.objects.get(pk=theirs.pk).voided_at is None


def test_a_reader_sees_consents_and_changes_none(as_, monitor, participant, jss):
    person = participant(jss, stage="consented")
    reader = as_(monitor)
    assert reader.get(at("consents", person.pk)).status_code == 200
    assert reader.post(at("consents", person.pk), {}).status_code == 403


def test_a_new_version_of_the_form_is_asked_for(as_, needle_coordinator, nda):
    days = (nda.today() - dt.date(2026, 5, 1)).days
    with seeing(nda):
        person = play(nda, actor(needle_coordinator, nda), stage="enrolled", days_ago=days)
    client = as_(needle_coordinator)
    client.cookies["language"] = "en"
    assert "New consent form" in text(client.get(at("today", study="needle")))
    url = at("consents", person.pk, study="needle")
    assert "Version 1.1 is in force; version 1.0 is signed." in text(client.get(url))
    told = {"consent": "study:1.1", "given": "yes", "explained_by": "x"}
    assert client.post(url, told | {"signed_on": nda.today().isoformat()}).status_code == 302
    assert "New consent form" not in text(client.get(at("today", study="needle")))


# Leaving -----------------------------------------------------------------------------------------


def test_the_end_of_the_study_says_what_it_stops(page, participant, jss):
    person = participant(jss, days_ago=20)
    url = at("end_study", person.pk)
    assert "Week 8" in text(page.get(url))
    assert page.post(url, {"on": "", "end_reason": ""}).status_code == 422
    future = {"on": (jss.today() + DAY).isoformat(), "end_reason": "lost"}
    assert page.post(url, future).status_code == 422
    done = page.post(url, {"on": jss.today().isoformat(), "end_reason": "lost"}, follow=True)
    assert "Lost to follow-up" in text(done)
    again = page.post(url, {"on": jss.today().isoformat(), "end_reason": "lost"})
    assert (again.status_code, "who is in the study" in text(again)) == (422, True)


def test_a_withdrawal_is_recorded_with_scope_date_and_person(page, participant, jss):
    person = participant(jss, days_ago=20)
    url = at("withdraw", person.pk)
    told = {"scope": "sharing", "withdrawn_on": jss.today().isoformat(), "taken_by": "김은지"}
    assert page.post(url, told | {"taken_by": ""}).status_code == 422
    assert page.post(url, told | {"withdrawn_on": "2999-01-01"}).status_code == 422
    done = page.post(url, told, follow=True)
    assert "no sharing with third parties" in text(done)
    assert "김은지" in text(done)
    assert page.post(url, told).status_code == 422  # once for each scope
    assert "no sharing" not in text(page.get(url))


def test_a_void_participant_stays_readable_and_leaves_every_list_of_work(page, participant, jss):
    person = participant(jss, days_ago=20)
    url = at("void_participant", person.pk)
    assert page.post(url, {"reason": " "}).status_code == 422
    assert page.post(url, {"reason": "800505-2234567"}).status_code == 422
    done = page.post(url, {"reason": "중복 등록"}, follow=True)
    assert "중복 등록" in text(done)
    assert "Entered in error" in text(done)
    assert "voided-row" in text(page.get(at("participants")))
    assert person.subject_number not in text(page.get(at("today")))


def test_changed_drivers_show_what_follows_before_anything_is_written(page, participant, jss):
    person = participant(jss, days_ago=20)
    url = at("drivers", person.pk)
    same = {
        "cohort": "cervical",
        "consented_on": person.consented_on.isoformat(),
        "birth_date": "1980-05-05",
    }
    nothing = page.post(url, same)
    assert (nothing.status_code, "Nothing differs" in text(nothing)) == (422, True)
    shown = text(page.post(url, same | {"cohort": "lumbar"}))
    assert "Becomes due" in shown
    assert "Week 8 · ODI" in shown
    assert "Is no longer due" in shown
    assert kept(person).cohort == "cervical"
    bare = page.post(url, same | {"cohort": "lumbar", "confirm": "1"})
    assert bare.status_code == 422
    assert kept(person).cohort == "cervical"
    told = same | {"cohort": "lumbar", "confirm": "1", "reason": "원자료 확인"}
    assert page.post(url, told).status_code == 302
    assert kept(person).cohort == "lumbar"
    child = same | {"cohort": "lumbar", "birth_date": f"{jss.today().year - 10}-01-01"}
    assert "No longer eligible by" in text(page.post(url, child))
    future = page.post(url, same | {"birth_date": "2999-01-01", "confirm": "1", "reason": "x"})
    assert future.status_code == 422


@pytest.mark.parametrize(
    "name", ["enrol", "end_study", "withdraw", "void_participant", "drivers", "visit_new"]
)
@pytest.mark.parametrize("who", ["monitor", "datamanager", "auditor", "safety"])
def test_only_who_enters_data_acts(request, as_, participant, jss, name, who):
    person = participant(jss, stage="screened")
    client = as_(request.getfixturevalue(who))
    assert client.get(at(name, person.pk)).status_code == 403
    assert client.post(at(name, person.pk), {"reason": "x"}).status_code == 403


# Arms --------------------------------------------------------------------------------------------


def test_an_arm_is_given_by_the_investigator_and_seen_by_who_may(
    as_, needle_coordinator, needle_investigator, needle_datamanager, nda
):
    with seeing(nda):
        person = play(nda, actor(needle_coordinator, nda), stage="enrolled", days_ago=0)
    url = at("allocate", person.pk, study="needle")
    assert as_(needle_coordinator).get(url).status_code == 403
    client = as_(needle_investigator)
    client.cookies["language"] = "en"
    here = at("participant", person.pk, study="needle")
    assert "not allocated to an arm yet" in text(client.get(here))
    assert client.post(url, {"arm": "XX"}).status_code == 422
    assert "Dry needling" in text(client.post(url, {"arm": "DN"}, follow=True))
    assert client.post(url, {"arm": "INF"}).status_code == 422
    with seeing(nda):
        assert Allocation.objects.get().arm == "DN"
    for user in (needle_coordinator, needle_datamanager):
        assert "Dry needling" not in text(as_(user).get(here))
        assert "건침</" not in text(as_(user).get(here))


def test_a_study_without_arms_has_no_such_page(as_, investigator, participant, jss):
    person = participant(jss, stage="enrolled")
    assert as_(investigator).get(at("allocate", person.pk)).status_code == 404


# Today, lock, languages --------------------------------------------------------------------------


def test_today_shows_what_waits_and_says_so_when_nothing_does(
    page, participant, jss, djj, coordinator
):
    assert "Nothing waits for you today" in text(page.get(at("today")))
    late = participant(jss, stage="enrolled", days_ago=40)
    there = participant(djj, stage="enrolled", days_ago=40)
    consented = participant(jss, stage="consented")
    shown = text(page.get(at("today")))
    assert "Visits overdue" in shown
    assert late.subject_number in shown
    assert consented.screening_number in shown
    assert there.subject_number not in shown
    assert seen_by(coordinator, jss) == {late.pk, consented.pk}


def test_today_takes_as_many_statements_for_many_as_for_few(page, participant, jss):
    for _ in range(2):
        participant(jss, days_ago=40)
        participant(jss, stage="consented")
    few = sql_of(page, at("today"))
    for _ in range(3):
        participant(jss, days_ago=40)
        participant(jss, stage="consented")
    many = sql_of(page, at("today"))
    assert len(many) == len(few) <= TODAY_QUERIES


def test_at_a_locked_site_the_pages_offer_no_act_and_the_database_refuses(
    page, participant, jss, datamanager
):
    person = participant(jss, days_ago=20)
    with seeing(jss), acting(actor(datamanager, jss)):
        Lock.objects.create(site=jss, locked_by=datamanager)
    shown = text(page.get(at("participant", person.pk)))
    assert at("void_participant", person.pk) not in shown
    assert at("event_new", person.pk) not in shown
    response = page.post(at("void_participant", person.pk), {"reason": "중복"})
    assert response.status_code == 409
    assert "locked" in text(response)
    assert kept(person).voided_at is None


@pytest.mark.parametrize("language", ["ko", "en"])
def test_every_page_speaks_both_languages(as_, coordinator, participant, jss, language):
    client = as_(coordinator)
    client.cookies["language"] = language
    person = participant(jss, days_ago=20)
    with override(language):
        words = {"participants": gettext("Participants"), "today": gettext("Visits overdue")}
    for name, word in words.items():
        assert escape(word) in text(client.get(at(name)))
    region = {"ko": "경추(목)", "en": "Cervical (neck)"}[language]
    assert region in text(client.get(at("participant", person.pk)))
